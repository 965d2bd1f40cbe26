//! Rewrites: copies in as many steps as their client wants them to take.
//!
//! Each step copies so many bytes of the generation that the rewrite began with; the last one makes
//! the object visible. Like resumable uploads, rewrites live in this process: after a restart their
//! clients begin again.

use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use futures::TryStreamExt;
use uuid::Uuid;

use crate::error::{Error, Result};
use crate::metadata::{ObjectId, ObjectMetadata};
use crate::sessions::Sessions;
use crate::store::{
    ByteRange, CopyOptions, ExpectedContent, ObjectWriter, PutOptions, ReadOptions, Store,
};

/// Names a rewrite; it cannot be guessed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RewriteId(Uuid);

impl fmt::Display for RewriteId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.simple())
    }
}

impl FromStr for RewriteId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Uuid::try_parse(text)
            .map(Self)
            .map_err(|_| unknown(&text.chars().take(80).collect::<String>()))
    }
}

/// How far a rewrite is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RewriteStatus {
    /// More is to be copied.
    Incomplete {
        /// Asks to go on.
        id: RewriteId,
        /// Bytes copied so far.
        written: u64,
        /// Bytes in all.
        size: u64,
    },
    /// The copy exists.
    Complete(Box<ObjectMetadata>),
}

/// The rewrites under way. Cheap to clone; clones share everything.
#[derive(Clone)]
pub struct Rewrites {
    store: Store,
    waiting: Arc<Mutex<Sessions<RewriteId, Rewrite>>>,
}

/// A rewrite between two steps.
struct Rewrite {
    source: ObjectMetadata,
    destination: ObjectId,
    writer: ObjectWriter,
}

impl fmt::Debug for Rewrites {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rewrites({:?})", self.store)
    }
}

impl Rewrites {
    /// Rewrites within the store.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self {
            store,
            waiting: Arc::default(),
        }
    }

    /// Begins a rewrite and takes its first step, of `at_most` bytes. What fits into one step is a
    /// copy, and complete.
    ///
    /// # Errors
    /// Those of [`Store::copy`].
    pub async fn begin(
        &self,
        source: &ObjectId,
        destination: &ObjectId,
        options: CopyOptions,
        at_most: Option<u64>,
    ) -> Result<RewriteStatus> {
        let read = ReadOptions {
            generation: options.source_generation,
            preconditions: options.source_preconditions,
            ..ReadOptions::default()
        };
        let found = self.store.stat(source, read).await?;
        if at_most.is_none_or(|limit| found.size <= limit) {
            let copied = self.store.copy(source, destination, options).await?;
            return Ok(RewriteStatus::Complete(Box::new(copied)));
        }
        let attributes = options
            .attributes
            .unwrap_or_else(|| found.attributes.clone());
        let put = PutOptions {
            attributes,
            preconditions: options.preconditions,
            expected: ExpectedContent {
                size: Some(found.size),
                crc32c: Some(found.crc32c),
                md5: None,
            },
        };
        let rewrite = Rewrite {
            writer: self.store.writer(destination, put).await?,
            source: found,
            destination: destination.clone(),
        };
        self.step(RewriteId(Uuid::new_v4()), rewrite, at_most).await
    }

    /// Takes the next step. A step that fails ends the rewrite.
    ///
    /// # Errors
    /// - [`Error::InvalidArgument`] for a rewrite that is not under way, or is one of other objects;
    /// - [`Error::ObjectNotFound`] if the source is not what it was any more;
    /// - those of [`ObjectWriter::finish`].
    pub async fn proceed(
        &self,
        id: RewriteId,
        source: &ObjectId,
        destination: &ObjectId,
        at_most: Option<u64>,
    ) -> Result<RewriteStatus> {
        let rewrite = {
            let mut waiting = self.lock();
            let fits = waiting.touch(id, Instant::now()).is_some_and(|rewrite| {
                rewrite.source.id == *source && rewrite.destination == *destination
            });
            fits.then(|| waiting.remove(id)).flatten()
        };
        let rewrite = rewrite.ok_or_else(|| unknown(&id.to_string()))?;
        self.step(id, rewrite, at_most).await
    }

    async fn step(
        &self,
        id: RewriteId,
        mut rewrite: Rewrite,
        at_most: Option<u64>,
    ) -> Result<RewriteStatus> {
        let size = rewrite.source.size;
        let first = rewrite.writer.size();
        let end = first.saturating_add(at_most.unwrap_or(u64::MAX)).min(size);
        let read = ReadOptions {
            generation: Some(rewrite.source.generation),
            range: ByteRange::Inclusive {
                first,
                last: end.saturating_sub(1),
            },
            ..ReadOptions::default()
        };
        let reader = self.store.get(&rewrite.source.id, read).await?;
        let mut content = reader.into_stream();
        while let Some(piece) = content.try_next().await? {
            rewrite.writer.write(piece).await?;
        }
        if end == size {
            let copied = rewrite.writer.finish().await?;
            return Ok(RewriteStatus::Complete(Box::new(copied)));
        }
        self.lock().insert(id, rewrite, Instant::now());
        Ok(RewriteStatus::Incomplete {
            id,
            written: end,
            size,
        })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Sessions<RewriteId, Rewrite>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn unknown(token: &str) -> Error {
    Error::InvalidArgument(format!(
        "{token:?} is not the token of a rewrite of these objects that is under way"
    ))
}
