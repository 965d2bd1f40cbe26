//! Answers that are JSON.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, ETAG};
use http::{HeaderValue, StatusCode};
use serde_json::Value;

use super::call::Call;
use super::errors::ApiError;
use crate::http::Fields;

/// A resource, or as much of it as the request asks for.
pub(super) fn json(call: &Call, resource: Value) -> Result<Response, ApiError> {
    let etag = resource["etag"].as_str().map(HeaderValue::from_str);
    let shown = match call.query.get("fields").filter(|fields| !fields.is_empty()) {
        Some(fields) => match Fields::parse(fields) {
            Some(fields) => fields.select(resource),
            None => return Err(ApiError::invalid_parameter("fields", fields)),
        },
        None => resource,
    };
    let mut response = Json(shown).into_response();
    let headers = response.headers_mut();
    if let Some(Ok(etag)) = etag {
        headers.insert(ETAG, etag);
    }
    // Whoever asks again wants to see what has changed.
    let not_kept = HeaderValue::from_static("no-cache, no-store, max-age=0, must-revalidate");
    headers.insert(CACHE_CONTROL, not_kept);
    Ok(response)
}

/// Done, and nothing to tell.
pub(super) fn nothing() -> Response {
    StatusCode::NO_CONTENT.into_response()
}
