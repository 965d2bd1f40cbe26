//! Process workers that stand in for containers.
//!
//! A `DOCKER` environment names an image, within which a boot program fetches the job's artifacts,
//! sets up the language's runtime and starts the SDK harness. Here the same is done without the
//! container: artifacts come from the bucket into a folder of the job's, each worker is a process in
//! a folder of its own with a clean environment. What was not staged is not there.

mod classes;
mod go;
mod identify;
mod interpreter;
mod jars;
mod java;
mod probes;
mod python;
mod tools;
mod venv;
mod warm;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use dataflume_proto::pipeline::{ArtifactInformation, DockerPayload, Environment};
use tokio::sync::OnceCell;
use tracing::{debug, info};

pub use self::classes::JavaClasses;
use self::classes::Lease;
use self::identify::{Language, Sdk};
use self::python::JobPython;
pub use self::warm::WarmPythons;
use super::launch::{Launch, Supervised, lines_of, make_scratch, remove_folder};
use super::staging::{self, Staged};
use super::started::Started;
use super::{PoolContext, PoolError, StartedWorker, WorkerPool, WorkerSpec, boot, decode};

/// Where artifacts are, in the job's folder: SDK harnesses look for it under this name.
const STAGED_FOLDER: &str = "staged";

/// Tells the folders of a process's pools apart.
static NEXT: AtomicU32 = AtomicU32::new(0);

/// How to start a harness, once the job's environment is made. The same for all its workers.
#[derive(Debug, Clone)]
struct Prepared {
    program: PathBuf,
    arguments: Vec<OsString>,
    variables: Vec<(String, String)>,
    /// For interpreters that are there already.
    python: Option<JobPython>,
    /// For virtual machines that share what they load.
    java: Option<Arc<Lease>>,
}

/// What is particular to an SDK.
#[async_trait]
trait Runtime: Send + Sync {
    /// Whether the environment is made, and the harness starts, without any of these artifacts.
    fn starts_without(&self, _declared: &[ArtifactInformation]) -> bool {
        false
    }

    /// Makes the job's environment out of what was staged.
    async fn prepare(&self, job: &Job<'_>) -> Result<Prepared, PoolError>;

    /// Arguments that differ from worker to worker.
    fn worker_arguments(&self, spec: &WorkerSpec) -> Vec<OsString>;

    /// Variables that differ from worker to worker.
    fn worker_variables(&self, spec: &WorkerSpec) -> Vec<(String, String)>;
}

/// A job's environment while it is being made.
struct Job<'a> {
    context: &'a PoolContext,
    /// The first worker's spec.
    spec: &'a WorkerSpec,
    /// The semi-persistent folder, with `staged` in it.
    folder: &'a Path,
    staged: &'a [Staged],
    /// Runs programs, and ends them with the pool.
    started: &'a Started,
}

/// The pool for a `DOCKER` environment's SDK.
pub(crate) fn pool(
    environment: &Environment,
    context: PoolContext,
) -> Result<Box<dyn WorkerPool>, PoolError> {
    let payload: DockerPayload = decode(environment)?;
    let sdk =
        identify::sdk(&payload.container_image, environment).ok_or(PoolError::UnknownSdk {
            image: payload.container_image,
        })?;
    let folder = context.instance.job_scratch(&context.job_id).join(format!(
        ".environment-{}",
        NEXT.fetch_add(1, Ordering::Relaxed)
    ));
    let runtime = runtime(sdk);
    Ok(Box::new(ManagedPool {
        needs_artifacts: !runtime.starts_without(&environment.dependencies),
        runtime,
        context,
        folder,
        prepared: OnceCell::new(),
        staged: OnceCell::new(),
        started: Started::default(),
    }))
}

fn runtime(sdk: Sdk) -> Box<dyn Runtime> {
    match sdk.language {
        Language::Python => Box::new(python::Python { sdk }),
        Language::Java => Box::new(java::Java { sdk }),
        Language::Go => Box::new(go::Go),
    }
}

