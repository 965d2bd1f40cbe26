//! Locks by name: who changes what, one at a time.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::{
    Mutex as AsyncMutex, OwnedMutexGuard, OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock,
};

use crate::metadata::ObjectId;

/// Entries a table may hold before the ones nobody uses are dropped.
const PRUNE_AT: usize = 64;

/// The locks of one store. A change of an object shares its bucket's lock and holds its own.
#[derive(Default)]
pub(crate) struct Locks {
    buckets: Table<String, RwLock<()>>,
    objects: Table<ObjectId, AsyncMutex<()>>,
}

/// The right to change one object.
pub(crate) struct ObjectGuard {
    _object: OwnedMutexGuard<()>,
    _bucket: OwnedRwLockReadGuard<()>,
}

/// The right to change two objects.
pub(crate) struct ObjectsGuard {
    _objects: Vec<OwnedMutexGuard<()>>,
    _buckets: Vec<OwnedRwLockReadGuard<()>>,
}

impl Locks {
    /// Waits until no one else changes the object or its bucket.
    pub(crate) async fn object(&self, id: &ObjectId) -> ObjectGuard {
        let bucket = self.buckets.entry(&id.bucket).read_owned().await;
        let object = self.objects.entry(id).lock_owned().await;
        ObjectGuard {
            _object: object,
            _bucket: bucket,
        }
    }

    /// Waits until no one else changes either object or its bucket. Two that want the same objects
    /// never wait for each other.
    pub(crate) async fn objects(&self, one: &ObjectId, other: &ObjectId) -> ObjectsGuard {
        let (first, second) = if one < other {
            (one, other)
        } else {
            (other, one)
        };
        // A bucket's lock is asked for once: a second time could be behind somebody who waits for the first.
        let mut buckets = vec![self.buckets.entry(&first.bucket).read_owned().await];
        if second.bucket != first.bucket {
            buckets.push(self.buckets.entry(&second.bucket).read_owned().await);
        }
        let mut objects = vec![self.objects.entry(first).lock_owned().await];
        if second != first {
            objects.push(self.objects.entry(second).lock_owned().await);
        }
        ObjectsGuard {
            _objects: objects,
            _buckets: buckets,
        }
    }

    /// Waits until no one else changes the bucket or anything in it.
    pub(crate) async fn bucket(&self, name: &str) -> OwnedRwLockWriteGuard<()> {
        self.buckets.entry(&name.to_owned()).write_owned().await
    }
}

/// Locks by key, made when they are asked for and forgotten when nobody holds them.
pub(crate) struct Table<K, L> {
    entries: Mutex<(HashMap<K, Weak<L>>, usize)>,
}

impl<K, L> Default for Table<K, L> {
    fn default() -> Self {
        Self {
            entries: Mutex::new((HashMap::new(), PRUNE_AT)),
        }
    }
}

impl<K: Clone + Eq + Hash, L: Default> Table<K, L> {
    pub(crate) fn entry(&self, key: &K) -> Arc<L> {
        let mut table = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let (entries, prune_at) = &mut *table;
        if let Some(lock) = entries.get(key).and_then(Weak::upgrade) {
            return lock;
        }
        if entries.len() >= *prune_at {
            entries.retain(|_, lock| lock.strong_count() > 0);
            *prune_at = PRUNE_AT.max(2 * entries.len());
        }
        let lock = Arc::new(L::default());
        entries.insert(key.clone(), Arc::downgrade(&lock));
        lock
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unused_locks_are_forgotten() {
        let table = Table::<String, RwLock<()>>::default();
        let kept = table.entry(&"kept".to_owned());
        for index in 0..10 * PRUNE_AT {
            table.entry(&index.to_string());
        }
        assert!(table.entries.lock().unwrap().0.len() <= 2 * PRUNE_AT);
        assert!(Arc::ptr_eq(&kept, &table.entry(&"kept".to_owned())));
    }
}
