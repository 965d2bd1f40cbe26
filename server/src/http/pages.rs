//! Routes that belong to no emulated API: health, readiness, metrics, and what is not there.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router, middleware};
use serde_json::json;
use tonic::service::Routes;

use super::authority;
use crate::buckets::Buckets;
use crate::gcs;
use crate::jobs::{JobService, JobState};

/// What the health pages tell.
#[derive(Clone)]
pub struct Health {
    jobs: JobService,
    started: SystemTime,
    connections: Arc<AtomicU64>,
    ready: Arc<AtomicBool>,
}

impl Health {
    /// Of a server that is ready.
    #[must_use]
    pub fn new(jobs: JobService, connections: Arc<AtomicU64>) -> Self {
        Self {
            jobs,
            started: SystemTime::now(),
            connections,
            ready: Arc::new(AtomicBool::new(true)),
        }
    }

    /// The server takes no more work.
    pub fn set_closing(&self) {
        self.ready.store(false, Ordering::Relaxed);
    }
}

/// Everything on the port: the gRPC services, the HTTP APIs and the pages.
pub fn router(services: Routes, apis: Router, buckets: Buckets, health: Health) -> Router {
    let pages = Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(health);
    services
        .into_axum_router()
        .merge(pages)
        .merge(apis)
        .fallback(async move |request: Request| match is_grpc(&request) {
            true => not_found(&request),
            false => match gcs::fallback(&buckets, request).await {
                Ok(response) => response,
                Err(request) => not_found(&request),
            },
        })
        .layer(middleware::map_request(authority::note))
}

async fn ready(State(health): State<Health>) -> (StatusCode, &'static str) {
    if health.ready.load(Ordering::Relaxed) {
        (StatusCode::OK, "ready\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "shutting down\n")
    }
}

/// A method or route that nobody serves, told in the caller's protocol.
fn not_found(request: &Request) -> Response {
    let path = request.uri().path();
    if is_grpc(request) {
        let text = format!("this emulator has no gRPC method {path}");
        return tonic::Status::unimplemented(text).into_http::<axum::body::Body>();
    }
    let message = format!("this emulator serves nothing at {path}");
    let body = json!({"error": {"code": 404, "message": message, "status": "NOT_FOUND"}});
    (StatusCode::NOT_FOUND, Json(body)).into_response()
}

fn is_grpc(request: &Request) -> bool {
    let content_type = request.headers().get(CONTENT_TYPE);
    content_type.is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"))
}

async fn metrics(State(health): State<Health>) -> impl IntoResponse {
    let content_type = "text/plain; version=0.0.4; charset=utf-8";
    ([(CONTENT_TYPE, content_type)], exposition(&health))
}

/// Prometheus's text format.
fn exposition(health: &Health) -> String {
    let mut text = String::new();
    let jobs = health.jobs.jobs();
    head(
        &mut text,
        "dataflume_jobs",
        "gauge",
        "Jobs that are known, by state.",
    );
    for state in JobState::ALL {
        let count = jobs.iter().filter(|job| job.state() == state).count();
        line(
            &mut text,
            &format!("dataflume_jobs{{state=\"{}\"}}", state.as_str()),
            count as f64,
        );
    }
    let started = health
        .started
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let connections = health.connections.load(Ordering::Relaxed);
    let single = [
        (
            "dataflume_jobs_run_total",
            "counter",
            "Jobs run so far.",
            Some(health.jobs.total() as f64),
        ),
        (
            "dataflume_connections",
            "gauge",
            "Open connections.",
            Some(connections as f64),
        ),
        (
            "process_start_time_seconds",
            "gauge",
            "Start, in Unix time.",
            Some(started.as_secs_f64()),
        ),
        (
            "process_resident_memory_bytes",
            "gauge",
            "Resident memory.",
            resident_bytes(),
        ),
    ];
    for (name, kind, help, value) in single {
        if let Some(value) = value {
            head(&mut text, name, kind, help);
            line(&mut text, name, value);
        }
    }
    text
}

fn head(text: &mut String, name: &str, kind: &str, help: &str) {
    // Writing to a string can't fail.
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

fn line(text: &mut String, name: &str, value: f64) {
    let _ = writeln!(text, "{name} {value}");
}

/// Where the system tells it.
fn resident_bytes() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024.0)
}
