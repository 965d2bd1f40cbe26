//! `objects.get`, without the content.

use axum::response::Response;
use dataflume_storage::{ObjectId, ReadOptions};

use crate::gcs::call::Call;
use crate::gcs::errors::ApiError;
use crate::gcs::{answer, preconditions, resource};

pub(super) async fn get(call: &Call, id: &ObjectId) -> Result<Response, ApiError> {
    call.buckets.use_bucket(&id.bucket).await?;
    let options = ReadOptions {
        generation: call.query.number("generation")?,
        preconditions: preconditions::of(&call.query)?,
        ..ReadOptions::default()
    };
    let found = call.buckets.store().stat(id, options).await;
    let object = found.map_err(ApiError::of_read)?;
    answer::json(call, resource::object(&object, &call.links))
}
