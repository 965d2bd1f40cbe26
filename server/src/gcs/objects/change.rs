//! `objects.patch` and `objects.update`.

use axum::body::Body;
use axum::response::Response;
use dataflume_storage::{AttributesPatch, ObjectId};

use crate::gcs::call::Call;
use crate::gcs::errors::ApiError;
use crate::gcs::{answer, body, preconditions, resource};

/// Changes what the resource names; a null removes.
pub(super) async fn patch(call: &Call, body: Body, id: &ObjectId) -> Result<Response, ApiError> {
    let sent = body::json(&call.headers, body).await?;
    apply(call, id, resource::patch(&sent)?).await
}

/// Replaces all that a client may set.
pub(super) async fn update(call: &Call, body: Body, id: &ObjectId) -> Result<Response, ApiError> {
    let sent = body::json(&call.headers, body).await?;
    let attributes = resource::attributes(&sent)?;
    apply(call, id, AttributesPatch::replace(attributes)).await
}

async fn apply(call: &Call, id: &ObjectId, change: AttributesPatch) -> Result<Response, ApiError> {
    let generation = call.query.number("generation")?;
    let conditions = preconditions::of(&call.query)?;
    let store = call.buckets.store();
    let object = store.patch(id, change, generation, conditions).await?;
    answer::json(call, resource::object(&object, &call.links))
}
