//! What the headers of a download tell about the object.

use std::time::SystemTime;

use dataflume_storage::ObjectMetadata;
use http::header::{
    CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_TYPE, ETAG,
    EXPIRES, LAST_MODIFIED,
};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::gcs::hashes::{self, X_GOOG_HASH};
use crate::gcs::resource;

/// What an object is where its writer did not say.
const UNKNOWN_TYPE: &str = "application/octet-stream";

/// Sets all headers that do not depend on which bytes are sent.
pub(super) fn describe(object: &ObjectMetadata, headers: &mut HeaderMap) {
    let attributes = &object.attributes;
    let mut set = |name: HeaderName, value: &str| {
        // What is no header value can't be told in one.
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.append(name, value);
        }
    };
    let content_type = attributes.content_type.as_deref().unwrap_or(UNKNOWN_TYPE);
    set(CONTENT_TYPE, content_type);
    let class = attributes.storage_class.as_deref().unwrap_or("STANDARD");
    set(HeaderName::from_static("x-goog-storage-class"), class);
    let encoding = attributes.content_encoding.as_deref();
    let stored = HeaderName::from_static("x-goog-stored-content-encoding");
    set(stored, encoding.unwrap_or("identity"));
    for (name, value) in [
        (CONTENT_ENCODING, encoding),
        (CACHE_CONTROL, attributes.cache_control.as_deref()),
        (
            CONTENT_DISPOSITION,
            attributes.content_disposition.as_deref(),
        ),
        (CONTENT_LANGUAGE, attributes.content_language.as_deref()),
    ] {
        if let Some(value) = value {
            set(name, value);
        }
    }
    for (name, value) in [
        ("x-goog-generation", object.generation),
        ("x-goog-metageneration", object.metageneration),
    ] {
        set(HeaderName::from_static(name), &value.to_string());
    }
    let length = HeaderName::from_static("x-goog-stored-content-length");
    set(length, &object.size.to_string());
    set(
        X_GOOG_HASH,
        &format!("crc32c={}", hashes::crc32c(object.crc32c)),
    );
    if let Some(md5) = object.md5 {
        set(X_GOOG_HASH, &format!("md5={}", hashes::md5(md5)));
    }
    if let Some(count) = object.component_count {
        let name = HeaderName::from_static("x-goog-component-count");
        set(name, &count.to_string());
    }
    set(ETAG, &resource::etag(object));
    let updated = SystemTime::from(object.updated);
    set(LAST_MODIFIED, &httpdate::fmt_http_date(updated));
    set(EXPIRES, &httpdate::fmt_http_date(SystemTime::now()));
    for (key, value) in &attributes.custom {
        if let Ok(name) = HeaderName::try_from(format!("x-goog-meta-{key}")) {
            set(name, value);
        }
    }
}
