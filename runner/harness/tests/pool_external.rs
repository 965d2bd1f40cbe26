//! `EXTERNAL` environments, with the Python SDK's own worker pool service.
//!
//! Needs `DATAFLUME_PYTHON`, an interpreter with apache-beam 2.77.0.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;
mod pool_common;
mod pool_echo;

use std::net::{Ipv4Addr, TcpListener};
use std::process::Stdio;
use std::time::Duration;

use common::TestServer;
use dataflume_harness::pool::PoolError;
use dataflume_proto::pipeline::{ApiServiceDescriptor, Environment, ExternalPayload};
use dataflume_proto::urn::environments;
use pool_common::{World, python, start, step};
use pool_echo::echo;
use prost::Message;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

fn external(port: u16) -> Environment {
    let payload = ExternalPayload {
        endpoint: Some(ApiServiceDescriptor {
            url: format!("localhost:{port}"),
            ..Default::default()
        }),
        ..Default::default()
    };
    Environment {
        urn: environments::EXTERNAL.to_owned(),
        payload: payload.encode_to_vec().into(),
        ..Default::default()
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}

/// The SDK's service, which starts processes of the `python` on its `PATH`.
async fn service(port: u16) -> Child {
    let binaries = python().parent().unwrap().display().to_string();
    let child = Command::new(python())
        .args(["-m", "apache_beam.runners.worker.worker_pool_main"])
        .arg(format!("--service_port={port}"))
        .env("PATH", format!("{binaries}:/usr/bin:/bin"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut ticks = tokio::time::interval(Duration::from_millis(20));
    step("the service listens", async {
        while TcpStream::connect(("localhost", port)).await.is_err() {
            ticks.tick().await;
        }
    })
    .await;
    child
}

#[tokio::test]
async fn a_service_starts_and_stops_workers() {
    let port = free_port();
    let service = service(port).await;
    let (world, server) = (World::new(), TestServer::start().await);
    let environment = external(port);
    let pool = world.pool(&environment);
    let mut workers = Vec::new();
    for id in ["external-1", "external-2"] {
        let connection = server.expect(id);
        let mut spec = world.spec(&environment, id);
        spec.endpoint = connection.endpoint().url.clone();
        let started = start(pool.as_ref(), spec).await.unwrap();
        workers.push((started, connection));
    }
    let mut ready = Vec::new();
    for (_, connection) in &workers {
        let worker = step("ready", connection.ready()).await.unwrap();
        echo(&worker, "b").await;
        ready.push(worker);
    }
    step("stop", workers[0].0.stop()).await;
    step("the first is gone", ready[0].closed()).await;
    assert!(!ready[1].is_closed());
    step("shutdown", pool.shutdown()).await;
    step("the second is gone", ready[1].closed()).await;
    drop(service);
}

#[tokio::test]
async fn a_service_that_is_not_there_is_named() {
    let world = World::new();
    let port = free_port();
    let environment = external(port);
    let pool = world.pool(&environment);
    let error = start(pool.as_ref(), world.spec(&environment, "w"))
        .await
        .err()
        .unwrap();
    assert!(matches!(error, PoolError::External { .. }));
    assert!(
        error.to_string().contains(&format!("localhost:{port}")),
        "{error}"
    );
    step("shutdown", pool.shutdown()).await;
}
