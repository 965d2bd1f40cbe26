//! Content on its way in.

mod content_range;
mod multipart;
mod resumable;
mod simple;

use axum::body::Body;
use axum::response::Response;
use dataflume_storage::{ExpectedContent, ObjectId, PutOptions};
use http::Method;
use serde_json::{Map, Value};

use super::call::Call;
use super::errors::ApiError;
use super::route::Route;
use super::{hashes, preconditions, resource};

/// What an object is where its writer did not say.
const UNKNOWN_TYPE: &str = "application/octet-stream";

/// `/upload/storage/v1/b/BUCKET/o`
pub(super) async fn serve(call: &Call, body: Body, route: Route) -> Result<Response, ApiError> {
    let bucket = match route {
        Route::Objects(bucket) => bucket,
        // A session's address may go on behind the bucket's.
        Route::Object(id) if call.query.get("upload_id").is_some() => id.bucket,
        _ => return Err(ApiError::no_such_path("an upload path without a bucket")),
    };
    if call.query.get("upload_id").is_some() {
        return resumable::proceed(call, body).await;
    }
    if call.method != Method::POST && call.method != Method::PUT {
        return Err(call.no_such_method());
    }
    call.buckets.use_bucket(&bucket).await?;
    match call.query.get("uploadType") {
        Some("media") => simple::insert(call, body, &bucket).await,
        Some("multipart") => multipart::insert(call, body, &bucket).await,
        Some("resumable") => resumable::begin(call, body, &bucket).await,
        Some(other) => Err(ApiError::invalid_parameter("uploadType", other)),
        None => Err(ApiError::required("uploadType")),
    }
}

/// What is to be written: where, and with what attributes and conditions.
struct Insert {
    id: ObjectId,
    options: PutOptions,
}

impl Insert {
    /// Out of the query, the headers, and the resource that came with the content. `content_type`
    /// counts where the resource names none.
    fn new(
        call: &Call,
        bucket: &str,
        resource: &Map<String, Value>,
        content_type: Option<&str>,
    ) -> Result<Self, ApiError> {
        let in_resource = resource.get("name").and_then(Value::as_str);
        let name = call.query.get("name").or(in_resource);
        let name = name.ok_or_else(|| ApiError::required("name"))?;
        let mut attributes = resource::attributes(resource)?;
        if let Some(encoding) = call.query.get("contentEncoding") {
            attributes.content_encoding = Some(encoding.to_owned());
        }
        let content_type = content_type.unwrap_or(UNKNOWN_TYPE);
        attributes
            .content_type
            .get_or_insert_with(|| content_type.to_owned());
        let announced = hashes::announced(&call.headers)?;
        let expected = resource::expected(resource)?;
        Ok(Self {
            id: ObjectId::new(bucket, name),
            options: PutOptions {
                attributes,
                preconditions: preconditions::of(&call.query)?,
                expected: ExpectedContent {
                    size: None,
                    crc32c: announced.crc32c.or(expected.crc32c),
                    md5: announced.md5.or(expected.md5),
                },
            },
        })
    }
}
