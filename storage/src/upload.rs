//! Resumable uploads: the state machine behind Cloud Storage's resumable protocol.
//!
//! An upload is begun for an object, takes chunks in order, each saying where it starts, and ends
//! with the chunk that makes it complete. A client that lost its connection asks how much has
//! arrived and goes on from there. Uploads live in this process: after a restart their clients
//! find none and begin again, as Cloud Storage lets them do after a week.

use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt};
use tokio::sync::Mutex as AsyncMutex;
use uuid::Uuid;

use crate::error::{Error, Result, Source};
use crate::metadata::{ObjectId, ObjectMetadata};
use crate::sessions::Sessions;
use crate::store::{ExpectedContent, ObjectWriter, PutOptions, Store};

/// Names an upload; it cannot be guessed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct UploadId(Uuid);

impl fmt::Display for UploadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.simple())
    }
}

impl FromStr for UploadId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Uuid::try_parse(text)
            .map(Self)
            .map_err(|_| Error::UploadNotFound {
                id: text.chars().take(80).collect(),
            })
    }
}

/// A piece of an upload's content.
#[derive(Debug)]
pub struct Chunk<S> {
    /// Where its first byte belongs. What has arrived already is skipped; a gap is an error.
    pub offset: u64,
    /// The whole content's size, if the client knows it by now.
    pub total: Option<u64>,
    /// The content ends where this chunk does, wherever that is.
    pub is_last: bool,
    /// What the client announces about the whole content.
    pub expected: ExpectedContent,
    /// The bytes.
    pub content: S,
}

/// How far an upload is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UploadStatus {
    /// More is to come.
    Incomplete {
        /// Bytes that have arrived.
        received: u64,
    },
    /// The object exists.
    Complete(Box<ObjectMetadata>),
}

/// The uploads under way. Cheap to clone; clones share everything.
#[derive(Clone)]
pub struct Uploads {
    store: Store,
    granule_bytes: u64,
    sessions: Arc<Mutex<Sessions<UploadId, Session>>>,
}

type Session = Arc<AsyncMutex<State>>;

enum State {
    Receiving {
        writer: Box<ObjectWriter>,
        total: Option<u64>,
    },
    Complete(Box<ObjectMetadata>),
    /// It failed for good or was cancelled.
    Dead,
}

impl fmt::Debug for Uploads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Uploads({:?})", self.store)
    }
}

