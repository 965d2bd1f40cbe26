//! Why a server could not start.

use std::io;
use std::path::PathBuf;

use crate::buckets::{ExportError, SeedError};
use crate::http::BindError;

/// Why a server could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// The port can't be had.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// Another server uses the data folder.
    #[error(
        "the data folder {folder} is in use by another dataflume{process}: end it, or choose \
         another folder with --data-dir, or keep nothing with --ephemeral"
    )]
    DataInUse {
        /// The folder.
        folder: PathBuf,
        /// Which process, if that is known.
        process: String,
    },
    /// The data folder can't be used.
    #[error("the data folder {folder} can't be used: {source}")]
    Data {
        /// The folder.
        folder: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The buckets can't be filled from the folder.
    #[error("the buckets can't be filled: {0}")]
    Seed(#[from] SeedError),
    /// The folder to which buckets are to be written can't be made.
    #[error("buckets could not be exported: {0}")]
    Export(#[from] ExportError),
    /// The bucket can't be opened.
    #[error("the bucket at {location} can't be opened: {source}")]
    Bucket {
        /// Where it is.
        location: String,
        /// What the storage said.
        source: dataflume_storage::Error,
    },
}
