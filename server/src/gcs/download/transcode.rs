//! Decompressing on the way out: an object that is stored compressed goes as it is to a client that
//! takes that, and decompressed to all others.

use std::io;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use dataflume_storage::{ObjectMetadata, ObjectReader};
use futures::StreamExt;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, WARNING};
use http::{HeaderValue, Method};

use super::headers;
use crate::gcs::body;
use crate::gcs::call::Call;

/// Whether this client gets this object decompressed.
pub(super) fn is_wanted(call: &Call, object: &ObjectMetadata) -> bool {
    let attributes = &object.attributes;
    let is_compressed = attributes.content_encoding.as_deref() == Some("gzip");
    let must_stay = attributes.cache_control.as_deref();
    let must_stay = must_stay.is_some_and(|control| control.contains("no-transform"));
    is_compressed && !must_stay && !accepts_gzip(call.header(ACCEPT_ENCODING).unwrap_or_default())
}

fn accepts_gzip(accepted: &str) -> bool {
    accepted.split(',').any(|coding| {
        let (name, parameters) = coding.split_once(';').unwrap_or((coding, ""));
        let refused = matches!(parameters.trim(), "q=0" | "q=0.0" | "q=0.00" | "q=0.000");
        name.trim().eq_ignore_ascii_case("gzip") && !refused
    })
}

/// All of the content, decompressed: a range of it is not to be had, and its length not known.
pub(super) fn respond(call: &Call, reader: ObjectReader) -> Response {
    let object = reader.metadata().clone();
    let body = match call.method {
        Method::HEAD => Body::empty(),
        _ => {
            let stored = reader.into_stream();
            let stored = stored.map(|piece| piece.map_err(io::Error::other));
            Body::from_stream(body::gunzip(stored))
        }
    };
    let mut response = body.into_response();
    let headers = response.headers_mut();
    headers::describe(&object, headers);
    headers.remove(CONTENT_ENCODING);
    let warning = HeaderValue::from_static("214 UploadServer gunzipped");
    headers.insert(WARNING, warning);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_clients_accept() {
        for (accepted, expected) in [
            ("gzip", true),
            ("deflate, GZIP;q=0.5", true),
            ("gzip, deflate", true),
            ("gzip;q=0", false),
            ("identity", false),
            ("xgzip", false),
            ("", false),
        ] {
            assert_eq!(accepts_gzip(accepted), expected, "{accepted}");
        }
    }
}
