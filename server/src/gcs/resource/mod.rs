//! Buckets and objects as the JSON API shows them.

mod attributes;
mod bucket;
mod links;
mod object;

pub(super) use self::attributes::{attributes, expected, patch, sets_attributes};
pub(super) use self::bucket::{bucket, bucket_attributes};
pub(super) use self::links::Links;
pub(super) use self::object::{etag, object};

use dataflume_storage::Timestamp;
use time::OffsetDateTime;
use time::macros::format_description;

/// RFC 3339 with milliseconds.
pub(super) fn timestamp(at: Timestamp) -> String {
    let nanoseconds = i128::from(at.0) * 1000;
    let time = OffsetDateTime::from_unix_timestamp_nanos(nanoseconds)
        .unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let format =
        format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
    // A year of five digits can't be reached with a clock.
    time.format(format).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps() {
        assert_eq!(timestamp(Timestamp(0)), "1970-01-01T00:00:00.000Z");
        let at = Timestamp(1_700_000_000_123_456);
        assert_eq!(timestamp(at), "2023-11-14T22:13:20.123Z");
    }
}
