//! Runs the job service's jobs on the driver: makes the plan, the pools, and passes on the news.

mod control;
mod early;
mod listener;
mod memory;
mod worker_logs;

pub use worker_logs::WORKER_LOGS_TARGET;

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use dataflume_driver::job::{self as driver, DriverOptions, EnvironmentSpec, JobHandle};
use dataflume_driver::machine::processors;
use dataflume_engine::JobOutcome;
use dataflume_engine::autoscale::{Algorithm, ScalingLimits};
use dataflume_graph::plan::{Environment, Plan};
use dataflume_graph::{TranslateOptions, translate};
use dataflume_harness::artifacts::NoArtifacts;
use dataflume_harness::pool::{
    Instance, JavaClasses, PoolContext, WarmPythons, WorkerChoice, WorkerPool, pool_for,
};
use dataflume_harness::{ArtifactSource, FnApi};
use dataflume_proto::fn_execution::ProvisionInfo;
use dataflume_proto::pipeline::{self as proto, Pipeline};
use dataflume_proto::sdk_base;
use dataflume_proto::urn::environments;
use futures::future::{BoxFuture, join_all};
use prost_types::Struct;
use tokio_util::task::TaskTracker;
use tracing::debug;

use control::Control;
use early::{EarlyEnvironment, EarlyWorkers};
use listener::Listener;

use crate::jobs::{
    Importance, JobControl, JobEvents, JobRunner, JobSpec, JobState, Refusal, Scaling, WorkerWishes,
};

/// How jobs get their workers.
#[derive(Debug, Clone)]
pub struct RunnerOptions {
    /// How DOCKER environments are made real.
    pub workers: WorkerChoice,
    /// Workers per environment, where the environment is not EXTERNAL and the job wants none.
    pub num_workers: u32,
    /// The most workers that a job gets per environment, whatever it wants.
    pub max_workers: u32,
    /// How much memory a worker may take, where the job doesn't say.
    pub worker_memory_bytes: Option<u64>,
    /// Variables that every worker gets, such as where the emulated services are.
    pub worker_variables: Vec<(String, String)>,
    /// Python interpreters to make workers of, best first; if none, those that the environment names.
    pub pythons: Vec<PathBuf>,
    /// How many Python interpreters wait, with the SDK imported, to become workers.
    pub warm_python_workers: u32,
    /// How many archives of the classes that Java workers load are kept.
    pub java_class_archives: u32,
    /// Where they outlive the emulator, if anywhere.
    pub java_class_folder: Option<PathBuf>,
    /// Folders that containers see, each as `HOST:CONTAINER` or `HOST:CONTAINER:ro`.
    pub docker_volumes: Vec<String>,
    /// The executable whose `supervise` command keeps workers: our own.
    pub supervisor_exe: PathBuf,
    /// Limits of a job.
    pub driver: DriverOptions,
}

/// The job service's runner.
pub struct PipelineRunner {
    fn_api: FnApi,
    instance: Arc<Instance>,
    warm_pythons: Arc<WarmPythons>,
    java_classes: Arc<JavaClasses>,
    options: RunnerOptions,
    early: Arc<EarlyWorkers>,
    /// Workers whose processes outlive their jobs by a moment.
    afterwards: TaskTracker,
}

impl PipelineRunner {
    /// A runner whose workers connect to `fn_api`. Needs a runtime: what is to be ready for the first
    /// job is started in the background.
    pub fn new(fn_api: FnApi, instance: Arc<Instance>, options: RunnerOptions) -> Self {
        let context = pool_context(&instance, String::new(), &options);
        let warm_pythons = WarmPythons::new(&context, options.warm_python_workers as usize);
        warm_pythons.begin(options.workers);
        let java_classes = JavaClasses::new(
            &context,
            options.java_class_folder.as_deref(),
            options.java_class_archives as usize,
        );
        java_classes.begin();
        Self {
            fn_api,
            instance,
            warm_pythons,
            java_classes,
            options,
            early: Arc::default(),
            afterwards: TaskTracker::new(),
        }
    }

