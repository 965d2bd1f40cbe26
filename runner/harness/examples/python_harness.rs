//! Runs one bundle on a real Python SDK harness: elements go in at a port and out at another.
//!
//! `cargo run -p dataflume-harness --example python_harness -- path/to/python`, where that Python
//! has apache-beam. Prints what came back, the metrics, the worker's status, and what it logged.

use std::collections::HashMap;
use std::error::Error;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dataflume_harness::artifacts::NoArtifacts;
use dataflume_harness::fn_api::{HTTP2_CONNECTION_WINDOW_BYTES, HTTP2_STREAM_WINDOW_BYTES};
use dataflume_harness::state::NoState;
use dataflume_harness::{
    BundleInputs, BundleRequest, FnApi, FnApiOptions, InputChunk, LogSink, Provision, Worker,
    WorkerRegistration,
};
use dataflume_proto::fn_execution::{
    LogEntry, ProcessBundleDescriptor, ProcessBundleResponse, ProvisionInfo, RemoteGrpcPort,
};
use dataflume_proto::pipeline::{Coder, FunctionSpec, PCollection, PTransform, WindowingStrategy};
use dataflume_proto::urn::{global_windows_payload, runner, standard_coders};
use prost::Message;
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

/// One element per bundle of the measured run.
const SMALL_BUNDLES: usize = 300;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

struct Printer;

impl LogSink for Printer {
    fn log(&self, worker_id: &str, entries: Vec<LogEntry>) {
        for entry in entries {
            println!(
                "  [{worker_id}] {} {}",
                entry.severity().as_str_name(),
                entry.message
            );
        }
    }
}

#[tokio::main]
async fn main() -> Outcome<()> {
    let python = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "python3".to_owned());
    let fn_api = FnApi::new(FnApiOptions::default());
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    fn_api.set_endpoint(format!("localhost:{}", listener.local_addr()?.port()));
    let server = Server::builder()
        .initial_stream_window_size(HTTP2_STREAM_WINDOW_BYTES)
        .initial_connection_window_size(HTTP2_CONNECTION_WINDOW_BYTES)
        .add_routes(fn_api.routes());
    tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener).with_nodelay(Some(true))));

    let connection = fn_api.expect_worker(WorkerRegistration {
        worker_id: "python-1".to_owned(),
        endpoint: None,
        capabilities: Vec::new(),
        provision: Some(Provision {
            info: ProvisionInfo::default(),
            artifacts: Arc::new(NoArtifacts),
        }),
        log: Arc::new(Printer),
    })?;
    let started = Instant::now();
    let told = connection.provision_info().cloned().unwrap_or_default();
    let mut process = spawn(&python, &connection.endpoint().url, &told)?;
    let worker = tokio::time::timeout(Duration::from_secs(60), connection.ready()).await??;
    println!("connected after {:?}", started.elapsed());

    worker.register(&descriptor())?;
    let (written, response) = echo(&worker, "bundle-0", elements(&["hello", "world"])).await?;
    assert_eq!(written, elements(&["hello", "world"]));
    println!(
        "echoed {} bytes; {} metrics:",
        written.len(),
        response.monitoring_infos.len()
    );
    for info in &response.monitoring_infos {
        println!("  {} {:?} {:?}", info.urn, info.labels, info.payload);
    }

    let started = Instant::now();
    for n in 1..=SMALL_BUNDLES {
        echo(&worker, &format!("bundle-{n}"), elements(&["x"])).await?;
    }
    println!(
        "a bundle of one element takes {:?}",
        started.elapsed() / SMALL_BUNDLES as u32
    );

    let large = "x".repeat(100 << 20);
    let started = Instant::now();
    let (written, _) = echo(&worker, "large", elements(&[&large])).await?;
    assert_eq!(written.len(), elements(&[&large]).len());
    println!(
        "an element of 100 MiB was echoed in {:?}",
        started.elapsed()
    );

    let unknown = worker.finalize("never seen").await;
    println!(
        "finalizing an unknown bundle: {}",
        outline(&format!("{unknown:?}"))
    );
    println!("status: {}", outline(&worker.status().await?));
    println!(
        "process metrics: {}",
        worker.harness_monitoring_infos().await?.len()
    );

    worker.shutdown("the example is over");
    let status = tokio::time::timeout(Duration::from_secs(20), process.wait()).await??;
    println!("the harness ended by itself: {status}");
    Ok(())
}

