//! Encoded data by id, in memory and beyond.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use dataflume_engine::DataId;
use rustc_hash::FxHashMap;

use super::error::DataError;
use super::options::DataOptions;
use super::spill::{SpillSpace, SpilledBlock};

/// Chunks of concatenated elements under [`DataId`]s.
///
/// Chunks come back as they were put: their boundaries are kept, for elements never straddle them.
/// What is put when the memory budget is used up goes to disk at once, in the thread that puts it,
/// so that a producer that is faster than the disk waits for the disk. The newest data is what is
/// read last.
///
/// ```
/// use bytes::Bytes;
/// use dataflume_driver::data::{DataOptions, DataStore};
/// let store = DataStore::open(DataOptions::new(std::env::temp_dir()))?;
/// let id = store.put([Bytes::from_static(b"elements")])?;
/// let chunks: Vec<Bytes> = store.read(id)?.collect::<Result<_, _>>()?;
/// assert_eq!(chunks, ["elements"]);
/// store.release([id]);
/// assert!(store.read(id).is_err());
/// # Ok::<(), dataflume_driver::data::DataError>(())
/// ```
#[derive(Debug)]
pub struct DataStore {
    shared: Arc<Shared>,
    next_id: AtomicU64,
    entries: Mutex<FxHashMap<DataId, Arc<Stored>>>,
}

/// The part of the memory budget that is kept for data that passes.
const PASSING_SHARE: u64 = 2;

#[derive(Debug)]
struct Shared {
    budget_bytes: u64,
    spill: SpillSpace,
    memory_bytes: AtomicU64,
    spilled_bytes: AtomicU64,
    disk_bytes: AtomicU64,
    total_bytes: AtomicU64,
    total_spilled_bytes: AtomicU64,
}

/// What a store holds, and has held.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DataStats {
    /// Ids in use.
    pub ids: u64,
    /// Bytes of chunks in memory.
    pub memory_bytes: u64,
    /// Bytes of chunks on disk, before compression.
    pub spilled_bytes: u64,
    /// Bytes of chunks on disk, as stored.
    pub disk_bytes: u64,
    /// Bytes of all chunks ever put.
    pub total_bytes: u64,
    /// Bytes of all chunks ever spilled, before compression.
    pub total_spilled_bytes: u64,
}

/// The chunks of one id. Shared by the ids that [`DataStore::share`] gave out, and by readers.
#[derive(Debug)]
struct Stored {
    chunks: Vec<Chunk>,
    shared: Arc<Shared>,
}

#[derive(Debug)]
enum Chunk {
    Memory(Bytes),
    Spilled(SpilledBlock),
}

impl DataStore {
    /// An empty store.
    ///
    /// # Errors
    /// If the spill folder is not there.
    pub fn open(options: DataOptions) -> Result<Self, DataError> {
        let spill = SpillSpace::create(&options.spill_dir, options.spill_file_bytes)?;
        let shared = Shared {
            budget_bytes: options.memory_budget_bytes,
            spill,
            memory_bytes: AtomicU64::new(0),
            spilled_bytes: AtomicU64::new(0),
            disk_bytes: AtomicU64::new(0),
            total_bytes: AtomicU64::new(0),
            total_spilled_bytes: AtomicU64::new(0),
        };
        Ok(Self {
            shared: Arc::new(shared),
            next_id: AtomicU64::new(0),
            entries: Mutex::default(),
        })
    }

    /// Stores chunks under a new id.
    ///
    /// # Errors
    /// If the disk can't take what memory can't.
    pub fn put(&self, chunks: impl IntoIterator<Item = Bytes>) -> Result<DataId, DataError> {
        let mut writer = self.writer();
        for chunk in chunks {
            writer.push(chunk)?;
        }
        Ok(self.insert(writer))
    }

    /// Stores chunks one by one; nothing can be read before [`DataStore::insert`].
    pub fn writer(&self) -> DataWriter {
        self.writer_within(self.shared.budget_bytes)
    }

    /// The same, for what is read only when all of it is there: it leaves room for what is read at once.
    pub fn waiting_writer(&self) -> DataWriter {
        let budget_bytes = self.shared.budget_bytes;
        self.writer_within(budget_bytes - budget_bytes / PASSING_SHARE)
    }

