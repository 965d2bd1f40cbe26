//! Preparing, running and finding jobs.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dataflume_proto::pipeline::Pipeline;
use futures::future::join_all;
use prost_types::Struct;
use tracing::info;
use uuid::Uuid;

use super::error::JobError;
use super::job::Job;
use super::message::Importance;
use super::retention::{Retention, surplus};
use super::runner::{EnvironmentArtifacts, JobEvents, JobRunner, JobSpec};
use super::state::JobState;
use super::submission::Submission;

/// A pipeline that is to be run.
#[derive(Debug, Clone, Default)]
pub struct PrepareRequest {
    /// What the user calls the job; may be empty.
    pub name: String,
    /// The pipeline.
    pub pipeline: Pipeline,
    /// Its options.
    pub options: Struct,
    /// How it came.
    pub submission: Submission,
}

/// A job that was [submitted](JobService::submit).
#[derive(Debug, Clone)]
pub struct Submitted {
    /// The job.
    pub job: Arc<Job>,
    /// Whether it is that of an earlier request with the same id.
    pub replayed: bool,
}

/// A pipeline that can be run.
#[derive(Debug, Clone)]
pub struct Preparation {
    /// What to run it by; the job will have the same id.
    pub id: String,
    /// The pipeline.
    pub pipeline: Arc<Pipeline>,
    /// Pipelines prepared long ago that can't be run any more, since there were too many.
    pub given_up: Vec<String>,
}

/// Limits of the service.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct ServiceOptions {
    /// How long the jobs may take to end when the service does.
    pub shutdown_timeout: Duration,
    /// How many jobs run at once; those beyond wait for their turn.
    pub max_running: usize,
}

impl Default for ServiceOptions {
    fn default() -> Self {
        Self {
            shutdown_timeout: Duration::from_secs(20),
            // What a project may have in Dataflow.
            max_running: 25,
        }
    }
}

/// All jobs of an emulator. Clones share everything.
#[derive(Clone)]
pub struct JobService {
    inner: Arc<Inner>,
}

struct Inner {
    runner: Arc<dyn JobRunner>,
    options: ServiceOptions,
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    /// In the order in which they came.
    prepared: VecDeque<Prepared>,
    jobs: Vec<Arc<Job>>,
    by_id: HashMap<String, Arc<Job>>,
    /// In the order in which they came; some may have been cancelled since.
    waiting: VecDeque<Waiting>,
    /// Jobs ever run.
    total: u64,
    closed: bool,
}

/// A job that waits for its turn.
struct Waiting {
    job: Arc<Job>,
    artifacts: BTreeMap<String, EnvironmentArtifacts>,
}

struct Prepared {
    id: String,
    name: String,
    pipeline: Arc<Pipeline>,
    options: Struct,
    submission: Submission,
}

impl Prepared {
    /// Nothing is staged for it yet.
    fn job_to_come(&self) -> JobSpec {
        JobSpec {
            id: self.id.clone(),
            name: self.name.clone(),
            pipeline: self.pipeline.clone(),
            options: self.options.clone(),
            workers: self.submission.workers,
            worker_logs: self.submission.worker_logs,
            artifacts: BTreeMap::new(),
        }
    }
}

impl JobService {
    /// A service without jobs.
    #[must_use]
    pub fn new(runner: Arc<dyn JobRunner>, options: ServiceOptions) -> Self {
        Self {
            inner: Arc::new(Inner {
                runner,
                options,
                table: Mutex::default(),
            }),
        }
    }

    /// Checks a pipeline and keeps it until it is [run](Self::run).
    ///
    /// # Errors
    /// [`JobError::Refused`] with everything that is wrong with it; [`JobError::ShuttingDown`].
    pub async fn prepare(&self, request: PrepareRequest) -> Result<Preparation, JobError> {
        let prepared = self.check(request).await?;
        let has_turn = {
            let table = self.table();
            table.running() < self.inner.options.max_running
        };
        if has_turn {
            self.inner.runner.prepared(&prepared.job_to_come());
        }
        Ok(self.keep(prepared))
    }

    async fn check(&self, request: PrepareRequest) -> Result<Prepared, JobError> {
        if self.table().closed {
            return Err(JobError::ShuttingDown);
        }
        let pipeline = Arc::new(request.pipeline);
        let runner = self.inner.runner.clone();
        let checked = {
            let (pipeline, options) = (pipeline.clone(), request.options.clone());
            // A panic in the check is this job's trouble only.
            tokio::task::spawn_blocking(move || runner.validate(&pipeline, &options)).await
        };
        checked.map_err(|error| JobError::CheckFailed(error.to_string()))??;
        let id = match &request.submission.id {
            Some(id) => id.clone(),
            None => new_id(&request.name),
        };
        Ok(Prepared {
            id,
            name: request.name,
            pipeline,
            options: request.options,
            submission: request.submission,
        })
    }

