//! What can go wrong, in Cloud Storage's terms.

use std::fmt;

/// The result of every operation of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The cause of a failure that lies outside this crate.
pub type Source = Box<dyn std::error::Error + Send + Sync + 'static>;

/// A failed storage operation. Nothing that readers can see changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The bucket does not exist.
    #[error("the bucket {bucket:?} does not exist")]
    BucketNotFound {
        /// The bucket asked for.
        bucket: String,
    },
    /// The object, or the generation of it that was asked for, does not exist.
    #[error("no such object: {bucket}/{name}")]
    ObjectNotFound {
        /// Its bucket.
        bucket: String,
        /// Its name.
        name: String,
    },
    /// The resumable upload was never begun, was cancelled or has failed.
    #[error("no resumable upload {id:?} is in progress")]
    UploadNotFound {
        /// The upload asked for.
        id: String,
    },
    /// The bucket exists already.
    #[error("the bucket {bucket:?} exists already")]
    BucketExists {
        /// The bucket that was to be made.
        bucket: String,
    },
    /// Only an empty bucket can be deleted.
    #[error("the bucket {bucket:?} is not empty")]
    BucketNotEmpty {
        /// The bucket that was to be deleted.
        bucket: String,
    },
    /// A precondition of the request does not hold.
    #[error("the precondition {condition} = {expected} does not hold: the value is {actual}")]
    PreconditionFailed {
        /// The condition as Cloud Storage spells it, for instance `ifGenerationMatch`.
        condition: &'static str,
        /// The value that the request gave.
        expected: i64,
        /// The value that the object has; 0 if there is none.
        actual: i64,
    },
    /// A bucket or object name that Cloud Storage does not allow.
    #[error("{name:?} is not a valid {kind} name: {reason}")]
    InvalidName {
        /// `"bucket"` or `"object"`.
        kind: &'static str,
        /// The name, shortened if it is too long.
        name: String,
        /// The rule that it breaks.
        reason: &'static str,
    },
    /// A request that makes no sense whatever the state of the bucket.
    #[error("{0}")]
    InvalidArgument(String),
    /// The content that arrived is not the content that was announced.
    #[error("the content's {what} is {actual}, but {expected} was announced")]
    ContentMismatch {
        /// `"crc32c"`, `"md5"`, `"sha256"` or `"size"`.
        what: &'static str,
        /// The announced value.
        expected: String,
        /// The value computed while the content was read.
        actual: String,
    },
    /// The byte range starts behind the object's end.
    #[error("the requested range does not overlap the object's {size} bytes")]
    RangeNotSatisfiable {
        /// The object's size in bytes.
        size: u64,
    },
    /// A chunk of a resumable upload would leave a gap, or contradicts what the upload knows.
    #[error("the chunk does not continue the upload, which has {received} bytes: {reason}")]
    UploadOffset {
        /// The bytes received so far: the next chunk starts here.
        received: u64,
        /// What is wrong with the chunk.
        reason: String,
    },
    /// The sender's stream broke before its end.
    #[error("the content's stream broke off after {received} bytes: {source}")]
    Interrupted {
        /// The bytes received before it broke.
        received: u64,
        /// What the stream reported.
        source: Source,
    },
    /// The backend holds something that this crate did not write.
    #[error("the storage holds a damaged entry at {path:?}: {reason}")]
    Corrupt {
        /// The path on the backend.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The storage location cannot be understood.
    #[error("{location:?} is no storage location: {reason}")]
    InvalidLocation {
        /// The path or URL as given.
        location: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The backend failed: disk full, no permission, no network.
    #[error("the storage backend failed: {0}")]
    Backend(#[source] Source),
}

/// The stable code of an [`Error`]: what an API adapter maps to its own statuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorCode {
    /// HTTP 404, gRPC `NOT_FOUND`.
    NotFound,
    /// HTTP 409, gRPC `ALREADY_EXISTS`.
    AlreadyExists,
    /// HTTP 409, gRPC `FAILED_PRECONDITION`: the resource is in a state that forbids it.
    Conflict,
    /// HTTP 412, gRPC `FAILED_PRECONDITION`.
    PreconditionFailed,
    /// HTTP 400, gRPC `INVALID_ARGUMENT`.
    InvalidName,
    /// HTTP 400, gRPC `INVALID_ARGUMENT`.
    InvalidArgument,
    /// HTTP 400, gRPC `DATA_LOSS`.
    ContentMismatch,
    /// HTTP 416, gRPC `OUT_OF_RANGE`.
    OutOfRange,
    /// HTTP 400 or none at all: the client has gone. gRPC `ABORTED`.
    Interrupted,
    /// HTTP 500, gRPC `DATA_LOSS`.
    Corrupt,
    /// HTTP 503, gRPC `UNAVAILABLE`.
    Unavailable,
}

impl ErrorCode {
    /// The code as text, never changed once published.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotFound => "storage/not-found",
            Self::AlreadyExists => "storage/already-exists",
            Self::Conflict => "storage/conflict",
            Self::PreconditionFailed => "storage/precondition-failed",
            Self::InvalidName => "storage/invalid-name",
            Self::InvalidArgument => "storage/invalid-argument",
            Self::ContentMismatch => "storage/content-mismatch",
            Self::OutOfRange => "storage/out-of-range",
            Self::Interrupted => "storage/interrupted",
            Self::Corrupt => "storage/corrupt",
            Self::Unavailable => "storage/unavailable",
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Error {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::BucketNotFound { .. }
            | Self::ObjectNotFound { .. }
            | Self::UploadNotFound { .. } => ErrorCode::NotFound,
            Self::BucketExists { .. } => ErrorCode::AlreadyExists,
            Self::BucketNotEmpty { .. } => ErrorCode::Conflict,
            Self::PreconditionFailed { .. } => ErrorCode::PreconditionFailed,
            Self::InvalidName { .. } => ErrorCode::InvalidName,
            Self::InvalidArgument(_) | Self::InvalidLocation { .. } => ErrorCode::InvalidArgument,
            Self::ContentMismatch { .. } => ErrorCode::ContentMismatch,
            Self::RangeNotSatisfiable { .. } | Self::UploadOffset { .. } => ErrorCode::OutOfRange,
            Self::Interrupted { .. } => ErrorCode::Interrupted,
            Self::Corrupt { .. } => ErrorCode::Corrupt,
            Self::Backend(_) => ErrorCode::Unavailable,
        }
    }

    /// Whether a read failed because the object is still the one that the reader has
    /// (`ifGenerationNotMatch`, `ifMetagenerationNotMatch`): HTTP answers 304 instead of 412.
    #[must_use]
    pub fn is_not_modified(&self) -> bool {
        matches!(self, Self::PreconditionFailed { condition, .. } if condition.ends_with("NotMatch"))
    }

    pub(crate) fn object_not_found(bucket: &str, name: &str) -> Self {
        Self::ObjectNotFound {
            bucket: bucket.to_owned(),
            name: name.to_owned(),
        }
    }

    pub(crate) fn backend(source: impl Into<Source>) -> Self {
        Self::Backend(source.into())
    }
}

impl From<object_store::Error> for Error {
    fn from(error: object_store::Error) -> Self {
        Self::backend(error)
    }
}