    fn writer_within(&self, budget_bytes: u64) -> DataWriter {
        DataWriter {
            budget_bytes,
            stored: Stored {
                chunks: Vec::new(),
                shared: self.shared.clone(),
            },
            bytes: 0,
        }
    }

    /// Makes what was written readable under a new id.
    pub fn insert(&self, writer: DataWriter) -> DataId {
        self.add(Arc::new(writer.stored))
    }

    /// A second id for the same data. The data is there until both are released.
    ///
    /// # Errors
    /// [`DataError::NotFound`].
    pub fn share(&self, id: DataId) -> Result<DataId, DataError> {
        let stored = self.stored(id)?;
        Ok(self.add(stored))
    }

    /// The chunks of an id, one at a time. They can be read to the end even if the id is released
    /// meanwhile.
    ///
    /// # Errors
    /// [`DataError::NotFound`].
    pub fn read(&self, id: DataId) -> Result<Blocks, DataError> {
        Ok(Blocks {
            stored: self.stored(id)?,
            next: 0,
        })
    }

    /// One chunk of an id, counted from 0 in the order they were put.
    ///
    /// # Errors
    /// If there is no such id or chunk, or it can't be read back.
    pub fn chunk(&self, id: DataId, index: usize) -> Result<Bytes, DataError> {
        self.page(id, index).map(|(chunk, _)| chunk)
    }

    /// One chunk of an id, as [`chunk`](Self::chunk), and how many there are.
    ///
    /// # Errors
    /// As [`chunk`](Self::chunk).
    pub fn page(&self, id: DataId, index: usize) -> Result<(Bytes, usize), DataError> {
        let stored = self.stored(id)?;
        let chunk = stored
            .chunks
            .get(index)
            .ok_or(DataError::NoSuchChunk { id, chunk: index })?;
        Ok((chunk.read()?, stored.chunks.len()))
    }

    /// Forgets ids; unknown ones are left alone. Data that no id names any more is dropped.
    pub fn release(&self, ids: impl IntoIterator<Item = DataId>) {
        let mut entries = self.entries();
        let dropped: Vec<Arc<Stored>> = ids
            .into_iter()
            .filter_map(|id| entries.remove(&id))
            .collect();
        drop(entries);
        // Freeing memory and deleting files must not hold up others.
        drop(dropped);
        self.shared.spill.tidy();
    }

    /// What the store holds.
    pub fn stats(&self) -> DataStats {
        let shared = &self.shared;
        DataStats {
            ids: self.entries().len() as u64,
            memory_bytes: shared.memory_bytes.load(Ordering::Relaxed),
            spilled_bytes: shared.spilled_bytes.load(Ordering::Relaxed),
            disk_bytes: shared.disk_bytes.load(Ordering::Relaxed),
            total_bytes: shared.total_bytes.load(Ordering::Relaxed),
            total_spilled_bytes: shared.total_spilled_bytes.load(Ordering::Relaxed),
        }
    }

    fn add(&self, stored: Arc<Stored>) -> DataId {
        let id = DataId(self.next_id.fetch_add(1, Ordering::Relaxed));
        self.entries().insert(id, stored);
        id
    }

    fn stored(&self, id: DataId) -> Result<Arc<Stored>, DataError> {
        self.entries()
            .get(&id)
            .cloned()
            .ok_or(DataError::NotFound(id))
    }

    fn entries(&self) -> MutexGuard<'_, FxHashMap<DataId, Arc<Stored>>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Data being written. Dropped without [`DataStore::insert`], it is gone.
#[derive(Debug)]
pub struct DataWriter {
    stored: Stored,
    /// When memory holds so much, chunks go to disk.
    budget_bytes: u64,
    bytes: u64,
}

impl DataWriter {
    /// Adds a chunk, which must end where an element ends.
    ///
    /// # Errors
    /// If the disk can't take what memory can't.
    pub fn push(&mut self, chunk: Bytes) -> Result<(), DataError> {
        let bytes = chunk.len() as u64;
        let chunk = self.stored.shared.keep(chunk, self.budget_bytes)?;
        self.stored.chunks.push(chunk);
        self.bytes += bytes;
        Ok(())
    }

