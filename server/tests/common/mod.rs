//! What the tests of this crate share: a server on real loopback sockets whose jobs are run by a
//! script, and clients of it.

#![allow(dead_code, reason = "each test binary uses its own part")]

pub(crate) mod rest;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dataflume::jobs::{
    JobControl, JobEvents, JobMetrics, JobRunner, JobSpec, JobState, Refusal, StageProgress, Usage,
    WorkerLimits,
};
use dataflume::server::{DataLocation, Server, ServerOptions};
use dataflume_proto::job::job_messages_response::Response as Content;
use dataflume_proto::job::job_service_client::JobServiceClient;
use dataflume_proto::job::job_state::Enum as WireState;
use dataflume_proto::job::{
    GetJobStateRequest, JobMessagesRequest, JobMessagesResponse, PrepareJobRequest,
    PrepareJobResponse, RunJobRequest,
};
use dataflume_proto::pipeline::{MonitoringInfo, Pipeline};
use futures::FutureExt;
use futures::future::BoxFuture;
use prost_types::Struct;
use tempfile::TempDir;
use tokio::sync::watch;
use tonic::transport::Channel;
use tonic::{Status, Streaming};

/// More than anything here takes, on a machine under load.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs jobs as the test says. A pipeline whose root transform is called `refuse: TEXT` is refused
/// for that reason, one called `panic` makes the check panic.
#[derive(Default)]
pub(crate) struct ScriptedRunner {
    jobs: watch::Sender<HashMap<String, Arc<ScriptedJob>>>,
    /// Whether a job ends when it is cancelled.
    pub(crate) stubborn: AtomicBool,
}

/// A job that the runner was given.
pub(crate) struct ScriptedJob {
    pub(crate) spec: JobSpec,
    events: Mutex<Option<JobEvents>>,
    cancels: watch::Sender<usize>,
    limits: watch::Sender<Option<WorkerLimits>>,
    obeys: bool,
}

impl ScriptedRunner {
    /// The job, which has been started.
    pub(crate) fn job(&self, id: &str) -> Arc<ScriptedJob> {
        self.jobs.borrow()[id].clone()
    }
}

impl ScriptedJob {
    pub(crate) fn events(&self) -> JobEvents {
        self.events.lock().unwrap().clone().unwrap()
    }

    /// The runner is gone without a word.
    pub(crate) fn vanish(&self) {
        self.events.lock().unwrap().take();
    }

    /// How many workers it was last told that it may have.
    pub(crate) fn limits(&self) -> Option<WorkerLimits> {
        *self.limits.borrow()
    }

    pub(crate) fn cancels(&self) -> usize {
        *self.cancels.borrow()
    }
}

impl JobRunner for ScriptedRunner {
    fn validate(&self, pipeline: &Pipeline, _: &Struct) -> Result<(), Refusal> {
        for root in &pipeline.root_transform_ids {
            assert_ne!(root, "panic", "as the test wants it");
            if let Some(reason) = root.strip_prefix("refuse: ") {
                return Err(Refusal(reason.to_owned()));
            }
        }
        Ok(())
    }

    fn start(&self, spec: JobSpec, events: JobEvents) -> Box<dyn JobControl> {
        let job = Arc::new(ScriptedJob {
            spec,
            events: Mutex::new(Some(events)),
            cancels: watch::Sender::new(0),
            limits: watch::Sender::new(None),
            obeys: !self.stubborn.load(Ordering::Relaxed),
        });
        self.jobs.send_modify(|jobs| {
            jobs.insert(job.spec.id.clone(), job.clone());
        });
        Box::new(Control(job))
    }
}

struct Control(Arc<ScriptedJob>);

impl JobControl for Control {
    fn cancel(&self) {
        self.0.cancels.send_modify(|count| *count += 1);
        if self.0.obeys {
            self.0.events().state(JobState::Cancelled);
        }
    }

    fn drain(&self) {
        if self.0.obeys {
            self.0.events().state(JobState::Drained);
        }
    }

    fn limit_workers(&self, limits: WorkerLimits) {
        self.0.limits.send_replace(Some(limits));
    }

    fn metrics(&self) -> JobMetrics {
        let info = |urn: &str| MonitoringInfo {
            urn: urn.to_owned(),
            ..MonitoringInfo::default()
        };
        JobMetrics {
            attempted: vec![info("attempted")],
            committed: vec![info("committed")],
        }
    }

