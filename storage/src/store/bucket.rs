//! Buckets.

use futures::StreamExt;
use object_store::ObjectStoreExt;
use serde_json::{Map, Value};

use super::Store;
use super::write::uninterrupted;
use crate::error::{Error, Result};
use crate::layout;
use crate::metadata::{BucketMetadata, Preconditions, Timestamp};
use crate::names;

/// What is set when a bucket is made or changed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct BucketOptions {
    /// Attributes besides the name, kept and given back as they are.
    pub attributes: Map<String, Value>,
}

impl Store {
    /// Makes a bucket.
    ///
    /// # Errors
    /// [`Error::InvalidName`], [`Error::BucketExists`].
    pub async fn create_bucket(
        &self,
        name: &str,
        options: BucketOptions,
    ) -> Result<BucketMetadata> {
        names::validate_bucket(name)?;
        let (inner, name) = (self.inner.clone(), name.to_owned());
        uninterrupted(async move {
            let _guard = inner.locks.bucket(&name).await;
            match inner.existing_bucket(&name).await {
                Ok(_) => return Err(Error::BucketExists { bucket: name }),
                Err(Error::BucketNotFound { .. }) => {}
                Err(error) => return Err(error),
            }
            let now = Timestamp::now();
            let path = layout::bucket_record(&name);
            let bucket = BucketMetadata {
                name,
                metageneration: 1,
                time_created: now,
                updated: now,
                attributes: options.attributes,
            };
            inner.write_json(&path, &bucket).await?;
            Ok(bucket)
        })
        .await
    }

    /// The bucket, made if it does not exist.
    ///
    /// # Errors
    /// [`Error::InvalidName`] and backend errors.
    pub async fn ensure_bucket(&self, name: &str) -> Result<BucketMetadata> {
        match self.create_bucket(name, BucketOptions::default()).await {
            Err(Error::BucketExists { .. }) => self.bucket(name).await,
            other => other,
        }
    }

    /// What is known of a bucket.
    ///
    /// # Errors
    /// [`Error::BucketNotFound`].
    pub async fn bucket(&self, name: &str) -> Result<BucketMetadata> {
        names::validate_bucket(name)?;
        self.inner.existing_bucket(name).await
    }

    /// All buckets, by name.
    ///
    /// # Errors
    /// Where the backend fails.
    pub async fn buckets(&self) -> Result<Vec<BucketMetadata>> {
        let backend = &self.inner.backend;
        let listed = backend
            .list_with_delimiter(Some(&layout::buckets()))
            .await?;
        let mut found = Vec::new();
        for folder in listed.common_prefixes {
            let Some(name) = folder.filename() else {
                continue;
            };
            match self.inner.existing_bucket(name).await {
                Ok(bucket) => found.push(bucket),
                // The folder of a bucket that was deleted.
                Err(Error::BucketNotFound { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        found.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    }

    /// Changes a bucket's attributes: a null removes one. Only the metageneration preconditions apply.
    ///
    /// # Errors
    /// [`Error::BucketNotFound`], [`Error::PreconditionFailed`].
    pub async fn patch_bucket(
        &self,
        name: &str,
        patch: Map<String, Value>,
        preconditions: Preconditions,
    ) -> Result<BucketMetadata> {
        names::validate_bucket(name)?;
        let (inner, name) = (self.inner.clone(), name.to_owned());
        uninterrupted(async move {
            let _guard = inner.locks.bucket(&name).await;
            let mut bucket = inner.existing_bucket(&name).await?;
            preconditions.check_values(0, bucket.metageneration)?;
            for (key, value) in patch {
                match value {
                    Value::Null => bucket.attributes.remove(&key),
                    value => bucket.attributes.insert(key, value),
                };
            }
            bucket.metageneration += 1;
            bucket.updated = Timestamp::now();
            let path = layout::bucket_record(&name);
            inner.write_json(&path, &bucket).await?;
            Ok(bucket)
        })
        .await
    }

    /// Deletes an empty bucket: one without noncurrent generations, too.
    ///
    /// # Errors
    /// [`Error::BucketNotFound`], [`Error::BucketNotEmpty`], [`Error::PreconditionFailed`].
    pub async fn delete_bucket(&self, name: &str, preconditions: Preconditions) -> Result<()> {
        names::validate_bucket(name)?;
        let (inner, name) = (self.inner.clone(), name.to_owned());
        uninterrupted(async move {
            let _guard = inner.locks.bucket(&name).await;
            let bucket = inner.existing_bucket(&name).await?;
            preconditions.check_values(0, bucket.metageneration)?;
            for records in [layout::objects(&name), layout::noncurrent(&name)] {
                if let Some(entry) = inner.backend.list(Some(&records)).next().await {
                    entry?;
                    return Err(Error::BucketNotEmpty { bucket: name });
                }
            }
            // What is left are blobs of writes under way, which fail when they want to commit.
            for blob in inner.paths_below(&layout::blobs(&name)).await? {
                inner.backend.delete(&blob).await?;
            }
            inner.backend.delete(&layout::bucket_record(&name)).await?;
            Ok(())
        })
        .await
    }
}
