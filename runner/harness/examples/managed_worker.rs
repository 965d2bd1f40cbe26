//! Starts one worker of a container image, as a managed process or in the container, and says
//! whether it connects and echoes a bundle.
//!
//! `managed_worker [--docker] IMAGE [ROLE=]FILE..`: the files are staged under their names, or, with
//! `go=FILE`, as the Go worker binary. Interpreters are found as `docs/workers.md` says.

use std::collections::HashMap;
use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use dataflume_harness::pool::{
    ArtifactSource, Instance, OutputStream, PoolContext, WorkerChoice, WorkerLogSink, WorkerSpec,
    pool_for, supervise, sweep,
};
use dataflume_harness::state::NoState;
use dataflume_harness::{
    BundleInputs, BundleRequest, FnApi, FnApiOptions, InputChunk, LogSink, Provision, Worker,
    WorkerRegistration,
};
use dataflume_proto::fn_execution::{
    LogEntry, ProcessBundleDescriptor, ProvisionInfo, RemoteGrpcPort,
};
use dataflume_proto::pipeline::{
    ArtifactFilePayload, ArtifactInformation, ArtifactStagingToRolePayload, Coder, DockerPayload,
    Environment, FunctionSpec, PCollection, PTransform, WindowingStrategy,
};
use dataflume_proto::urn::{
    environments, global_windows_payload, roles, runner, standard_coders, types,
};
use futures::stream::{self, BoxStream};
use prost::Message;
use tokio::net::TcpListener;
use tonic::Status;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// The staged files, where they are.
struct Files;

#[async_trait]
impl ArtifactSource for Files {
    async fn resolve(
        &self,
        artifacts: Vec<ArtifactInformation>,
    ) -> Result<Vec<ArtifactInformation>, Status> {
        Ok(artifacts)
    }

    async fn open(
        &self,
        artifact: ArtifactInformation,
    ) -> Result<BoxStream<'static, Result<Bytes, Status>>, Status> {
        let payload = ArtifactFilePayload::decode(artifact.type_payload)
            .map_err(|error| Status::invalid_argument(error.to_string()))?;
        let content = tokio::fs::read(&payload.path).await?;
        let chunks: Vec<_> = content
            .chunks(1 << 20)
            .map(|chunk| Ok(Bytes::copy_from_slice(chunk)))
            .collect();
        Ok(Box::pin(stream::iter(chunks)))
    }
}

struct Print;

impl WorkerLogSink for Print {
    fn line(&self, worker_id: &str, stream: OutputStream, line: &str) {
        println!("  [{worker_id} {stream:?}] {line}");
    }
}

impl LogSink for Print {
    fn log(&self, worker_id: &str, entries: Vec<LogEntry>) {
        for entry in entries {
            println!(
                "  [{worker_id} {}] {}",
                entry.severity().as_str_name(),
                entry.message
            );
        }
    }
}

fn main() -> std::process::ExitCode {
    if let Some(code) = supervise::run_if_asked() {
        return code;
    }
    let runtime = tokio::runtime::Runtime::new();
    let outcome = runtime.map_err(Into::into).and_then(|r| r.block_on(run()));
    match outcome {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            std::process::ExitCode::FAILURE
        }
    }
}

async fn run() -> Outcome<()> {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let choice = match arguments.first().map(String::as_str) {
        Some("--docker") => {
            arguments.remove(0);
            WorkerChoice::AsSent
        }
        _ => WorkerChoice::Managed,
    };
    let Some((image, files)) = arguments.split_first() else {
        return Err("usage: managed_worker [--docker] IMAGE [ROLE=]FILE..".into());
    };
    let environment = Environment {
        urn: environments::DOCKER.to_owned(),
        payload: DockerPayload {
            container_image: image.clone(),
        }
        .encode_to_vec()
        .into(),
        dependencies: files.iter().map(|file| artifact(file)).collect(),
        ..Default::default()
    };
    let scratch_root = std::env::temp_dir().join("dataflume-managed-worker");
    let instance = Arc::new(Instance::create(&scratch_root)?);
    sweep(&scratch_root, &instance).await;
    let context = PoolContext::new(instance.clone(), "job", std::env::current_exe()?);
    let pool = pool_for(&environment, choice, context)?;
    let outcome = one_worker(&instance, &environment, pool.as_ref()).await;
    pool.shutdown().await;
    outcome
}

