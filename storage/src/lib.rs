//! The bucket: Cloud Storage semantics over an object store, and content-addressed staging.
//!
//! [`Store`] keeps buckets and objects as Cloud Storage does: generations, metagenerations,
//! preconditions, checksums, listing by prefix and delimiter, copy, compose. [`Uploads`] is the
//! state machine of resumable uploads. [`Staging`] stores content once by its SHA-256, whoever
//! brings it. Where the bytes rest is any `object_store` backend, chosen by URL: a local folder,
//! memory, `gs://`, `s3://` or `az://`.
//!
//! What it is not: it knows no pipeline, no job and no HTTP. Of what buckets carry, it interprets their
//! name and whether they keep versions, no life cycle rules or access lists; and it does not coordinate several processes: one process owns a root at a time.
//!
//! Start at [`Store::open`], then [`Store::put`] and [`Store::get`]. How things are laid out on a
//! backend, and why an interrupted write is never seen, is told in [`layout`].

pub mod error;
mod hash;
pub mod layout;
mod location;
pub mod metadata;
pub mod names;
pub mod rewrite;
mod sessions;
pub mod staging;
pub mod store;
pub mod upload;

pub use error::{Error, ErrorCode, Result};
pub use metadata::{
    BucketMetadata, ContentAttributes, Crc32c, Md5, ObjectId, ObjectMetadata, Preconditions,
    Timestamp,
};
pub use rewrite::{RewriteId, RewriteStatus, Rewrites};
pub use staging::{Sha256, StagedArtifact, Staging, StagingSession, StagingWriter};
pub use store::{
    AttributesPatch, BucketOptions, ByteRange, ComposeSource, CopyOptions, ExpectedContent,
    ListPage, ListRequest, ObjectReader, ObjectWriter, PutOptions, ReadOptions, Store, SweepReport,
};
pub use upload::{Chunk, UploadId, UploadStatus, Uploads};
