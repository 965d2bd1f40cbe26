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

/// A folder of spill files, made for the first of them. The folder goes with this value, a file with the last of its blocks.
#[derive(Debug)]
pub(crate) struct SpillSpace {
    files: Mutex<Files>,
    file_bytes: u64,
    parent: PathBuf,
}

#[derive(Debug, Default)]
struct Files {
    // Declared, and so dropped, before the folder it is in.
    current: Option<Arc<SpillFile>>,
    folder: Option<tempfile::TempDir>,
    /// So many were made.
    count: u64,
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
    /// In a folder that is there.
    pub(crate) fn create(parent: &Path, file_bytes: u64) -> Result<Self, DataError> {
        std::fs::metadata(parent).map_err(|source| failed("find the folder of", parent, source))?;
        Ok(Self {
            files: Mutex::default(),
            file_bytes: file_bytes.max(1),
            parent: parent.to_owned(),
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
        let mut files = self.files();
        let file = match &files.current {
            Some(file) if file.reserved.load(Ordering::Relaxed) < self.file_bytes => file.clone(),
            _ => {
                let file = Arc::new(files.create(&self.parent)?);
                files.current.insert(file).clone()
            }
        };
        let offset = file.reserved.fetch_add(bytes, Ordering::Relaxed);
        Ok((file, offset))
    }

    /// Lets go of the file being written if none of its blocks is left.
    pub(crate) fn tidy(&self) {
        let current = &mut self.files().current;
        // Only this lock's holder hands out new references, so a count of one stays one.
        if current
            .as_ref()
            .is_some_and(|file| Arc::strong_count(file) == 1)
        {
            *current = None;
        }
    }

    fn files(&self) -> MutexGuard<'_, Files> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(crate) fn file_count(&self) -> usize {
        let folder = self.folder();
        folder.map_or(0, |folder| {
            std::fs::read_dir(folder).map_or(0, Iterator::count)
        })
    }

    #[cfg(test)]
    pub(crate) fn folder(&self) -> Option<PathBuf> {
        let files = self.files();
        files.folder.as_ref().map(|folder| folder.path().to_owned())
    }
}

impl Files {
    fn create(&mut self, parent: &Path) -> Result<SpillFile, DataError> {
        let folder = match &self.folder {
            Some(folder) => folder,
            None => {
                let made = tempfile::Builder::new()
                    .prefix("spill-")
                    .tempdir_in(parent)
                    .map_err(|source| failed("create a folder for", parent, source))?;
                self.folder.insert(made)
            }
        };
        let path = folder.path().join(format!("{:06}.lz4", self.count));
        self.count += 1;
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