    /// Adds a chunk that goes to disk whatever room there is in memory.
    ///
    /// # Errors
    /// If the disk can't take it.
    pub fn push_to_disk(&mut self, chunk: Bytes) -> Result<(), DataError> {
        let shared = &self.stored.shared;
        shared
            .total_bytes
            .fetch_add(chunk.len() as u64, Ordering::Relaxed);
        let spilled = shared.spill(&chunk)?;
        self.stored.chunks.push(spilled);
        self.bytes += chunk.len() as u64;
        Ok(())
    }

    /// What was written, to be read by its writer alone.
    pub fn into_blocks(self) -> Blocks {
        Blocks {
            stored: Arc::new(self.stored),
            next: 0,
        }
    }

    /// How many chunks were added.
    pub fn chunks(&self) -> usize {
        self.stored.chunks.len()
    }

    /// How many bytes were added.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl Shared {
    fn keep(&self, chunk: Bytes, budget_bytes: u64) -> Result<Chunk, DataError> {
        let bytes = chunk.len() as u64;
        self.total_bytes.fetch_add(bytes, Ordering::Relaxed);
        let before = self.memory_bytes.fetch_add(bytes, Ordering::Relaxed);
        if before + bytes <= budget_bytes {
            return Ok(Chunk::Memory(chunk));
        }
        self.memory_bytes.fetch_sub(bytes, Ordering::Relaxed);
        self.spill(&chunk)
    }

    fn spill(&self, chunk: &[u8]) -> Result<Chunk, DataError> {
        let bytes = chunk.len() as u64;
        let block = self.spill.write(chunk)?;
        self.spilled_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.total_spilled_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.disk_bytes
            .fetch_add(block.stored_bytes() as u64, Ordering::Relaxed);
        Ok(Chunk::Spilled(block))
    }
}

impl Chunk {
    fn read(&self) -> Result<Bytes, DataError> {
        match self {
            Self::Memory(bytes) => Ok(bytes.clone()),
            Self::Spilled(block) => block.read(),
        }
    }
}

impl Drop for Stored {
    fn drop(&mut self) {
        for chunk in &self.chunks {
            let shared = &self.shared;
            match chunk {
                Chunk::Memory(bytes) => {
                    shared
                        .memory_bytes
                        .fetch_sub(bytes.len() as u64, Ordering::Relaxed);
                }
                Chunk::Spilled(block) => {
                    shared
                        .spilled_bytes
                        .fetch_sub(block.raw_bytes() as u64, Ordering::Relaxed);
                    shared
                        .disk_bytes
                        .fetch_sub(block.stored_bytes() as u64, Ordering::Relaxed);
                }
            }
        }
    }
}

/// The chunks of one id, read as they are asked for.
#[derive(Debug)]
pub struct Blocks {
    stored: Arc<Stored>,
    next: usize,
}

impl Iterator for Blocks {
    type Item = Result<Bytes, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        let chunk = self.stored.chunks.get(self.next)?;
        self.next += 1;
        Some(chunk.read())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(memory_budget_bytes: u64, spill_file_bytes: u64) -> (tempfile::TempDir, DataStore) {
        let folder = tempfile::tempdir().unwrap();
        let store = DataStore::open(DataOptions {
            memory_budget_bytes,
            spill_dir: folder.path().to_owned(),
            spill_file_bytes,
        });
        (folder, store.unwrap())
    }

    fn all(store: &DataStore, id: DataId) -> Vec<Bytes> {
        store.read(id).unwrap().map(Result::unwrap).collect()
    }

    #[test]
    fn a_chunk_in_memory_is_not_copied() {
        let (_folder, store) = store(1024, 1024);
        let chunk = Bytes::from(vec![7; 100]);
        let id = store.put([chunk.clone()]).unwrap();
        assert_eq!(all(&store, id)[0].as_ptr(), chunk.as_ptr());
    }