    fn try_start(&self, job: &JobSpec, events: &JobEvents) -> Result<JobHandle, String> {
        let plan = translate(&job.pipeline, &TranslateOptions::default());
        let plan = Arc::new(plan.map_err(|refusal| refusal.to_string())?);
        debug!(job_id = job.id, plan = plan.explain(), "translated");
        let mut early = self.early.take(&job.id);
        let made: Vec<_> = plan
            .environments
            .iter()
            .map(|environment| {
                let early = early.remove(&environment.name);
                self.environment(job, &plan, environment, early)
            })
            .collect();
        if !early.is_empty() {
            self.afterwards.spawn(early::stop(early));
        }
        let environments = all_or_none(made, &self.afterwards)?;
        let workers = environments.iter().map(|each| each.scaling.initial).sum();
        self.announce(job, events, workers);
        let spec = driver::JobSpec {
            id: job.id.clone(),
            plan: plan.clone(),
            provision: provision(&job.id, &job.name, &job.options),
            environments,
            instance: self.instance.clone(),
            afterwards: self.afterwards.clone(),
        };
        let listener = Arc::new(Listener {
            job_id: job.id.clone(),
            events: events.clone(),
            workers,
            logs: job.worker_logs,
        });
        driver::start(
            spec,
            self.fn_api.clone(),
            self.options.driver.clone(),
            listener,
        )
        .map_err(|error| error.to_string())
    }

    fn environment(
        &self,
        job: &JobSpec,
        plan: &Plan,
        environment: &Environment,
        early: Option<EarlyEnvironment>,
    ) -> Result<EnvironmentSpec, String> {
        let (pool, early) = match early {
            Some(early) => (early.pool, Some(early.worker)),
            None => (self.pool(job, &environment.proto)?, None),
        };
        let staged = job.artifacts.get(&environment.name);
        let no_artifacts = || Arc::new(NoArtifacts) as Arc<dyn ArtifactSource>;
        let external = environment.proto.urn == environments::EXTERNAL;
        Ok(EnvironmentSpec {
            pool,
            scaling: if external {
                ScalingLimits::fixed(1)
            } else {
                self.scaling(job)
            },
            slots: slots(plan, environment, job.workers),
            dependencies: staged.map_or_else(Vec::new, |staged| staged.dependencies.clone()),
            artifacts: staged.map_or_else(no_artifacts, |staged| staged.source.clone()),
            early: Arc::new(Mutex::new(early)),
        })
    }

    fn pool(
        &self,
        job: &JobSpec,
        environment: &proto::Environment,
    ) -> Result<Arc<dyn WorkerPool>, String> {
        let mut context = pool_context(&self.instance, job.id.clone(), &self.options);
        context.warm_pythons = Some(self.warm_pythons.clone());
        context.java_classes = Some(self.java_classes.clone());
        let limit_bytes = job.workers.memory_bytes;
        let limit_bytes = limit_bytes.or(self.options.worker_memory_bytes);
        context.memory_limit_bytes = memory::limit(environment, limit_bytes)?;
        let pool = pool_for(environment, self.options.workers, context);
        pool.map(Arc::from).map_err(|error| error.to_string())
    }
}

/// A job that can't have all of its environments leaves nothing of the others.
fn all_or_none(
    made: Vec<Result<EnvironmentSpec, String>>,
    afterwards: &TaskTracker,
) -> Result<Vec<EnvironmentSpec>, String> {
    let (mut whole, mut reason) = (Vec::new(), None);
    for each in made {
        match each {
            Ok(environment) => whole.push(environment),
            Err(why) => reason = reason.or(Some(why)),
        }
    }
    let Some(reason) = reason else {
        return Ok(whole);
    };
    let pools: Vec<_> = whole.into_iter().map(|each| each.pool).collect();
    afterwards.spawn(async move { join_all(pools.iter().map(|pool| pool.shutdown())).await });
    Err(reason)
}

/// What the provisioning service tells every worker of a job.
fn provision(job_id: &str, job_name: &str, options: &Struct) -> ProvisionInfo {
    let metadata = [("job_id", job_id), ("job_name", job_name)];
    ProvisionInfo {
        pipeline_options: Some(options.clone()),
        retrieval_token: job_id.to_owned(),
        metadata: metadata
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into(),
        ..ProvisionInfo::default()
    }
}

