//! Reading objects.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;

use bytes::{Bytes, BytesMut};
use futures::stream::{BoxStream, StreamExt, TryStreamExt};
use object_store::{GetOptions, GetRange, GetResultPayload};

use super::record::Record;
use super::{Inner, Store};
use crate::error::{Error, Result};
use crate::layout;
use crate::metadata::{ObjectId, ObjectMetadata, Preconditions};

/// Local files are read in pieces of this size.
const FILE_CHUNK_BYTES: u64 = 1 << 20;

/// How often a reader that loses its blob to a concurrent write looks for the new one.
const ATTEMPTS: usize = 16;

/// What a read asks for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReadOptions {
    /// Only this generation, which may be a noncurrent one.
    pub generation: Option<i64>,
    /// Conditions on the object; see [`Error::is_not_modified`] for the `NotMatch` ones.
    pub preconditions: Preconditions,
    /// Which of its bytes.
    pub range: ByteRange,
}

/// Which bytes of an object, as HTTP's `Range` says it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ByteRange {
    /// All of them.
    #[default]
    Full,
    /// From this offset to the end.
    From(u64),
    /// From `first` to `last`, inclusive, or to the end if that comes before.
    Inclusive {
        /// The first byte's offset.
        first: u64,
        /// The last byte's offset.
        last: u64,
    },
    /// The last so many bytes, or all if there are fewer.
    Suffix(u64),
}

impl ByteRange {
    /// The bytes that this means of an object of `size` bytes.
    ///
    /// # Errors
    /// [`Error::RangeNotSatisfiable`] if there are none, except that all bytes of an empty object
    /// are an empty range.
    pub fn resolve(self, size: u64) -> Result<Range<u64>> {
        let range = match self {
            Self::Full => return Ok(0..size),
            Self::From(first) => first..size,
            Self::Inclusive { first, last } => first..size.min(last.saturating_add(1)),
            Self::Suffix(count) => size.saturating_sub(count)..size,
        };
        if range.start < range.end {
            Ok(range)
        } else {
            Err(Error::RangeNotSatisfiable { size })
        }
    }
}

/// An object opened for reading. It stays readable when the object is replaced or deleted.
pub struct ObjectReader {
    object: ObjectMetadata,
    range: Range<u64>,
    content: BoxStream<'static, Result<Bytes>>,
}

impl Store {
    /// What is known of the object, without its content.
    ///
    /// # Errors
    /// [`Error::ObjectNotFound`], [`Error::BucketNotFound`], [`Error::PreconditionFailed`].
    pub async fn stat(&self, id: &ObjectId, options: ReadOptions) -> Result<ObjectMetadata> {
        Ok(self.inner.readable_record(id, &options).await?.object)
    }

    /// Opens the object for reading.
    ///
    /// # Errors
    /// Those of [`stat`](Self::stat), and [`Error::RangeNotSatisfiable`].
    pub async fn get(&self, id: &ObjectId, options: ReadOptions) -> Result<ObjectReader> {
        for _ in 0..ATTEMPTS {
            let record = self.inner.readable_record(id, &options).await?;
            let range = options.range.resolve(record.object.size)?;
            if let Some(content) = self.inner.open_blob(&record, range.clone()).await? {
                return Ok(ObjectReader {
                    object: record.object,
                    range,
                    content,
                });
            }
            // The object was replaced or deleted since its record was read: look again.
        }
        Err(Error::Corrupt {
            path: layout::object_record(&id.bucket, &id.name).to_string(),
            reason: "the blob that the record refers to does not exist".to_owned(),
        })
    }
}

impl ObjectReader {
    /// The object that is read.
    #[must_use]
    pub fn metadata(&self) -> &ObjectMetadata {
        &self.object
    }

    /// The bytes that will come.
    #[must_use]
    pub fn range(&self) -> Range<u64> {
        self.range.clone()
    }

    /// The content, in pieces of a megabyte or so.
    #[must_use]
    pub fn into_stream(self) -> BoxStream<'static, Result<Bytes>> {
        self.content
    }

    /// The content as a whole: for what is known to be small.
    ///
    /// # Errors
    /// Where the backend fails.
    pub async fn bytes(mut self) -> Result<Bytes> {
        let first = self.content.try_next().await?.unwrap_or_default();
        let Some(second) = self.content.try_next().await? else {
            return Ok(first);
        };
        let mut all = BytesMut::from(first);
        all.extend_from_slice(&second);
        while let Some(chunk) = self.content.try_next().await? {
            all.extend_from_slice(&chunk);
        }
        Ok(all.freeze())
    }
}

