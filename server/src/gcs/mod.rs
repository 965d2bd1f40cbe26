//! Cloud Storage's API over the emulator's [buckets](crate::buckets).
//!
//! The JSON API with its upload, download and batch paths, and the download paths of the XML API, as
//! client libraries use them. A handler decodes a request, calls the store, and encodes the answer;
//! what buckets and objects do is the store's business.
//!
//! Start at [`route`], which says what a path means: names are told apart on the path as it was sent,
//! since an object's name may hold any character, slashes among them.

mod answer;
mod batch;
mod body;
mod buckets;
mod call;
mod configuration;
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
mod xml;

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
const PATHS: [&str; 8] = [
    "/storage/v1/{*path}",
    "/upload/storage/v1/{*path}",
    "/resumable/upload/storage/v1/{*path}",
    "/download/storage/v1/{*path}",
    "/b",
    "/b/{*path}",
    "/upload/b/{*path}",
    "/download/b/{*path}",
];

/// Where batches are taken.
const BATCH_PATHS: [&str; 2] = ["/batch", "/batch/storage/v1"];

/// The routes of Cloud Storage's JSON API.
pub fn router(buckets: Buckets) -> Router {
    let mut router = Router::new();
    for path in PATHS {
        router = router.route(path, any(serve));
    }
    for path in BATCH_PATHS {
        router = router.route(path, any(serve_batch));
    }
    router.with_state(buckets)
}

/// Answers a request for which there is no other route, if it reads an object in a bucket that exists:
/// the XML API has nothing before the bucket's name. Any other request is given back.
pub async fn fallback(buckets: &Buckets, request: Request) -> Result<Response, Box<Request>> {
    xml::serve(buckets, request).await
}

async fn serve_batch(State(buckets): State<Buckets>, request: Request) -> Response {
    batch::serve(&buckets, request)
        .await
        .unwrap_or_else(IntoResponse::into_response)
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
        Route::Object(id) => objects::serve(call, body, &id, surface).await,
        Route::Copy(transfer) => objects::copy(call, body, transfer).await,
        Route::Rewrite(transfer) => objects::rewrite(call, body, transfer).await,
        Route::Move(transfer) => objects::rename(call, transfer).await,
        Route::Compose(id) => objects::compose(call, body, &id).await,
        Route::Configuration { bucket, part } => {
            configuration::of_bucket(call, body, &bucket, &part).await
        }
        Route::ObjectConfiguration { id, part } => configuration::of_object(call, &id, &part).await,
        Route::ServiceAccount => configuration::service_account(call),
    }
}
