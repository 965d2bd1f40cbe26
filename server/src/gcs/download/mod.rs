//! An object's content.

mod headers;
mod range;
mod transcode;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use dataflume_storage::{ByteRange, Error, ObjectId, ObjectReader, Preconditions, ReadOptions};
use http::header::{CONTENT_LENGTH, CONTENT_RANGE, RANGE};
use http::{HeaderValue, Method, StatusCode};

use super::call::Call;
use super::errors::ApiError;
use super::preconditions;

/// Whose client asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Api {
    Json,
    Xml,
}

/// `alt=media`: the content, or the reason why not in plain words.
pub(super) async fn serve(call: &Call, id: &ObjectId) -> Response {
    let answered = async {
        call.buckets.use_bucket(&id.bucket).await?;
        media(call, id, preconditions::of(&call.query)?, Api::Json).await
    };
    answered.await.unwrap_or_else(ApiError::into_text_response)
}

/// The content, or the part of it that the request asks for.
pub(super) async fn media(
    call: &Call,
    id: &ObjectId,
    preconditions: Preconditions,
    api: Api,
) -> Result<Response, ApiError> {
    let mut options = ReadOptions {
        generation: call.query.number("generation")?,
        preconditions,
        range: ByteRange::Full,
    };
    let store = call.buckets.store();
    let object = store.stat(id, options).await.map_err(ApiError::of_read)?;
    // Pinned, so that what is sent is what was looked at.
    options.generation = Some(object.generation);
    if transcode::is_wanted(call, &object) {
        let reader = store.get(id, options).await.map_err(ApiError::of_read)?;
        let mut response = transcode::respond(call, reader);
        headers::set_hashes(&object, api, response.headers_mut());
        return Ok(response);
    }
    options.range = call
        .header(RANGE)
        .and_then(range::parse)
        .unwrap_or_default();
    match store.get(id, options).await {
        Ok(reader) => {
            let mut response = respond(call, reader, options.range);
            headers::set_hashes(&object, api, response.headers_mut());
            Ok(response)
        }
        Err(Error::RangeNotSatisfiable { size }) => Ok(unsatisfiable(size)),
        Err(error) => Err(ApiError::of_read(error)),
    }
}

fn respond(call: &Call, reader: ObjectReader, asked: ByteRange) -> Response {
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
    if asked != ByteRange::Full {
        let text = format!("bytes {}-{}/{}", part.start, part.end - 1, object.size);
        headers.extend(HeaderValue::try_from(text).map(|text| (CONTENT_RANGE, text)));
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    response
}

fn unsatisfiable(size: u64) -> Response {
    let range = [(CONTENT_RANGE, format!("bytes */{size}"))];
    let status = StatusCode::RANGE_NOT_SATISFIABLE;
    (status, range, "Request range not satisfiable").into_response()
}
