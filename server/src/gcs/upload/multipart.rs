//! `uploadType=multipart`: a `multipart/related` body of two parts, the resource and the content.

use axum::body::Body;
use axum::response::Response;
use futures::StreamExt;
use http::header::CONTENT_TYPE;

use super::Insert;
use crate::gcs::call::Call;
use crate::gcs::errors::ApiError;
use crate::gcs::related::{Related, boundary};
use crate::gcs::{answer, body, resource};

/// A resource is never longer than this.
const MAX_RESOURCE_BYTES: usize = 4 << 20;

pub(super) async fn insert(call: &Call, body: Body, bucket: &str) -> Result<Response, ApiError> {
    let content_type = call.header(CONTENT_TYPE).unwrap_or_default();
    let boundary = boundary(content_type)
        .ok_or_else(|| ApiError::invalid("The Content-Type names no multipart boundary."))?;
    let content = body::content(&call.headers, body)?;
    let mut parts = Related::new(content, &boundary);
    let missing = |what: &str| ApiError::invalid(format!("The multipart body has no {what}."));
    parts
        .next_part()
        .await?
        .ok_or_else(|| missing("resource"))?;
    let text = parts.whole_part(MAX_RESOURCE_BYTES).await?;
    let resource = body::parse_json(&text)?;
    let media = parts.next_part().await?.ok_or_else(|| missing("content"))?;
    let insert = Insert::new(call, bucket, &resource, media.content_type())?;
    let content = parts.into_content().boxed();
    let store = call.buckets.store();
    let object = store
        .put_stream(&insert.id, content, insert.options)
        .await?;
    answer::json(call, resource::object(&object, &call.links))
}
