//! Worker pools: starting and stopping the processes and containers that connect to the Fn API.
//!
//! A job has one pool per environment. [`pool_for`] chooses how the environment is made real:
//! `EXTERNAL` and `PROCESS` as the pipeline sent them, `DOCKER` either as a container or as a
//! process that is set up here the way Beam's container boot programs set up a container.
//!
//! A pool does not decide how many workers there are, nor whether one is ready: that is known from
//! [`WorkerConnection::ready`](crate::WorkerConnection::ready). It says when a worker is gone, and
//! it leaves nothing behind: every process is under a supervisor that ends it together with all its
//! descendants when the pool, or the emulator itself, goes away.
//!
//! Start at [`WorkerPool`]; then [`supervise`] for how processes are kept, [`Instance`] for where
//! their files are, and [`sweep`] for what happens after a crash.

mod boot;
mod docker;
mod error;
mod external;
mod instance;
mod launch;
mod managed;
mod memory;
mod output;
mod process;
mod process_table;
mod staging;
mod started;
pub mod supervise;
mod sweep;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dataflume_proto::fn_execution::ProvisionInfo;
use dataflume_proto::pipeline::{AnyOfEnvironmentPayload, Environment};
use dataflume_proto::urn::environments;
use prost::Message;
use tracing::debug;

pub use crate::artifacts::ArtifactSource;
pub use error::PoolError;
pub use instance::Instance;
pub use managed::{JavaClasses, WarmPythons};
pub use output::{OutputStream, WorkerLogSink};
pub use sweep::{Swept, sweep};

/// Starts workers of one environment of one job.
#[async_trait]
pub trait WorkerPool: Send + Sync {
    /// Starts a worker that will connect to the spec's endpoint under the spec's id. Returns when
    /// the process or container runs, which is before it connects. The first start of a pool may
    /// take long: it fetches the job's artifacts and installs its packages.
    ///
    /// # Errors
    /// [`PoolError`] says what could not be set up; nothing of the worker is left then.
    async fn start_worker(&self, spec: WorkerSpec) -> Result<Box<dyn StartedWorker>, PoolError>;

    /// Whether a worker's process can't run before the job's artifacts are staged. Where it can, a worker may be started while they
    /// still are: [`start_worker`](Self::start_worker) returns when it has what of them it is to have.
    fn needs_artifacts(&self) -> bool {
        true
    }

    /// Stops every worker that still runs and removes all that the pool made.
    async fn shutdown(&self);
}

/// One worker that a pool started. Dropping it stops the worker too, without waiting for the end.
#[async_trait]
pub trait StartedWorker: Send {
    /// Resolves when the process or container is gone, or has to go. Pending for ever where that can't be
    /// seen (`EXTERNAL`). Cancel safe.
    async fn exited(&mut self) -> Ended;

    /// Whether [`exited`](Self::exited) ever resolves.
    fn end_is_seen(&self) -> bool {
        true
    }

    /// Waits until a worker whose streams were ended has come to its own end, but no longer than this.
    async fn finish(&mut self, limit: Duration) {
        if tokio::time::timeout(limit, self.exited()).await.is_err() {
            debug!("a worker that was to end by itself did not within {limit:?}");
        }
    }

    /// Whether a process of a worker that is still there was ended for its memory, as far as that can be seen. The first process of
    /// a container may outlive the harness that it started.
    async fn lacked_memory(&mut self) -> bool {
        false
    }

    /// Ends the worker and all its descendants, and removes its scratch folder. Doing it twice is
    /// fine.
    async fn stop(&mut self);
}

/// How a worker came to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// Why, and the last lines of its output.
    pub reason: String,
    /// That is the doing of what it ran: it took more memory than it may, its native code failed, or it left by itself.
    pub self_inflicted: bool,
}

/// What a pool needs to know to start one worker.
#[derive(Clone)]
pub struct WorkerSpec {
    /// The id under which the worker is registered with the Fn API.
    pub worker_id: String,
    /// `host:port` of all Fn API services, as the worker reaches them.
    pub endpoint: String,
    /// What the provisioning service answers to this worker: pipeline options, retrieval token,
    /// dependencies (if none, those of the environment), runner capabilities, metadata.
    pub provision: ProvisionInfo,
    /// Where the dependencies are fetched from by pools that do so themselves.
    pub artifacts: Arc<dyn ArtifactSource>,
    /// Receives what the worker prints.
    pub log: Arc<dyn WorkerLogSink>,
    /// The environment as the pipeline has it.
    pub environment: Environment,
    /// The worker's own folder ([`Instance::worker_scratch`]). Made by the pool, and removed when
    /// the worker stops.
    pub scratch: PathBuf,
}