    fn keep(&self, prepared: Prepared) -> Preparation {
        let (id, pipeline) = (prepared.id.clone(), prepared.pipeline.clone());
        let mut table = self.table();
        table.prepared.push_back(prepared);
        let surplus = table
            .prepared
            .len()
            .saturating_sub(Retention::default().preparations);
        let given_up = table.prepared.drain(..surplus).map(|old| old.id).collect();
        Preparation {
            id,
            pipeline,
            given_up,
        }
    }

    /// Whether a pipeline was prepared under this id and was not run yet.
    ///
    /// # Errors
    /// [`JobError::UnknownPreparation`], [`JobError::AlreadyRun`].
    pub fn check_prepared(&self, id: &str) -> Result<(), JobError> {
        self.table().prepared(id).map(|_| ())
    }

    /// Runs a prepared pipeline with what was staged for it, by environment.
    ///
    /// # Errors
    /// [`JobError::UnknownPreparation`], [`JobError::AlreadyRun`], [`JobError::ShuttingDown`].
    pub fn run(
        &self,
        preparation_id: &str,
        artifacts: BTreeMap<String, EnvironmentArtifacts>,
    ) -> Result<Arc<Job>, JobError> {
        let (job, artifacts) = {
            let mut table = self.table();
            let job = table.admit(preparation_id)?;
            if table.running() >= self.inner.options.max_running {
                info!(job_id = job.id(), "job waits for its turn");
                let text = "the job is queued: as many jobs as may run at once are running";
                job.say(Importance::Basic, text.to_owned());
                let waiting = job.clone();
                table.waiting.push_back(Waiting {
                    job: waiting,
                    artifacts,
                });
                return Ok(job);
            }
            job.begin();
            (job, artifacts)
        };
        self.start(&job, artifacts);
        Ok(job)
    }

    /// Prepares a pipeline and runs it at once. A request whose id was seen before gives the job
    /// that was made then.
    ///
    /// # Errors
    /// Those of [`prepare`](Self::prepare) and [`run`](Self::run).
    pub async fn submit(
        &self,
        request: PrepareRequest,
        artifacts: BTreeMap<String, EnvironmentArtifacts>,
    ) -> Result<Submitted, JobError> {
        let submission = request.submission.clone();
        if let Some(job) = self.find_replayed(&submission, &request.name)? {
            let replayed = true;
            return Ok(Submitted { job, replayed });
        }
        let prepared = self.check(request).await?;
        let id = prepared.id.clone();
        // It is run at once: no other has to make room for it.
        self.table().prepared.push_back(prepared);
        match self.run(&id, artifacts) {
            Ok(job) => Ok(Submitted {
                job,
                replayed: false,
            }),
            Err(error) => {
                self.table().forget_prepared(&id);
                // The same request may have overtaken itself.
                match (self.find_replayed(&submission, ""), error) {
                    (Ok(Some(job)), JobError::NameInUse { .. }) => Ok(Submitted {
                        job,
                        replayed: true,
                    }),
                    (_, error) => Err(error),
                }
            }
        }
    }

    /// The job that an earlier request with the same id made.
    ///
    /// # Errors
    /// [`JobError::NameInUse`] if there is none and the name can't be had.
    pub fn find_replayed(
        &self,
        submission: &Submission,
        name: &str,
    ) -> Result<Option<Arc<Job>>, JobError> {
        let table = self.table();
        if let Some(job) = table.replayed(submission) {
            return Ok(Some(job));
        }
        table.check_name(submission, name).map(|()| None)
    }

    /// Hands a job that has [begun](Job::begin) to the runner.
    fn start(&self, job: &Arc<Job>, artifacts: BTreeMap<String, EnvironmentArtifacts>) {
        let spec = JobSpec {
            id: job.id().to_owned(),
            name: job.name().to_owned(),
            pipeline: job.pipeline().clone(),
            options: job.options().clone(),
            workers: job.submission().workers,
            worker_logs: job.submission().worker_logs,
            artifacts,
        };
        let control = self.inner.runner.start(spec, JobEvents::new(job.clone()));
        job.attach(control);
        let (service, job) = (self.clone(), job.clone());
        tokio::spawn(async move {
            job.ended().await;
            service.start_waiting();
        });
    }

    /// Starts as many of the waiting jobs as may run.
    fn start_waiting(&self) {
        loop {
            let next = {
                let mut table = self.table();
                if table.closed || table.running() >= self.inner.options.max_running {
                    return;
                }
                let Some(next) = table.waiting.pop_front() else {
                    return;
                };
                next.job.begin().then_some(next)
            };
            if let Some(next) = next {
                self.start(&next.job, next.artifacts);
            }
        }
    }

    /// The job with this id.
    ///
    /// # Errors
    /// [`JobError::UnknownJob`].
    pub fn job(&self, id: &str) -> Result<Arc<Job>, JobError> {
        let found = self.table().by_id.get(id).cloned();
        found.ok_or_else(|| JobError::UnknownJob(id.to_owned()))
    }

