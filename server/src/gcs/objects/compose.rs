//! `objects.compose`.

use axum::body::Body;
use axum::response::Response;
use dataflume_storage::{ComposeSource, ExpectedContent, ObjectId, PutOptions};
use http::Method;
use serde_json::{Map, Value};

use crate::gcs::call::Call;
use crate::gcs::errors::ApiError;
use crate::gcs::{answer, body, preconditions, resource};

/// `/b/BUCKET/o/OBJECT/compose`
pub(in crate::gcs) async fn compose(
    call: &Call,
    body: Body,
    id: &ObjectId,
) -> Result<Response, ApiError> {
    if call.method != Method::POST {
        return Err(call.no_such_method());
    }
    let sent = body::json(&call.headers, body).await?;
    let sources = match sent.get("sourceObjects") {
        Some(Value::Array(sources)) => sources.iter().map(source).collect::<Result<_, _>>()?,
        _ => return Err(ApiError::required("sourceObjects")),
    };
    let nothing = Map::new();
    let described = sent.get("destination").and_then(Value::as_object);
    let described = described.unwrap_or(&nothing);
    let options = PutOptions {
        attributes: resource::attributes(described)?,
        preconditions: preconditions::of(&call.query)?,
        expected: expected(described)?,
    };
    let store = call.buckets.store();
    let object = store.compose(sources, id, options).await?;
    answer::json(call, resource::object(&object, &call.links))
}

/// Fields that the service alone sets.
const OUTPUT_ONLY: [&str; 5] = ["etag", "generation", "id", "md5Hash", "selfLink"];

/// What the client announces of the composed object. One that sends back the resource of an object that it replaces, as
/// Python's does, says nothing about the new content.
fn expected(described: &Map<String, Value>) -> Result<ExpectedContent, ApiError> {
    if OUTPUT_ONLY.iter().any(|key| described.contains_key(*key)) {
        return Ok(ExpectedContent::default());
    }
    resource::expected(described)
}

fn source(source: &Value) -> Result<ComposeSource, ApiError> {
    let name = source.get("name").and_then(Value::as_str);
    let (Some(name), Value::Object(fields)) = (name, source) else {
        return Err(ApiError::required("sourceObjects[].name"));
    };
    Ok(ComposeSource {
        name: name.to_owned(),
        generation: preconditions::int64(source, "generation")?,
        preconditions: preconditions::of_component(fields)?,
    })
}
