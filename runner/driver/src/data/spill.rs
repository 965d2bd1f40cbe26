//! Append-only files of compressed blocks.

use std::cell::RefCell;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use lz4_flex::block::{compress, decompress};

use super::error::DataError;

thread_local! {
    /// What was last read, as stored: kept, so that not every block needs memory of its own for it.
    static STORED: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// A folder of spill files. The folder goes with this value, a file with the last of its blocks.
#[derive(Debug)]
pub(crate) struct SpillSpace {
    // Declared, and so dropped, before the folder it is in.
    current: Mutex<Option<Arc<SpillFile>>>,
    next_file: AtomicU64,
    file_bytes: u64,
    folder: tempfile::TempDir,
}

/// Where a block is. Keeps its file alive.
#[derive(Debug, Clone)]
pub(crate) struct SpilledBlock {
    file: Arc<SpillFile>,
    offset: u64,
    stored_bytes: usize,
    raw_bytes: usize,
    /// Of what is stored: a disk that lies is found out.
    crc32c: u32,
}

#[derive(Debug)]
struct SpillFile {
    path: PathBuf,
    file: File,
    /// Space given out to blocks so far.
    reserved: AtomicU64,
}

impl Drop for SpillFile {
    fn drop(&mut self) {
        // The folder is removed as a whole in the end: a file that stays until then only costs space.
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "could not remove a spill file");
        }
    }
}

impl SpillSpace {
    pub(crate) fn create(parent: &Path, file_bytes: u64) -> Result<Self, DataError> {
        let folder = tempfile::Builder::new()
            .prefix("spill-")
            .tempdir_in(parent)
            .map_err(|source| failed("create a folder for", parent, source))?;
        Ok(Self {
            folder,
            file_bytes: file_bytes.max(1),
            next_file: AtomicU64::new(0),
            current: Mutex::new(None),
        })
    }

    /// Appends a block. Writers share the file, but not the time it takes to compress and write.
    pub(crate) fn write(&self, raw: &[u8]) -> Result<SpilledBlock, DataError> {
        let stored = compress(raw);
        let (file, offset) = self.reserve(stored.len() as u64)?;
        file.file
            .write_all_at(&stored, offset)
            .map_err(|source| failed("write to", &file.path, source))?;
        Ok(SpilledBlock {
            file,
            offset,
            stored_bytes: stored.len(),
            raw_bytes: raw.len(),
            crc32c: crc32c::crc32c(&stored),
        })
    }

    fn reserve(&self, bytes: u64) -> Result<(Arc<SpillFile>, u64), DataError> {
        let mut current = self.current();
        let file = match current.as_ref() {
            Some(file) if file.reserved.load(Ordering::Relaxed) < self.file_bytes => file.clone(),
            _ => current.insert(Arc::new(self.create_file()?)).clone(),
        };
        let offset = file.reserved.fetch_add(bytes, Ordering::Relaxed);
        Ok((file, offset))
    }

    fn create_file(&self) -> Result<SpillFile, DataError> {
        let number = self.next_file.fetch_add(1, Ordering::Relaxed);
        let path = self.folder.path().join(format!("{number:06}.lz4"));
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path)
            .map_err(|source| failed("create", &path, source))?;
        Ok(SpillFile {
            path,
            file,
            reserved: AtomicU64::new(0),
        })
    }

    /// Lets go of the file being written if none of its blocks is left.
    pub(crate) fn tidy(&self) {
        let mut current = self.current();
        // Only this lock's holder hands out new references, so a count of one stays one.
        if current
            .as_ref()
            .is_some_and(|file| Arc::strong_count(file) == 1)
        {
            *current = None;
        }
    }

    fn current(&self) -> MutexGuard<'_, Option<Arc<SpillFile>>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(crate) fn files(&self) -> usize {
        std::fs::read_dir(self.folder.path()).map_or(0, Iterator::count)
    }

    #[cfg(test)]
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }
}

impl SpilledBlock {
    pub(crate) fn raw_bytes(&self) -> usize {
        self.raw_bytes
    }

    pub(crate) fn stored_bytes(&self) -> usize {
        self.stored_bytes
    }

    pub(crate) fn read(&self) -> Result<Bytes, DataError> {
        STORED.with_borrow_mut(|stored| {
            stored.resize(self.stored_bytes, 0);
            self.decompress(stored)
        })
    }

    /// Reads what is stored into a buffer of just that length.
    fn decompress(&self, stored: &mut [u8]) -> Result<Bytes, DataError> {
        self.file
            .file
            .read_exact_at(stored, self.offset)
            .map_err(|source| failed("read from", &self.file.path, source))?;
        if crc32c::crc32c(stored) != self.crc32c {
            return Err(self.damaged("its checksum is another".to_owned()));
        }
        let raw =
            decompress(stored, self.raw_bytes).map_err(|error| self.damaged(error.to_string()))?;
        if raw.len() != self.raw_bytes {
            return Err(self.damaged(format!(
                "{} bytes were written, {} came back",
                self.raw_bytes,
                raw.len()
            )));
        }
        Ok(raw.into())
    }

    fn damaged(&self, reason: String) -> DataError {
        DataError::Damaged {
            path: self.file.path.clone(),
            offset: self.offset,
            reason,
        }
    }
}

fn failed(action: &'static str, path: &Path, source: io::Error) -> DataError {
    DataError::Spill {
        action,
        path: path.to_owned(),
        source,
    }
}