impl PipelineRunner {
    /// Tells the job's user how many workers there will be.
    fn announce(&self, job: &JobSpec, events: &JobEvents, workers: u32) {
        let wanted = job.workers.count.unwrap_or_default();
        if wanted > self.workers(job) {
            let text = format!(
                "the job asks for {wanted} workers and gets {}: --max-workers says how many a job \
                 may have here",
                self.workers(job)
            );
            events.message(Importance::Warning, text);
        }
        events.workers(0, workers, format!("Starting {workers} workers..."));
    }

    /// Within which limits the number of workers of an environment changes.
    fn scaling(&self, job: &JobSpec) -> ScalingLimits {
        let initial = self.workers(job);
        let most = self.options.max_workers.max(initial);
        match job.workers.scaling {
            Scaling::Fixed => ScalingLimits::fixed(initial),
            Scaling::ThroughputBased => ScalingLimits {
                initial,
                min: 1,
                max: most.min(job.workers.max_count.unwrap_or(most)).max(initial),
                algorithm: Algorithm::ThroughputBased,
            },
        }
    }

    /// How many workers the job gets for each environment.
    fn workers(&self, job: &JobSpec) -> u32 {
        let wanted = job.workers.count.unwrap_or(self.options.num_workers);
        let most = self.options.max_workers.max(self.options.num_workers);
        let most = most.min(job.workers.max_count.unwrap_or(most));
        wanted.clamp(1, most.max(1))
    }
}

/// What all jobs' pools have in common.
fn pool_context(instance: &Arc<Instance>, job_id: String, options: &RunnerOptions) -> PoolContext {
    let mut context = PoolContext::new(instance.clone(), job_id, options.supervisor_exe.clone());
    context.pythons.clone_from(&options.pythons);
    context
        .environment_variables
        .clone_from(&options.worker_variables);
    context
        .container_volumes
        .clone_from(&options.docker_volumes);
    context
}

/// Bundles that a worker runs at once. A Python interpreter runs one at a time, whatever it is
/// given; but one that reads an unbounded source must not keep all others from running.
fn slots(plan: &Plan, environment: &Environment, wishes: WorkerWishes) -> u32 {
    const STREAMING_SLOTS: u32 = 4;
    const MAX_THREADS: u32 = 64;
    let python = sdk_base::is_named(&environment.proto.capabilities, sdk_base::PYTHON);
    let bounded = plan
        .pcollections
        .iter()
        .all(|pcollection| pcollection.bounded);
    let cores = processors();
    let cores = wishes.cores.map_or(cores, |wanted| wanted.min(cores));
    if let (Some(threads), true) = (wishes.threads, bounded) {
        // More than this many wait for each other on any machine.
        return threads.min(cores.max(MAX_THREADS));
    }
    match (python, bounded) {
        (true, true) => 1,
        (false, true) => cores,
        (_, false) => cores.max(STREAMING_SLOTS),
    }
}

impl JobRunner for PipelineRunner {
    fn validate(&self, pipeline: &Pipeline, _options: &Struct) -> Result<(), Refusal> {
        match translate(pipeline, &TranslateOptions::default()) {
            Ok(_) => Ok(()),
            Err(refusal) => Err(Refusal(refusal.to_string())),
        }
    }

    fn prepared(&self, job: &JobSpec) {
        let pool = |environment: &_| self.pool(job, environment);
        let started = early::start(job, &self.fn_api, &self.instance, pool);
        self.early.keep(&job.id, started);
    }

    fn start(&self, job: JobSpec, events: JobEvents) -> Box<dyn JobControl> {
        let handle = match self.try_start(&job, &events) {
            Ok(handle) => {
                tokio::spawn(report_end(handle.clone(), events));
                Some(handle)
            }
            Err(reason) => {
                events.fail(reason);
                None
            }
        };
        let max_workers = self.options.max_workers;
        Box::new(Control {
            handle,
            max_workers,
        })
    }

    fn shutdown(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            self.afterwards.close();
            self.java_classes.close();
            tokio::join!(
                self.early.shutdown(),
                self.afterwards.wait(),
                self.warm_pythons.shutdown()
            );
            self.java_classes.shutdown().await;
        })
    }
}

async fn report_end(handle: JobHandle, events: JobEvents) {
    match handle.outcome().await {
        JobOutcome::Done => events.state(JobState::Done),
        JobOutcome::Drained => events.state(JobState::Drained),
        JobOutcome::Cancelled => events.state(JobState::Cancelled),
        JobOutcome::Failed(reason) => events.fail(reason),
    }
}
