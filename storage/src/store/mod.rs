//! Buckets and objects with Cloud Storage's semantics.

mod blob;
mod bucket;
mod change;
mod compose;
mod copy;
mod glob;
mod list;
pub(crate) mod locks;
mod read;
mod record;
mod sweep;
mod write;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use object_store::ObjectStore;
use uuid::Uuid;

pub use self::bucket::BucketOptions;
pub use self::change::AttributesPatch;
pub use self::compose::ComposeSource;
pub use self::copy::CopyOptions;
pub use self::list::{ListPage, ListRequest};
pub use self::read::{ByteRange, ObjectReader, ReadOptions};
pub use self::sweep::SweepReport;
pub use self::write::{ExpectedContent, ObjectWriter, PutOptions};

pub(crate) use self::blob::BlobWriter;

use self::locks::Locks;
use crate::error::Result;
use crate::location::Location;
use crate::metadata::Timestamp;

/// Buckets and objects on one backend. Cheap to clone; clones share everything.
///
/// ```
/// # use dataflume_storage::{ObjectId, PutOptions, Result, Store};
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<()> {
/// let store = Store::memory();
/// store.ensure_bucket("my-bucket").await?;
/// let id = ObjectId::new("my-bucket", "greeting.txt");
/// let written = store.put(&id, "hello", PutOptions::default()).await?;
/// assert_eq!((written.size, written.metageneration), (5, 1));
/// assert_eq!(store.get(&id, Default::default()).await?.bytes().await?, "hello");
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Store {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) backend: Arc<dyn ObjectStore>,
    /// The root, where it is a local folder.
    folder: Option<PathBuf>,
    /// Starts the id of every blob that this store writes.
    instance: String,
    last_generation: AtomicI64,
    pub(crate) locks: Locks,
}

impl Store {
    /// Opens a folder, `memory:` or a `file://`, `gs://`, `s3://`, `az://` URL; a folder is made
    /// if it does not exist. Credentials of cloud backends come from the environment's `AWS_*`,
    /// `AZURE_*` and `GOOGLE_*` variables.
    ///
    /// Call [`sweep`](Self::sweep) after opening a location that a crashed process may have used.
    ///
    /// # Errors
    /// [`Error::InvalidLocation`](crate::Error::InvalidLocation) and backend errors.
    pub fn open(location: &str) -> Result<Self> {
        Location::parse(location).map(Self::new)
    }

    /// Opens a local folder, made if it does not exist.
    ///
    /// # Errors
    /// Where the folder cannot be made or read.
    pub fn open_folder(path: impl AsRef<Path>) -> Result<Self> {
        Location::folder(path.as_ref()).map(Self::new)
    }

    /// A store that is gone with its last clone.
    #[must_use]
    pub fn memory() -> Self {
        Self::new(Location::memory())
    }

    fn new(location: Location) -> Self {
        Self {
            inner: Arc::new(Inner {
                backend: location.backend,
                folder: location.folder,
                instance: Uuid::new_v4().simple().to_string(),
                last_generation: AtomicI64::new(0),
                locks: Locks::default(),
            }),
        }
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Store({})", self.inner.backend)
    }
}

impl Inner {
    /// A generation above every one given out before, and above `current`.
    ///
    /// Generations are the time in microseconds, as in Cloud Storage: so they go upwards across
    /// restarts and across deletion of an object, without being kept anywhere.
    fn next_generation(&self, current: i64) -> i64 {
        let now = Timestamp::now().0;
        let next = |last: i64| now.max(last + 1).max(current + 1);
        let last = self
            .last_generation
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |last| Some(next(last)));
        next(last.unwrap_or_else(|last| last))
    }

    fn new_blob_id(&self) -> String {
        format!("{}-{}", self.instance, Uuid::new_v4().simple())
    }

    fn is_own_blob(&self, id: &str) -> bool {
        id.starts_with(&self.instance)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generations_go_upwards() {
        let inner = Store::memory().inner;
        let mut last = inner.next_generation(0);
        for _ in 0..10_000 {
            let next = inner.next_generation(0);
            assert!(next > last);
            last = next;
        }
        assert_eq!(
            inner.next_generation(last + 1_000_000_000),
            last + 1_000_000_001
        );
    }
}
