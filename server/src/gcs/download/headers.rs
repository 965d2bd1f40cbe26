//! What the headers of a download tell about the object.

use std::time::SystemTime;

use dataflume_storage::ObjectMetadata;
use http::header::{
    CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_TYPE, ETAG,
    EXPIRES, LAST_MODIFIED,
};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::Api;
use crate::gcs::hashes::{self, X_GOOG_HASH};
use crate::gcs::resource;

/// What an object is where its writer did not say.
const UNKNOWN_TYPE: &str = "application/octet-stream";

/// Sets the checksums: in one header for the JSON API, in one each for the XML API, which is what the
/// clients of each look for.
pub(super) fn set_hashes(object: &ObjectMetadata, api: Api, headers: &mut HeaderMap) {
    let mut hashes = vec![format!("crc32c={}", hashes::crc32c(object.crc32c))];
    hashes.extend(object.md5.map(|md5| format!("md5={}", hashes::md5(md5))));
    if api == Api::Json {
        hashes = vec![hashes.join(",")];
    }
    for value in hashes.into_iter().map(HeaderValue::try_from) {
        // Base64 is always a header's value.
        headers.extend(value.map(|value| (X_GOOG_HASH, value)));
    }
}

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
