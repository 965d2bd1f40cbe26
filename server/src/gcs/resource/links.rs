//! Where resources are, for the client that asks.

use dataflume_storage::ObjectId;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// What a path segment need not hide.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// Makes links that work where the client is: they begin as it addressed us, which differs between
/// the machine and a container on it.
#[derive(Debug, Clone)]
pub(in crate::gcs) struct Links {
    origin: String,
}

impl Links {
    /// Links for a client that calls us `authority`, a host with its port.
    pub(in crate::gcs) fn to(authority: &str) -> Self {
        Self {
            origin: format!("http://{authority}"),
        }
    }

    pub(in crate::gcs) fn bucket(&self, bucket: &str) -> String {
        format!("{}/storage/v1/b/{}", self.origin, segment(bucket))
    }

    pub(in crate::gcs) fn object(&self, id: &ObjectId) -> String {
        format!("{}/o/{}", self.bucket(&id.bucket), segment(&id.name))
    }

    /// Where one generation's content is.
    pub(in crate::gcs) fn media(&self, id: &ObjectId, generation: i64) -> String {
        format!(
            "{}/download/storage/v1/b/{}/o/{}?generation={generation}&alt=media",
            self.origin,
            segment(&id.bucket),
            segment(&id.name)
        )
    }

    /// Where objects are uploaded to; the query is appended as it is.
    pub(in crate::gcs) fn upload(&self, bucket: &str, query: &str) -> String {
        format!(
            "{}/upload/storage/v1/b/{}/o?{query}",
            self.origin,
            segment(bucket)
        )
    }
}

fn segment(name: &str) -> impl std::fmt::Display {
    utf8_percent_encode(name, SEGMENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_one_segment() {
        let links = Links::to("h:1");
        let id = ObjectId::new("buck", "a/b c?é");
        assert_eq!(
            links.object(&id),
            "http://h:1/storage/v1/b/buck/o/a%2Fb%20c%3F%C3%A9"
        );
        assert_eq!(
            links.media(&ObjectId::new("buck", "../x"), 5),
            "http://h:1/download/storage/v1/b/buck/o/..%2Fx?generation=5&alt=media"
        );
    }
}
