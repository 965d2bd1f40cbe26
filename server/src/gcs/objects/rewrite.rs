//! `objects.rewrite`: a copy in as many requests as the client wants it to take.

use axum::body::Body;
use axum::response::Response;
use dataflume_storage::{RewriteId, RewriteStatus};
use http::Method;
use serde_json::json;

use super::copy;
use crate::gcs::call::Call;
use crate::gcs::errors::ApiError;
use crate::gcs::route::Transfer;
use crate::gcs::{answer, body, resource};

/// The service rewrites no less than this at a time.
const MIN_BYTES_PER_CALL: u64 = 1 << 20;

/// `/b/BUCKET/o/OBJECT/rewriteTo/b/BUCKET/o/OBJECT`
pub(in crate::gcs) async fn rewrite(
    call: &Call,
    body: Body,
    transfer: Transfer,
) -> Result<Response, ApiError> {
    if call.method != Method::POST {
        return Err(call.no_such_method());
    }
    let sent = body::json(&call.headers, body).await?;
    let Transfer {
        source,
        destination,
    } = transfer;
    let at_most: Option<u64> = call.query.number("maxBytesRewrittenPerCall")?;
    if let Some(bytes) = at_most.filter(|bytes| *bytes < MIN_BYTES_PER_CALL) {
        let value = bytes.to_string();
        return Err(ApiError::invalid_parameter(
            "maxBytesRewrittenPerCall",
            &value,
        ));
    }
    let token = call
        .query
        .get("rewriteToken")
        .filter(|token| !token.is_empty());
    let rewrites = call.buckets.rewrites();
    let status = match token {
        Some(token) => {
            let id: RewriteId = token.parse()?;
            rewrites.proceed(id, &source, &destination, at_most).await?
        }
        None => {
            call.buckets.use_bucket(&destination.bucket).await?;
            let options = copy::options(call, &source, &sent).await?;
            rewrites
                .begin(&source, &destination, options, at_most)
                .await?
        }
    };
    let (written, size) = match &status {
        RewriteStatus::Incomplete { written, size, .. } => (*written, *size),
        RewriteStatus::Complete(object) => (object.size, object.size),
    };
    let mut shown = json!({
        "kind": "storage#rewriteResponse",
        "totalBytesRewritten": written.to_string(),
        "objectSize": size.to_string(),
        "done": matches!(status, RewriteStatus::Complete(_)),
    });
    match status {
        RewriteStatus::Incomplete { id, .. } => shown["rewriteToken"] = json!(id.to_string()),
        RewriteStatus::Complete(object) => {
            shown["resource"] = resource::object(&object, &call.links);
        }
    }
    answer::json(call, shown)
}
