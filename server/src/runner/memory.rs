//! How much memory a worker may take.

use dataflume_proto::pipeline::Environment;
use dataflume_proto::urn::standard_resource_hints::MIN_RAM_BYTES;

/// The limit, raised to what the environment's transforms say that they need (the resource hint
/// `min_ram`): a machine that has less would not be taken for them. No limit stays none.
///
/// # Errors
/// If the hint is no number of bytes.
pub(super) fn limit(
    environment: &Environment,
    limit_bytes: Option<u64>,
) -> Result<Option<u64>, String> {
    let needed_bytes = environment
        .resource_hints
        .get(MIN_RAM_BYTES)
        .map_or(Ok(0), |hint| bytes(hint))?;
    Ok(limit_bytes.map(|limit| limit.max(needed_bytes)))
}

/// Reads a number of bytes in decimal digits.
fn bytes(hint: &[u8]) -> Result<u64, String> {
    let text = String::from_utf8_lossy(hint);
    text.parse().map_err(|_| {
        format!("the resource hint {MIN_RAM_BYTES} is to be a number of bytes, and is {text:?}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hinted(hint: &[u8]) -> Environment {
        Environment {
            resource_hints: [(
                MIN_RAM_BYTES.to_owned(),
                bytes::Bytes::copy_from_slice(hint),
            )]
            .into(),
            ..Environment::default()
        }
    }

    #[test]
    fn a_hint_raises_a_limit_and_makes_none() {
        let none = Environment::default();
        assert_eq!(limit(&none, None), Ok(None));
        assert_eq!(limit(&none, Some(7)), Ok(Some(7)));
        assert_eq!(limit(&hinted(b"8"), None), Ok(None));
        assert_eq!(limit(&hinted(b"8"), Some(7)), Ok(Some(8)));
        assert_eq!(limit(&hinted(b"6"), Some(7)), Ok(Some(7)));
    }

    #[test]
    fn a_hint_that_is_no_number_is_refused() {
        for hint in [&b"2GB"[..], b"", b"-1", b"\xff"] {
            assert!(limit(&hinted(hint), None).is_err(), "{hint:?}");
        }
    }
}
