//! `objects.copy` and `objects.move`.

use axum::body::Body;
use axum::response::Response;
use dataflume_storage::{CopyOptions, ObjectId, ReadOptions};
use http::Method;
use serde_json::{Map, Value};

use crate::gcs::call::Call;
use crate::gcs::errors::ApiError;
use crate::gcs::route::Transfer;
use crate::gcs::{answer, body, preconditions, resource};

/// `/b/BUCKET/o/OBJECT/copyTo/b/BUCKET/o/OBJECT`
pub(in crate::gcs) async fn copy(
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
    call.buckets.use_bucket(&destination.bucket).await?;
    let options = options(call, &source, &sent).await?;
    let store = call.buckets.store();
    let object = store.copy(&source, &destination, options).await?;
    answer::json(call, resource::object(&object, &call.links))
}

/// `/b/BUCKET/o/OBJECT/moveTo/o/OBJECT`
pub(in crate::gcs) async fn rename(call: &Call, transfer: Transfer) -> Result<Response, ApiError> {
    if call.method != Method::POST {
        return Err(call.no_such_method());
    }
    let Transfer {
        source,
        destination,
    } = transfer;
    let options = options(call, &source, &Map::new()).await?;
    let store = call.buckets.store();
    let object = store.rename(&source, &destination, options).await?;
    answer::json(call, resource::object(&object, &call.links))
}

/// What the request says about both objects. `sent` is the resource in its body.
pub(super) async fn options(
    call: &Call,
    source: &ObjectId,
    sent: &Map<String, Value>,
) -> Result<CopyOptions, ApiError> {
    let mut options = CopyOptions {
        source_generation: call.query.number("sourceGeneration")?,
        source_preconditions: preconditions::of_source(&call.query)?,
        preconditions: preconditions::of(&call.query)?,
        attributes: None,
    };
    let class = sent.get("storageClass").and_then(Value::as_str);
    if !resource::sets_attributes(sent) && class.is_none() {
        return Ok(options);
    }
    let read = ReadOptions {
        generation: options.source_generation,
        ..ReadOptions::default()
    };
    let copied = call.buckets.store().stat(source, read).await?.attributes;
    let attributes = if resource::sets_attributes(sent) {
        // A description takes the place of the source's; only what kind of content it is, is a
        // property of the content.
        let mut attributes = resource::attributes(sent)?;
        attributes.content_type = attributes.content_type.or(copied.content_type);
        attributes
    } else {
        let mut attributes = copied;
        attributes.storage_class = class.map(str::to_owned);
        attributes
    };
    options.attributes = Some(attributes);
    Ok(options)
}
