//! A server with the Fn API on a loopback port, and a fake SDK harness whose every step a test
//! writes out.
#![allow(dead_code, reason = "each test binary uses a part")]
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dataflume_harness::artifacts::NoArtifacts;
use dataflume_harness::fn_api::{HTTP2_CONNECTION_WINDOW_BYTES, HTTP2_STREAM_WINDOW_BYTES};
use dataflume_harness::logging::TracingSink;
use dataflume_harness::state::NoState;
use dataflume_harness::{
    BundleInputs, BundleOutput, BundleRequest, FnApi, FnApiOptions, Provision, RunningBundle,
    Worker, WorkerConnection, WorkerRegistration,
};
use dataflume_proto::fn_execution::beam_fn_control_client::BeamFnControlClient;
use dataflume_proto::fn_execution::beam_fn_data_client::BeamFnDataClient;
use dataflume_proto::fn_execution::{
    Elements, GetProcessBundleDescriptorRequest, InstructionRequest, InstructionResponse,
    ProcessBundleDescriptor, ProcessBundleRequest, ProcessBundleResponse, ProvisionInfo,
    RemoteGrpcPort, elements, instruction_request, instruction_response,
};
use dataflume_proto::pipeline::{FunctionSpec, PTransform, ParDoPayload, TimerFamilySpec};
use dataflume_proto::urn::{primitives, runner};
use prost::Message;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Server};
use tonic::{Request, Status, Streaming};

/// A test that waits longer than this for one step has failed.
const STEP: Duration = Duration::from_secs(30);

/// Waits for one step of a test.
pub(crate) async fn step<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(STEP, future).await {
        Ok(value) => value,
        Err(_) => panic!("timed out: {what}"),
    }
}

/// A listening Fn API.
pub(crate) struct TestServer {
    pub(crate) fn_api: FnApi,
    pub(crate) address: SocketAddr,
}

impl TestServer {
    pub(crate) async fn start() -> Self {
        Self::with(FnApiOptions::default()).await
    }

    pub(crate) async fn with(options: FnApiOptions) -> Self {
        let fn_api = FnApi::new(options);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        fn_api.set_endpoint(address.to_string());
        let router = Server::builder()
            .initial_stream_window_size(HTTP2_STREAM_WINDOW_BYTES)
            .initial_connection_window_size(HTTP2_CONNECTION_WINDOW_BYTES)
            .add_routes(fn_api.routes());
        tokio::spawn(
            router.serve_with_incoming(TcpIncoming::from(listener).with_nodelay(Some(true))),
        );
        Self { fn_api, address }
    }

    pub(crate) fn expect(&self, worker_id: &str) -> WorkerConnection {
        self.fn_api.expect_worker(registration(worker_id)).unwrap()
    }

    pub(crate) async fn sdk(&self, worker_id: &str) -> FakeSdk {
        let channel = Channel::from_shared(format!("http://{}", self.address))
            .unwrap()
            .connect()
            .await
            .unwrap();
        FakeSdk {
            worker_id: worker_id.to_owned(),
            channel,
        }
    }

    /// A connected worker with [`descriptor`] registered, and its fake SDK with both streams open.
    pub(crate) async fn worker(&self, worker_id: &str) -> (Worker, Connected) {
        self.worker_with(registration(worker_id)).await
    }

    pub(crate) async fn worker_with(
        &self,
        registration: WorkerRegistration,
    ) -> (Worker, Connected) {
        let id = registration.worker_id.clone();
        let connection = self.fn_api.expect_worker(registration).unwrap();
        let sdk = self.sdk(&id).await;
        let connected = sdk.connect().await;
        let worker = step("ready", connection.ready()).await.unwrap();
        worker.register(&descriptor("d", &[])).unwrap();
        (worker, connected)
    }
}

pub(crate) fn registration(worker_id: &str) -> WorkerRegistration {
    WorkerRegistration {
        worker_id: worker_id.to_owned(),
        endpoint: None,
        capabilities: Vec::new(),
        provision: Some(provision(ProvisionInfo::default())),
        log: Arc::new(TracingSink),
    }
}

