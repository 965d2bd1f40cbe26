//! Writing objects.

use std::sync::Arc;

use bytes::Bytes;
use futures::{Stream, StreamExt};

use super::blob::{BlobWriter, UnusedBlob};
use super::record::Record;
use super::{Inner, Store};
use crate::error::{Error, Result, Source};
use crate::metadata::{
    ContentAttributes, Crc32c, Md5, ObjectId, ObjectMetadata, Preconditions, Timestamp,
};
use crate::names;

/// What a write asks for besides its content.
#[derive(Debug, Clone, Default)]
pub struct PutOptions {
    /// The new object's attributes.
    pub attributes: ContentAttributes,
    /// Checked when the write begins, and again when it takes effect.
    pub preconditions: Preconditions,
    /// What the sender announced about the content.
    pub expected: ExpectedContent,
}

/// What a sender announced about content, checked at its end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ExpectedContent {
    /// Its length in bytes.
    pub size: Option<u64>,
    /// Its CRC32C.
    pub crc32c: Option<Crc32c>,
    /// Its MD5.
    pub md5: Option<Md5>,
}

/// An object being written. Nobody sees it before [`finish`](Self::finish); dropping the writer
/// leaves nothing behind.
///
/// Content goes to the backend in parts while it arrives: a writer holds some 24 MiB at most.
pub struct ObjectWriter {
    blob: BlobWriter,
    inner: Arc<Inner>,
    id: ObjectId,
    options: PutOptions,
}

impl Store {
    /// Begins to write an object.
    ///
    /// # Errors
    /// Invalid names, a missing bucket, preconditions that do not hold already.
    pub async fn writer(&self, id: &ObjectId, options: PutOptions) -> Result<ObjectWriter> {
        names::validate_bucket(&id.bucket)?;
        names::validate_object(&id.name)?;
        self.inner.existing_bucket(&id.bucket).await?;
        let current = self.inner.record(id).await?;
        let current = current.as_ref().map(|record| &record.object);
        options.preconditions.check(current)?;
        Ok(ObjectWriter {
            blob: BlobWriter::new(Arc::clone(&self.inner), &id.bucket),
            inner: Arc::clone(&self.inner),
            id: id.clone(),
            options,
        })
    }

    /// Writes an object that is at hand.
    ///
    /// # Errors
    /// Those of [`writer`](Self::writer) and [`ObjectWriter::finish`].
    pub async fn put(
        &self,
        id: &ObjectId,
        content: impl Into<Bytes>,
        options: PutOptions,
    ) -> Result<ObjectMetadata> {
        let mut writer = self.writer(id, options).await?;
        writer.write(content.into()).await?;
        writer.finish().await
    }

    /// Writes an object from a stream.
    ///
    /// # Errors
    /// Those of [`put`](Self::put), and [`Error::Interrupted`] if the stream breaks.
    pub async fn put_stream<E: Into<Source>>(
        &self,
        id: &ObjectId,
        mut content: impl Stream<Item = Result<Bytes, E>> + Send + Unpin,
        options: PutOptions,
    ) -> Result<ObjectMetadata> {
        let mut writer = self.writer(id, options).await?;
        while let Some(chunk) = content.next().await {
            match chunk {
                Ok(chunk) => writer.write(chunk).await?,
                Err(error) => {
                    let received = writer.size();
                    writer.abort().await;
                    return Err(Error::Interrupted {
                        received,
                        source: error.into(),
                    });
                }
            }
        }
        writer.finish().await
    }
}

impl ObjectWriter {
    /// Which object this will be.
    #[must_use]
    pub fn id(&self) -> &ObjectId {
        &self.id
    }

    /// Bytes taken so far.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.blob.size()
    }

    /// Adds what the sender announces only now, for instance with the last request of an upload.
    pub fn expect(&mut self, expected: ExpectedContent) {
        let known = &mut self.options.expected;
        known.size = expected.size.or(known.size);
        known.crc32c = expected.crc32c.or(known.crc32c);
        known.md5 = expected.md5.or(known.md5);
    }

    /// Takes more content: all of `data`, or none of it if this fails or is cancelled.
    ///
    /// # Errors
    /// Where the backend fails.
    pub async fn write(&mut self, data: Bytes) -> Result<()> {
        self.blob.write(data).await
    }

    /// Makes the object visible, in place of the one before it. Cancelling the returned future
    /// does not stop this.
    ///
    /// # Errors
    /// [`Error::ContentMismatch`], [`Error::PreconditionFailed`], a bucket deleted meanwhile, and
    /// backend errors; nothing is left behind.
    pub async fn finish(self) -> Result<ObjectMetadata> {
        self.inner
            .publish(self.blob, self.id, self.options, None)
            .await
    }

    /// Ends the write and waits until what was sent is removed.
    pub async fn abort(self) {
        self.blob.abort().await;
    }
}

