//! Keyed storage as the engine's operators see it: an ordered map of bytes, read while a bundle
//! runs and written once, as a batch, when the bundle commits.

use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};
use std::sync::{PoisonError, RwLock};

use bytes::Bytes;

/// Why a store could not be read or written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("keyed store: {0}")]
pub struct StoreError(pub String);

/// Changes that become visible together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WriteBatch {
    /// Key to new value; `None` removes.
    pub writes: BTreeMap<Bytes, Option<Bytes>>,
}

impl WriteBatch {
    /// Sets a key.
    pub fn put(&mut self, key: impl Into<Bytes>, value: impl Into<Bytes>) {
        self.writes.insert(key.into(), Some(value.into()));
    }

    /// Removes a key.
    pub fn remove(&mut self, key: impl Into<Bytes>) {
        self.writes.insert(key.into(), None);
    }
}

/// What is called for each entry of a scan.
pub type Visit<'a> = &'a mut dyn FnMut(&[u8], &Bytes) -> ControlFlow<()>;

/// An ordered map of bytes. Synchronous: an implementation that does IO is called from the
/// driver's data threads only.
pub trait Store: Send + Sync {
    /// The value of a key.
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError>;

    /// Visits the entries whose key is `from` or greater and starts with `prefix`, in key order,
    /// until told to stop.
    fn scan(&self, prefix: &[u8], from: &[u8], visit: Visit<'_>) -> Result<(), StoreError>;

    /// Applies a batch: all of it or, with an error, none.
    fn commit(&self, batch: WriteBatch) -> Result<(), StoreError>;
}

/// A store that lives as long as the process.
///
/// ```
/// use dataflume_engine::store::{MemoryStore, Store, WriteBatch};
/// let store = MemoryStore::default();
/// let mut batch = WriteBatch::default();
/// batch.put("a", "1");
/// store.commit(batch)?;
/// assert_eq!(store.get(b"a")?.as_deref(), Some(&b"1"[..]));
/// # Ok::<(), dataflume_engine::store::StoreError>(())
/// ```
#[derive(Debug, Default)]
pub struct MemoryStore {
    entries: RwLock<BTreeMap<Bytes, Bytes>>,
}

impl Store for MemoryStore {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        Ok(entries.get(key).cloned())
    }

    fn scan(&self, prefix: &[u8], from: &[u8], visit: Visit<'_>) -> Result<(), StoreError> {
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        let start = if from > prefix { from } else { prefix };
        for (key, value) in entries.range::<[u8], _>((Bound::Included(start), Bound::Unbounded)) {
            if !key.starts_with(prefix) || visit(key, value).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn commit(&self, batch: WriteBatch) -> Result<(), StoreError> {
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        for (key, value) in batch.writes {
            match value {
                Some(value) => entries.insert(key, value),
                None => entries.remove(&key),
            };
        }
        Ok(())
    }
}
