//! An object's record: its metadata, and which blob holds its bytes.

use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{ObjectStoreExt, PutPayload};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tracing::warn;

use super::Inner;
use crate::error::{Error, Result};
use crate::layout;
use crate::metadata::{BucketMetadata, ObjectId, ObjectMetadata, Timestamp};

/// What rests on the backend for an object.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) blob: String,
    pub(crate) object: ObjectMetadata,
}

impl Record {
    /// Where it rests.
    pub(crate) fn path(&self) -> Path {
        let ObjectId { bucket, name } = &self.object.id;
        if self.object.time_deleted.is_some() {
            layout::noncurrent_record(bucket, name, self.object.generation)
        } else {
            layout::object_record(bucket, name)
        }
    }
}

impl Inner {
    /// The object's record; `None` if there is no such object.
    pub(crate) async fn record(&self, id: &ObjectId) -> Result<Option<Record>> {
        self.read_json(&layout::object_record(&id.bucket, &id.name))
            .await
    }

    /// The record of this generation, or of the current one; an error that tells a missing bucket from
    /// a missing object.
    pub(crate) async fn existing_generation(
        &self,
        id: &ObjectId,
        generation: Option<i64>,
    ) -> Result<Record> {
        let current = self.record(id).await?;
        let found = match generation {
            Some(wanted) if current.as_ref().map(|r| r.object.generation) != Some(wanted) => {
                let path = layout::noncurrent_record(&id.bucket, &id.name, wanted);
                self.read_json(&path).await?
            }
            _ => current,
        };
        match found {
            Some(record) => Ok(record),
            None => Err(self.missing(id).await),
        }
    }

    /// Keeps what was the current generation as a noncurrent one. Its record stays where it is.
    pub(crate) async fn keep_noncurrent(&self, mut record: Record, now: Timestamp) -> Result<()> {
        record.object.time_deleted = Some(now);
        self.write_record(&record).await
    }

    pub(crate) async fn missing(&self, id: &ObjectId) -> Error {
        match self.existing_bucket(&id.bucket).await {
            Ok(_) => Error::object_not_found(&id.bucket, &id.name),
            Err(error) => error,
        }
    }

    pub(crate) async fn existing_bucket(&self, bucket: &str) -> Result<BucketMetadata> {
        let found = self.read_json(&layout::bucket_record(bucket)).await?;
        found.ok_or_else(|| Error::BucketNotFound {
            bucket: bucket.to_owned(),
        })
    }

    pub(crate) async fn write_record(&self, record: &Record) -> Result<()> {
        self.write_json(&record.path(), record).await
    }

    pub(crate) async fn read_json<T: DeserializeOwned>(&self, path: &Path) -> Result<Option<T>> {
        let content = match self.backend.get(path).await {
            Ok(found) => found.bytes().await,
            Err(error) => Err(error),
        };
        match content {
            Ok(content) => {
                serde_json::from_slice(&content)
                    .map(Some)
                    .map_err(|error| Error::Corrupt {
                        path: path.to_string(),
                        reason: error.to_string(),
                    })
            }
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Replaces the entry in one step.
    pub(crate) async fn write_json<T: Serialize + Sync>(
        &self,
        path: &Path,
        value: &T,
    ) -> Result<()> {
        let content = serde_json::to_vec(value).map_err(Error::backend)?;
        self.backend.put(path, PutPayload::from(content)).await?;
        Ok(())
    }

    /// Removes a blob that no record refers to any more. A failure costs space, until the next
    /// sweep, but not the caller's operation: that has taken effect.
    pub(crate) async fn remove_blob(&self, bucket: &str, blob: &str) {
        match self.backend.delete(&layout::blob(bucket, blob)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
            Err(error) => warn!(bucket, blob, %error, "an unused blob could not be removed"),
        }
    }

    /// Every path below `folder`.
    pub(crate) async fn paths_below(&self, folder: &Path) -> Result<Vec<Path>> {
        let entries = self.backend.list(Some(folder));
        let paths = entries.map(|entry| entry.map(|meta| meta.location));
        Ok(paths.try_collect().await?)
    }
}
