//! What can go wrong with data.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use dataflume_engine::DataId;
use dataflume_model::coder::CoderError;

/// Why data could not be stored, read or understood.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// The disk is full, or failed.
    #[error("could not {action} spill file {}: {source}", path.display())]
    Spill {
        /// What was tried.
        action: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A spilled block does not decompress to what was written.
    #[error("spill file {} is damaged at byte {offset}: {reason}", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// Where the block starts.
        offset: u64,
        /// What the decompressor found.
        reason: String,
    },
    /// The data was released already, or never existed.
    #[error("there is no data {}", .0.0)]
    NotFound(DataId),
    /// The data has fewer chunks.
    #[error("data {} has no chunk {chunk}", id.0)]
    NoSuchChunk {
        /// Of which data.
        id: DataId,
        /// The chunk asked for.
        chunk: usize,
    },
    /// Elements that do not decode with their PCollection's coder.
    #[error("PCollection {pcollection}: malformed element at byte {offset}: {source}")]
    Malformed {
        /// The id of the PCollection in the pipeline.
        pcollection: Arc<str>,
        /// Where the element starts, counted from the first byte that the bundle wrote to it.
        offset: u64,
        /// What the coder found.
        source: CoderError,
    },
    /// Elements beyond what can be grouped.
    #[error(
        "{pcollection}: an element at byte {offset} is longer than 4 GiB, or too many are grouped"
    )]
    TooLong {
        /// The name of the grouping.
        pcollection: Arc<str>,
        /// Where in its chunk the element starts.
        offset: u64,
    },
}
