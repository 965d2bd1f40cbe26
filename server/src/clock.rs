//! `/_emulator/clock`: the clock that processing-time timers and triggers follow, for tests of pipelines.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use dataflume_driver::clock::SharedClock;
use dataflume_engine::Clock;
use serde::Deserialize;
use serde_json::{Value, json};

/// No test needs more, and a clock this far ahead still shows a time that SDKs can hold.
const MOST_MS: u64 = 100 * 365 * 24 * 3_600_000;

/// The routes.
pub(crate) fn router(clock: Arc<SharedClock>) -> Router {
    Router::new()
        .route("/_emulator/clock", get(show))
        .route("/_emulator/clock/pause", post(pause))
        .route("/_emulator/clock/resume", post(resume))
        .route("/_emulator/clock/advance", post(advance))
        .with_state(clock)
}

/// How far.
#[derive(Debug, Deserialize)]
struct Advance {
    ms: u64,
}

async fn show(State(clock): State<Arc<SharedClock>>) -> Json<Value> {
    Json(json!({
        "nowMs": clock.now().0,
        "paused": matches!(clock.reading(), Clock::Stopped { .. }),
    }))
}

async fn pause(State(clock): State<Arc<SharedClock>>) -> Json<Value> {
    clock.pause();
    show(State(clock)).await
}

async fn resume(State(clock): State<Arc<SharedClock>>) -> Json<Value> {
    clock.resume();
    show(State(clock)).await
}

async fn advance(
    State(clock): State<Arc<SharedClock>>,
    Query(Advance { ms }): Query<Advance>,
) -> Response {
    if ms > MOST_MS {
        let message = format!("the clock can't be advanced by {ms} ms; at most by {MOST_MS}");
        let body =
            json!({"error": {"code": 400, "message": message, "status": "INVALID_ARGUMENT"}});
        return (StatusCode::BAD_REQUEST, Json(body)).into_response();
    }
    clock.advance(ms);
    show(State(clock)).await.into_response()
}