impl Uploads {
    /// Uploads into the store's buckets.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self {
            store,
            granule_bytes: 1,
            sessions: Arc::default(),
        }
    }

    /// The same, but of a chunk that is not the last one only so much is kept as makes whole granules
    /// of the content, as Cloud Storage does it; the client is told, and sends the rest again.
    #[must_use]
    pub fn in_granules_of(mut self, bytes: u64) -> Self {
        self.granule_bytes = bytes.max(1);
        self
    }

    /// Begins an upload. `options.expected.size` is its total size, if known.
    ///
    /// # Errors
    /// Those of [`Store::writer`].
    pub async fn begin(&self, id: &ObjectId, options: PutOptions) -> Result<UploadId> {
        let total = options.expected.size;
        let writer = Box::new(self.store.writer(id, options).await?);
        let upload = UploadId(Uuid::new_v4());
        let session = Arc::new(AsyncMutex::new(State::Receiving { writer, total }));
        self.lock().insert(upload, session, Instant::now());
        Ok(upload)
    }

    /// Takes a chunk. The upload completes when all of the total size has arrived; a chunk
    /// without content tells the total size, or asks for nothing but the status.
    ///
    /// What arrived before a stream broke counts. A chunk sent again after completion gets the
    /// same answer again.
    ///
    /// # Errors
    /// - [`Error::UploadNotFound`] for an upload that was never begun, cancelled, or failed;
    /// - [`Error::UploadOffset`] for a gap, more content than the total, or a changed total;
    /// - [`Error::Interrupted`] where the stream breaks; the upload can be continued;
    /// - those of a backend that can't take the content, and of [`ObjectWriter::finish`], which end the upload.
    pub async fn append<S, E>(&self, upload: UploadId, chunk: Chunk<S>) -> Result<UploadStatus>
    where
        S: Stream<Item = Result<Bytes, E>> + Send + Unpin,
        E: Into<Source>,
    {
        let session = self.session(upload)?;
        let mut state = session.lock_owned().await;
        let (writer, total) = match &mut *state {
            State::Receiving { writer, total } => (writer, total),
            State::Complete(object) => return Ok(UploadStatus::Complete(object.clone())),
            State::Dead => return Err(not_found(upload)),
        };
        agree_on_total(total, chunk.total, writer.size())?;
        writer.expect(chunk.expected);
        let receiving = Receiving {
            writer,
            total: *total,
            is_last: chunk.is_last,
            granule_bytes: self.granule_bytes,
            rest: BytesMut::new(),
        };
        if let Err(error) = receiving.receive(chunk.offset, chunk.content).await {
            if !can_go_on(&error) {
                *state = State::Dead;
                self.forget(upload);
            }
            return Err(error);
        }
        if chunk.is_last {
            *total = Some(writer.size());
        }
        if *total != Some(writer.size()) {
            return Ok(UploadStatus::Incomplete {
                received: writer.size(),
            });
        }
        let State::Receiving { writer, .. } = std::mem::replace(&mut *state, State::Dead) else {
            return Err(not_found(upload));
        };
        // The lock goes with it, so that a client that has gone meanwhile finds the outcome.
        let uploads = self.clone();
        let finishing = tokio::spawn(async move {
            let finished = writer.finish().await.map(Box::new);
            match &finished {
                Ok(object) => {
                    *state = State::Complete(object.clone());
                    uploads.lock().settle(upload);
                }
                Err(_) => uploads.forget(upload),
            }
            finished
        });
        let object = finishing.await.map_err(Error::backend)??;
        Ok(UploadStatus::Complete(object))
    }

    /// How far the upload is.
    ///
    /// # Errors
    /// [`Error::UploadNotFound`].
    pub async fn status(&self, upload: UploadId) -> Result<UploadStatus> {
        let session = self.session(upload)?;
        let state = session.lock().await;
        match &*state {
            State::Receiving { writer, .. } => Ok(UploadStatus::Incomplete {
                received: writer.size(),
            }),
            State::Complete(object) => Ok(UploadStatus::Complete(object.clone())),
            State::Dead => Err(not_found(upload)),
        }
    }

    /// Cancels an upload; what arrived is removed. The object of a complete one stays.
    ///
    /// # Errors
    /// [`Error::UploadNotFound`].
    pub async fn cancel(&self, upload: UploadId) -> Result<()> {
        let session = self.session(upload)?;
        self.forget(upload);
        let state = std::mem::replace(&mut *session.lock().await, State::Dead);
        if let State::Receiving { writer, .. } = state {
            writer.abort().await;
        }
        Ok(())
    }

    fn session(&self, upload: UploadId) -> Result<Session> {
        let mut sessions = self.lock();
        let session = sessions.touch(upload, Instant::now());
        session.cloned().ok_or_else(|| not_found(upload))
    }

    fn forget(&self, upload: UploadId) {
        self.lock().remove(upload);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Sessions<UploadId, Session>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the client can send the same content again, or the right one. What the backend didn't take is lost.
fn can_go_on(error: &Error) -> bool {
    matches!(
        error,
        Error::Interrupted { .. } | Error::UploadOffset { .. }
    )
}

fn not_found(upload: UploadId) -> Error {
    Error::UploadNotFound {
        id: upload.to_string(),
    }
}

fn agree_on_total(known: &mut Option<u64>, told: Option<u64>, received: u64) -> Result<()> {
    let reason = match (*known, told) {
        (Some(known), Some(told)) if known != told => {
            format!("it says that the total is {told} bytes, before it was {known}")
        }
        (None, Some(told)) if told < received => {
            format!("it says that the total is {told} bytes, fewer than have arrived")
        }
        _ => {
            *known = told.or(*known);
            return Ok(());
        }
    };
    Err(Error::UploadOffset { received, reason })
}

/// A chunk on its way into an upload.
struct Receiving<'a> {
    writer: &'a mut ObjectWriter,
    total: Option<u64>,
    is_last: bool,
    granule_bytes: u64,
    /// What has arrived and makes no whole granule yet.
    rest: BytesMut,
}

impl Receiving<'_> {
    async fn receive<S, E>(mut self, offset: u64, mut content: S) -> Result<()>
    where
        S: Stream<Item = Result<Bytes, E>> + Send + Unpin,
        E: Into<Source>,
    {
        let mut at = offset;
        while let Some(bytes) = content.next().await {
            let received = self.received();
            let mut bytes = bytes.map_err(|error| Error::Interrupted {
                received: self.writer.size(),
                source: error.into(),
            })?;
            let end = at + bytes.len() as u64;
            if at > received {
                return self.wrong(format!("it starts at {offset}, which leaves a gap"));
            }
            if let Some(total) = self.total.filter(|total| end > *total) {
                return self.wrong(format!("it goes beyond the total of {total} bytes"));
            }
            let known = usize::try_from(received - at).unwrap_or(usize::MAX);
            at = end;
            if known < bytes.len() {
                self.take(bytes.split_off(known)).await?;
            }
        }
        if self.is_last || self.total == Some(self.received()) {
            self.writer.write(self.rest.freeze()).await?;
        }
        Ok(())
    }

    /// Where the next byte belongs.
    fn received(&self) -> u64 {
        self.writer.size() + self.rest.len() as u64
    }

    async fn take(&mut self, bytes: Bytes) -> Result<()> {
        if self.granule_bytes == 1 {
            return self.writer.write(bytes).await;
        }
        self.rest.extend_from_slice(&bytes);
        let beyond = self.received() % self.granule_bytes;
        let whole = (self.rest.len() as u64).saturating_sub(beyond);
        let whole = usize::try_from(whole).unwrap_or(usize::MAX);
        if whole > 0 {
            let whole = self.rest.split_to(whole).freeze();
            self.writer.write(whole).await?;
        }
        Ok(())
    }

    fn wrong(&self, reason: String) -> Result<()> {
        let received = self.writer.size();
        Err(Error::UploadOffset { received, reason })
    }
}
