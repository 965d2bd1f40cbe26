//! One job.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use dataflume_proto::pipeline::Pipeline;
use prost::Message;
use prost_types::Struct;
use tracing::{debug, error, info, warn};

use super::error::JobError;
use super::history::{History, Limits, Listener};
use super::message::{Importance, JobMessage, WorkersEvent};
use super::runner::{JobControl, JobMetrics, StageProgress, Usage};
use super::state::{JobState, StateEvent};
use super::submission::{Submission, WorkerLimits};

/// The log target of what jobs tell their users, who may read it elsewhere too.
pub const MESSAGES_TARGET: &str = "job_messages";

/// A job that was run. What is asked of it holds for any public API.
pub struct Job {
    id: String,
    name: String,
    created: SystemTime,
    pipeline: Arc<Pipeline>,
    pipeline_bytes: usize,
    options: Struct,
    submission: Submission,
    history: Arc<History>,
    control: Mutex<Control>,
    workers: Mutex<Vec<WorkersEvent>>,
    /// As they were changed while it runs.
    limits: Mutex<WorkerLimits>,
    /// A client that wants to see it run has been told that it does.
    seen_running: AtomicBool,
}

#[derive(Default)]
struct Control {
    /// Set once the runner has started the job.
    handle: Option<Arc<dyn JobControl>>,
    /// To be passed on as soon as there is a handle.
    cancel: bool,
    /// Likewise.
    drain: bool,
}

impl Job {
    pub(super) fn new(
        id: String,
        name: String,
        pipeline: Arc<Pipeline>,
        options: Struct,
        submission: Submission,
    ) -> Self {
        Self {
            pipeline_bytes: pipeline.encoded_len() + submission.description_bytes(),
            id,
            name,
            created: SystemTime::now(),
            pipeline,
            options,
            submission,
            history: Arc::new(History::new(JobState::Stopped, Limits::default())),
            control: Mutex::default(),
            workers: Mutex::default(),
            limits: Mutex::default(),
            seen_running: AtomicBool::new(false),
        }
    }

    /// Unique, also across restarts.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// As the user named it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// When it was run.
    #[must_use]
    pub fn created(&self) -> SystemTime {
        self.created
    }

    /// As the SDK sent it.
    #[must_use]
    pub fn pipeline(&self) -> &Arc<Pipeline> {
        &self.pipeline
    }

    /// As the SDK sent them.
    #[must_use]
    pub fn options(&self) -> &Struct {
        &self.options
    }

    /// Notes that a client that wants to see it run is told that it does; false if one has been before.
    pub fn tell_that_it_runs(&self) -> bool {
        !self.seen_running.swap(true, Ordering::Relaxed)
    }

    /// How it was submitted.
    #[must_use]
    pub fn submission(&self) -> &Submission {
        &self.submission
    }

    /// Every state that it was in, and since when.
    #[must_use]
    pub fn states(&self) -> Vec<StateEvent> {
        self.history.states()
    }

    /// What it said, as far as that is kept, in order.
    #[must_use]
    pub fn messages(&self) -> Vec<Arc<JobMessage>> {
        self.history.messages()
    }

    /// How the number of its workers has changed.
    #[must_use]
    pub fn workers(&self) -> Vec<WorkersEvent> {
        self.workers_events().clone()
    }

    /// The state it is in.
    #[must_use]
    pub fn state(&self) -> JobState {
        self.history.state().state
    }

    /// The state it is in, and since when.
    #[must_use]
    pub fn state_event(&self) -> StateEvent {
        self.history.state()
    }

    /// Everything that happened to it so far, and then what happens.
    #[must_use]
    pub fn listen(&self) -> Listener {
        Listener::new(self.history.clone())
    }

    /// Resolves to the state in which the job ended.
    pub async fn ended(&self) -> JobState {
        let mut listener = self.listen();
        while listener.next().await.is_some() {}
        self.state()
    }

    /// What was measured so far.
    #[must_use]
    pub fn metrics(&self) -> JobMetrics {
        let handle = self.control().handle.clone();
        handle.map(|handle| handle.metrics()).unwrap_or_default()
    }

    /// What it has used so far.
    #[must_use]
    pub fn usage(&self) -> Usage {
        let handle = self.control().handle.clone();
        handle.map(|handle| handle.usage()).unwrap_or_default()
    }

    /// How far its stages are. None before it was started.
    pub async fn stages(&self) -> Vec<StageProgress> {
        let handle = self.control().handle.clone();
        match handle {
            Some(handle) => handle.stages().await,
            None => Vec::new(),
        }
    }

