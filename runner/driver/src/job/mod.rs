//! One job: its plan, its workers, and the loop that drives the engine.

mod actions;
mod fault;
mod launch;
mod listener;
mod losses;
mod progress;
mod run;
mod scaling;
mod slots;
mod usage;
mod workers;

use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use dataflume_engine::autoscale::ScalingLimits;
use dataflume_engine::{EngineConfig, JobOutcome};
use dataflume_graph::plan::Plan;
use dataflume_harness::pool::{Instance, WorkerPool};
use dataflume_harness::{ArtifactSource, FnApi};
use dataflume_proto::fn_execution::ProvisionInfo;
use dataflume_proto::pipeline::{ArtifactInformation, MonitoringInfo};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::task::TaskTracker;

pub use launch::{EarlyWorker, EarlyWorkerSpec};
pub use listener::{Importance, JobListener, WorkersPhase};
pub use progress::{RunningBundle, StageProgress};
pub use scaling::ScalingEvent;
pub use usage::Usage;

use crate::clock::SharedClock;
use crate::data::cut::CutOptions;
use crate::data::{DataError, DataOptions};
use crate::metrics::JobMetrics;
pub(crate) use run::Report;
use usage::Meter;

/// What is to be run, and where.
pub struct JobSpec {
    /// Unique for as long as the server runs: part of worker ids.
    pub id: String,
    /// The plan.
    pub plan: Arc<Plan>,
    /// What the provisioning service answers to every worker, dependencies apart.
    pub provision: ProvisionInfo,
    /// One for each of the plan's environments, in their order.
    pub environments: Vec<EnvironmentSpec>,
    /// The running emulator: the job's temporary files are below its folder.
    pub instance: Arc<Instance>,
    /// Sees workers off whose processes end after the job has: whoever runs jobs waits for it in the end.
    pub afterwards: TaskTracker,
}

/// The workers of one environment.
#[derive(Clone)]
pub struct EnvironmentSpec {
    /// Starts them.
    pub pool: Arc<dyn WorkerPool>,
    /// How many, and within which limits that may change.
    pub scaling: ScalingLimits,
    /// How many bundles each runs at once, at first.
    pub slots: u32,
    /// What each of them must fetch: the environment's artifacts as they were staged.
    pub dependencies: Vec<ArtifactInformation>,
    /// Where they fetch it from.
    pub artifacts: Arc<dyn ArtifactSource>,
    /// Its first worker, where one was started before.
    pub early: Arc<Mutex<Option<EarlyWorker>>>,
}

/// Limits of a job.
#[derive(Debug, Clone)]
pub struct DriverOptions {
    /// The engine's.
    pub engine: EngineConfig,
    /// How outputs are cut.
    pub cut: CutOptions,
    /// How much memory the job's elements may take: half for those that wait, which go to disk beyond
    /// that, the rest for those being grouped and those on their way to and from workers.
    pub memory_budget_bytes: u64,
    /// How much of a group's values travels with its key, if the SDK can ask for the rest.
    pub inline_group_bytes: usize,
    /// The first attempt of every so many bundles fails though it succeeded: a test of all else.
    pub fail_every_nth_bundle: Option<u64>,
    /// What processing-time timers and triggers follow.
    pub clock: Arc<SharedClock>,
    /// A worker that has not connected this long after its process started has failed.
    pub worker_ready_timeout: Duration,
}

impl Default for DriverOptions {
    fn default() -> Self {
        Self {
            engine: EngineConfig::default(),
            cut: CutOptions::default(),
            memory_budget_bytes: 512 << 20,
            inline_group_bytes: 4 << 20,
            fail_every_nth_bundle: None,
            clock: Arc::default(),
            worker_ready_timeout: Duration::from_secs(120),
        }
    }
}

/// The part of a job's memory budget for elements that wait for a bundle.
const WAITING_SHARE: u64 = 4;

/// A job that runs. Dropping the handle does not stop it.
#[derive(Debug, Clone)]
pub struct JobHandle {
    reports: mpsc::UnboundedSender<Report>,
    outcome: watch::Receiver<Option<JobOutcome>>,
    seen: Seen,
}

/// What can be seen of a job from outside.
#[derive(Debug, Clone, Default)]
struct Seen {
    metrics: Arc<JobMetrics>,
    meter: Meter,
    /// How far the stages were when the job ended.
    last: Arc<OnceLock<Vec<StageProgress>>>,
}

impl JobHandle {
    /// Asks the job to end now. It ends [cancelled](JobOutcome::Cancelled) unless it ended before.
    pub fn cancel(&self) {
        // A job that has ended listens no more.
        self.reports.send(Report::Cancel).ok();
    }

    /// Asks the job to stop its sources and finish what they have given. It ends
    /// [drained](JobOutcome::Drained) unless it ends otherwise before.
    pub fn drain(&self) {
        self.reports.send(Report::Drain).ok();
    }

    /// Changes how many workers each environment may have, where that number changes at all; what is
    /// absent stays.
    pub fn limit_workers(&self, min: Option<u32>, max: Option<u32>) {
        self.reports.send(Report::LimitWorkers { min, max }).ok();
    }

    /// Attempted and committed metrics so far.
    pub fn metrics(&self) -> (Vec<MonitoringInfo>, Vec<MonitoringInfo>) {
        self.seen.metrics.query()
    }

    /// What the job has used so far.
    pub fn usage(&self) -> Usage {
        self.seen.meter.read()
    }

    /// How far the job's stages are, in the plan's order; after its end, how far they came.
    pub async fn stages(&self) -> Vec<StageProgress> {
        if self.seen.last.get().is_none() {
            let (answer, asked) = oneshot::channel();
            self.reports.send(Report::Look(answer)).ok();
            // There is no answer if the job ends at this moment.
            if let Ok(stages) = asked.await {
                return stages;
            }
        }
        self.seen.last.get().cloned().unwrap_or_default()
    }

    /// Resolves when the job has ended and nothing of it is left.
    pub async fn outcome(&self) -> JobOutcome {
        let mut outcome = self.outcome.clone();
        let ended = outcome.wait_for(Option::is_some).await;
        match ended.ok().and_then(|outcome| outcome.clone()) {
            Some(outcome) => outcome,
            None => JobOutcome::Failed("the job's driver ended without an outcome".to_owned()),
        }
    }
}

/// Starts a job. Must be called within a tokio runtime.
///
/// # Errors
/// If the job's temporary files can't be made.
pub fn start(
    spec: JobSpec,
    fn_api: FnApi,
    options: DriverOptions,
    listener: Arc<dyn JobListener>,
) -> Result<JobHandle, DataError> {
    let seen = Seen::default();
    let scratch = spec.instance.job_scratch(&spec.id);
    std::fs::create_dir_all(&scratch).map_err(|source| DataError::Spill {
        action: "make the folder of",
        path: scratch.clone(),
        source,
    })?;
    let mut data = DataOptions::new(&scratch);
    data.memory_budget_bytes = options.memory_budget_bytes / WAITING_SHARE;
    let (reports, inbox) = mpsc::unbounded_channel();
    let (ended, outcome) = watch::channel(None);
    let job = run::Run::new(
        spec,
        fn_api,
        options,
        data,
        listener,
        seen.clone(),
        reports.clone(),
    )?;
    tokio::spawn(async move {
        let outcome = job.run(inbox).await;
        ended.send_replace(Some(outcome));
    });
    Ok(JobHandle {
        reports,
        outcome,
        seen,
    })
}
