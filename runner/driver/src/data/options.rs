//! How much memory the data side may use, and where it goes beyond that.

use std::path::PathBuf;

/// Limits of a [`DataStore`](super::DataStore).
#[derive(Debug, Clone)]
pub struct DataOptions {
    /// Chunks are kept in memory up to this many bytes in total; 0 spills everything.
    pub memory_budget_bytes: u64,
    /// Where a folder for this store's spill files is made. It must exist.
    pub spill_dir: PathBuf,
    /// A spill file is closed for writing when it has grown to this size. Smaller files give disk
    /// space back sooner: a file goes when none of its data is needed.
    pub spill_file_bytes: u64,
}

impl DataOptions {
    /// 512 MiB of memory, spill files of 128 MiB.
    pub fn new(spill_dir: impl Into<PathBuf>) -> Self {
        Self {
            memory_budget_bytes: 512 << 20,
            spill_dir: spill_dir.into(),
            spill_file_bytes: 128 << 20,
        }
    }
}
