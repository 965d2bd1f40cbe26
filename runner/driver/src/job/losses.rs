//! Workers that go away or never come: replaced, until that is hopeless.

use dataflume_engine::Input;
use dataflume_model::ids::{EnvironmentId, WorkerId};

use super::Importance;
use super::run::{Run, Task};
use super::workers::{Ending, StartFailure};

/// Starts in a row that may fail before the job does.
const MAX_START_FAILURES: u32 = 3;
/// Workers that may be lost in a row, with no bundle finished between.
const MAX_IDLE_LOSSES: u32 = 20;

impl Run {
    /// A worker is gone, or as good as gone. Its bundles and its own task may both tell: the first
    /// counts.
    pub(super) fn lose_worker(&mut self, worker: WorkerId, reason: String, blames_bundles: bool) {
        let Some((handle, environment)) = self.handles.remove(&worker) else {
            return;
        };
        self.context.workers.remove(worker);
        self.workers.stop_one(worker, Ending::AtOnce);
        // What is left of it must not go on.
        handle.shutdown(&reason);
        self.idle_losses += 1;
        let text = format!("worker {worker} was lost and is replaced: {reason}");
        self.listener.message(Importance::Warning, text);
        if self.idle_losses > MAX_IDLE_LOSSES {
            let losses = self.idle_losses;
            self.tell(Input::Fail(format!(
                "{losses} workers in a row were lost before any finished a bundle; the last one: {reason}"
            )));
            return;
        }
        self.workers.start(environment);
        self.tell(Input::WorkerLost {
            worker,
            reason,
            blames_bundles,
        });
    }

    pub(super) fn fail_to_start(&mut self, environment: EnvironmentId, failure: &StartFailure) {
        self.start_failures += 1;
        let name = &self.spec.plan.environments[environment.index()].name;
        let text = format!(
            "a worker of environment {name} could not be started: {}",
            failure.reason
        );
        if failure.lasting || self.start_failures >= MAX_START_FAILURES {
            self.tell(Input::Fail(text));
        } else {
            self.listener.message(Importance::Warning, text);
            self.workers.start(environment);
        }
    }

    pub(super) fn has_worker_of(&self, task: &Task) -> bool {
        task.worker()
            .is_some_and(|worker| self.handles.contains_key(&worker))
    }
}