impl Inner {
    pub(crate) async fn readable_record(
        &self,
        id: &ObjectId,
        options: &ReadOptions,
    ) -> Result<Record> {
        let record = self.existing_generation(id, options.generation).await?;
        options.preconditions.check(Some(&record.object))?;
        Ok(record)
    }

    /// The record's bytes; `None` if its blob is gone.
    pub(crate) async fn open_blob(
        &self,
        record: &Record,
        range: Range<u64>,
    ) -> Result<Option<BoxStream<'static, Result<Bytes>>>> {
        if range.is_empty() {
            // Backends refuse empty ranges.
            return Ok(Some(futures::stream::empty().boxed()));
        }
        let path = layout::blob(&record.object.id.bucket, &record.blob);
        let options = GetOptions {
            range: Some(GetRange::Bounded(range.clone())),
            ..GetOptions::default()
        };
        let found = match self.backend.get_opts(&path, options).await {
            Ok(found) => found,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let length = range.end - range.start;
        let content = match found.payload {
            GetResultPayload::File(file, _) => file_stream(file, range.start, length),
            GetResultPayload::Stream(stream) => stream.map_err(Error::from).boxed(),
        };
        Ok(Some(checked_length(content, length, path.to_string())))
    }
}

fn file_stream(file: File, offset: u64, length: u64) -> BoxStream<'static, Result<Bytes>> {
    futures::stream::try_unfold((file, offset, length), |(file, offset, left)| async move {
        if left == 0 {
            return Ok(None);
        }
        let read = tokio::task::spawn_blocking(move || read_chunk(file, offset, left));
        let (file, chunk) = read
            .await
            .map_err(Error::backend)?
            .map_err(Error::backend)?;
        let count = chunk.len() as u64;
        Ok((count > 0).then_some((chunk, (file, offset + count, left - count))))
    })
    .boxed()
}

fn read_chunk(mut file: File, offset: u64, left: u64) -> std::io::Result<(File, Bytes)> {
    let wanted = left.min(FILE_CHUNK_BYTES);
    let mut chunk = Vec::with_capacity(usize::try_from(wanted).unwrap_or_default());
    file.seek(SeekFrom::Start(offset))?;
    (&mut file).take(wanted).read_to_end(&mut chunk)?;
    Ok((file, chunk.into()))
}

/// Ends in an error where a stream has not exactly `length` bytes: a reader must never take a
/// truncated blob for the whole object.
fn checked_length(
    content: BoxStream<'static, Result<Bytes>>,
    length: u64,
    path: String,
) -> BoxStream<'static, Result<Bytes>> {
    let state = (content, length, path);
    futures::stream::try_unfold(state, |(mut content, left, path)| async move {
        let chunk = content.try_next().await?;
        let count = chunk.as_ref().map_or(0, Bytes::len) as u64;
        match (chunk, left.checked_sub(count)) {
            (Some(chunk), Some(left)) => Ok(Some((chunk, (content, left, path)))),
            (None, Some(0)) => Ok(None),
            (None, Some(missing)) => Err(Error::Corrupt {
                path,
                reason: format!("its last {missing} bytes are missing"),
            }),
            (_, None) => Err(Error::Corrupt {
                path,
                reason: "it is longer than its record says".to_owned(),
            }),
        }
    })
    .boxed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_by_table() {
        let inclusive = |first, last| ByteRange::Inclusive { first, last };
        for (range, size, expected) in [
            (ByteRange::Full, 10, Some(0..10)),
            (ByteRange::Full, 0, Some(0..0)),
            (ByteRange::From(3), 10, Some(3..10)),
            (ByteRange::From(10), 10, None),
            (inclusive(0, 0), 10, Some(0..1)),
            (inclusive(8, 99), 10, Some(8..10)),
            (inclusive(8, u64::MAX), 10, Some(8..10)),
            (inclusive(10, 12), 10, None),
            (inclusive(5, 4), 10, None),
            (ByteRange::Suffix(4), 10, Some(6..10)),
            (ByteRange::Suffix(40), 10, Some(0..10)),
            (ByteRange::Suffix(0), 10, None),
            (ByteRange::Suffix(1), 0, None),
        ] {
            assert_eq!(range.resolve(size).ok(), expected, "{range:?} of {size}");
        }
    }
}
