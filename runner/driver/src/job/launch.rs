//! Starting one worker: it is registered with the Fn API, and its pool starts it.
//!
//! A worker whose pool needs nothing that is staged may be started before its job is ([`EarlyWorker`]): while the client of a prepared
//! pipeline stages what it has and gets around to running it. Only what the worker asks for by itself, it has to wait for.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use dataflume_harness::pool::{
    Instance, OutputStream, StartedWorker, WorkerLogSink, WorkerPool, WorkerSpec,
};
use dataflume_harness::{
    FnApi, LogSink, Provision, WorkerConnection, WorkerError, WorkerRegistration,
};
use dataflume_proto::fn_execution::{LogEntry, ProvisionInfo};
use dataflume_proto::pipeline::Environment;
use tokio::task::JoinHandle;

use super::JobListener;

/// What is kept of what a worker says before its job is there.
const SAID_BEFORE: usize = 1_000;

/// A worker to be started.
pub(super) struct Launch<'a> {
    pub(super) fn_api: &'a FnApi,
    pub(super) pool: &'a dyn WorkerPool,
    pub(super) worker_id: String,
    pub(super) environment: &'a Environment,
    pub(super) provision: Provision,
    pub(super) scratch: PathBuf,
    pub(super) sink: Arc<Sink>,
}

/// A worker that was started, and will connect.
pub(super) struct Launched {
    pub(super) connection: WorkerConnection,
    pub(super) started: Box<dyn StartedWorker>,
}

impl Launch<'_> {
    /// Registers the worker and starts it. What can't be done then can't be done later either.
    pub(super) async fn start(self) -> Result<Launched, String> {
        let registered = self.fn_api.expect_worker(WorkerRegistration {
            worker_id: self.worker_id.clone(),
            endpoint: None,
            capabilities: self.environment.capabilities.clone(),
            provision: Some(self.provision.clone()),
            log: self.sink.clone(),
        });
        let connection = registered.map_err(|error: WorkerError| error.to_string())?;
        let provision = connection.provision_info().cloned();
        let spec = WorkerSpec {
            worker_id: self.worker_id,
            endpoint: connection.endpoint().url.clone(),
            provision: provision.unwrap_or_default(),
            artifacts: self.provision.artifacts,
            log: self.sink,
            environment: self.environment.clone(),
            scratch: self.scratch,
        };
        let started = self.pool.start_worker(spec).await;
        Ok(Launched {
            connection,
            started: started.map_err(|error| error.to_string())?,
        })
    }
}

/// What an [`EarlyWorker`] is made of.
pub struct EarlyWorkerSpec {
    /// The job to come.
    pub job_id: String,
    /// Unique among all workers.
    pub worker_id: String,
    /// Its environment.
    pub environment: Environment,
    /// Starts it, which [takes no artifacts](WorkerPool::needs_artifacts), and will start the environment's other workers.
    pub pool: Arc<dyn WorkerPool>,
    /// What will be told of its job, but for what is staged.
    pub provision: ProvisionInfo,
    /// The running emulator.
    pub instance: Arc<Instance>,
}

/// The first worker of an environment, started before its job. It is handed to the job in its
/// [`EnvironmentSpec`](super::EnvironmentSpec), or [stopped](EarlyWorker::stop).
pub struct EarlyWorker {
    connection: WorkerConnection,
    sink: Arc<Sink>,
    /// None where it could not be started: the job will try again, and say why.
    task: JoinHandle<Option<Box<dyn StartedWorker>>>,
}

impl EarlyWorker {
    /// Starts it in the background. Needs a runtime. None where it can't be: its job will say why.
    pub fn start(fn_api: &FnApi, early: EarlyWorkerSpec) -> Option<Self> {
        let sink = Arc::new(Sink::default());
        let registered = fn_api.expect_worker(WorkerRegistration {
            worker_id: early.worker_id.clone(),
            endpoint: None,
            capabilities: early.environment.capabilities.clone(),
            provision: None,
            log: sink.clone(),
        });
        let connection = registered.ok()?;
        let spec = WorkerSpec {
            scratch: (early.instance).worker_scratch(&early.job_id, &early.worker_id),
            worker_id: early.worker_id,
            endpoint: connection.endpoint().url.clone(),
            provision: connection.complete(early.provision),
            artifacts: connection.artifacts(),
            log: sink.clone(),
            environment: early.environment,
        };
        let task = tokio::spawn(async move {
            let started = early.pool.start_worker(spec).await;
            started
                .inspect_err(|reason| tracing::debug!(%reason, "no worker was started early"))
                .ok()
        });
        Some(Self {
            connection,
            sink,
            task,
        })
    }

    /// The worker, for a job that listens to it from now on. Go's asks what it is told of its job before it says that it has started.
    pub(super) async fn take(
        self,
        provision: &Provision,
        listener: &Arc<dyn JobListener>,
    ) -> Option<Launched> {
        self.connection.provide(provision.clone());
        self.sink.listen(listener.clone());
        let started = self.task.await.ok().flatten()?;
        Some(Launched {
            connection: self.connection,
            started,
        })
    }

    /// Ends a worker that no job wants.
    pub async fn stop(self) {
        self.connection.fail("no job wants it");
        if let Ok(Some(mut started)) = self.task.await {
            started.stop().await;
        }
    }
}

/// Hands what a worker says to its job's listener, as soon as there is one.
#[derive(Default)]
pub(super) struct Sink {
    listener: OnceLock<Arc<dyn JobListener>>,
    before: Mutex<Vec<Said>>,
}

enum Said {
    Entries(String, Vec<LogEntry>),
    Line(String, String),
}

impl Sink {
    pub(super) fn of(listener: Arc<dyn JobListener>) -> Arc<Self> {
        let sink = Self::default();
        sink.listen(listener);
        Arc::new(sink)
    }

    fn listen(&self, listener: Arc<dyn JobListener>) {
        let mut before = self.before();
        for said in before.drain(..) {
            said.tell(listener.as_ref());
        }
        // Only the first is told.
        self.listener.set(listener).ok();
    }

    fn say(&self, said: Said) {
        if self.listener.get().is_none() {
            let mut before = self.before();
            // It may have come meanwhile.
            if self.listener.get().is_none() {
                if before.len() < SAID_BEFORE {
                    before.push(said);
                }
                return;
            }
        }
        if let Some(listener) = self.listener.get() {
            said.tell(listener.as_ref());
        }
    }

    fn before(&self) -> MutexGuard<'_, Vec<Said>> {
        self.before.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Said {
    fn tell(self, listener: &dyn JobListener) {
        match self {
            Self::Entries(worker_id, entries) => listener.worker_log(&worker_id, entries),
            Self::Line(worker_id, line) => listener.worker_output(&worker_id, &line),
        }
    }
}

impl LogSink for Sink {
    fn log(&self, worker_id: &str, entries: Vec<LogEntry>) {
        self.say(Said::Entries(worker_id.to_owned(), entries));
    }
}

impl WorkerLogSink for Sink {
    fn line(&self, worker_id: &str, _stream: OutputStream, line: &str) {
        self.say(Said::Line(worker_id.to_owned(), line.to_owned()));
    }
}

impl std::fmt::Debug for EarlyWorker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("EarlyWorker")
    }
}
