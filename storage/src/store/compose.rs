//! Composing an object from others.

use std::sync::Arc;

use futures::TryStreamExt;

use super::Store;
use super::blob::BlobWriter;
use super::read::ReadOptions;
use super::write::PutOptions;
use crate::error::{Error, Result};
use crate::metadata::{ObjectId, ObjectMetadata, Preconditions};
use crate::names;

/// Cloud Storage takes no more in one request.
const MAX_SOURCES: usize = 32;

/// One of the objects that a composed one is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComposeSource {
    /// Its name, in the destination's bucket.
    pub name: String,
    /// Only this generation of it.
    pub generation: Option<i64>,
    /// Conditions on it.
    pub preconditions: Preconditions,
}

impl Store {
    /// Makes an object of the contents of others in the same bucket, in order. The destination may
    /// be among the sources. A composed object has no MD5.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for no sources or more than 32, [`Error::ObjectNotFound`],
    /// [`Error::PreconditionFailed`], [`Error::ContentMismatch`].
    pub async fn compose(
        &self,
        sources: Vec<ComposeSource>,
        destination: &ObjectId,
        options: PutOptions,
    ) -> Result<ObjectMetadata> {
        names::validate_bucket(&destination.bucket)?;
        names::validate_object(&destination.name)?;
        if sources.is_empty() || sources.len() > MAX_SOURCES {
            return Err(Error::InvalidArgument(format!(
                "an object is composed of 1 to {MAX_SOURCES} objects, not of {}",
                sources.len()
            )));
        }
        self.inner.existing_bucket(&destination.bucket).await?;
        let mut writer = BlobWriter::new(Arc::clone(&self.inner), &destination.bucket);
        let mut components = 0;
        for source in sources {
            components += self
                .append(&mut writer, &destination.bucket, source)
                .await?;
        }
        self.inner
            .publish(writer, destination.clone(), options, Some(components))
            .await
    }

    /// Appends one source; returns of how many parts it was made.
    async fn append(
        &self,
        writer: &mut BlobWriter,
        bucket: &str,
        source: ComposeSource,
    ) -> Result<u64> {
        let options = ReadOptions {
            generation: source.generation,
            preconditions: source.preconditions,
            ..ReadOptions::default()
        };
        let reader = self
            .get(&ObjectId::new(bucket, source.name), options)
            .await?;
        let components = reader.metadata().component_count.unwrap_or(1);
        let mut content = reader.into_stream();
        while let Some(chunk) = content.try_next().await? {
            writer.write(chunk).await?;
        }
        Ok(components)
    }
}
