//! Errors as Cloud Storage tells them.

use axum::Json;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use dataflume_storage::Error;
use http::header::CONTENT_TYPE;
use http::{Method, StatusCode};
use serde_json::json;
use tracing::{debug, error};

/// The status of a request whose effect the client itself gave up.
const CLIENT_CLOSED_REQUEST: u16 = 499;

/// Why a request was refused, or failed.
#[derive(Debug)]
pub(super) struct ApiError {
    pub(super) status: StatusCode,
    /// Google's word for it, for programs.
    pub(super) reason: &'static str,
    pub(super) message: String,
    /// Which parameter or header is to blame: its kind and its name.
    pub(super) location: Option<(&'static str, String)>,
}

impl ApiError {
    pub(super) fn new(
        status: StatusCode,
        reason: &'static str,
        message: impl Into<String>,
    ) -> Self {
        Self {
            status,
            reason,
            message: message.into(),
            location: None,
        }
    }

    fn at(mut self, kind: &'static str, name: impl Into<String>) -> Self {
        self.location = Some((kind, name.into()));
        self
    }

    /// A request that makes no sense.
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid", message)
    }

    /// A body that is not what it should be.
    pub(super) fn parse(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "parseError", message)
    }

    pub(super) fn invalid_parameter(name: &str, value: &str) -> Self {
        let shown: String = value.chars().take(80).collect();
        Self::new(
            StatusCode::BAD_REQUEST,
            "invalidParameter",
            format!("Invalid value for parameter {name}: {shown:?}"),
        )
        .at("parameter", name)
    }

    pub(super) fn required(name: &str) -> Self {
        let message = format!("Required parameter: {name}");
        Self::new(StatusCode::BAD_REQUEST, "required", message).at("parameter", name)
    }

    pub(super) fn no_such_path(path: &str) -> Self {
        let message = format!("Cloud Storage's API has nothing at {path}");
        Self::new(StatusCode::NOT_FOUND, "notFound", message)
    }

    pub(super) fn no_such_method(method: &Method) -> Self {
        let message = format!("{method} is not allowed here");
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "methodNotAllowed", message)
    }

    pub(super) fn too_large(message: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "uploadTooLarge", message)
    }

    /// What a client hears that has cancelled its upload.
    pub(super) fn cancelled() -> Self {
        let status = StatusCode::from_u16(CLIENT_CLOSED_REQUEST).unwrap_or(StatusCode::BAD_REQUEST);
        Self::new(status, "cancelled", "The upload was cancelled.")
    }

    fn not_found(message: String) -> Self {
        Self::new(StatusCode::NOT_FOUND, "notFound", message)
    }

    fn unavailable(error: &Error) -> Self {
        error!(%error, "storage failed");
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "backendError",
            error.to_string(),
        )
    }

    /// A read found that the client has this version already: an answer without a body.
    pub(super) fn is_not_modified(&self) -> bool {
        self.status == StatusCode::NOT_MODIFIED
    }

    /// The error of a read, where a `NotMatch` condition that fails says that nothing changed.
    pub(super) fn of_read(error: Error) -> Self {
        if error.is_not_modified() {
            Self::new(StatusCode::NOT_MODIFIED, "notModified", "Not Modified")
        } else {
            error.into()
        }
    }

    /// As the JSON API says it in place of content: in plain words.
    pub(super) fn into_text_response(self) -> Response {
        if self.is_not_modified() {
            return self.status.into_response();
        }
        let content_type = [(CONTENT_TYPE, "text/html; charset=UTF-8")];
        (self.status, content_type, self.message).into_response()
    }
}

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        let precondition = "At least one of the pre-conditions you specified did not hold.";
        match error {
            Error::BucketNotFound { .. } => {
                Self::not_found("The specified bucket does not exist.".to_owned())
            }
            Error::ObjectNotFound { bucket, name } => {
                Self::not_found(format!("No such object: {bucket}/{name}"))
            }
            Error::UploadNotFound { id } => {
                Self::not_found(format!("No resumable upload {id} is in progress."))
            }
            Error::BucketExists { .. } => Self::new(
                StatusCode::CONFLICT,
                "conflict",
                "Your previous request to create the named bucket succeeded and you already own it.",
            ),
            Error::BucketNotEmpty { .. } => Self::new(
                StatusCode::CONFLICT,
                "conflict",
                "The bucket you tried to delete is not empty.",
            ),
            Error::PreconditionFailed { condition, .. } => {
                debug!(%error, "precondition");
                let failed = StatusCode::PRECONDITION_FAILED;
                Self::new(failed, "conditionNotMet", precondition).at("header", header(condition))
            }
            Error::ContentMismatch {
                what,
                expected,
                actual,
            } => Self::invalid(mismatch(what, &expected, &actual)),
            Error::RangeNotSatisfiable { .. } => Self::new(
                StatusCode::RANGE_NOT_SATISFIABLE,
                "requestedRangeNotSatisfiable",
                "Request range not satisfiable",
            ),
            Error::UploadOffset { received, reason } => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "backendError",
                format!(
                    "Invalid request. According to the Content-Range header, {reason}; \
                     {received} byte(s) have been uploaded already."
                ),
            ),
            Error::InvalidName { .. }
            | Error::InvalidArgument(_)
            | Error::InvalidLocation { .. }
            | Error::Interrupted { .. } => Self::invalid(error.to_string()),
            other => Self::unavailable(&other),
        }
    }
}

/// Clients look at this rarely, but the service names the header of HTTP that means the same.
fn header(condition: &str) -> &'static str {
    if condition.ends_with("NotMatch") {
        "If-None-Match"
    } else {
        "If-Match"
    }
}

fn mismatch(what: &str, expected: &str, actual: &str) -> String {
    let base64 = |digits: &str| hex::decode(digits).map_or(digits.to_owned(), |b| BASE64.encode(b));
    let (expected, actual) = match what {
        "size" => (expected.to_owned(), actual.to_owned()),
        _ => (base64(expected), base64(actual)),
    };
    let what = match what {
        "md5" => "MD5 hash".to_owned(),
        other => other.to_uppercase(),
    };
    format!("Provided {what} \"{expected}\" doesn't match calculated {what} \"{actual}\".")
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        if self.is_not_modified() {
            return self.status.into_response();
        }
        let mut detail = json!({
            "message": self.message,
            "domain": "global",
            "reason": self.reason,
        });
        if let Some((kind, name)) = &self.location {
            detail["locationType"] = json!(kind);
            detail["location"] = json!(name);
        }
        let body = json!({"error": {
            "code": self.status.as_u16(),
            "message": self.message,
            "errors": [detail],
        }});
        (self.status, Json(body)).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mismatch_is_told_in_base64() {
        let error = ApiError::from(Error::ContentMismatch {
            what: "crc32c",
            expected: "00000001".to_owned(),
            actual: "e3069283".to_owned(),
        });
        assert_eq!(error.status, StatusCode::BAD_REQUEST);
        assert_eq!(
            error.message,
            "Provided CRC32C \"AAAAAQ==\" doesn't match calculated CRC32C \"4waSgw==\"."
        );
    }
}
