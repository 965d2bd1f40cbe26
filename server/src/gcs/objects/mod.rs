//! Finding, listing and deleting objects.

mod delete;
mod get;
mod list;

use axum::response::Response;
use dataflume_storage::ObjectId;
use http::Method;

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
    id: &ObjectId,
    surface: Surface,
) -> Result<Response, ApiError> {
    let media = surface == Surface::Download || call.query.get("alt") == Some("media");
    match call.method {
        Method::GET | Method::HEAD if media => Ok(download::serve(call, id).await),
        Method::GET => get::get(call, id).await,
        Method::DELETE => delete::delete(call, id).await,
        _ => Err(call.no_such_method()),
    }
}