struct ManagedPool {
    runtime: Box<dyn Runtime>,
    context: PoolContext,
    folder: PathBuf,
    /// As the environment was sent.
    needs_artifacts: bool,
    prepared: OnceCell<Prepared>,
    /// Set when the artifacts are there.
    staged: OnceCell<()>,
    started: Started,
}

impl ManagedPool {
    /// Makes the job's environment, from scratch: an earlier attempt may have left half of one. Artifacts that it can do without are
    /// [left for later](Self::stage_rest).
    async fn prepare(&self, spec: &WorkerSpec) -> Result<Prepared, PoolError> {
        remove_folder(&self.folder).await;
        let folder = self.folder.join(STAGED_FOLDER);
        let staged = if self.runtime.starts_without(staging::dependencies(spec)) {
            staging::make_folder(&folder).await?;
            Vec::new()
        } else {
            let staged = staging::materialize(spec, &folder).await?;
            self.staged.set(()).ok();
            staged
        };
        let job = Job {
            context: &self.context,
            spec,
            folder: &self.folder,
            staged: &staged,
            started: &self.started,
        };
        self.runtime.prepare(&job).await
    }

    /// Fetches what the first worker has started without.
    async fn stage_rest(&self, spec: &WorkerSpec) -> Result<(), PoolError> {
        let folder = self.folder.join(STAGED_FOLDER);
        let fetch = async || staging::materialize(spec, &folder).await.map(drop);
        self.staged.get_or_try_init(fetch).await.map(drop)
    }

    async fn launch(&self, spec: &WorkerSpec) -> Result<Launch, PoolError> {
        let prepared = self
            .prepared
            .get_or_try_init(|| self.prepare(spec))
            .await?
            .clone();
        make_scratch(&spec.scratch).await?;
        let mut variables = boot::machine_variables();
        variables.extend(boot::folder_variables(&spec.scratch));
        variables.extend(self.context.environment_variables.iter().cloned());
        variables.push(boot::write_options(&spec.scratch, &spec.provision).await?);
        variables.extend(prepared.variables);
        variables.extend(self.runtime.worker_variables(spec));
        let mut arguments = prepared.arguments;
        arguments.extend(self.runtime.worker_arguments(spec));
        Ok(Launch {
            program: prepared.program,
            arguments,
            variables,
            folder: spec.scratch.clone(),
            lines: lines_of(spec),
            reads_input: false,
        })
    }

    /// Makes the worker of an interpreter that is there already, if it is in Python and there is one.
    async fn warm(&self, spec: &WorkerSpec, launch: &Launch) -> Option<Supervised> {
        let warm = self.context.warm_pythons.as_ref()?;
        let python = self.prepared.get()?.python.as_ref()?;
        let parked = warm.take(&python.base)?;
        let variables = launch.variables.clone();
        let job_id = &self.context.job_id;
        match parked.become_worker(spec, python, variables).await {
            Ok(process) => {
                info!(
                    job_id,
                    worker_id = spec.worker_id,
                    "a warm interpreter is the worker"
                );
                Some(process)
            }
            Err(error) => {
                debug!(job_id, %error, "a warm interpreter can't be the worker");
                None
            }
        }
    }
}

#[async_trait]
impl WorkerPool for ManagedPool {
    async fn start_worker(&self, spec: WorkerSpec) -> Result<Box<dyn StartedWorker>, PoolError> {
        let _entered = self.started.enter().await?;
        let launch = match self.launch(&spec).await {
            Ok(launch) => launch,
            Err(error) => {
                remove_folder(&spec.scratch).await;
                return Err(error);
            }
        };
        let mut worker = match self.warm(&spec, &launch).await {
            Some(process) => self.started.keep(&self.context, &spec, process),
            None => self.started.start(&self.context, &spec, launch).await?,
        };
        if let Err(error) = self.stage_rest(&spec).await {
            worker.stop().await;
            return Err(error);
        }
        Ok(worker)
    }

    fn needs_artifacts(&self) -> bool {
        self.needs_artifacts
    }

    async fn shutdown(&self) {
        self.started
            .shutdown(&self.context, Some(&self.folder))
            .await;
        if let Some(lease) = self.prepared.get().and_then(|made| made.java.as_ref()) {
            lease.end();
        }
    }
}
