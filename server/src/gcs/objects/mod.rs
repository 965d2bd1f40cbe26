//! What is done with objects, apart from their content.

mod change;
mod compose;
mod copy;
mod delete;
mod get;
mod list;
mod rewrite;

use axum::body::Body;
use axum::response::Response;
use dataflume_storage::ObjectId;
use http::Method;

pub(super) use self::compose::compose;
pub(super) use self::copy::{copy, rename};
pub(super) use self::rewrite::rewrite;
use super::call::Call;
use super::download;
use super::errors::ApiError;
use super::route::Surface;

/// `/b/BUCKET/o`
pub(super) async fn serve_all(call: &Call, bucket: &str) -> Result<Response, ApiError> {
    match call.method {
        Method::GET => list::list(call, bucket).await,
        _ => Err(call.no_such_method()),
    }
}

/// `/b/BUCKET/o/OBJECT`
pub(super) async fn serve(
    call: &Call,
    body: Body,
    id: &ObjectId,
    surface: Surface,
) -> Result<Response, ApiError> {
    let media = surface == Surface::Download || call.query.get("alt") == Some("media");
    match call.method {
        Method::GET | Method::HEAD if media => Ok(download::serve(call, id).await),
        Method::GET => get::get(call, id).await,
        Method::PATCH => change::patch(call, body, id).await,
        Method::PUT => change::update(call, body, id).await,
        Method::DELETE => delete::delete(call, id).await,
        _ => Err(call.no_such_method()),
    }
}
