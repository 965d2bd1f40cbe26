//! Failed bundles and lost workers: what is tried again, and what fails the job.

use dataflume_model::ids::{BundleId, WorkerId};

use crate::engine::{Engine, Running};
use crate::io::{Action, BundleFailure, Executor, JobOutcome};
use crate::pending::Retry;

/// As much of a stage's name as tells it from others: it has the names of all that is fused.
const SHOWN_CHARS: usize = 200;

impl Engine {
    pub(crate) fn fail_bundle(&mut self, id: BundleId, failure: BundleFailure) {
        match failure {
            BundleFailure::Failed(error) => {
                let Some(running) = self.discard(id) else {
                    return;
                };
                self.retry_failed(running, &error);
            }
            BundleFailure::WorkerLost(reason) => {
                // Whoever hears of it first: nothing more may go to that worker.
                let executor = self.bundles.get(&id).map(|running| running.bundle.executor);
                match executor {
                    Some(Executor::Worker(worker)) if self.workers.contains_key(&worker) => {
                        self.lose_worker(worker, &reason, false);
                    }
                    _ => self.lose_bundle(id, &reason),
                }
            }
        }
    }

    fn discard(&mut self, id: BundleId) -> Option<Running> {
        let running = self.take_running(id)?;
        self.actions.push_back(Action::DiscardBundle { bundle: id });
        Some(running)
    }

    fn lose_bundle(&mut self, id: BundleId, reason: &str) {
        if let Some(running) = self.discard(id) {
            self.retry_lost(running, reason);
        }
    }

    pub(crate) fn lose_worker(&mut self, worker: WorkerId, reason: &str, blames_bundles: bool) {
        let Some(lost) = self.workers.remove(&worker) else {
            return;
        };
        for id in lost.running {
            match blames_bundles {
                true => self.fail_bundle(id, BundleFailure::Failed(reason.to_owned())),
                false => self.lose_bundle(id, reason),
            }
        }
    }

    /// Dataflow's rule for batch: the same bundle is tried a few times, then the job fails with
    /// the text of the last error.
    fn retry_failed(&mut self, running: Running, error: &str) {
        let attempt = running.bundle.attempt;
        if attempt >= self.config.max_bundle_attempts {
            // Without the names of all that is fused: the SDK's text says which transform it was.
            self.finish(JobOutcome::Failed(format!(
                "a bundle failed {attempt} times, the last time with:\n{error}"
            )));
            return;
        }
        let stage = shortened(&self.topology.node(running.bundle.stage).name);
        self.actions.push_back(Action::Warn(format!(
            "stage {stage}: attempt {attempt} of {} at a bundle failed: {error}",
            self.config.max_bundle_attempts
        )));
        let losses = running.worker_losses;
        self.requeue(running, attempt + 1, losses);
    }

    /// Losing a worker is not the code's failure, unless the same bundle loses one after another.
    fn retry_lost(&mut self, running: Running, reason: &str) {
        let stage = shortened(&self.topology.node(running.bundle.stage).name);
        let losses = running.worker_losses + 1;
        if losses >= self.config.max_worker_losses {
            self.finish(JobOutcome::Failed(format!(
                "stage {stage}: the same bundle lost {losses} workers, the last one: {reason}"
            )));
            return;
        }
        let attempt = running.bundle.attempt;
        self.requeue(running, attempt, losses);
    }

    fn requeue(&mut self, running: Running, attempt: u32, worker_losses: u32) {
        let stage = running.bundle.stage;
        if !running.truncated && self.draining && self.topology.node(stage).splittable {
            self.requeue_untruncated(running);
            return;
        }
        let retry = Retry {
            work: running.bundle.work,
            attempt,
            worker_losses,
        };
        self.stages[stage.index()].pending.retries.push_back(retry);
        self.touch(stage);
    }
}

fn shortened(name: &str) -> String {
    match name.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{}...", &name[..end]),
        None => name.to_owned(),
    }
}
