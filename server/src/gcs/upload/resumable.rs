//! `uploadType=resumable`: a session, to which the content is sent in as many requests as it takes.
//!
//! Two dialects say "go on": a real 308, and 200 with the status in a header for clients whose HTTP
//! library would take a 308 for a redirect.

use std::io;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use dataflume_storage::{Chunk, UploadId, UploadStatus};
use futures::StreamExt;
use http::header::{CONTENT_LENGTH, CONTENT_RANGE, LOCATION, RANGE};
use http::{HeaderName, HeaderValue, Method, StatusCode};

use super::Insert;
use super::content_range::ContentRange;
use crate::gcs::body::{self, Content};
use crate::gcs::call::Call;
use crate::gcs::errors::ApiError;
use crate::gcs::{answer, hashes, resource};

const UPLOAD_CONTENT_TYPE: HeaderName = HeaderName::from_static("x-upload-content-type");
const UPLOAD_CONTENT_LENGTH: HeaderName = HeaderName::from_static("x-upload-content-length");
const UPLOADER_ID: HeaderName = HeaderName::from_static("x-guploader-uploadid");
const NO_308: HeaderName = HeaderName::from_static("x-guploader-no-308");
const STATUS_OVERRIDE: HeaderName = HeaderName::from_static("x-http-status-code-override");

/// Opens a session and tells its address.
pub(super) async fn begin(call: &Call, body: Body, bucket: &str) -> Result<Response, ApiError> {
    let resource = body::json(&call.headers, body).await?;
    let content_type = call.header(UPLOAD_CONTENT_TYPE);
    let Insert { id, mut options } = Insert::new(call, bucket, &resource, content_type)?;
    options.expected.size = call
        .header(UPLOAD_CONTENT_LENGTH)
        .map(|text| {
            text.parse()
                .map_err(|_| ApiError::invalid_parameter("X-Upload-Content-Length", text))
        })
        .transpose()?;
    let upload = call.buckets.uploads().begin(&id, options).await?;
    let query = call
        .query
        .without(&["upload_id"])
        .append_pair("upload_id", &upload.to_string())
        .finish();
    let headers = [
        (LOCATION, call.links.upload(bucket, &query)),
        (UPLOADER_ID, upload.to_string()),
    ];
    Ok((StatusCode::OK, headers).into_response())
}

/// A request to an open session.
pub(super) async fn proceed(call: &Call, body: Body) -> Result<Response, ApiError> {
    let upload: UploadId = call.query.required("upload_id")?.parse()?;
    match call.method {
        // Some libraries can only post.
        Method::PUT | Method::POST => {}
        Method::DELETE => {
            call.buckets.uploads().cancel(upload).await?;
            return Err(ApiError::cancelled());
        }
        _ => return Err(call.no_such_method()),
    }
    let status = match range(call)? {
        Some(ContentRange::Nothing { total: None }) => {
            call.buckets.uploads().status(upload).await?
        }
        Some(ContentRange::Nothing { total }) => {
            let nothing = futures::stream::empty().boxed();
            append(call, upload, 0, total, nothing).await?
        }
        Some(ContentRange::Bytes { first, last, total }) => {
            let content = body::content(&call.headers, body)?;
            let content = exactly(content, last - first + 1);
            append(call, upload, first, total, content).await?
        }
        None => all_at_once(call, body, upload).await?,
    };
    match status {
        UploadStatus::Complete(object) => {
            answer::json(call, resource::object(&object, &call.links))
        }
        UploadStatus::Incomplete { received } => Ok(go_on(call, upload, received)),
    }
}

fn range(call: &Call) -> Result<Option<ContentRange>, ApiError> {
    let Some(text) = call.header(CONTENT_RANGE) else {
        return Ok(None);
    };
    match ContentRange::parse(text) {
        None => Err(ApiError::invalid(format!(
            "Failed to parse Content-Range header: {text:?}"
        ))),
        range => Ok(range),
    }
}

async fn append(
    call: &Call,
    upload: UploadId,
    offset: u64,
    total: Option<u64>,
    content: Content,
) -> Result<UploadStatus, ApiError> {
    let chunk = Chunk {
        offset,
        total,
        is_last: false,
        expected: hashes::announced(&call.headers)?,
        content,
    };
    Ok(call.buckets.uploads().append(upload, chunk).await?)
}

/// A body without a range is all of the content.
async fn all_at_once(call: &Call, body: Body, upload: UploadId) -> Result<UploadStatus, ApiError> {
    let length = call
        .header(CONTENT_LENGTH)
        .and_then(|text| text.parse().ok());
    let content = body::content(&call.headers, body)?;
    let chunk = Chunk {
        offset: 0,
        total: length.filter(|_| !body::is_compressed(&call.headers)),
        is_last: true,
        expected: hashes::announced(&call.headers)?,
        content,
    };
    Ok(call.buckets.uploads().append(upload, chunk).await?)
}

/// The content, which breaks if it is not of the announced length.
fn exactly(content: Content, length: u64) -> Content {
    let wrong = move |found: u64| {
        io::Error::new(
            io::ErrorKind::InvalidData,
            format!("the body has {found} bytes, the Content-Range header says {length}"),
        )
    };
    futures::stream::unfold(
        (content, 0, false),
        move |(mut content, found, ended)| async move {
            if ended {
                return None;
            }
            match content.next().await {
                Some(Ok(piece)) => {
                    let found = found + piece.len() as u64;
                    let piece: io::Result<Bytes> = if found > length {
                        Err(wrong(found))
                    } else {
                        Ok(piece)
                    };
                    let ended = piece.is_err();
                    Some((piece, (content, found, ended)))
                }
                Some(Err(error)) => Some((Err(error), (content, found, true))),
                None if found < length => Some((Err(wrong(found)), (content, found, true))),
                None => None,
            }
        },
    )
    .boxed()
}

/// What has arrived so far.
fn go_on(call: &Call, upload: UploadId, received: u64) -> Response {
    let mut response = StatusCode::PERMANENT_REDIRECT.into_response();
    if call
        .header(NO_308)
        .is_some_and(|value| value.eq_ignore_ascii_case("yes"))
    {
        *response.status_mut() = StatusCode::OK;
        let status = HeaderValue::from(StatusCode::PERMANENT_REDIRECT.as_u16());
        response.headers_mut().insert(STATUS_OVERRIDE, status);
    }
    let id = HeaderValue::try_from(upload.to_string());
    let range = received
        .checked_sub(1)
        .map(|last| HeaderValue::try_from(format!("bytes=0-{last}")));
    let headers = response.headers_mut();
    headers.insert(CONTENT_LENGTH, HeaderValue::from(0));
    headers.extend(id.map(|id| (UPLOADER_ID, id)));
    if let Some(Ok(range)) = range {
        headers.insert(RANGE, range);
    }
    response
}
