//! A bucket's resource.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use dataflume_storage::BucketMetadata;
use serde_json::{Map, Value, json};

use super::{Links, timestamp};

/// What only the service sets.
const OUTPUT_ONLY: [&str; 12] = [
    "kind",
    "id",
    "selfLink",
    "name",
    "projectNumber",
    "metageneration",
    "generation",
    "etag",
    "timeCreated",
    "updated",
    "locationType",
    "owner",
];

/// Locations that are more than a region; what is not listed is one.
const MULTI_REGIONS: [&str; 3] = ["US", "EU", "ASIA"];
const DUAL_REGIONS: [&str; 6] = ["NAM4", "EUR4", "EUR5", "EUR7", "EUR8", "ASIA1"];

/// The bucket, as `buckets.get` shows it.
pub(in crate::gcs) fn bucket(bucket: &BucketMetadata, links: &Links) -> Value {
    let mut shown = defaults();
    let shown_attributes = bucket
        .attributes
        .iter()
        .filter(|(key, _)| !key.starts_with('$'));
    for (key, value) in shown_attributes {
        shown.insert(key.clone(), value.clone());
    }
    let location = shown.get("location").and_then(Value::as_str);
    let location = location.unwrap_or("US").to_uppercase();
    let mut put = |key: &str, value: Value| shown.insert(key.to_owned(), value);
    put("kind", json!("storage#bucket"));
    put("id", json!(bucket.name));
    put("selfLink", json!(links.bucket(&bucket.name)));
    put("name", json!(bucket.name));
    // There is one project here, whatever clients call it.
    put("projectNumber", json!("0"));
    put("metageneration", json!(bucket.metageneration.to_string()));
    put(
        "etag",
        json!(BASE64.encode(bucket.metageneration.to_be_bytes())),
    );
    put("timeCreated", json!(timestamp(bucket.time_created)));
    put("updated", json!(timestamp(bucket.updated)));
    put("locationType", json!(location_type(&location)));
    put("location", json!(location));
    Value::Object(shown)
}

/// What a bucket has unless its maker says otherwise.
fn defaults() -> Map<String, Value> {
    let defaults = json!({
        "storageClass": "STANDARD",
        // There are no access lists.
        "iamConfiguration": {
            "uniformBucketLevelAccess": {"enabled": true},
            "bucketPolicyOnly": {"enabled": true},
            "publicAccessPrevention": "inherited",
        },
        // Deleted objects are gone.
        "softDeletePolicy": {"retentionDurationSeconds": "0"},
    });
    match defaults {
        Value::Object(defaults) => defaults,
        _ => Map::new(),
    }
}

fn location_type(location: &str) -> &'static str {
    if MULTI_REGIONS.contains(&location) {
        "multi-region"
    } else if DUAL_REGIONS.contains(&location) {
        "dual-region"
    } else {
        "region"
    }
}

/// What a client may set about a bucket, out of a resource that it sent.
pub(in crate::gcs) fn bucket_attributes(mut resource: Map<String, Value>) -> Map<String, Value> {
    resource.retain(|key, _| !OUTPUT_ONLY.contains(&key.as_str()) && !key.starts_with('$'));
    resource
}
