//! What is known about buckets and objects, and the conditions that requests put on it.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// A moment, in microseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// The system's clock.
    #[must_use]
    pub fn now() -> Self {
        SystemTime::now().into()
    }
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        let since_epoch = time
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        Self(i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX))
    }
}

impl From<Timestamp> for SystemTime {
    fn from(timestamp: Timestamp) -> Self {
        Self::UNIX_EPOCH + Duration::from_micros(timestamp.0.try_into().unwrap_or(0))
    }
}

/// A CRC32C checksum. Cloud Storage shows it as base64 of its 4 big-endian bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Crc32c(pub u32);

impl Crc32c {
    /// The bytes in the order in which Cloud Storage encodes them.
    #[must_use]
    pub fn to_be_bytes(self) -> [u8; 4] {
        self.0.to_be_bytes()
    }
}

impl fmt::Display for Crc32c {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

/// An MD5 digest. Cloud Storage shows it as base64.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Md5(pub [u8; 16]);

impl fmt::Display for Md5 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

/// A bucket and the name of an object in it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ObjectId {
    /// The bucket's name.
    pub bucket: String,
    /// The object's name.
    pub name: String,
}

impl ObjectId {
    /// An id of these two names, not validated yet.
    pub fn new(bucket: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            bucket: bucket.into(),
            name: name.into(),
        }
    }

    /// Reads `gs://bucket/name`.
    ///
    /// ```
    /// # use dataflume_storage::ObjectId;
    /// let id = ObjectId::from_gs_url("gs://bucket/a//b").unwrap();
    /// assert_eq!((id.bucket.as_str(), id.name.as_str()), ("bucket", "a//b"));
    /// assert_eq!(id.to_string(), "gs://bucket/a//b");
    /// assert!(ObjectId::from_gs_url("gs://bucket").is_none());
    /// ```
    #[must_use]
    pub fn from_gs_url(url: &str) -> Option<Self> {
        let (bucket, name) = url.strip_prefix("gs://")?.split_once('/')?;
        (!bucket.is_empty() && !name.is_empty()).then(|| Self::new(bucket, name))
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "gs://{}/{}", self.bucket, self.name)
    }
}

/// The attributes of an object that its writer chooses.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ContentAttributes {
    /// `Content-Type`.
    pub content_type: Option<String>,
    /// `Content-Encoding`.
    pub content_encoding: Option<String>,
    /// `Content-Disposition`.
    pub content_disposition: Option<String>,
    /// `Content-Language`.
    pub content_language: Option<String>,
    /// `Cache-Control`.
    pub cache_control: Option<String>,
    /// `customTime`, as the writer spelled it.
    pub custom_time: Option<String>,
    /// `storageClass`: without effect, given back as it was set.
    pub storage_class: Option<String>,
    /// The user's own metadata.
    pub custom: BTreeMap<String, String>,
    /// Whatever else the writer set (holds, contexts), kept and given back, never interpreted.
    pub extra: serde_json::Map<String, serde_json::Value>,
}

/// An object, without its content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectMetadata {
    /// Which object.
    #[serde(flatten)]
    pub id: ObjectId,
    /// Changes with the content, always upwards.
    pub generation: i64,
    /// Starts at 1 with each generation, counts changes of the attributes.
    pub metageneration: i64,
    /// The content's length in bytes.
    pub size: u64,
    /// The content's CRC32C.
    pub crc32c: Crc32c,
    /// The content's MD5; a composed object has none, as in Cloud Storage.
    pub md5: Option<Md5>,
    /// Of how many parts a composed object was made.
    pub component_count: Option<u64>,
    /// What the writer chose.
    pub attributes: ContentAttributes,
    /// When this generation was written.
    pub time_created: Timestamp,
    /// When this metageneration was written.
    pub updated: Timestamp,
    /// When this generation was replaced or deleted: it is kept as a noncurrent one.
    #[serde(default)]
    pub time_deleted: Option<Timestamp>,
}

