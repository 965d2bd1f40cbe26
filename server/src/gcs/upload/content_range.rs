//! The `Content-Range` header of a resumable upload's request.

/// Which part of the content a request carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ContentRange {
    /// `bytes FIRST-LAST/TOTAL`, where the total may still be unknown: `*`.
    Bytes {
        first: u64,
        last: u64,
        total: Option<u64>,
    },
    /// `bytes */TOTAL`: nothing; how far is the upload, and by the way, this is its size.
    Nothing { total: Option<u64> },
}

impl ContentRange {
    /// Reads the header's value; `None` if it is not one.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (range, total) = text.trim().strip_prefix("bytes")?.split_once('/')?;
        let total = match total.trim() {
            "*" => None,
            total => Some(total.parse().ok()?),
        };
        let range = range.trim_matches([' ', '=']);
        if range == "*" {
            return Some(Self::Nothing { total });
        }
        let (first, last) = range.split_once('-')?;
        let (first, last) = (first.parse().ok()?, last.parse().ok()?);
        let is_sound = first <= last && total.is_none_or(|total| last < total);
        is_sound.then_some(Self::Bytes { first, last, total })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_by_table() {
        let bytes = |first, last, total| Some(ContentRange::Bytes { first, last, total });
        let nothing = |total| Some(ContentRange::Nothing { total });
        for (text, expected) in [
            ("bytes 0-4/5", bytes(0, 4, Some(5))),
            ("bytes 5-9/*", bytes(5, 9, None)),
            ("bytes */5", nothing(Some(5))),
            ("bytes */*", nothing(None)),
            ("bytes */0", nothing(Some(0))),
            ("bytes 0-4", None),
            ("bytes 4-0/9", None),
            ("bytes 0-5/5", None),
            ("bytes -5/9", None),
            ("lines 0-4/5", None),
            ("", None),
        ] {
            assert_eq!(ContentRange::parse(text), expected, "{text}");
        }
    }
}