/// How `DOCKER` environments are made real. The other kinds are honoured as sent in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WorkerChoice {
    /// As a container where a Docker daemon answers, otherwise as a managed process.
    #[default]
    Auto,
    /// As a container of the image that the environment names.
    AsSent,
    /// As a process set up by this crate.
    Managed,
}

/// What all workers of a job's pool share.
#[derive(Debug, Clone)]
pub struct PoolContext {
    /// The running emulator, which owns the scratch folders.
    pub instance: Arc<Instance>,
    /// The job, as it appears in paths, container labels and environment markers.
    pub job_id: String,
    /// The executable that is run as `EXE supervise -- COMMAND`: the emulator's own.
    pub supervisor_exe: PathBuf,
    /// Python interpreters with apache-beam to choose from, best first. When empty:
    /// `DATAFLUME_PYTHON` (a list as in `PATH`), then `python3` and `python` on the `PATH`.
    pub pythons: Vec<PathBuf>,
    /// Interpreters that are ready to become workers.
    pub warm_pythons: Option<Arc<WarmPythons>>,
    /// Archives of the classes that Java workers load.
    pub java_classes: Option<Arc<JavaClasses>>,
    /// The Java launcher. When `None`: `DATAFLUME_JAVA`, `JAVA_HOME`, then `java` on the `PATH`.
    pub java: Option<PathBuf>,
    /// `beam-sdks-java-harness`, a jar or a folder of jars, for jobs that don't stage it. When
    /// `None`: `DATAFLUME_JAVA_HARNESS`, then the local Maven repository.
    pub java_harness: Option<PathBuf>,
    /// Variables that every worker gets, such as where the emulated services are.
    pub environment_variables: Vec<(String, String)>,
    /// What a worker may take of memory, in bytes, with all its processes. One that takes more is ended.
    pub memory_limit_bytes: Option<u64>,
    /// Folders of this machine that containers see, each as `HOST:CONTAINER` or `HOST:CONTAINER:ro`.
    pub container_volumes: Vec<String>,
}

impl PoolContext {
    /// A context with nothing configured but what must be.
    pub fn new(
        instance: Arc<Instance>,
        job_id: impl Into<String>,
        supervisor_exe: impl Into<PathBuf>,
    ) -> Self {
        Self {
            instance,
            job_id: job_id.into(),
            supervisor_exe: supervisor_exe.into(),
            pythons: Vec::new(),
            warm_pythons: None,
            java_classes: None,
            java: None,
            java_harness: None,
            environment_variables: Vec::new(),
            memory_limit_bytes: None,
            container_volumes: Vec::new(),
        }
    }

    /// For processes that are kept for jobs to come: a name takes the job's place, and nothing that is kept is used.
    pub(crate) fn of_no_job(&self, name: &str) -> Self {
        Self {
            job_id: name.to_owned(),
            warm_pythons: None,
            java_classes: None,
            ..self.clone()
        }
    }
}

/// Makes the pool for an environment. Starts nothing.
///
/// # Errors
/// [`PoolError::UnsupportedEnvironment`] or [`PoolError::InvalidPayload`] when workers of this
/// environment could never be started.
pub fn pool_for(
    environment: &Environment,
    choice: WorkerChoice,
    context: PoolContext,
) -> Result<Box<dyn WorkerPool>, PoolError> {
    match environment.urn.as_str() {
        environments::EXTERNAL => Ok(Box::new(external::ExternalPool::new(environment)?)),
        environments::PROCESS => Ok(Box::new(process::ProcessPool::new(environment, context)?)),
        environments::DOCKER if in_container(choice) => {
            Ok(Box::new(docker::DockerPool::new(environment, context)?))
        }
        environments::DOCKER => managed::pool(environment, context),
        environments::ANYOF => any_of(environment, choice, &context),
        other => Err(PoolError::UnsupportedEnvironment {
            urn: other.to_owned(),
        }),
    }
}

fn in_container(choice: WorkerChoice) -> bool {
    match choice {
        WorkerChoice::AsSent => true,
        WorkerChoice::Managed => false,
        WorkerChoice::Auto => docker::daemon_answers(),
    }
}

/// The first of the alternatives that is possible here.
fn any_of(
    environment: &Environment,
    choice: WorkerChoice,
    context: &PoolContext,
) -> Result<Box<dyn WorkerPool>, PoolError> {
    let payload: AnyOfEnvironmentPayload = decode(environment)?;
    let mut reasons = Vec::new();
    for alternative in &payload.environments {
        match pool_for(alternative, choice, context.clone()) {
            Ok(pool) => return Ok(pool),
            Err(error) => reasons.push(error.to_string()),
        }
    }
    Err(PoolError::NoAlternative { reasons })
}

fn decode<M: Message + Default>(environment: &Environment) -> Result<M, PoolError> {
    M::decode(environment.payload.clone()).map_err(|source| PoolError::InvalidPayload {
        urn: environment.urn.clone(),
        reason: source.to_string(),
    })
}
