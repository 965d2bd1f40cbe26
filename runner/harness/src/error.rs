//! What can go wrong between the runner and an SDK harness.

use thiserror::Error;

/// Why a bundle has no result.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
pub enum BundleError {
    /// The SDK harness reported an error: the user's code or the SDK failed. The text is the
    /// SDK's own, usually a stack trace.
    #[error("the SDK harness failed the bundle: {0}")]
    Sdk(String),
    /// The worker went away while the bundle was in flight. Not the fault of the bundle's code.
    #[error("the worker was lost: {0}")]
    WorkerLost(String),
    /// The harness said something the Fn API does not allow.
    #[error("the SDK harness broke the Fn API: {0}")]
    Protocol(String),
    /// The runner gave the bundle up: [`abort`](crate::bundle::BundleHandle::abort) was called, or
    /// its outputs or handles were dropped before it was finished.
    #[error("the bundle was aborted by the runner")]
    Aborted,
    /// The request itself was wrong: nothing was sent to the harness.
    #[error("the bundle cannot be started: {0}")]
    Refused(String),
}

/// Why an instruction other than a bundle has no response.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
pub enum WorkerError {
    /// The SDK harness answered with an error.
    #[error("the SDK harness refused the instruction: {0}")]
    Sdk(String),
    /// The worker went away, or never came.
    #[error("the worker was lost: {0}")]
    Lost(String),
    /// The harness said something the Fn API does not allow.
    #[error("the SDK harness broke the Fn API: {0}")]
    Protocol(String),
    /// The worker has not opened the stream that this needs.
    #[error("the worker has no {0} stream open")]
    NotConnected(&'static str),
    /// The worker id is already registered.
    #[error("a worker with id {0:?} is already registered")]
    DuplicateWorker(String),
    /// The descriptor can't be registered.
    #[error("process bundle descriptor {id:?} is invalid: {reason}")]
    InvalidDescriptor {
        /// The descriptor's id.
        id: String,
        /// What is wrong with it.
        reason: String,
    },
    /// No endpoint is known that the worker could be told to connect to.
    #[error("the Fn API's endpoint is not known yet: set it before workers are expected")]
    NoEndpoint,
}

impl From<WorkerError> for BundleError {
    fn from(error: WorkerError) -> Self {
        match error {
            WorkerError::Sdk(text) => Self::Sdk(text),
            WorkerError::Lost(reason) => Self::WorkerLost(reason),
            WorkerError::Protocol(text) => Self::Protocol(text),
            other => Self::Refused(other.to_string()),
        }
    }
}
