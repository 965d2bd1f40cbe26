//! Several requests in one: `/batch/storage/v1`.
//!
//! Each part of the `multipart/mixed` body is a request of its own, and each part of the answer is the
//! answer to one, in the same order. Content does not travel in batches.

use std::fmt::Write;

use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST};
use http::{HeaderName, HeaderValue, Method, Uri};
use http_body_util::BodyExt;
use uuid::Uuid;

use super::body;
use super::errors::ApiError;
use super::related::{Related, boundary};
use super::route::{Route, Surface};
use crate::buckets::Buckets;

/// The service's limits.
const MAX_CALLS: usize = 100;
const MAX_CALL_BYTES: usize = 10 << 20;

/// Answers a whole batch.
pub(super) async fn serve(buckets: &Buckets, request: Request) -> Result<Response, ApiError> {
    if request.method() != Method::POST {
        return Err(ApiError::no_such_method(request.method()));
    }
    let (outer, sent) = request.into_parts();
    let content_type = outer.headers.get(CONTENT_TYPE);
    let content_type = content_type.and_then(|value| value.to_str().ok());
    let boundary = boundary(content_type.unwrap_or_default())
        .ok_or_else(|| ApiError::invalid("The Content-Type names no multipart boundary."))?;
    let authority = outer.uri.authority().map(|authority| authority.as_str());
    let authority = authority.map(HeaderValue::from_str).and_then(Result::ok);
    let host = authority.or_else(|| outer.headers.get(HOST).cloned());

    let mut parts = Related::new(body::content(&outer.headers, sent)?, &boundary);
    let mut calls = Vec::new();
    while let Some(headers) = parts.next_part().await? {
        let text = parts.whole_part(MAX_CALL_BYTES).await?;
        calls.push((headers.get("content-id").map(str::to_owned), text));
        if calls.len() > MAX_CALLS {
            return Err(ApiError::invalid(format!(
                "The batch request could not be processed: a batch has at most {MAX_CALLS} calls."
            )));
        }
    }
    let delimiter = format!("batch_{}", Uuid::new_v4().simple());
    let mut answers = BytesMut::new();
    for (id, text) in calls {
        let answered = match inner(&text, host.as_ref()) {
            Ok(request) => answer(buckets, request).await,
            Err(error) => error.into_response(),
        };
        append(&mut answers, &delimiter, id.as_deref(), answered).await?;
    }
    answers.extend_from_slice(format!("--{delimiter}--\r\n").as_bytes());
    let content_type = [(
        CONTENT_TYPE,
        format!("multipart/mixed; boundary={delimiter}"),
    )];
    Ok((content_type, answers.freeze()).into_response())
}

async fn answer(buckets: &Buckets, request: Request) -> Response {
    let is_media = request
        .uri()
        .query()
        .is_some_and(|query| query.contains("alt=media"));
    match Route::parse(request.uri().path()) {
        Ok((Surface::Plain, _)) if !is_media => super::answer(buckets, request).await,
        Ok(_) => Err(ApiError::invalid(
            "Content can't be uploaded or downloaded in a batch.",
        )),
        Err(error) => Err(error),
    }
    .unwrap_or_else(IntoResponse::into_response)
}

/// The request that a part is.
fn inner(text: &Bytes, host: Option<&HeaderValue>) -> Result<Request, ApiError> {
    let malformed = || ApiError::parse("A part of the batch is no HTTP request.");
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut head = httparse::Request::new(&mut headers);
    // A request without headers and body may lack the empty line behind them.
    let mut padded = BytesMut::from(&text[..]);
    padded.extend_from_slice(b"\r\n\r\n");
    let start = match head.parse(&padded) {
        Ok(httparse::Status::Complete(start)) => start.min(text.len()),
        _ => return Err(malformed()),
    };
    let (Some(method), Some(target)) = (head.method, head.path) else {
        return Err(malformed());
    };
    let target: Uri = target.parse().map_err(|_| malformed())?;
    // Some clients name us in each request; where we are is clear already.
    let path = target.path_and_query().ok_or_else(malformed)?;
    let mut request = Request::builder().method(method).uri(path.as_str());
    for header in head.headers.iter() {
        let name = HeaderName::try_from(header.name).map_err(|_| malformed())?;
        // The length is that of what there is.
        if name != HOST && name != CONTENT_LENGTH {
            request = request.header(name, header.value);
        }
    }
    if let Some(host) = host {
        request = request.header(HOST, host);
    }
    let body = Body::from(text.slice(start..));
    request.body(body).map_err(|_| malformed())
}

/// Appends an answer as a part.
async fn append(
    answers: &mut BytesMut,
    delimiter: &str,
    id: Option<&str>,
    answer: Response,
) -> Result<(), ApiError> {
    let (head, body) = answer.into_parts();
    let body = body.collect().await;
    let body = body.map_err(|error| ApiError::invalid(error.to_string()))?;
    let body = body.to_bytes();
    let mut text = format!("--{delimiter}\r\nContent-Type: application/http\r\n");
    // Writing to a string can't fail.
    if let Some(id) = id {
        let id = id.trim_matches(['<', '>']);
        let _ = write!(text, "Content-ID: <response-{id}>\r\n");
    }
    let _ = write!(text, "\r\nHTTP/1.1 {}\r\n", head.status);
    for (name, value) in &head.headers {
        if let (Ok(value), true) = (value.to_str(), name != CONTENT_LENGTH) {
            let _ = write!(text, "{name}: {value}\r\n");
        }
    }
    let _ = write!(text, "content-length: {}\r\n\r\n", body.len());
    answers.extend_from_slice(text.as_bytes());
    answers.extend_from_slice(&body);
    answers.extend_from_slice(b"\r\n");
    Ok(())
}
