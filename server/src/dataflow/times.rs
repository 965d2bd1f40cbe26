//! Times as the API writes them.

use std::time::SystemTime;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::errors::ApiError;

/// RFC 3339, in UTC.
pub(super) fn text(time: SystemTime) -> String {
    // Fails only for years that no clock shows.
    OffsetDateTime::from(time)
        .format(&Rfc3339)
        .unwrap_or_default()
}

/// Reads a time of a request's parameter.
///
/// # Errors
/// If it is none.
pub(super) fn parse(field: &str, text: &str) -> Result<SystemTime, ApiError> {
    let parsed = OffsetDateTime::parse(text, &Rfc3339);
    parsed.map(Into::into).map_err(|_| {
        ApiError::invalid(format!(
            "Invalid value at '{field}' (type.googleapis.com/google.protobuf.Timestamp), {text:?}"
        ))
    })
}
