//! `objects.delete`.

use axum::response::Response;
use dataflume_storage::ObjectId;

use crate::gcs::call::Call;
use crate::gcs::errors::ApiError;
use crate::gcs::{answer, preconditions};

pub(super) async fn delete(call: &Call, id: &ObjectId) -> Result<Response, ApiError> {
    let generation = call.query.number("generation")?;
    let conditions = preconditions::of(&call.query)?;
    let store = call.buckets.store();
    store.delete(id, generation, conditions).await?;
    Ok(answer::nothing())
}
