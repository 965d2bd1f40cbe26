//! The `Range` header.

use dataflume_storage::ByteRange;

/// The one range that is asked for. Anything else than one range of bytes is as if it had not been
/// asked for, as HTTP has it.
pub(super) fn parse(text: &str) -> Option<ByteRange> {
    let (first, last) = text.trim().strip_prefix("bytes=")?.split_once('-')?;
    let number = |text: &str| text.trim().parse::<u64>().ok();
    match (first.trim(), last.trim()) {
        ("", count) => Some(ByteRange::Suffix(number(count)?)),
        (first, "") => Some(ByteRange::From(number(first)?)),
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            (first <= last).then_some(ByteRange::Inclusive { first, last })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_by_table() {
        let inclusive = |first, last| Some(ByteRange::Inclusive { first, last });
        for (text, range) in [
            ("bytes=0-4", inclusive(0, 4)),
            ("bytes=3-3", inclusive(3, 3)),
            ("bytes=5-", Some(ByteRange::From(5))),
            ("bytes=-5", Some(ByteRange::Suffix(5))),
            ("bytes=4-3", None),
            ("bytes=0-1,3-4", None),
            ("bytes=-", None),
            ("bytes=a-b", None),
            ("lines=1-2", None),
        ] {
            assert_eq!(parse(text), range, "{text}");
        }
    }
}
