//! The buckets of this emulator, for every API that reads or writes them.
//!
//! [`Buckets`] is one store with the emulator's own rules on top: which buckets come into being when
//! they are first used. Cloud Storage's API serves it to clients, and Dataflow's API reads what
//! clients staged from the same one, so that both see the same objects at any time.

mod export;
mod seed;

pub use export::{ExportError, Exported};
pub use seed::SeedError;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use dataflume_storage::{
    BucketMetadata, BucketOptions, Error, ObjectId, ObjectReader, Preconditions, ReadOptions,
    Result, Rewrites, Store, Uploads,
};

/// How Cloud Storage spells a location where it is not a `gs://` URL. Dataflow's clients use it for
/// what they stage: `storage.googleapis.com/BUCKET/OBJECT`.
const HOST_PREFIXES: [&str; 3] = [
    "storage.googleapis.com/",
    "https://storage.googleapis.com/",
    "http://storage.googleapis.com/",
];

/// Of a chunk of a resumable upload, the service keeps whole multiples of this.
const UPLOAD_GRANULE_BYTES: u64 = 256 << 10;

/// The store that all adapters share. Cheap to clone; clones share everything.
///
/// To read what a client staged: [`Buckets::read`].
#[derive(Clone, Debug)]
pub struct Buckets {
    store: Store,
    uploads: Uploads,
    rewrites: Rewrites,
    auto_create: bool,
    /// Buckets that a client deleted come back only when a client makes them.
    deleted: Arc<Mutex<HashSet<String>>>,
}

impl Buckets {
    /// The buckets of this store. With `auto_create`, a bucket exists as soon as somebody uses it.
    #[must_use]
    pub fn new(store: Store, auto_create: bool) -> Self {
        Self {
            uploads: Uploads::new(store.clone()).in_granules_of(UPLOAD_GRANULE_BYTES),
            rewrites: Rewrites::new(store.clone()),
            store,
            auto_create,
            deleted: Arc::default(),
        }
    }

    /// What holds the objects.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The resumable uploads under way.
    #[must_use]
    pub fn uploads(&self) -> &Uploads {
        &self.uploads
    }

    /// The rewrites under way.
    #[must_use]
    pub fn rewrites(&self) -> &Rewrites {
        &self.rewrites
    }

    /// Makes the bucket if it does not exist and may be made on first use. If it may not, whatever
    /// is done with the bucket next says that it does not exist.
    ///
    /// # Errors
    /// [`Error::InvalidName`] and backend errors.
    pub async fn use_bucket(&self, name: &str) -> Result<()> {
        if !self.auto_create || self.deleted().contains(name) {
            return Ok(());
        }
        match self.store.bucket(name).await {
            Err(Error::BucketNotFound { .. }) => {
                self.store.ensure_bucket(name).await?;
                tracing::info!(bucket = name, "made on first use");
                Ok(())
            }
            Err(error) => Err(error),
            Ok(_) => Ok(()),
        }
    }

    /// Makes a bucket.
    ///
    /// # Errors
    /// Those of [`Store::create_bucket`].
    pub async fn create(&self, name: &str, options: BucketOptions) -> Result<BucketMetadata> {
        let made = self.store.create_bucket(name, options).await?;
        self.deleted().remove(name);
        Ok(made)
    }

    /// Deletes an empty bucket. It does not come back on its next use.
    ///
    /// # Errors
    /// Those of [`Store::delete_bucket`].
    pub async fn delete(&self, name: &str, preconditions: Preconditions) -> Result<()> {
        self.store.delete_bucket(name, preconditions).await?;
        self.deleted().insert(name.to_owned());
        Ok(())
    }

    /// Opens an object by its location: `gs://BUCKET/OBJECT`, or
    /// `storage.googleapis.com/BUCKET/OBJECT` as Dataflow's clients write it.
    ///
    /// ```
    /// # use dataflume::buckets::Buckets;
    /// # use dataflume_storage::{ObjectId, Result, Store};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<()> {
    /// let buckets = Buckets::new(Store::memory(), true);
    /// buckets.use_bucket("staging").await?;
    /// let id = ObjectId::new("staging", "job/pipeline.pb");
    /// buckets.store().put(&id, "proto", Default::default()).await?;
    /// for location in ["gs://staging/job/pipeline.pb", "storage.googleapis.com/staging/job/pipeline.pb"] {
    ///     assert_eq!(buckets.read(location).await?.bytes().await?, "proto");
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for what is no location, and those of [`Store::get`].
    pub async fn read(&self, location: &str) -> Result<ObjectReader> {
        let id = object_at(location)?;
        self.store.get(&id, ReadOptions::default()).await
    }

    fn deleted(&self) -> std::sync::MutexGuard<'_, HashSet<String>> {
        self.deleted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The object at a location. See [`Buckets::read`] for the forms it may have.
///
/// # Errors
/// [`Error::InvalidArgument`] for what is no location.
pub fn object_at(location: &str) -> Result<ObjectId> {
    let rest = HOST_PREFIXES
        .iter()
        .find_map(|prefix| location.strip_prefix(prefix));
    let id = match rest {
        Some(rest) => ObjectId::from_gs_url(&format!("gs://{rest}")),
        None => ObjectId::from_gs_url(location),
    };
    id.ok_or_else(|| {
        Error::InvalidArgument(format!(
            "{location:?} names no object: gs://BUCKET/OBJECT is wanted"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_of_objects() {
        for location in [
            "gs://b/a/c",
            "storage.googleapis.com/b/a/c",
            "https://storage.googleapis.com/b/a/c",
        ] {
            assert_eq!(object_at(location).unwrap(), ObjectId::new("b", "a/c"));
        }
        for bad in [
            "",
            "gs://b",
            "gs:///a",
            "/tmp/x",
            "storage.googleapis.com/b",
        ] {
            assert!(object_at(bad).is_err(), "{bad:?} was taken");
        }
    }

    #[tokio::test]
    async fn a_deleted_bucket_stays_deleted() {
        let buckets = Buckets::new(Store::memory(), true);
        buckets.use_bucket("once").await.unwrap();
        buckets.store().bucket("once").await.unwrap();
        buckets
            .delete("once", Preconditions::default())
            .await
            .unwrap();
        buckets.use_bucket("once").await.unwrap();
        assert!(buckets.store().bucket("once").await.is_err());
        buckets
            .create("once", BucketOptions::default())
            .await
            .unwrap();
        buckets.store().bucket("once").await.unwrap();
    }

    #[tokio::test]
    async fn nothing_is_made_unless_wanted() {
        let buckets = Buckets::new(Store::memory(), false);
        buckets.use_bucket("never").await.unwrap();
        assert!(buckets.store().bucket("never").await.is_err());
    }
}
