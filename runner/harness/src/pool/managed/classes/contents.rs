//! What is in a jar, whenever it was packed.
//!
//! SDKs make jars of folders of classes anew for each job, with the time of day in every entry.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use sha2::{Digest, Sha256};

/// Larger jars are libraries, or were packed by a build: their bytes are compared.
const LIMIT_BYTES: u64 = 8 << 20;

const END: [u8; 4] = *b"PK\x05\x06";
const END_BYTES: usize = 22;
const ENTRY: [u8; 4] = *b"PK\x01\x02";
const ENTRY_BYTES: usize = 46;
const LOCAL: [u8; 4] = *b"PK\x03\x04";

/// The hash of a jar's bytes without the entries' times, or the given one of all its bytes where that can't be told.
pub(super) fn fingerprint(jar: &Path, sha256: &str) -> io::Result<String> {
    if std::fs::metadata(jar)?.len() > LIMIT_BYTES {
        return Ok(sha256.to_owned());
    }
    let mut bytes = Vec::new();
    File::open(jar)?.take(LIMIT_BYTES).read_to_end(&mut bytes)?;
    Ok(match without_times(&mut bytes) {
        Some(()) => format!("timeless:{}", hex::encode(Sha256::digest(&bytes))),
        None => sha256.to_owned(),
    })
}

/// Overwrites the time of every entry, in the table of contents and before the entry itself. `None` for what is no plain
/// archive.
fn without_times(bytes: &mut [u8]) -> Option<()> {
    let end = bytes.len().checked_sub(END_BYTES)?;
    // With a comment behind it, it would be further in front.
    if bytes.get(end..end + 4)? != END {
        return None;
    }
    let count = number16(bytes, end + 10)?;
    let mut entry = number32(bytes, end + 16)?;
    for _ in 0..count {
        if bytes.get(entry..entry + 4)? != ENTRY {
            return None;
        }
        let local = number32(bytes, entry + 42)?;
        if bytes.get(local..local + 4)? != LOCAL {
            return None;
        }
        bytes.get_mut(local + 10..local + 14)?.fill(0);
        bytes.get_mut(entry + 12..entry + 16)?.fill(0);
        let behind = [28, 30, 32]
            .into_iter()
            .map(|field| number16(bytes, entry + field))
            .sum::<Option<usize>>()?;
        entry += ENTRY_BYTES + behind;
    }
    (entry == end).then_some(())
}

fn number16(bytes: &[u8], at: usize) -> Option<usize> {
    let bytes = bytes.get(at..at.checked_add(2)?)?;
    Some(u16::from_le_bytes(bytes.try_into().ok()?).into())
}

fn number32(bytes: &[u8], at: usize) -> Option<usize> {
    let bytes = bytes.get(at..at.checked_add(4)?)?;
    usize::try_from(u32::from_le_bytes(bytes.try_into().ok()?)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An archive of stored entries, as far as it is looked at here.
    fn jar(time: u32, entries: &[(&str, &str)]) -> Vec<u8> {
        let (mut bytes, mut table) = (Vec::new(), Vec::new());
        for (name, content) in entries {
            let mut local = vec![0; 30];
            local[..4].copy_from_slice(&LOCAL);
            local[10..14].copy_from_slice(&time.to_le_bytes());
            let mut entry = vec![0; ENTRY_BYTES];
            entry[..4].copy_from_slice(&ENTRY);
            entry[12..16].copy_from_slice(&time.to_le_bytes());
            entry[28] = u8::try_from(name.len()).unwrap();
            entry[42..46].copy_from_slice(&u32::try_from(bytes.len()).unwrap().to_le_bytes());
            bytes.extend(local);
            bytes.extend(name.bytes().chain(content.bytes()));
            table.extend(entry);
            table.extend(name.bytes());
        }
        let mut end = vec![0; END_BYTES];
        end[..4].copy_from_slice(&END);
        end[10] = u8::try_from(entries.len()).unwrap();
        end[16..20].copy_from_slice(&u32::try_from(bytes.len()).unwrap().to_le_bytes());
        bytes.extend(table);
        bytes.extend(end);
        bytes
    }

    fn of(bytes: &[u8]) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jar");
        std::fs::write(&path, bytes).unwrap();
        fingerprint(&path, "all").unwrap()
    }

    #[test]
    fn only_times_do_not_count() {
        let entries = [("A.class", "one"), ("B.class", "two")];
        let at_noon = of(&jar(12, &entries));
        assert!(at_noon.starts_with("timeless:"));
        assert_eq!(at_noon, of(&jar(13, &entries)));
        assert_ne!(
            at_noon,
            of(&jar(12, &[("A.class", "one"), ("B.class", "2wo")]))
        );
        assert_ne!(
            at_noon,
            of(&jar(12, &[("A.class", "one"), ("C.class", "two")]))
        );
        assert_ne!(at_noon, of(&jar(12, &[entries[1], entries[0]])));
    }

    #[test]
    fn what_is_no_plain_archive_is_what_its_bytes_are() {
        let whole = jar(12, &[("A.class", "one")]);
        for length in 0..whole.len() {
            assert_eq!(of(&whole[..length]), "all");
        }
        let mut commented = whole;
        commented.extend(b"a comment");
        assert_eq!(of(&commented), "all");
    }
}
