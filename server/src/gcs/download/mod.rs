//! An object's content.

mod headers;
mod range;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use dataflume_storage::{ByteRange, ObjectId, ReadOptions};
use http::header::{CONTENT_LENGTH, CONTENT_RANGE, RANGE};
use http::{HeaderValue, Method, StatusCode};

use super::call::Call;
use super::errors::ApiError;
use super::preconditions;

/// `alt=media`: the content, or the reason why not in plain words.
pub(super) async fn serve(call: &Call, id: &ObjectId) -> Response {
    match media(call, id).await {
        Ok(response) => response,
        Err(error) => error.into_text_response(),
    }
}

/// The content, or the part of it that the request asks for.
async fn media(call: &Call, id: &ObjectId) -> Result<Response, ApiError> {
    call.buckets.use_bucket(&id.bucket).await?;
    let range = call.header(RANGE).and_then(range::parse);
    let options = ReadOptions {
        generation: call.query.number("generation")?,
        preconditions: preconditions::of(&call.query)?,
        range: range.unwrap_or_default(),
    };
    let found = call.buckets.store().get(id, options).await;
    let reader = match found {
        Err(dataflume_storage::Error::RangeNotSatisfiable { size }) => {
            return Ok(unsatisfiable(size));
        }
        found => found.map_err(ApiError::of_read)?,
    };
    let object = reader.metadata().clone();
    let part = reader.range();
    let body = match call.method {
        Method::HEAD => Body::empty(),
        _ => Body::from_stream(reader.into_stream()),
    };
    let mut response = body.into_response();
    let headers = response.headers_mut();
    headers::describe(&object, headers);
    headers.insert(CONTENT_LENGTH, HeaderValue::from(part.end - part.start));
    if options.range != ByteRange::Full {
        let text = format!("bytes {}-{}/{}", part.start, part.end - 1, object.size);
        headers.extend(HeaderValue::try_from(text).map(|text| (CONTENT_RANGE, text)));
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    Ok(response)
}

fn unsatisfiable(size: u64) -> Response {
    let range = [(CONTENT_RANGE, format!("bytes */{size}"))];
    let status = StatusCode::RANGE_NOT_SATISFIABLE;
    (status, range, "Request range not satisfiable").into_response()
}