    #[test]
    fn what_exceeds_the_budget_is_spilled_and_comes_back() {
        let (_folder, store) = store(1000, 1 << 20);
        let chunks: Vec<Bytes> = (0..4u8).map(|n| Bytes::from(vec![n; 400])).collect();
        let id = store.put(chunks.clone()).unwrap();
        let stats = store.stats();
        assert_eq!((stats.memory_bytes, stats.spilled_bytes), (800, 800));
        assert!(stats.disk_bytes < 200, "compressed: {stats:?}");
        assert_eq!(all(&store, id), chunks);
        assert_eq!(store.chunk(id, 3).unwrap(), chunks[3]);
        assert!(matches!(
            store.chunk(id, 4),
            Err(DataError::NoSuchChunk { chunk: 4, .. })
        ));
    }

    #[test]
    fn files_go_with_the_last_of_their_data() {
        let (_folder, store) = store(0, 1);
        let ids: Vec<DataId> = (0..3)
            .map(|n| store.put([Bytes::from(vec![n; 50])]).unwrap())
            .collect();
        assert_eq!(store.shared.spill.file_count(), 3);
        store.release([ids[1]]);
        assert_eq!(store.shared.spill.file_count(), 2);
        store.release([ids[0], ids[2]]);
        assert_eq!(store.shared.spill.file_count(), 0);
        let stats = store.stats();
        assert_eq!(
            (stats.ids, stats.spilled_bytes, stats.disk_bytes),
            (0, 0, 0)
        );
        assert_eq!((stats.total_bytes, stats.total_spilled_bytes), (150, 150));
    }

    #[test]
    fn shared_data_lives_until_all_its_ids_are_released() {
        let (_folder, store) = store(1000, 1000);
        let first = store.put([Bytes::from_static(b"data")]).unwrap();
        let second = store.share(first).unwrap();
        assert_eq!(store.stats().memory_bytes, 4);
        store.release([first]);
        assert!(matches!(store.read(first), Err(DataError::NotFound(id)) if id == first));
        assert_eq!(all(&store, second), ["data"]);
        store.release([second]);
        assert_eq!(store.stats().memory_bytes, 0);
    }

    #[test]
    fn a_reader_outlives_the_release() {
        let (_folder, store) = store(0, 1000);
        let id = store
            .put([Bytes::from_static(b"one"), Bytes::from_static(b"two")])
            .unwrap();
        let mut blocks = store.read(id).unwrap();
        assert_eq!(blocks.next().unwrap().unwrap(), "one");
        store.release([id]);
        assert_eq!(blocks.next().unwrap().unwrap(), "two");
        drop(blocks);
        assert_eq!(store.stats().spilled_bytes, 0);
    }

    #[test]
    fn an_unfinished_writer_leaves_nothing() {
        let (_folder, store) = store(10, 1000);
        let mut writer = store.writer();
        writer.push(Bytes::from_static(b"12345678")).unwrap();
        writer.push(Bytes::from_static(b"12345678")).unwrap();
        assert_eq!((writer.chunks(), writer.bytes()), (2, 16));
        drop(writer);
        let stats = store.stats();
        assert_eq!((stats.memory_bytes, stats.spilled_bytes), (0, 0));
    }

    #[test]
    fn damage_is_an_error_with_the_path() {
        let (_folder, store) = store(0, 1000);
        let id = store.put([Bytes::from(vec![1; 3000])]).unwrap();
        let folder = store.shared.spill.folder().unwrap();
        let path = std::fs::read_dir(&folder)
            .unwrap()
            .next()
            .unwrap()
            .unwrap()
            .path();
        let mut content = std::fs::read(&path).unwrap();
        let middle = content.len() / 2;
        content[middle] ^= 0x55;
        std::fs::write(&path, content).unwrap();
        let error = store
            .read(id)
            .unwrap()
            .next()
            .unwrap()
            .unwrap_err()
            .to_string();
        assert!(error.contains(&path.display().to_string()), "{error}");
    }

    #[test]
    fn a_missing_spill_folder_is_an_error() {
        let options = DataOptions::new("/nonexistent/spill");
        let error = DataStore::open(options).unwrap_err().to_string();
        assert!(error.contains("/nonexistent/spill"), "{error}");
    }
}
