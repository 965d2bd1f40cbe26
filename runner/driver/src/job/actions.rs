//! Carrying out what the engine asks for.

use std::sync::Arc;

use dataflume_engine::{Action, Bundle, BundleFailure, Executor, JobOutcome};
use dataflume_graph::plan::StageKind;
use dataflume_model::ids::BundleId;

use super::Importance;
use super::run::{Report, Run, Task};
use crate::bundle::SplitWish;
use crate::bundle::operators;
use crate::bundle::sdk::Live;

impl Run {
    pub(super) fn act(&mut self, action: Action) {
        tracing::trace!(job_id = self.spec.id, ?action, "action");
        match action {
            Action::StartBundle(bundle) => self.start_bundle(bundle),
            Action::SplitBundle {
                bundle,
                fraction_of_remainder,
                condition,
            } => {
                let live = self.tasks.get(&bundle).and_then(|task| task.live.clone());
                if let Some(live) = live {
                    let (context, reports) = (self.context.clone(), self.reports.clone());
                    let wish = SplitWish {
                        fraction_of_remainder,
                        condition,
                    };
                    tokio::spawn(live.split(context, wish, reports));
                } else {
                    self.reports.send(Report::SplitRefused { bundle }).ok();
                }
            }
            Action::CommitBundle { bundle } => self.commit(bundle),
            Action::DiscardBundle { bundle } => {
                self.watch.discarded(bundle);
                self.seen.metrics.discard(bundle);
                if let Some(task) = self.tasks.remove(&bundle) {
                    task.abort.abort();
                    self.distrust_cache(&task);
                }
            }
            Action::ReleaseData(ids) => self.context.data.release(ids),
            Action::FinalizeBundle { bundle } => {
                if let Some((worker, instruction)) = self.ran_on.remove(&bundle) {
                    let listener = self.listener.clone();
                    while self.finalizations.try_join_next().is_some() {}
                    self.finalizations.spawn(async move {
                        if let Err(error) = worker.finalize(&instruction).await {
                            let text = format!("a bundle's finalization failed: {error}");
                            listener.message(Importance::Warning, text);
                        }
                    });
                }
            }
            Action::Warn(text) => self.listener.message(Importance::Warning, text),
            Action::Finish(outcome) => {
                // That what was committed could not be stored comes first.
                self.outcome.get_or_insert(outcome);
            }
        }
    }

    pub(super) fn start_bundle(&mut self, bundle: Bundle) {
        self.watch.started(&bundle);
        let counted_elsewhere = match &self.context.plan.stage(bundle.stage).kind {
            StageKind::Executable(stage) => stage.counted_elsewhere.clone(),
            _ => None,
        };
        self.seen.metrics.begin(bundle.id, counted_elsewhere);
        let id = bundle.id;
        let context = self.context.clone();
        let reports = self.reports.clone();
        let (task, live) = match bundle.executor {
            Executor::Runner => {
                let run = tokio::spawn(async move {
                    let result = operators::execute(context, bundle).await;
                    reports
                        .send(Report::BundleEnded { bundle: id, result })
                        .ok();
                });
                (run, None)
            }
            Executor::Worker(worker) => {
                let Some(handle) = self.handles.get(&worker).map(|(handle, _)| handle.clone())
                else {
                    let failure = BundleFailure::WorkerLost("it is gone".to_owned());
                    // Through the inbox, so that the engine's actions are carried out in order.
                    reports
                        .send(Report::BundleEnded {
                            bundle: id,
                            result: Err(failure),
                        })
                        .ok();
                    let abort = tokio::spawn(async {}).abort_handle();
                    self.tasks.insert(id, Task { abort, live: None });
                    return;
                };
                let live = Arc::new(Live::new(bundle, handle));
                let running = live.clone();
                let run = tokio::spawn(async move { running.run(context, reports).await });
                (run, Some(live))
            }
        };
        self.tasks.insert(
            id,
            Task {
                abort: task.abort_handle(),
                live,
            },
        );
    }

    /// State, timers and side inputs become visible before anything that the engine starts next.
    pub(super) fn commit(&mut self, bundle: BundleId) {
        let Some(staged) = self.staged.remove(&bundle) else {
            return;
        };
        self.seen.metrics.commit(bundle);
        self.watch.committed(bundle);
        for (stage, handles) in &staged.effects.deliveries {
            let bytes = handles.iter().map(|handle| handle.bytes).sum();
            self.watch.delivered(*stage, bytes);
        }
        if staged.effects.finalize
            && let Some(ran_on) = staged.ran_on.clone()
        {
            self.ran_on.insert(bundle, ran_on);
        }
        if let Err(error) = staged.commit(&self.context) {
            // What the engine now believes is not what is stored: nothing can be trusted further.
            self.reports.send(Report::Cancel).ok();
            self.listener.message(Importance::Error, error.clone());
            self.outcome = Some(JobOutcome::Failed(error));
        }
    }
}
