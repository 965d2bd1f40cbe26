//! `uploadType=media`: the body is the content.

use axum::body::Body;
use axum::response::Response;
use http::header::CONTENT_TYPE;
use serde_json::Map;

use super::Insert;
use crate::gcs::call::Call;
use crate::gcs::errors::ApiError;
use crate::gcs::{answer, body, resource};

pub(super) async fn insert(call: &Call, body: Body, bucket: &str) -> Result<Response, ApiError> {
    let insert = Insert::new(call, bucket, &Map::new(), call.header(CONTENT_TYPE))?;
    let content = body::content(&call.headers, body)?;
    let store = call.buckets.store();
    let object = store
        .put_stream(&insert.id, content, insert.options)
        .await?;
    answer::json(call, resource::object(&object, &call.links))
}
