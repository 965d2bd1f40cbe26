//! An object's resource.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use dataflume_storage::ObjectMetadata;
use serde_json::{Map, Value, json};

use super::{Links, timestamp};
use crate::gcs::hashes;

/// Where the client chose none.
const STORAGE_CLASS: &str = "STANDARD";

/// The object, as `objects.get` shows it.
pub(in crate::gcs) fn object(object: &ObjectMetadata, links: &Links) -> Value {
    let id = &object.id;
    let attributes = &object.attributes;
    let class = attributes.storage_class.as_deref().unwrap_or(STORAGE_CLASS);
    let created = timestamp(object.time_created);
    let mut shown = Map::new();
    let mut put = |key: &str, value: Value| shown.insert(key.to_owned(), value);
    put("kind", json!("storage#object"));
    put(
        "id",
        json!(format!("{}/{}/{}", id.bucket, id.name, object.generation)),
    );
    put("selfLink", json!(links.object(id)));
    put("mediaLink", json!(links.media(id, object.generation)));
    put("name", json!(id.name));
    put("bucket", json!(id.bucket));
    put("generation", json!(object.generation.to_string()));
    put("metageneration", json!(object.metageneration.to_string()));
    put("storageClass", json!(class));
    put("size", json!(object.size.to_string()));
    put("crc32c", json!(hashes::crc32c(object.crc32c)));
    put("etag", json!(etag(object)));
    put("timeCreated", json!(created));
    put("updated", json!(timestamp(object.updated)));
    put("timeStorageClassUpdated", json!(created));
    put("timeFinalized", json!(created));
    if let Some(deleted) = object.time_deleted {
        put("timeDeleted", json!(timestamp(deleted)));
    }
    if let Some(md5) = object.md5 {
        put("md5Hash", json!(hashes::md5(md5)));
    }
    if let Some(count) = object.component_count {
        put("componentCount", json!(count));
    }
    for (key, value) in [
        ("contentType", &attributes.content_type),
        ("contentEncoding", &attributes.content_encoding),
        ("contentDisposition", &attributes.content_disposition),
        ("contentLanguage", &attributes.content_language),
        ("cacheControl", &attributes.cache_control),
        ("customTime", &attributes.custom_time),
    ] {
        if let Some(value) = value {
            put(key, json!(value));
        }
    }
    if !attributes.custom.is_empty() {
        put("metadata", json!(attributes.custom));
    }
    for (key, value) in &attributes.extra {
        put(key, value.clone());
    }
    Value::Object(shown)
}

/// Changes with every generation and metageneration.
pub(in crate::gcs) fn etag(object: &ObjectMetadata) -> String {
    let version = (object.generation, object.metageneration);
    BASE64.encode([version.0.to_be_bytes(), version.1.to_be_bytes()].concat())
}
