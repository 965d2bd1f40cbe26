//! Changing and deleting objects that exist.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::Store;
use super::record::Record;
use super::write::uninterrupted;
use crate::error::Result;
use crate::metadata::{ContentAttributes, ObjectId, ObjectMetadata, Preconditions, Timestamp};
use object_store::ObjectStoreExt;

/// A change of an object's attributes: `None` leaves one as it is, `Some(None)` removes it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AttributesPatch {
    /// `Content-Type`.
    pub content_type: Option<Option<String>>,
    /// `Content-Encoding`.
    pub content_encoding: Option<Option<String>>,
    /// `Content-Disposition`.
    pub content_disposition: Option<Option<String>>,
    /// `Content-Language`.
    pub content_language: Option<Option<String>>,
    /// `Cache-Control`.
    pub cache_control: Option<Option<String>>,
    /// `customTime`.
    pub custom_time: Option<Option<String>>,
    /// `storageClass`.
    pub storage_class: Option<Option<String>>,
    /// The user's metadata, key by key.
    pub custom: BTreeMap<String, Option<String>>,
    /// Removes all of the user's metadata before `custom` is applied.
    pub clear_custom: bool,
    /// What is not interpreted, key by key; a null removes.
    pub extra: Map<String, Value>,
    /// Removes all that is not interpreted before `extra` is applied.
    pub clear_extra: bool,
}

impl AttributesPatch {
    /// Replaces all attributes, as `objects.update` does.
    #[must_use]
    pub fn replace(attributes: ContentAttributes) -> Self {
        Self {
            content_type: Some(attributes.content_type),
            content_encoding: Some(attributes.content_encoding),
            content_disposition: Some(attributes.content_disposition),
            content_language: Some(attributes.content_language),
            cache_control: Some(attributes.cache_control),
            custom_time: Some(attributes.custom_time),
            storage_class: Some(attributes.storage_class),
            custom: attributes
                .custom
                .into_iter()
                .map(|(key, value)| (key, Some(value)))
                .collect(),
            clear_custom: true,
            extra: attributes.extra,
            clear_extra: true,
        }
    }

    /// Makes the change.
    pub fn apply(self, to: &mut ContentAttributes) {
        let set = |slot: &mut Option<String>, change: Option<Option<String>>| {
            if let Some(value) = change {
                *slot = value;
            }
        };
        set(&mut to.content_type, self.content_type);
        set(&mut to.content_encoding, self.content_encoding);
        set(&mut to.content_disposition, self.content_disposition);
        set(&mut to.content_language, self.content_language);
        set(&mut to.cache_control, self.cache_control);
        set(&mut to.custom_time, self.custom_time);
        set(&mut to.storage_class, self.storage_class);
        if self.clear_custom {
            to.custom.clear();
        }
        for (key, value) in self.custom {
            match value {
                Some(value) => to.custom.insert(key, value),
                None => to.custom.remove(&key),
            };
        }
        if self.clear_extra {
            to.extra.clear();
        }
        for (key, value) in self.extra {
            match value {
                Value::Null => to.extra.remove(&key),
                value => to.extra.insert(key, value),
            };
        }
    }
}

impl Store {
    /// Changes the attributes: the generation stays, the metageneration goes up by one.
    ///
    /// # Errors
    /// [`Error::ObjectNotFound`], [`Error::PreconditionFailed`].
    pub async fn patch(
        &self,
        id: &ObjectId,
        patch: AttributesPatch,
        generation: Option<i64>,
        preconditions: Preconditions,
    ) -> Result<ObjectMetadata> {
        let (store, id) = (self.clone(), id.clone());
        uninterrupted(async move {
            let _guard = store.inner.locks.object(&id).await;
            let mut record = store.changeable(&id, generation, preconditions).await?;
            patch.apply(&mut record.object.attributes);
            record.object.metageneration += 1;
            record.object.updated = Timestamp::now();
            store.inner.write_record(&record).await?;
            Ok(record.object)
        })
        .await
    }

    /// Deletes the object. In a bucket that keeps versions, it becomes a noncurrent generation, unless
    /// the `generation` to be deleted is named, which is gone for good then.
    ///
    /// # Errors
    /// [`Error::ObjectNotFound`], [`Error::PreconditionFailed`].
    pub async fn delete(
        &self,
        id: &ObjectId,
        generation: Option<i64>,
        preconditions: Preconditions,
    ) -> Result<()> {
        let (store, id) = (self.clone(), id.clone());
        uninterrupted(async move {
            let _guard = store.inner.locks.object(&id).await;
            let record = store.changeable(&id, generation, preconditions).await?;
            store.remove_locked(record, generation.is_none()).await
        })
        .await
    }

    /// Deletes a generation, or makes a noncurrent one of it if `may_keep` and the bucket keeps those.
    /// For who has the right to change the object.
    pub(super) async fn remove_locked(&self, record: Record, may_keep: bool) -> Result<()> {
        let inner = &self.inner;
        let bucket = record.object.id.bucket.clone();
        let path = record.path();
        if may_keep && inner.existing_bucket(&bucket).await?.keeps_versions() {
            inner.keep_noncurrent(record, Timestamp::now()).await?;
            inner.backend.delete(&path).await?;
        } else {
            inner.backend.delete(&path).await?;
            inner.remove_blob(&bucket, &record.blob).await;
        }
        Ok(())
    }

    pub(super) async fn changeable(
        &self,
        id: &ObjectId,
        generation: Option<i64>,
        preconditions: Preconditions,
    ) -> Result<Record> {
        let record = self.inner.existing_generation(id, generation).await?;
        preconditions.check(Some(&record.object))?;
        Ok(record)
    }
}
