//! What a request carries.

use std::io;

use async_compression::tokio::bufread::GzipDecoder;
use axum::body::Body;
use bytes::{Bytes, BytesMut};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use http::header::CONTENT_ENCODING;
use http::{HeaderMap, StatusCode};
use serde_json::{Map, Value};
use tokio_util::io::{ReaderStream, StreamReader};

use super::errors::ApiError;

/// A resource is never longer than this.
const MAX_JSON_BYTES: usize = 4 << 20;

/// Decompressed content comes in pieces of this size.
const PIECE_BYTES: usize = 64 << 10;

/// A body as it arrives, decompressed.
pub(super) type Content = BoxStream<'static, io::Result<Bytes>>;

/// The body, decompressed if the client compressed it for the way.
pub(super) fn content(headers: &HeaderMap, body: Body) -> Result<Content, ApiError> {
    let raw = body.into_data_stream().map_err(io::Error::other).boxed();
    let encoding = headers.get(CONTENT_ENCODING);
    match encoding.map(|value| value.to_str().unwrap_or_default()) {
        None | Some("" | "identity") => Ok(raw),
        Some("gzip" | "x-gzip") => Ok(gunzip(raw)),
        Some(other) => Err(ApiError::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupportedMediaType",
            format!("Bodies can be compressed with gzip, not with {other:?}."),
        )),
    }
}

/// Whether the body's length is that of its content.
pub(super) fn is_compressed(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_ENCODING)
        .is_some_and(|value| value.as_bytes() != b"identity")
}

/// Decompresses, member after member.
pub(super) fn gunzip<S>(compressed: S) -> Content
where
    S: futures::Stream<Item = io::Result<Bytes>> + Send + Unpin + 'static,
{
    let mut decoder = GzipDecoder::new(StreamReader::new(compressed));
    decoder.multiple_members(true);
    ReaderStream::with_capacity(decoder, PIECE_BYTES).boxed()
}

/// All of a body that is known to be small.
pub(super) async fn whole(mut content: Content, limit: usize) -> Result<Bytes, ApiError> {
    let mut all = BytesMut::new();
    while let Some(piece) = content.next().await {
        let piece = piece.map_err(|error| ApiError::parse(format!("Broken body: {error}")))?;
        if all.len() + piece.len() > limit {
            return Err(ApiError::too_large(format!(
                "The body exceeds {limit} bytes."
            )));
        }
        all.extend_from_slice(&piece);
    }
    Ok(all.freeze())
}

/// A body that is a JSON object; none at all is an empty one.
pub(super) async fn json(headers: &HeaderMap, body: Body) -> Result<Map<String, Value>, ApiError> {
    let content = content(headers, body)?;
    parse_json(&whole(content, MAX_JSON_BYTES).await?)
}

/// JSON that is an object; nothing at all is an empty one.
pub(super) fn parse_json(text: &[u8]) -> Result<Map<String, Value>, ApiError> {
    if text.trim_ascii().is_empty() {
        return Ok(Map::new());
    }
    serde_json::from_slice(text).map_err(|error| ApiError::parse(format!("Parse Error: {error}")))
}
