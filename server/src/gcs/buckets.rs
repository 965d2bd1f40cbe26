//! Making, finding, changing and deleting buckets.

use axum::body::Body;
use axum::response::Response;
use dataflume_storage::BucketOptions;
use http::Method;
use serde_json::{Value, json};

use super::answer;
use super::body;
use super::call::Call;
use super::errors::ApiError;
use super::preconditions;
use super::resource;

/// The service's limit.
const MAX_PAGE: usize = 1000;

/// `/b`
pub(super) async fn serve_all(call: &Call, body: Body) -> Result<Response, ApiError> {
    match call.method {
        Method::GET => list(call).await,
        Method::POST => insert(call, body).await,
        _ => Err(call.no_such_method()),
    }
}

/// `/b/BUCKET`
pub(super) async fn serve(call: &Call, body: Body, bucket: &str) -> Result<Response, ApiError> {
    match call.method {
        Method::GET => get(call, bucket).await,
        Method::PATCH => patch(call, body, bucket).await,
        Method::PUT => update(call, body, bucket).await,
        Method::DELETE => delete(call, bucket).await,
        _ => Err(call.no_such_method()),
    }
}

async fn list(call: &Call) -> Result<Response, ApiError> {
    let prefix = call.query.get("prefix").unwrap_or_default();
    let limit = call.query.number("maxResults")?.unwrap_or(MAX_PAGE);
    let limit = limit.clamp(1, MAX_PAGE);
    // A page's token is the last name on it.
    let after = call.query.get("pageToken").unwrap_or_default();
    let mut found = call.buckets.store().buckets().await?;
    found.retain(|bucket| bucket.name.starts_with(prefix) && bucket.name.as_str() > after);
    let more = found.len() > limit;
    found.truncate(limit);
    let mut page = json!({"kind": "storage#buckets"});
    if let Some(last) = found.last().filter(|_| more) {
        page["nextPageToken"] = json!(last.name);
    }
    if !found.is_empty() {
        let items = found.iter();
        page["items"] = items
            .map(|bucket| resource::bucket(bucket, &call.links))
            .collect();
    }
    answer::json(call, page)
}

async fn insert(call: &Call, body: Body) -> Result<Response, ApiError> {
    let resource = body::json(&call.headers, body).await?;
    let name = resource.get("name").and_then(Value::as_str);
    let name = name.ok_or_else(|| ApiError::required("name"))?.to_owned();
    let options = BucketOptions {
        attributes: resource::bucket_attributes(resource),
    };
    let bucket = call.buckets.create(&name, options).await?;
    answer::json(call, resource::bucket(&bucket, &call.links))
}

async fn get(call: &Call, name: &str) -> Result<Response, ApiError> {
    call.buckets.use_bucket(name).await?;
    let bucket = call.buckets.store().bucket(name).await?;
    preconditions::of(&call.query)?
        .check_bucket(&bucket)
        .map_err(ApiError::of_read)?;
    answer::json(call, resource::bucket(&bucket, &call.links))
}

async fn patch(call: &Call, body: Body, name: &str) -> Result<Response, ApiError> {
    let resource = body::json(&call.headers, body).await?;
    let changes = resource::bucket_attributes(resource);
    let conditions = preconditions::of(&call.query)?;
    let store = call.buckets.store();
    let bucket = store.patch_bucket(name, changes, conditions).await?;
    answer::json(call, resource::bucket(&bucket, &call.links))
}

async fn update(call: &Call, body: Body, name: &str) -> Result<Response, ApiError> {
    let resource = body::json(&call.headers, body).await?;
    let mut changes = resource::bucket_attributes(resource);
    let conditions = preconditions::of(&call.query)?;
    let store = call.buckets.store();
    // What the new resource does not say is gone.
    for key in store.bucket(name).await?.attributes.keys() {
        // Where a bucket is never changes, and policies have a path of their own.
        if key != "location" && !key.starts_with('$') {
            changes.entry(key).or_insert(Value::Null);
        }
    }
    let bucket = store.patch_bucket(name, changes, conditions).await?;
    answer::json(call, resource::bucket(&bucket, &call.links))
}

async fn delete(call: &Call, name: &str) -> Result<Response, ApiError> {
    let conditions = preconditions::of(&call.query)?;
    call.buckets.delete(name, conditions).await?;
    Ok(answer::nothing())
}
