//! Cloud Storage's API over the emulator's [buckets](crate::buckets).
//!
//! The JSON API with its upload, download and batch paths, and the download paths of the XML API, as
//! client libraries use them. A handler decodes a request, calls the store, and encodes the answer;
//! what buckets and objects do is the store's business.
//!
//! Start at [`route`], which says what a path means: names are told apart on the path as it was sent,
//! since an object's name may hold any character, slashes among them.

mod answer;
mod body;
mod buckets;
mod call;
mod download;
mod errors;
mod hashes;
mod objects;
mod preconditions;
mod query;
mod related;
mod resource;
mod route;
mod upload;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::any;

use self::call::Call;
use self::errors::ApiError;
use self::route::{Route, Surface};
use crate::buckets::Buckets;

/// Where the JSON API is found. Clients that are given an address without a path leave out
/// `/storage/v1`.
const PATHS: [&str; 7] = [
    "/storage/v1/{*path}",
    "/upload/storage/v1/{*path}",
    "/resumable/upload/storage/v1/{*path}",
    "/download/storage/v1/{*path}",
    "/b",
    "/b/{*path}",
    "/upload/b/{*path}",
];

/// The routes of Cloud Storage's JSON API.
pub fn router(buckets: Buckets) -> Router {
    let mut router = Router::new();
    for path in PATHS {
        router = router.route(path, any(serve));
    }
    router.with_state(buckets)
}

async fn serve(State(buckets): State<Buckets>, request: Request) -> Response {
    answer(&buckets, request)
        .await
        .unwrap_or_else(IntoResponse::into_response)
}

async fn answer(buckets: &Buckets, request: Request) -> Result<Response, ApiError> {
    let (surface, route) = Route::parse(request.uri().path())?;
    let (call, body) = Call::new(buckets.clone(), request);
    match surface {
        Surface::Upload => upload::serve(&call, body, route).await,
        Surface::Plain | Surface::Download => serve_plain(&call, body, route, surface).await,
    }
}

async fn serve_plain(
    call: &Call,
    body: Body,
    route: Route,
    surface: Surface,
) -> Result<Response, ApiError> {
    match route {
        Route::Buckets => buckets::serve_all(call, body).await,
        Route::Bucket(bucket) => buckets::serve(call, body, &bucket).await,
        Route::Objects(bucket) => objects::serve_all(call, &bucket).await,
        Route::Object(id) => objects::serve(call, &id, surface).await,
    }
}