    /// Asks the job to end now, and gives its state then. A job that has ended stays as it is.
    pub fn cancel(&self) -> JobState {
        // One that waits for its turn has nothing to be ended.
        let waiting = self
            .history
            .enter_from(JobState::Stopped, JobState::Cancelled);
        if waiting.is_ok() {
            info!(job_id = self.id, "job is cancelled before it was started");
            return JobState::Cancelled;
        }
        match self.history.enter(JobState::Cancelling) {
            Ok(()) => {
                info!(job_id = self.id, "job is cancelled");
                self.say(Importance::Basic, "the job is being cancelled".to_owned());
            }
            Err(state) if state.is_terminal() => return state,
            // It was asked before; to ask again does no harm.
            Err(_) => {}
        }
        let handle = {
            let mut control = self.control();
            control.cancel = true;
            control.handle.clone()
        };
        if let Some(handle) = handle {
            handle.cancel();
        }
        self.state()
    }

    /// Asks the job to stop its sources and to finish what they have given, and gives its state
    /// then. A job that has ended stays as it is.
    ///
    /// # Errors
    /// [`JobError::NotDrainable`] if it is being cancelled or updated.
    pub fn drain(&self) -> Result<JobState, JobError> {
        match self.history.enter(JobState::Draining) {
            Ok(()) => {
                info!(job_id = self.id, "job is drained");
                self.say(Importance::Basic, "the job is being drained".to_owned());
            }
            Err(state) if state.is_terminal() || state == JobState::Draining => return Ok(state),
            Err(state) => {
                return Err(JobError::NotDrainable {
                    job_id: self.id.clone(),
                    state,
                });
            }
        }
        let handle = {
            let mut control = self.control();
            control.drain = true;
            control.handle.clone()
        };
        if let Some(handle) = handle {
            handle.drain();
        }
        Ok(self.state())
    }

    /// Changes how many workers it may have from now on, and gives all that was changed so far.
    pub fn limit_workers(&self, change: WorkerLimits) -> WorkerLimits {
        let mut limits = self.limits.lock().unwrap_or_else(PoisonError::into_inner);
        limits.min = change.min.or(limits.min);
        limits.max = change.max.or(limits.max);
        // One that waits for its turn has no handle: it gets them when it is started.
        if let Some(handle) = &self.control().handle {
            handle.limit_workers(change);
        }
        *limits
    }

    /// The limits of its number of workers that were changed since it was submitted.
    #[must_use]
    pub fn worker_limits(&self) -> WorkerLimits {
        *self.limits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How much memory its pipeline and its description take, about.
    pub(super) fn pipeline_bytes(&self) -> usize {
        self.pipeline_bytes
    }

    /// Its turn has come, unless it was cancelled before.
    pub(super) fn begin(&self) -> bool {
        let began = self.history.enter(JobState::Starting).is_ok();
        if began {
            info!(job_id = self.id, name = self.name, "job is started");
        }
        began
    }

    pub(super) fn attach(&self, handle: Box<dyn JobControl>) {
        let handle: Arc<dyn JobControl> = handle.into();
        let (cancel, drain) = {
            let mut control = self.control();
            control.handle = Some(handle.clone());
            (control.cancel, control.drain)
        };
        if self.worker_limits() != WorkerLimits::default() {
            handle.limit_workers(self.worker_limits());
        }
        if drain {
            handle.drain();
        }
        if cancel {
            handle.cancel();
        }
    }

    pub(super) fn report(&self, state: JobState) {
        match self.history.enter(state) {
            Ok(()) => info!(job_id = self.id, state = state.as_str(), "job state"),
            // A request overtakes what the runner was about to say.
            Err(from @ (JobState::Cancelling | JobState::Draining)) => {
                debug!(
                    job_id = self.id,
                    from = from.as_str(),
                    to = state.as_str(),
                    "state left out"
                );
            }
            Err(from) => {
                warn!(
                    job_id = self.id,
                    from = from.as_str(),
                    to = state.as_str(),
                    "no such move"
                );
            }
        }
    }

    pub(super) fn say(&self, importance: Importance, text: String) {
        let job_id = self.id.as_str();
        match importance {
            Importance::Debug | Importance::Detailed => {
                debug!(target: MESSAGES_TARGET, job_id, "{text}");
            }
            Importance::Basic => info!(target: MESSAGES_TARGET, job_id, "{text}"),
            Importance::Warning => warn!(target: MESSAGES_TARGET, job_id, "{text}"),
            Importance::Error => error!(target: MESSAGES_TARGET, job_id, "{text}"),
        }
        self.history.say(importance, text);
    }

    /// The number of workers has changed, or is to change.
    pub(super) fn note_workers(&self, current: u32, target: u32, text: String) {
        self.say(Importance::Basic, text.clone());
        self.workers_events().push(WorkersEvent {
            time: SystemTime::now(),
            current,
            target,
            text,
        });
    }

    fn workers_events(&self) -> MutexGuard<'_, Vec<WorkersEvent>> {
        self.workers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn control(&self) -> MutexGuard<'_, Control> {
        self.control.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Job")
            .field("id", &self.id)
            .field("name", &self.name)
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}