    /// All jobs that are known, the oldest first.
    #[must_use]
    pub fn jobs(&self) -> Vec<Arc<Job>> {
        self.table().jobs.clone()
    }

    /// How many jobs were ever run.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.table().total
    }

    /// Takes no more jobs, cancels those that run and waits for their end, but not for ever.
    /// Gives those that had not ended then.
    pub async fn shutdown(&self) -> Vec<Arc<Job>> {
        let jobs = {
            let mut table = self.table();
            table.closed = true;
            table.prepared.clear();
            table.waiting.clear();
            table.jobs.clone()
        };
        let running = |job: &Arc<Job>| !job.state().is_terminal();
        let mut jobs: Vec<_> = jobs.into_iter().filter(running).collect();
        for job in &jobs {
            job.cancel();
        }
        let all = join_all(jobs.iter().map(|job| job.ended()));
        let all_ended = tokio::time::timeout(self.inner.options.shutdown_timeout, all).await;
        self.inner.runner.shutdown().await;
        if all_ended.is_ok() {
            return Vec::new();
        }
        jobs.retain(running);
        jobs
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.inner
            .table
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    /// How many jobs have begun and not ended.
    fn running(&self) -> usize {
        let runs = |state: JobState| state != JobState::Stopped && !state.is_terminal();
        self.jobs.iter().filter(|job| runs(job.state())).count()
    }

    fn check_name(&self, submission: &Submission, name: &str) -> Result<(), JobError> {
        if !submission.exclusive_name {
            return Ok(());
        }
        let clashes = |job: &&Arc<Job>| {
            job.name() == name
                && same_scope(job.submission(), submission)
                && !job.state().is_terminal()
        };
        match self.jobs.iter().find(clashes) {
            None => Ok(()),
            Some(job) => Err(JobError::NameInUse {
                name: name.to_owned(),
                job_id: job.id().to_owned(),
            }),
        }
    }

    fn replayed(&self, submission: &Submission) -> Option<Arc<Job>> {
        let request_id = submission.request_id.as_ref()?;
        let found = self.jobs.iter().rev().find(|job| {
            let other = job.submission();
            other.request_id.as_ref() == Some(request_id) && same_scope(other, submission)
        });
        found.cloned()
    }

    fn forget_prepared(&mut self, id: &str) {
        self.prepared.retain(|prepared| prepared.id != id);
    }

    /// Where the preparation is.
    fn prepared(&self, id: &str) -> Result<usize, JobError> {
        let found = self.prepared.iter().position(|prepared| prepared.id == id);
        found.ok_or_else(|| {
            if self.by_id.contains_key(id) {
                JobError::AlreadyRun(id.to_owned())
            } else {
                JobError::UnknownPreparation(id.to_owned())
            }
        })
    }

    /// Makes a job of a preparation.
    fn admit(&mut self, id: &str) -> Result<Arc<Job>, JobError> {
        if self.closed {
            return Err(JobError::ShuttingDown);
        }
        let index = self.prepared(id)?;
        let wanted = &self.prepared[index];
        self.check_name(&wanted.submission, &wanted.name)?;
        let prepared = self.prepared.remove(index);
        let prepared = prepared.ok_or_else(|| JobError::UnknownPreparation(id.to_owned()))?;
        for index in surplus(&self.jobs, Retention::default()) {
            let forgotten = self.jobs.remove(index);
            self.by_id.remove(forgotten.id());
        }
        let job = Arc::new(Job::new(
            prepared.id,
            prepared.name,
            prepared.pipeline,
            prepared.options,
            prepared.submission,
        ));
        for warning in &job.submission().warnings {
            job.say(Importance::Warning, warning.clone());
        }
        self.jobs.push(job.clone());
        self.by_id.insert(job.id().to_owned(), job.clone());
        self.total += 1;
        Ok(job)
    }
}

fn same_scope(one: &Submission, other: &Submission) -> bool {
    one.scope == other.scope
}

/// The longest part of a job's name in its id.
const MAX_SLUG: usize = 40;

/// An id that tells what job it is, and is unique: it names folders, containers and workers.
fn new_id(name: &str) -> String {
    let words = name.split(|c: char| !c.is_ascii_alphanumeric());
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    let mut slug = words.join("-").to_ascii_lowercase();
    slug.truncate(MAX_SLUG);
    let slug = if slug.is_empty() {
        "job"
    } else {
        slug.trim_end_matches('-')
    };
    let unique = Uuid::new_v4().simple().to_string();
    format!("{slug}-{}", &unique[..12])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_plain_and_tell_the_name() {
        assert!(new_id("BeamApp/Root äö 1").starts_with("beamapp-root-1-"));
        assert!(new_id("//").starts_with("job-"));
        let long = new_id(&"a ".repeat(100));
        assert!(
            long.len() <= MAX_SLUG + 13 && !long.contains("--"),
            "{long}"
        );
        assert_ne!(new_id("a"), new_id("a"));
    }
}