fn spawn(python: &str, url: &str, info: &ProvisionInfo) -> Outcome<Child> {
    let service = format!("url: \"{url}\"");
    let child = Command::new(python)
        .args(["-m", "apache_beam.runners.worker.sdk_worker_main"])
        .env("WORKER_ID", "python-1")
        .env("CONTROL_API_SERVICE_DESCRIPTOR", &service)
        .env("LOGGING_API_SERVICE_DESCRIPTOR", &service)
        .env("STATUS_API_SERVICE_DESCRIPTOR", &service)
        .env("RUNNER_CAPABILITIES", info.runner_capabilities.join(" "))
        .env("PIPELINE_OPTIONS", "{}")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    Ok(child)
}

async fn echo(
    worker: &Worker,
    id: &str,
    input: Vec<u8>,
) -> Outcome<(Vec<u8>, ProcessBundleResponse)> {
    let mut running = worker.process_bundle(BundleRequest {
        instruction_id: id.to_owned(),
        descriptor_id: "echo".to_owned(),
        inputs: BundleInputs::Complete(vec![InputChunk::data("in", input)]),
        cache_tokens: Vec::new(),
        has_no_state: false,
        only_bundle_for_keys: false,
        state: Arc::new(NoState),
    })?;
    let mut written = Vec::new();
    while let Some(output) = running.outputs.recv().await {
        written.extend_from_slice(output.bytes());
    }
    Ok((written, running.handle.finish().await?))
}

/// `in -> out`, of byte strings in the global window.
fn descriptor() -> ProcessBundleDescriptor {
    let spec = |urn: &str, payload: Vec<u8>| {
        Some(FunctionSpec {
            urn: urn.to_owned(),
            payload: payload.into(),
        })
    };
    let port = RemoteGrpcPort {
        coder_id: "windowed".to_owned(),
        ..Default::default()
    }
    .encode_to_vec();
    let local = || HashMap::from([("local".to_owned(), "pc".to_owned())]);
    let source = PTransform {
        unique_name: "in".to_owned(),
        spec: spec(runner::DATA_SOURCE, port.clone()),
        outputs: local(),
        ..Default::default()
    };
    let sink = PTransform {
        unique_name: "out".to_owned(),
        spec: spec(runner::DATA_SINK, port),
        inputs: local(),
        ..Default::default()
    };
    let coder = |urn: &str, components: &[&str]| Coder {
        spec: spec(urn, Vec::new()),
        component_coder_ids: components.iter().map(|c| (*c).to_owned()).collect(),
    };
    let pcollection = PCollection {
        unique_name: "pc".to_owned(),
        coder_id: "bytes".to_owned(),
        windowing_strategy_id: "global".to_owned(),
        ..Default::default()
    };
    let windowing = WindowingStrategy {
        window_fn: spec(global_windows_payload::PROPERTIES, Vec::new()),
        window_coder_id: "window".to_owned(),
        ..Default::default()
    };
    ProcessBundleDescriptor {
        id: "echo".to_owned(),
        transforms: HashMap::from([("in".to_owned(), source), ("out".to_owned(), sink)]),
        pcollections: HashMap::from([("pc".to_owned(), pcollection)]),
        windowing_strategies: HashMap::from([("global".to_owned(), windowing)]),
        coders: HashMap::from([
            ("bytes".to_owned(), coder(standard_coders::BYTES, &[])),
            (
                "window".to_owned(),
                coder(standard_coders::GLOBAL_WINDOW, &[]),
            ),
            (
                "windowed".to_owned(),
                coder(standard_coders::WINDOWED_VALUE, &["bytes", "window"]),
            ),
        ]),
        ..Default::default()
    }
}

/// Windowed byte strings: timestamp 0, the global window, the only firing.
fn elements(texts: &[&str]) -> Vec<u8> {
    let mut encoded = Vec::new();
    for text in texts {
        encoded.extend_from_slice(&(1_u64 << 63).to_be_bytes());
        encoded.extend_from_slice(&1_u32.to_be_bytes());
        encoded.push(0x0f);
        prost::encoding::encode_varint(text.len() as u64, &mut encoded);
        encoded.extend_from_slice(text.as_bytes());
    }
    encoded
}

/// The beginning of a long text, on one line.
fn outline(text: &str) -> String {
    text.chars()
        .take(160)
        .collect::<String>()
        .replace('\n', " / ")
}