    fn usage(&self) -> Usage {
        Usage::default()
    }

    fn stages(&self) -> BoxFuture<'_, Vec<StageProgress>> {
        std::future::ready(Vec::new()).boxed()
    }
}

/// A server under test.
pub(crate) struct TestServer {
    pub(crate) server: Server,
    pub(crate) runner: Arc<ScriptedRunner>,
    folder: TempDir,
}

impl TestServer {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// Starts one with changed options.
    pub(crate) async fn start_with(change: impl FnOnce(&mut ServerOptions)) -> Self {
        let runner = Arc::new(ScriptedRunner::default());
        let folder = tempfile::tempdir().unwrap();
        let data = DataLocation::Folder(folder.path().to_owned());
        let given = runner.clone();
        let mut options = ServerOptions::new(0, data);
        change(&mut options);
        let server = Server::start(options, |_| given).await.unwrap();
        Self {
            server,
            runner,
            folder,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.server.endpoint())
    }

    pub(crate) async fn client(&self) -> Client {
        client_of(&self.url()).await
    }
}

pub(crate) type Client = JobServiceClient<Channel>;

pub(crate) async fn client_of(url: &str) -> Client {
    let client = JobServiceClient::connect(url.to_owned()).await.unwrap();
    client
        .max_decoding_message_size(usize::MAX)
        .max_encoding_message_size(usize::MAX)
}

/// A pipeline with such root transforms.
pub(crate) fn pipeline(roots: &[&str]) -> Pipeline {
    Pipeline {
        root_transform_ids: roots.iter().map(|&root| root.to_owned()).collect(),
        ..Pipeline::default()
    }
}

pub(crate) async fn prepare(
    client: &mut Client,
    name: &str,
    pipeline: Pipeline,
) -> Result<PrepareJobResponse, Status> {
    let request = PrepareJobRequest {
        pipeline: Some(pipeline),
        job_name: name.to_owned(),
        ..PrepareJobRequest::default()
    };
    client
        .prepare(request)
        .await
        .map(tonic::Response::into_inner)
}

pub(crate) async fn run(client: &mut Client, preparation_id: &str) -> Result<String, Status> {
    let request = RunJobRequest {
        preparation_id: preparation_id.to_owned(),
        ..RunJobRequest::default()
    };
    client
        .run(request)
        .await
        .map(|response| response.into_inner().job_id)
}

/// Prepares and runs a small pipeline; gives the job's id.
pub(crate) async fn submit(client: &mut Client) -> String {
    let prepared = prepare(client, "test", pipeline(&["impulse"]))
        .await
        .unwrap();
    run(client, &prepared.preparation_id).await.unwrap()
}

pub(crate) fn state_request(id: &str) -> GetJobStateRequest {
    GetJobStateRequest {
        job_id: id.to_owned(),
    }
}

pub(crate) async fn state(client: &mut Client, id: &str) -> WireState {
    client
        .get_state(state_request(id))
        .await
        .unwrap()
        .into_inner()
        .state()
}

pub(crate) async fn messages(client: &mut Client, id: &str) -> Streaming<JobMessagesResponse> {
    let request = JobMessagesRequest {
        job_id: id.to_owned(),
    };
    client
        .get_message_stream(request)
        .await
        .unwrap()
        .into_inner()
}

/// The next entry of a message stream: a state's name, or a message's text. `None` at its end.
pub(crate) async fn next(stream: &mut Streaming<JobMessagesResponse>) -> Option<String> {
    let message = within(stream.message()).await.unwrap()?;
    Some(match message.response.unwrap() {
        Content::StateResponse(event) => {
            assert!(event.timestamp.is_some());
            event.state().as_str_name().to_owned()
        }
        Content::MessageResponse(message) => {
            assert!(!message.time.is_empty() && !message.message_id.is_empty());
            message.message_text
        }
    })
}

/// All that is left of a message stream.
pub(crate) async fn rest(mut stream: Streaming<JobMessagesResponse>) -> Vec<String> {
    let mut all = Vec::new();
    while let Some(entry) = next(&mut stream).await {
        all.push(entry);
    }
    all
}

/// The future's result; fails the test if it takes for ever.
pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future)
        .await
        .expect("this takes for ever")
}
