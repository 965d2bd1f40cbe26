//! Copying objects.

use std::sync::Arc;

use object_store::ObjectStoreExt;

use super::blob::UnusedBlob;
use super::read::ReadOptions;
use super::record::Record;
use super::write::{NewContent, uninterrupted};
use super::{Inner, Store};
use crate::error::{Error, Result};
use crate::layout;
use crate::metadata::{ContentAttributes, ObjectId, ObjectMetadata, Preconditions};
use crate::names;

/// How often a copy that loses its source's blob to a concurrent write starts again.
const ATTEMPTS: usize = 16;

/// What a copy asks for.
#[derive(Debug, Clone, Default)]
pub struct CopyOptions {
    /// Only this generation of the source.
    pub source_generation: Option<i64>,
    /// Conditions on the source.
    pub source_preconditions: Preconditions,
    /// Conditions on the destination.
    pub preconditions: Preconditions,
    /// The destination's attributes; the source's if absent.
    pub attributes: Option<ContentAttributes>,
}

impl Store {
    /// Copies an object, also within its bucket or onto itself. No content passes through this
    /// process where the backend can copy.
    ///
    /// # Errors
    /// [`Error::ObjectNotFound`], [`Error::BucketNotFound`], [`Error::PreconditionFailed`].
    pub async fn copy(
        &self,
        source: &ObjectId,
        destination: &ObjectId,
        options: CopyOptions,
    ) -> Result<ObjectMetadata> {
        names::validate_bucket(&destination.bucket)?;
        names::validate_object(&destination.name)?;
        self.inner.existing_bucket(&destination.bucket).await?;
        let (store, source, destination) = (self.clone(), source.clone(), destination.clone());
        uninterrupted(async move {
            let (record, blob) = store.copied_blob(&source, &destination, &options).await?;
            let content = content_of(&record, options.attributes);
            let inner = &store.inner;
            inner
                .commit(destination, blob, content, options.preconditions)
                .await
        })
        .await
    }

    /// Gives an object another name, also in another bucket. Nobody else changes either of the two
    /// meanwhile, so that it is moved as it was when the conditions held; the new name appears before
    /// the old one goes.
    ///
    /// # Errors
    /// Those of [`copy`](Self::copy); [`Error::InvalidArgument`] if the two are one. The source is as it
    /// was then.
    pub async fn rename(
        &self,
        source: &ObjectId,
        destination: &ObjectId,
        options: CopyOptions,
    ) -> Result<ObjectMetadata> {
        names::validate_bucket(&destination.bucket)?;
        names::validate_object(&destination.name)?;
        if source == destination {
            return Err(Error::InvalidArgument(
                "an object can't be moved onto itself".to_owned(),
            ));
        }
        let (store, source, destination) = (self.clone(), source.clone(), destination.clone());
        uninterrupted(async move {
            let inner = &store.inner;
            let _guard = inner.locks.objects(&source, &destination).await;
            let generation = options.source_generation;
            let record = store
                .changeable(&source, generation, options.source_preconditions)
                .await?;
            let blob = inner.copy_blob(&record, &destination.bucket).await?;
            let blob = blob.ok_or_else(|| Error::object_not_found(&source.bucket, &source.name))?;
            let content = content_of(&record, options.attributes);
            let moved = inner
                .commit_locked(destination, blob, content, options.preconditions)
                .await?;
            store.remove_locked(record, false).await?;
            Ok(moved)
        })
        .await
    }

    async fn copied_blob(
        &self,
        source: &ObjectId,
        destination: &ObjectId,
        options: &CopyOptions,
    ) -> Result<(Record, UnusedBlob)> {
        let wanted = ReadOptions {
            generation: options.source_generation,
            preconditions: options.source_preconditions,
            ..ReadOptions::default()
        };
        for _ in 0..ATTEMPTS {
            let record = self.inner.readable_record(source, &wanted).await?;
            if let Some(blob) = self.inner.copy_blob(&record, &destination.bucket).await? {
                return Ok((record, blob));
            }
            // The source was replaced or deleted since its record was read: look again.
        }
        Err(Error::object_not_found(&source.bucket, &source.name))
    }
}

/// The content of the record's object, with other attributes if there are some.
fn content_of(record: &Record, attributes: Option<ContentAttributes>) -> NewContent {
    let object = &record.object;
    NewContent {
        size: object.size,
        crc32c: object.crc32c,
        md5: object.md5,
        component_count: object.component_count,
        attributes: attributes.unwrap_or_else(|| object.attributes.clone()),
    }
}

impl Inner {
    async fn copy_blob(self: &Arc<Self>, record: &Record, to: &str) -> Result<Option<UnusedBlob>> {
        let blob = UnusedBlob::new(self, to, self.new_blob_id());
        let from_path = layout::blob(&record.object.id.bucket, &record.blob);
        let to_path = layout::blob(to, blob.id());
        match self.backend.copy(&from_path, &to_path).await {
            Ok(()) => Ok(Some(blob)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}