/// What a worker without artifacts is told.
pub(crate) fn provision(info: ProvisionInfo) -> Provision {
    Provision {
        info,
        artifacts: Arc::new(NoArtifacts),
    }
}

/// `in -> dofn -> out`, where `dofn` has the given timer families.
pub(crate) fn descriptor(id: &str, timer_families: &[&str]) -> ProcessBundleDescriptor {
    let port = RemoteGrpcPort {
        coder_id: "coder".to_owned(),
        ..Default::default()
    };
    let par_do = ParDoPayload {
        timer_family_specs: timer_families
            .iter()
            .map(|family| ((*family).to_owned(), TimerFamilySpec::default()))
            .collect(),
        ..Default::default()
    };
    let transform = |urn: &str, payload: Vec<u8>| PTransform {
        spec: Some(FunctionSpec {
            urn: urn.to_owned(),
            payload: payload.into(),
        }),
        ..Default::default()
    };
    ProcessBundleDescriptor {
        id: id.to_owned(),
        transforms: HashMap::from([
            (
                "in".to_owned(),
                transform(runner::DATA_SOURCE, port.encode_to_vec()),
            ),
            (
                "dofn".to_owned(),
                transform(primitives::PAR_DO, par_do.encode_to_vec()),
            ),
            (
                "out".to_owned(),
                transform(runner::DATA_SINK, port.encode_to_vec()),
            ),
        ]),
        ..Default::default()
    }
}

pub(crate) fn bundle(instruction_id: &str, inputs: BundleInputs) -> BundleRequest {
    BundleRequest {
        instruction_id: instruction_id.to_owned(),
        descriptor_id: "d".to_owned(),
        inputs,
        cache_tokens: Vec::new(),
        has_no_state: false,
        only_bundle_for_keys: false,
        state: Arc::new(NoState),
    }
}

/// The bytes of everything that a bundle writes to `out`, and how it ended.
pub(crate) async fn collect(
    mut running: RunningBundle,
) -> (
    Vec<u8>,
    Result<ProcessBundleResponse, dataflume_harness::BundleError>,
) {
    let mut written = Vec::new();
    while let Some(output) = step("output", running.outputs.recv()).await {
        match output {
            BundleOutput::Data { transform, bytes } => {
                assert_eq!(transform, "out");
                written.extend_from_slice(&bytes);
            }
            BundleOutput::Timers { .. } => panic!("unexpected timers"),
        }
    }
    let result = step("finish", running.handle.finish()).await;
    (written, result)
}

/// A client of the Fn API under one worker id.
#[derive(Clone)]
pub(crate) struct FakeSdk {
    pub(crate) worker_id: String,
    pub(crate) channel: Channel,
}

impl FakeSdk {
    pub(crate) fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request
            .metadata_mut()
            .insert("worker_id", self.worker_id.parse().unwrap());
        request
    }

    pub(crate) fn control_client(&self) -> BeamFnControlClient<Channel> {
        BeamFnControlClient::new(self.channel.clone()).max_decoding_message_size(usize::MAX)
    }

    pub(crate) async fn control(&self) -> Result<Control, Status> {
        let (responses, stream) = mpsc::channel(8);
        let request = self.request(ReceiverStream::new(stream));
        let requests = self.control_client().control(request).await?.into_inner();
        Ok(Control {
            requests,
            responses,
        })
    }

    pub(crate) async fn data(&self) -> Result<Data, Status> {
        let (outgoing, stream) = mpsc::channel(8);
        let incoming = BeamFnDataClient::new(self.channel.clone())
            .max_decoding_message_size(usize::MAX)
            .max_encoding_message_size(usize::MAX)
            .data(self.request(ReceiverStream::new(stream)))
            .await?
            .into_inner();
        Ok(Data { incoming, outgoing })
    }

    pub(crate) async fn connect(&self) -> Connected {
        Connected {
            control: step("control stream", self.control()).await.unwrap(),
            data: step("data stream", self.data()).await.unwrap(),
            sdk: self.clone(),
        }
    }

    pub(crate) async fn descriptor(&self, id: &str) -> Result<ProcessBundleDescriptor, Status> {
        let request = GetProcessBundleDescriptorRequest {
            process_bundle_descriptor_id: id.to_owned(),
        };
        self.control_client()
            .get_process_bundle_descriptor(self.request(request))
            .await
            .map(tonic::Response::into_inner)
    }
}

