//! Errors, as Google's JSON APIs tell them.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::json;

use crate::artifacts::ArtifactError;
use crate::jobs::JobError;

/// The canonical codes that this API answers with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// The request can't be right, whatever the state of things.
    InvalidArgument,
    /// The request does not fit the state of things, or what this emulator does.
    FailedPrecondition,
    /// There is no such thing.
    NotFound,
    /// The name is taken.
    AlreadyExists,
    /// The method is not one of this resource.
    MethodNotAllowed,
    /// The body is larger than any body may be.
    TooLarge,
    /// An error in the emulator.
    Internal,
    /// The emulator is about to end.
    Unavailable,
}

/// A request that can't be met.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    /// What kind of error it is.
    pub code: Code,
    /// What is wrong, and what to do.
    pub message: String,
}

impl Code {
    fn http(self) -> StatusCode {
        match self {
            Self::InvalidArgument | Self::FailedPrecondition => StatusCode::BAD_REQUEST,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::AlreadyExists => StatusCode::CONFLICT,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The code of `google.rpc.Code`, and the reason in the older style that some clients read.
    fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::InvalidArgument | Self::TooLarge => ("INVALID_ARGUMENT", "badRequest"),
            Self::FailedPrecondition => ("FAILED_PRECONDITION", "failedPrecondition"),
            Self::NotFound => ("NOT_FOUND", "notFound"),
            Self::AlreadyExists => ("ALREADY_EXISTS", "alreadyExists"),
            Self::MethodNotAllowed => ("UNIMPLEMENTED", "methodNotAllowed"),
            Self::Internal => ("INTERNAL", "internalError"),
            Self::Unavailable => ("UNAVAILABLE", "backendError"),
        }
    }
}

impl ApiError {
    pub(super) fn new(code: Code, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { code, message }
    }

    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::new(Code::InvalidArgument, message)
    }

    pub(super) fn unsupported(message: impl Into<String>) -> Self {
        // Not UNIMPLEMENTED: its HTTP status is one that SDKs retry for a minute.
        Self::new(Code::FailedPrecondition, message)
    }

    /// A job that can't be created, for a reason that the pipeline's author has to know.
    pub(super) fn not_created(code: Code, cause: impl std::fmt::Display) -> Self {
        Self::new(
            code,
            format!("The workflow could not be created. Causes: {cause}"),
        )
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (status, reason) = self.code.names();
        let http = self.code.http();
        let body = json!({"error": {
            "code": http.as_u16(),
            "message": self.message,
            "status": status,
            "errors": [{"message": self.message, "domain": "global", "reason": reason}],
        }});
        (http, Json(body)).into_response()
    }
}

impl From<JobError> for ApiError {
    fn from(error: JobError) -> Self {
        match &error {
            JobError::UnknownJob(id) => Self::new(
                Code::NotFound,
                format!(
                    "Information about job {id} could not be found in our system. Please double \
                     check the id is correct: {error}"
                ),
            ),
            JobError::NameInUse { name, job_id } => Self::not_created(
                Code::AlreadyExists,
                format!(
                    "There is already an active job named {name} (its id is {job_id}). If you want \
                     to submit a second job, try again by setting a different name."
                ),
            ),
            JobError::Refused(_) => Self::not_created(Code::InvalidArgument, &error),
            JobError::ShuttingDown => Self::new(Code::Unavailable, error.to_string()),
            JobError::CheckFailed(_) => Self::new(Code::Internal, error.to_string()),
            // Of preparations, which this API does not have, and of moves that can't be made.
            _ => Self::new(Code::FailedPrecondition, error.to_string()),
        }
    }
}

impl From<ArtifactError> for ApiError {
    fn from(error: ArtifactError) -> Self {
        Self::not_created(Code::InvalidArgument, error)
    }
}
