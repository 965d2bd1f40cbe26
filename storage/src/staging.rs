//! Content-addressed staging: whatever is brought, by whomever, is stored once.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256 as Sha256Hasher};

use crate::error::{Error, Result};
use crate::metadata::{ContentAttributes, ObjectId, Preconditions};
use crate::store::{BlobWriter, ExpectedContent, ObjectReader, PutOptions, ReadOptions, Store};

mod session;

pub use session::StagingSession;

/// A SHA-256 digest; shown and parsed as 64 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Sha256(pub [u8; 32]);

impl Sha256 {
    /// The digest of `content`.
    #[must_use]
    pub fn of(content: &[u8]) -> Self {
        Self(Sha256Hasher::digest(content).into())
    }
}

impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sha256({self})")
    }
}

impl FromStr for Sha256 {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut digest = [0; 32];
        match hex::decode_to_slice(text, &mut digest) {
            Ok(()) => Ok(Self(digest)),
            Err(_) => Err(Error::InvalidArgument(format!(
                "{text:?} is no SHA-256: it has not 64 hex digits"
            ))),
        }
    }
}

impl TryFrom<String> for Sha256 {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Sha256> for String {
    fn from(digest: Sha256) -> Self {
        digest.to_string()
    }
}

/// Content that is in the bucket.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct StagedArtifact {
    /// The content's digest.
    pub sha256: Sha256,
    /// Its length in bytes.
    pub size: u64,
    /// Where it is.
    pub object: ObjectId,
}

/// A folder of a bucket whose objects are named by the SHA-256 of their content.
///
/// ```
/// # use dataflume_storage::{Result, Staging, Store};
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<()> {
/// let staging = Staging::open(Store::memory(), "staging").await?;
/// let session = staging.session();
/// let first = session.put("content", None).await?;
/// let again = session.put("content", Some(first.sha256)).await?;
/// assert_eq!(first, again);
/// session.keep();
/// assert_eq!(staging.read(&first).await?.bytes().await?, "content");
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Staging {
    inner: Arc<StagingInner>,
}

struct StagingInner {
    store: Store,
    bucket: String,
    claims: session::Claims,
}

impl Staging {
    /// Stages into `bucket`, which is made if it does not exist.
    ///
    /// # Errors
    /// [`Error::InvalidName`] and backend errors.
    pub async fn open(store: Store, bucket: &str) -> Result<Self> {
        store.ensure_bucket(bucket).await?;
        Ok(Self {
            inner: Arc::new(StagingInner {
                store,
                bucket: bucket.to_owned(),
                claims: session::Claims::default(),
            }),
        })
    }

    /// The store that holds the bucket.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.inner.store
    }

    /// The bucket's name.
    #[must_use]
    pub fn bucket(&self) -> &str {
        &self.inner.bucket
    }

    /// Begins to stage what belongs together and is kept or removed together.
    #[must_use]
    pub fn session(&self) -> StagingSession {
        StagingSession::new(self.clone())
    }

    /// Where content with this digest is, or would be.
    #[must_use]
    pub fn location(&self, sha256: Sha256) -> ObjectId {
        ObjectId::new(&self.inner.bucket, format!("artifacts/sha256/{sha256}"))
    }

    /// The content with this digest, if it is in the bucket.
    ///
    /// # Errors
    /// Where the backend fails.
    pub async fn find(&self, sha256: Sha256) -> Result<Option<StagedArtifact>> {
        let object = self.location(sha256);
        match self.inner.store.stat(&object, ReadOptions::default()).await {
            Ok(found) => Ok(Some(StagedArtifact {
                sha256,
                size: found.size,
                object,
            })),
            Err(Error::ObjectNotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Opens staged content for reading.
    ///
    /// # Errors
    /// [`Error::ObjectNotFound`] where someone deleted it from the bucket.
    pub async fn read(&self, artifact: &StagedArtifact) -> Result<ObjectReader> {
        let store = &self.inner.store;
        store.get(&artifact.object, ReadOptions::default()).await
    }
}

impl fmt::Debug for Staging {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Staging(gs://{})", self.inner.bucket)
    }
}

/// Content on its way into the bucket; dropping the writer leaves nothing behind.
pub struct StagingWriter {
    session: Arc<session::Membership>,
    blob: BlobWriter,
    hasher: Sha256Hasher,
    claimed: Option<Sha256>,
}

impl StagingWriter {
    /// Bytes taken so far.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.blob.size()
    }

    /// Takes more content: all of `data`, or none of it if this fails or is cancelled.
    ///
    /// # Errors
    /// Where the backend fails.
    pub async fn write(&mut self, data: Bytes) -> Result<()> {
        self.blob.write(data.clone()).await?;
        self.hasher.update(&data);
        Ok(())
    }

    /// Ends the content. If the bucket has it already, that is what is returned.
    ///
    /// # Errors
    /// [`Error::ContentMismatch`] if it is not what was claimed, and backend errors.
    pub async fn finish(self) -> Result<StagedArtifact> {
        let sha256 = Sha256(self.hasher.finalize().into());
        if let Some(claimed) = self.claimed.filter(|claimed| *claimed != sha256) {
            self.blob.abort().await;
            return Err(Error::ContentMismatch {
                what: "sha256",
                expected: claimed.to_string(),
                actual: sha256.to_string(),
            });
        }
        self.session.add(sha256, self.blob).await
    }

    /// Ends the write and waits until what was sent is removed.
    pub async fn abort(self) {
        self.blob.abort().await;
    }
}

impl Staging {
    /// Makes `blob` the content of its digest's object, unless that exists.
    /// Returns whether it was made.
    async fn store_once(&self, sha256: Sha256, blob: BlobWriter) -> Result<(StagedArtifact, bool)> {
        if let Some(found) = self.find(sha256).await? {
            blob.abort().await;
            return Ok((found, false));
        }
        let object = self.location(sha256);
        let attributes = ContentAttributes {
            content_type: Some("application/octet-stream".to_owned()),
            ..ContentAttributes::default()
        };
        let options = PutOptions {
            attributes,
            preconditions: Preconditions::must_not_exist(),
            expected: ExpectedContent::default(),
        };
        let store = &self.inner.store;
        match store
            .inner
            .publish(blob, object.clone(), options, None)
            .await
        {
            Ok(made) => {
                let artifact = StagedArtifact {
                    sha256,
                    size: made.size,
                    object,
                };
                Ok((artifact, true))
            }
            // Somebody uploaded it to the bucket by other ways in this moment.
            Err(Error::PreconditionFailed { .. }) => match self.find(sha256).await? {
                Some(found) => Ok((found, false)),
                None => Err(Error::object_not_found(&object.bucket, &object.name)),
            },
            Err(error) => Err(error),
        }
    }
}
