//! What can go wrong with a job's artifacts.

use tonic::{Code, Status};

/// A failure to stage or serve artifacts.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArtifactError {
    /// No prepared job has this staging token.
    #[error("no prepared job has the staging token {0:?}: prepare the job first")]
    UnknownToken(String),
    /// Another prepared job has this staging token.
    #[error("a prepared job has the staging token {0:?} already")]
    TokenInUse(String),
    /// The job was run before its artifacts had arrived.
    #[error(
        "the artifacts of the job with the staging token {0:?} have not been staged: \
         stage them through ReverseArtifactRetrievalService before the job is run"
    )]
    NotStaged(String),
    /// An artifact's staged name would lie outside the worker's folder.
    #[error("the staged name {name:?} is not allowed: {reason}")]
    InvalidName {
        /// The name.
        name: String,
        /// The rule that it breaks.
        reason: &'static str,
    },
    /// An artifact's payload is not what its type says.
    #[error("the payload of an artifact of type or role {urn} is invalid: {reason}")]
    InvalidPayload {
        /// The artifact's type or role.
        urn: String,
        /// What is wrong with it.
        reason: String,
    },
    /// An artifact has a type whose content cannot be had.
    #[error(
        "the artifact {what} has the type {urn}, which the SDK did not resolve to one of \
         FILE, URL, EMBEDDED, PYPI or MAVEN"
    )]
    Unsupported {
        /// The artifact's type.
        urn: String,
        /// Its staged name, or its role.
        what: String,
    },
    /// An artifact that the runner fetches by its URL could not be fetched.
    #[error("{url} could not be fetched: {reason}")]
    Fetch {
        /// Where it should be.
        url: String,
        /// What went wrong.
        reason: String,
    },
    /// The SDK's stream ended or failed before all artifacts had arrived.
    #[error("the SDK broke off the staging of artifacts {while_doing}: {reason}")]
    Interrupted {
        /// What was going on.
        while_doing: String,
        /// What the stream reported.
        reason: String,
    },
    /// The SDK answered something else than it was asked for.
    #[error("the SDK's answer does not fit the request: {0}")]
    Protocol(String),
    /// The bucket refused the content, for instance since its hash is wrong.
    #[error("the artifact {what} could not be staged: {source}")]
    Storage {
        /// Its staged name, or its role.
        what: String,
        /// What the bucket said.
        #[source]
        source: dataflume_storage::Error,
    },
}

impl ArtifactError {
    fn grpc_code(&self) -> Code {
        use dataflume_storage::ErrorCode as Storage;
        match self {
            Self::UnknownToken(_) => Code::NotFound,
            Self::TokenInUse(_) => Code::AlreadyExists,
            Self::NotStaged(_) | Self::Unsupported { .. } | Self::Fetch { .. } => {
                Code::FailedPrecondition
            }
            Self::InvalidName { .. } | Self::InvalidPayload { .. } | Self::Protocol(_) => {
                Code::InvalidArgument
            }
            Self::Interrupted { .. } => Code::Aborted,
            Self::Storage { source, .. } => match source.code() {
                Storage::NotFound => Code::NotFound,
                Storage::ContentMismatch | Storage::Corrupt => Code::DataLoss,
                Storage::InvalidArgument | Storage::InvalidName => Code::InvalidArgument,
                Storage::Interrupted => Code::Aborted,
                _ => Code::Unavailable,
            },
        }
    }
}

impl From<ArtifactError> for Status {
    fn from(error: ArtifactError) -> Self {
        Self::new(error.grpc_code(), error.to_string())
    }
}
