//! What runs jobs, as the job service sees it.

use std::collections::BTreeMap;
use std::sync::Arc;

pub use dataflume_driver::job::{StageProgress, Usage};
use dataflume_harness::ArtifactSource;
use dataflume_proto::pipeline::{ArtifactInformation, MonitoringInfo, Pipeline};
use futures::future::BoxFuture;
use prost_types::Struct;
use tracing::warn;

use super::job::Job;
use super::message::Importance;
use super::state::JobState;
use super::submission::{WorkerLimits, WorkerLogs, WorkerWishes};

/// Runs jobs.
pub trait JobRunner: Send + Sync {
    /// Says whether the pipeline could run with these options. May take its time: it is called
    /// where blocking is allowed.
    ///
    /// # Errors
    /// A [`Refusal`] that names everything that is wrong.
    fn validate(&self, pipeline: &Pipeline, options: &Struct) -> Result<(), Refusal>;

    /// A pipeline that was validated waits to be run as this job, or for ever; what is to be staged for it is not known. A runner may
    /// get ready for it; must not block.
    fn prepared(&self, _job: &JobSpec) {}

    /// Starts a job that was validated. Called within a tokio runtime; must not block: what takes
    /// time happens in tasks. The job is [`Starting`](JobState::Starting); the runner reports
    /// [`Running`](JobState::Running) when the first worker can work, and in the end
    /// [`Done`](JobState::Done), [`Drained`](JobState::Drained), [`Failed`](JobState::Failed) or
    /// [`Cancelled`](JobState::Cancelled): after everything else, when nothing is left of the job.
    fn start(&self, job: JobSpec, events: JobEvents) -> Box<dyn JobControl>;

    /// Ends what is kept for jobs to come. None will.
    fn shutdown(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }
}

/// Why a pipeline can't run: everything at once, as text for its author.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refusal(pub String);

/// A job that is to be started.
#[derive(Clone)]
pub struct JobSpec {
    /// Unique, also across restarts.
    pub id: String,
    /// As the user named it.
    pub name: String,
    /// As the SDK sent it: the dependencies of its environments are the submitter's files.
    pub pipeline: Arc<Pipeline>,
    /// As the SDK sent them.
    pub options: Struct,
    /// What workers it wants.
    pub workers: WorkerWishes,
    /// Where warnings of its workers are told.
    pub worker_logs: WorkerLogs,
    /// What was staged, by the id of the environment that needs it.
    pub artifacts: BTreeMap<String, EnvironmentArtifacts>,
}

/// What was staged for the workers of one environment.
#[derive(Clone)]
pub struct EnvironmentArtifacts {
    /// What each worker must fetch, in the order in which the SDK declared it.
    pub dependencies: Vec<ArtifactInformation>,
    /// Where it is fetched from.
    pub source: Arc<dyn ArtifactSource>,
}

/// A job that was started.
pub trait JobControl: Send + Sync {
    /// Asks the job to end now. May be called more than once, and after the job has ended.
    fn cancel(&self);

    /// Asks the job to stop its sources and end when what they have given is processed. May be
    /// called more than once, and after the job has ended.
    fn drain(&self);

    /// Changes how many workers it may have. May be called after the job has ended.
    fn limit_workers(&self, limits: WorkerLimits);

    /// What was measured so far; after the end of the job, in all.
    fn metrics(&self) -> JobMetrics;

    /// What it has used so far.
    fn usage(&self) -> Usage;

    /// How far its stages are; after the end of the job, how far they came. None if it never started.
    fn stages(&self) -> BoxFuture<'_, Vec<StageProgress>>;
}

/// What was measured in a job.
#[derive(Debug, Clone, Default)]
pub struct JobMetrics {
    /// Of all attempts to process a bundle.
    pub attempted: Vec<MonitoringInfo>,
    /// Of those that were committed.
    pub committed: Vec<MonitoringInfo>,
}

/// Where a runner tells what happens to its job. Cheap to clone; no call blocks.
///
/// When the last clone is dropped and the job has not ended, it fails: nobody is left to end it.
#[derive(Clone)]
pub struct JobEvents {
    reporter: Arc<Reporter>,
}

impl JobEvents {
    pub(super) fn new(job: Arc<Job>) -> Self {
        Self {
            reporter: Arc::new(Reporter { job }),
        }
    }

    /// The job is now in this state. A move that can't be made from where it is (it was being
    /// cancelled, say, when its first worker got ready) is left out.
    pub fn state(&self, state: JobState) {
        self.reporter.job.report(state);
    }

    /// Something that the job's user should know. Reasons for a failure come before the state.
    pub fn message(&self, importance: Importance, text: impl Into<String>) {
        self.reporter.job.say(importance, text.into());
    }

    /// The job has `current` workers and is to have `target`; the text, which its user is told too,
    /// says what happened.
    pub fn workers(&self, current: u32, target: u32, text: impl Into<String>) {
        self.reporter.job.note_workers(current, target, text.into());
    }

    /// Ends the job as failed, for this reason.
    pub fn fail(&self, reason: impl Into<String>) {
        self.message(Importance::Error, reason);
        self.state(JobState::Failed);
    }
}

struct Reporter {
    job: Arc<Job>,
}

impl Drop for Reporter {
    fn drop(&mut self) {
        if !self.job.state().is_terminal() {
            warn!(
                job_id = self.job.id(),
                "the job's runner went away without ending it"
            );
            self.job.say(
                Importance::Error,
                "the job's runner went away without ending it: an error in the emulator".to_owned(),
            );
            self.job.report(JobState::Failed);
        }
    }
}