/// A fake SDK with its two main streams open.
pub(crate) struct Connected {
    pub(crate) control: Control,
    pub(crate) data: Data,
    pub(crate) sdk: FakeSdk,
}

pub(crate) struct Control {
    pub(crate) requests: Streaming<InstructionRequest>,
    pub(crate) responses: mpsc::Sender<InstructionResponse>,
}

impl Control {
    pub(crate) async fn next(&mut self) -> InstructionRequest {
        step("instruction", self.requests.message())
            .await
            .unwrap()
            .expect("the control stream ended")
    }

    /// The next instruction, which must be a bundle.
    pub(crate) async fn next_bundle(&mut self) -> (String, ProcessBundleRequest) {
        let request = self.next().await;
        match request.request {
            Some(instruction_request::Request::ProcessBundle(bundle)) => {
                (request.instruction_id, bundle)
            }
            other => panic!("expected a bundle, got {other:?}"),
        }
    }

    pub(crate) async fn respond(
        &self,
        instruction_id: &str,
        response: instruction_response::Response,
    ) {
        let response = InstructionResponse {
            instruction_id: instruction_id.to_owned(),
            error: String::new(),
            response: Some(response),
        };
        self.responses.send(response).await.unwrap();
    }

    pub(crate) async fn finish(&self, instruction_id: &str, response: ProcessBundleResponse) {
        let response = instruction_response::Response::ProcessBundle(response);
        self.respond(instruction_id, response).await;
    }

    pub(crate) async fn fail(&self, instruction_id: &str, error: &str) {
        let response = InstructionResponse {
            instruction_id: instruction_id.to_owned(),
            error: error.to_owned(),
            response: None,
        };
        self.responses.send(response).await.unwrap();
    }
}

pub(crate) struct Data {
    pub(crate) incoming: Streaming<Elements>,
    pub(crate) outgoing: mpsc::Sender<Elements>,
}

impl Data {
    pub(crate) async fn next(&mut self) -> Elements {
        step("elements", self.incoming.message())
            .await
            .unwrap()
            .expect("the data stream ended")
    }

    /// Reads one bundle's input to its end.
    pub(crate) async fn input(&mut self, instruction_id: &str) -> Vec<u8> {
        let mut read = Vec::new();
        loop {
            for data in self.next().await.data {
                assert_eq!(data.instruction_id, instruction_id);
                assert_eq!(data.transform_id, "in");
                read.extend_from_slice(&data.data);
                if data.is_last {
                    return read;
                }
            }
        }
    }

    pub(crate) async fn send(&self, elements: Elements) {
        self.outgoing.send(elements).await.unwrap();
    }

    pub(crate) async fn write(&self, instruction_id: &str, bytes: impl Into<Bytes>) {
        self.send(out(instruction_id, bytes, false)).await;
    }

    pub(crate) async fn end(&self, instruction_id: &str) {
        self.send(out(instruction_id, "", true)).await;
    }
}

/// A message with one piece for the sink.
pub(crate) fn out(instruction_id: &str, bytes: impl Into<Bytes>, is_last: bool) -> Elements {
    Elements {
        data: vec![elements::Data {
            instruction_id: instruction_id.to_owned(),
            transform_id: "out".to_owned(),
            data: bytes.into(),
            is_last,
        }],
        timers: Vec::new(),
    }
}
