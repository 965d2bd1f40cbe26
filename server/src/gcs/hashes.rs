//! Checksums as Cloud Storage writes them: base64 of their bytes.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use dataflume_storage::{Crc32c, ExpectedContent, Md5};
use http::{HeaderMap, HeaderName};

use super::errors::ApiError;

/// Carries checksums, `crc32c=...` and `md5=...`, both ways.
pub(super) const X_GOOG_HASH: HeaderName = HeaderName::from_static("x-goog-hash");
const CONTENT_MD5: HeaderName = HeaderName::from_static("content-md5");

pub(super) fn crc32c(value: Crc32c) -> String {
    BASE64.encode(value.to_be_bytes())
}

pub(super) fn md5(value: Md5) -> String {
    BASE64.encode(value.0)
}

pub(super) fn parse_crc32c(text: &str) -> Result<Crc32c, ApiError> {
    let bytes = decode(text, "CRC32C")?;
    Ok(Crc32c(u32::from_be_bytes(bytes)))
}

pub(super) fn parse_md5(text: &str) -> Result<Md5, ApiError> {
    decode(text, "MD5").map(Md5)
}

fn decode<const N: usize>(text: &str, what: &str) -> Result<[u8; N], ApiError> {
    let bytes = BASE64.decode(text).ok();
    let bytes = bytes.and_then(|bytes| bytes.try_into().ok());
    bytes.ok_or_else(|| {
        let shown: String = text.chars().take(80).collect();
        ApiError::invalid(format!("{what} {shown:?} is not the base64 of {N} bytes."))
    })
}

/// What the headers announce about the content.
pub(super) fn announced(headers: &HeaderMap) -> Result<ExpectedContent, ApiError> {
    let mut expected = ExpectedContent::default();
    let lists = headers.get_all(X_GOOG_HASH).iter();
    for list in lists.filter_map(|value| value.to_str().ok()) {
        for hash in list.split(',') {
            match hash.trim().split_once('=') {
                Some(("crc32c", value)) => expected.crc32c = Some(parse_crc32c(value)?),
                Some(("md5", value)) => expected.md5 = Some(parse_md5(value)?),
                // The service passes over algorithms that it does not know.
                _ => {}
            }
        }
    }
    let digest = headers
        .get(CONTENT_MD5)
        .and_then(|value| value.to_str().ok());
    if let Some(digest) = digest {
        expected.md5 = Some(parse_md5(digest)?);
    }
    Ok(expected)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_survive_their_text() {
        let value = Crc32c(0xe306_9283);
        assert_eq!(crc32c(value), "4waSgw==");
        assert_eq!(parse_crc32c("4waSgw==").unwrap(), value);
        let value = Md5([7; 16]);
        assert_eq!(parse_md5(&md5(value)).unwrap(), value);
        for bad in ["", "4waSgw", "!!!!", "AAAA"] {
            assert!(parse_crc32c(bad).is_err(), "{bad:?} was taken");
        }
    }

    #[test]
    fn headers_announce() {
        let mut headers = HeaderMap::new();
        headers.append(X_GOOG_HASH, "crc32c=4waSgw==,sha1=x".parse().unwrap());
        headers.append(X_GOOG_HASH, "md5=BwcHBwcHBwcHBwcHBwcHBw==".parse().unwrap());
        let expected = announced(&headers).unwrap();
        assert_eq!(expected.crc32c, Some(Crc32c(0xe306_9283)));
        assert_eq!(expected.md5, Some(Md5([7; 16])));
    }
}
