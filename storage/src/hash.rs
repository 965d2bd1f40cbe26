//! The checksums that Cloud Storage keeps, computed while content passes.

use md5::Digest;

use crate::metadata::{Crc32c, Md5};

/// CRC32C and MD5 of a stream.
#[derive(Default)]
pub(crate) struct Hasher {
    crc32c: u32,
    md5: md5::Md5,
    size: u64,
}

impl Hasher {
    pub(crate) fn update(&mut self, data: &[u8]) {
        self.crc32c = crc32c::crc32c_append(self.crc32c, data);
        self.md5.update(data);
        self.size += data.len() as u64;
    }

    /// Bytes seen so far.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    pub(crate) fn finish(self) -> (u64, Crc32c, Md5) {
        (
            self.size,
            Crc32c(self.crc32c),
            Md5(self.md5.finalize().into()),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values() {
        let mut hasher = Hasher::default();
        hasher.update(b"1234");
        hasher.update(b"56789");
        let (size, crc32c, md5) = hasher.finish();
        assert_eq!(size, 9);
        assert_eq!(crc32c.to_string(), "e3069283");
        assert_eq!(md5.to_string(), "25f9e794323b453885f5181f1b624d0b");
    }
}