/// A bucket, without its objects.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BucketMetadata {
    /// Its name.
    pub name: String,
    /// Counts changes of the bucket's metadata, from 1.
    pub metageneration: i64,
    /// When it was made.
    pub time_created: Timestamp,
    /// When its metadata last changed.
    pub updated: Timestamp,
    /// Whatever else the client set (location, labels, rules), kept and given back. Only
    /// `versioning` has a meaning here: see [`keeps_versions`](Self::keeps_versions).
    pub attributes: serde_json::Map<String, serde_json::Value>,
}

impl BucketMetadata {
    /// Whether objects that are replaced or deleted are kept as noncurrent generations:
    /// `versioning.enabled`.
    #[must_use]
    pub fn keeps_versions(&self) -> bool {
        let versioning = self.attributes.get("versioning");
        versioning.is_some_and(|versioning| versioning["enabled"] == true)
    }
}

/// Conditions on the object (or bucket) as it is when the request takes effect.
///
/// A generation of 0 stands for "does not exist".
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Preconditions {
    /// `ifGenerationMatch`.
    pub if_generation_match: Option<i64>,
    /// `ifGenerationNotMatch`.
    pub if_generation_not_match: Option<i64>,
    /// `ifMetagenerationMatch`.
    pub if_metageneration_match: Option<i64>,
    /// `ifMetagenerationNotMatch`.
    pub if_metageneration_not_match: Option<i64>,
}

impl Preconditions {
    /// The object must not exist.
    #[must_use]
    pub fn must_not_exist() -> Self {
        Self {
            if_generation_match: Some(0),
            ..Self::default()
        }
    }

    /// Checks the conditions on an object, or on the absence of one.
    ///
    /// # Errors
    /// [`Error::PreconditionFailed`] names the first condition that does not hold.
    pub fn check(&self, current: Option<&ObjectMetadata>) -> Result<()> {
        let generation = current.map_or(0, |object| object.generation);
        let metageneration = current.map_or(0, |object| object.metageneration);
        self.check_values(generation, metageneration)
    }

    /// Checks the conditions on a bucket, which has no generation.
    ///
    /// # Errors
    /// [`Error::PreconditionFailed`] names the first condition that does not hold.
    pub fn check_bucket(&self, bucket: &BucketMetadata) -> Result<()> {
        self.check_values(0, bucket.metageneration)
    }

    pub(crate) fn check_values(&self, generation: i64, metageneration: i64) -> Result<()> {
        let conditions = [
            (
                "ifGenerationMatch",
                self.if_generation_match,
                generation,
                true,
            ),
            (
                "ifGenerationNotMatch",
                self.if_generation_not_match,
                generation,
                false,
            ),
            (
                "ifMetagenerationMatch",
                self.if_metageneration_match,
                metageneration,
                true,
            ),
            (
                "ifMetagenerationNotMatch",
                self.if_metageneration_not_match,
                metageneration,
                false,
            ),
        ];
        for (condition, expected, actual, must_match) in conditions {
            if let Some(expected) = expected.filter(|value| (*value == actual) != must_match) {
                return Err(Error::PreconditionFailed {
                    condition,
                    expected,
                    actual,
                });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn preconditions_by_table() {
        let none = Preconditions::default();
        let generation = |value| Preconditions {
            if_generation_match: Some(value),
            ..none
        };
        let not_generation = |value| Preconditions {
            if_generation_not_match: Some(value),
            ..none
        };
        let meta = |value| Preconditions {
            if_metageneration_match: Some(value),
            ..none
        };
        let not_meta = |value| Preconditions {
            if_metageneration_not_match: Some(value),
            ..none
        };
        let absent = (0, 0);
        let present = (7, 2);
        for (conditions, (g, m), holds) in [
            (none, absent, true),
            (generation(0), absent, true),
            (generation(0), present, false),
            (generation(7), present, true),
            (generation(7), absent, false),
            (not_generation(0), absent, false),
            (not_generation(0), present, true),
            (not_generation(7), present, false),
            (meta(2), present, true),
            (meta(1), present, false),
            (meta(1), absent, false),
            (not_meta(2), present, false),
            (not_meta(2), absent, true),
        ] {
            assert_eq!(
                conditions.check_values(g, m).is_ok(),
                holds,
                "{conditions:?} on {g}/{m}"
            );
        }
    }
}