async fn one_worker(
    instance: &Instance,
    environment: &Environment,
    pool: &dyn dataflume_harness::pool::WorkerPool,
) -> Outcome<()> {
    let fn_api = FnApi::new(FnApiOptions::default());
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    fn_api.set_endpoint(format!("localhost:{}", listener.local_addr()?.port()));
    tokio::spawn(
        Server::builder()
            .add_routes(fn_api.routes())
            .serve_with_incoming(TcpIncoming::from(listener).with_nodelay(Some(true))),
    );
    let provision = ProvisionInfo {
        pipeline_options: Some(prost_types::Struct::default()),
        dependencies: environment.dependencies.clone(),
        ..Default::default()
    };
    let connection = fn_api.expect_worker(WorkerRegistration {
        worker_id: "worker-1".to_owned(),
        endpoint: None,
        capabilities: environment.capabilities.clone(),
        provision: Some(Provision {
            info: provision,
            artifacts: Arc::new(Files),
        }),
        log: Arc::new(Print),
    })?;
    let started = Instant::now();
    let mut process = pool
        .start_worker(WorkerSpec {
            worker_id: "worker-1".to_owned(),
            endpoint: connection.endpoint().url.clone(),
            provision: connection.provision_info().cloned().unwrap_or_default(),
            artifacts: Arc::new(Files),
            log: Arc::new(Print),
            environment: environment.clone(),
            scratch: instance.worker_scratch("job", "worker-1"),
        })
        .await?;
    println!("started after {:?}", started.elapsed());
    let worker = tokio::select! {
        worker = connection.ready() => worker?,
        ended = process.exited() => return Err(ended.reason.into()),
        () = tokio::time::sleep(Duration::from_secs(120)) => return Err("no connection in 2 minutes".into()),
    };
    println!("connected after {:?}", started.elapsed());
    let echoed = tokio::time::timeout(Duration::from_secs(60), echo(&worker)).await;
    println!("echoed {} bytes after {:?}", echoed??, started.elapsed());
    let stopping = Instant::now();
    process.stop().await;
    println!("stopped within {:?}", stopping.elapsed());
    Ok(())
}

fn artifact(file: &str) -> ArtifactInformation {
    let (role, path) = file.split_once('=').unwrap_or(("", file));
    let name = Path::new(path).file_name().unwrap_or_default();
    let staging = ArtifactStagingToRolePayload {
        staged_name: name.to_string_lossy().into_owned(),
    };
    let (role_urn, role_payload) = match role {
        "go" => (roles::GO_WORKER_BINARY, Vec::new()),
        _ => (roles::STAGING_TO, staging.encode_to_vec()),
    };
    ArtifactInformation {
        type_urn: types::FILE.to_owned(),
        type_payload: ArtifactFilePayload {
            path: path.to_owned(),
            ..Default::default()
        }
        .encode_to_vec()
        .into(),
        role_urn: role_urn.to_owned(),
        role_payload: role_payload.into(),
    }
}

async fn echo(worker: &Worker) -> Outcome<usize> {
    worker.register(&descriptor())?;
    // A byte string of one byte: timestamp 0, the global window, the only firing.
    let mut element = (1_u64 << 63).to_be_bytes().to_vec();
    element.extend_from_slice(&[0, 0, 0, 1, 0x0f, 1, b'x']);
    let mut running = worker.process_bundle(BundleRequest {
        instruction_id: "bundle".to_owned(),
        descriptor_id: "echo".to_owned(),
        inputs: BundleInputs::Complete(vec![InputChunk::data("in", element)]),
        cache_tokens: Vec::new(),
        has_no_state: false,
        only_bundle_for_keys: false,
        state: Arc::new(NoState),
    })?;
    let mut bytes = 0;
    while let Some(output) = running.outputs.recv().await {
        bytes += output.bytes().len();
    }
    running.handle.finish().await?;
    Ok(bytes)
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
    let transform = |name: &str, urn: &str| PTransform {
        unique_name: name.to_owned(),
        spec: spec(urn, port.clone()),
        ..Default::default()
    };
    let mut source = transform("in", runner::DATA_SOURCE);
    source.outputs = local();
    let mut sink = transform("out", runner::DATA_SINK);
    sink.inputs = local();
    let coder = |urn: &str, components: &[&str]| Coder {
        spec: spec(urn, Vec::new()),
        component_coder_ids: components.iter().map(|c| (*c).to_owned()).collect(),
    };
    let coders = [
        ("bytes", coder(standard_coders::BYTES, &[])),
        ("window", coder(standard_coders::GLOBAL_WINDOW, &[])),
        (
            "windowed",
            coder(standard_coders::WINDOWED_VALUE, &["bytes", "window"]),
        ),
    ];
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
        coders: coders.map(|(id, coder)| (id.to_owned(), coder)).into(),
        ..Default::default()
    }
}