impl ExpectedContent {
    pub(crate) fn check(&self, size: u64, crc32c: Crc32c, md5: Option<Md5>) -> Result<()> {
        mismatch("size", self.size, Some(size))?;
        mismatch("crc32c", self.crc32c, Some(crc32c))?;
        mismatch("md5", self.md5, md5)
    }
}

fn mismatch<T: PartialEq + ToString>(
    what: &'static str,
    expected: Option<T>,
    actual: Option<T>,
) -> Result<()> {
    match (expected, actual) {
        (Some(expected), Some(actual)) if expected != actual => Err(Error::ContentMismatch {
            what,
            expected: expected.to_string(),
            actual: actual.to_string(),
        }),
        _ => Ok(()),
    }
}

/// What a new generation consists of.
pub(crate) struct NewContent {
    pub(crate) size: u64,
    pub(crate) crc32c: Crc32c,
    pub(crate) md5: Option<Md5>,
    pub(crate) component_count: Option<u64>,
    pub(crate) attributes: ContentAttributes,
}

impl Inner {
    /// Completes the blob and makes it the content of the object, which was composed of
    /// `components` or, if that is absent, sent as a whole.
    pub(crate) async fn publish(
        self: &Arc<Self>,
        blob: BlobWriter,
        id: ObjectId,
        options: PutOptions,
        components: Option<u64>,
    ) -> Result<ObjectMetadata> {
        let inner = Arc::clone(self);
        uninterrupted(async move {
            let written = blob.finish().await?;
            let md5 = components.is_none().then_some(written.md5);
            let checked = options.expected.check(written.size, written.crc32c, md5);
            if let Err(error) = checked {
                written.blob.remove().await;
                return Err(error);
            }
            let content = NewContent {
                size: written.size,
                crc32c: written.crc32c,
                md5,
                component_count: components,
                attributes: options.attributes,
            };
            inner
                .commit(id, written.blob, content, options.preconditions)
                .await
        })
        .await
    }

    /// Makes `blob` the content of the object, or removes it. Callers run this
    /// [`uninterrupted`]: cut off in the middle, it could not tell whether a record refers to the blob.
    pub(crate) async fn commit(
        &self,
        id: ObjectId,
        blob: UnusedBlob,
        content: NewContent,
        preconditions: Preconditions,
    ) -> Result<ObjectMetadata> {
        let _guard = self.locks.object(&id).await;
        self.commit_locked(id, blob, content, preconditions).await
    }

    /// The same for who has the right to change the object.
    pub(crate) async fn commit_locked(
        &self,
        id: ObjectId,
        blob: UnusedBlob,
        content: NewContent,
        preconditions: Preconditions,
    ) -> Result<ObjectMetadata> {
        let (replaced, keeps_versions) = match self.admit(&id, preconditions).await {
            Ok(admitted) => admitted,
            Err(error) => {
                blob.remove().await;
                return Err(error);
            }
        };
        let now = Timestamp::now();
        let current = replaced.as_ref().map_or(0, |old| old.object.generation);
        let record = Record {
            blob: blob.id().to_owned(),
            object: ObjectMetadata {
                id,
                generation: self.next_generation(current),
                metageneration: 1,
                size: content.size,
                crc32c: content.crc32c,
                md5: content.md5,
                component_count: content.component_count,
                attributes: content.attributes,
                time_created: now,
                updated: now,
                time_deleted: None,
            },
        };
        if let Err(error) = self
            .replace(replaced.as_ref(), keeps_versions, &record)
            .await
        {
            blob.remove().await;
            return Err(error);
        }
        let bucket = blob.bucket().to_owned();
        blob.keep();
        if let Some(old) = replaced.filter(|_| !keeps_versions) {
            self.remove_blob(&bucket, &old.blob).await;
        }
        Ok(record.object)
    }

    /// The record that will be replaced, and whether its generation is to be kept.
    async fn admit(
        &self,
        id: &ObjectId,
        preconditions: Preconditions,
    ) -> Result<(Option<Record>, bool)> {
        let bucket = self.existing_bucket(&id.bucket).await?;
        let current = self.record(id).await?;
        preconditions.check(current.as_ref().map(|record| &record.object))?;
        Ok((current, bucket.keeps_versions()))
    }

    /// Writes the new record. Where the old one is to be kept, that comes first: a crash in between
    /// leaves it twice, which listings see through, rather than not at all.
    async fn replace(&self, old: Option<&Record>, keep: bool, new: &Record) -> Result<()> {
        if let Some(old) = old.filter(|_| keep) {
            let now = new.object.time_created;
            self.keep_noncurrent(old.clone(), now).await?;
        }
        self.write_record(new).await
    }
}

/// Runs a change to its end, even if nobody waits for it any more.
pub(crate) async fn uninterrupted<T: Send + 'static>(
    change: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    match tokio::spawn(change).await {
        Ok(result) => result,
        Err(lost) => Err(Error::backend(lost)),
    }
}
