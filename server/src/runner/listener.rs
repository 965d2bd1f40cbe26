//! What a job says of itself, for the job service.

use dataflume_driver::job::{self as driver, JobListener, ScalingEvent, WorkersPhase};
use dataflume_proto::fn_execution::LogEntry;
use tracing::debug;

use super::worker_logs;
use crate::jobs::{Importance, JobEvents, JobState, WorkerLogs};

/// Passes a job's news on to the job service.
pub(super) struct Listener {
    pub(super) job_id: String,
    pub(super) events: JobEvents,
    /// How many workers the job begins with.
    pub(super) workers: u32,
    pub(super) logs: WorkerLogs,
}

impl JobListener for Listener {
    fn message(&self, importance: driver::Importance, text: String) {
        let importance = match importance {
            driver::Importance::Detail => Importance::Detailed,
            driver::Importance::Basic => Importance::Basic,
            driver::Importance::Warning => Importance::Warning,
            driver::Importance::Error => Importance::Error,
        };
        self.events.message(importance, text);
    }

    fn worker_log(&self, worker_id: &str, entries: Vec<LogEntry>) {
        worker_logs::tell(&self.job_id, worker_id, entries, self.logs, &self.events);
    }

    fn worker_output(&self, worker_id: &str, line: &str) {
        debug!(job_id = self.job_id, worker_id, "{line}");
    }

    fn running(&self) {
        self.events.state(JobState::Running);
        self.events
            .message(Importance::Basic, "Workers have started successfully.");
    }

    /// In Dataflow's words, which tools look for.
    fn workers(&self, phase: WorkersPhase) {
        let basic = |text: &str| self.events.message(Importance::Basic, text);
        match phase {
            WorkersPhase::AllReady => {
                let text = "All workers have finished the startup processes and began to receive \
                            work requests.";
                self.events.workers(self.workers, self.workers, text);
            }
            WorkersPhase::Stopping => {
                basic("Cleaning up.");
                basic("Stopping worker pool...");
            }
            WorkersPhase::Stopped => self.events.workers(0, 0, "Worker pool stopped."),
        }
    }

    fn scaled(&self, event: ScalingEvent) {
        self.events
            .workers(event.current, event.target, event.to_string());
    }
}
