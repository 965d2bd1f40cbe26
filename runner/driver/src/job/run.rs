//! The loop: reports go into the engine, its actions are carried out. It decides nothing about
//! data; what it decides itself is when to give up on workers that never come.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use dataflume_engine::{
    Action, Bundle, BundleFailure, DataId, Engine, Executor, Input, JobOutcome, PendingData,
};
use dataflume_harness::{FnApi, Worker};
use dataflume_model::ids::{BundleId, EnvironmentId, WorkerId};
use dataflume_model::time::ProcessingTime;
use rustc_hash::FxHashMap;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use super::workers::{StartFailure, Workers};
use super::{DriverOptions, Importance, JobListener, JobSpec};
use crate::bundle::sdk::Live;
use crate::bundle::{BundleContext, Staged};
use crate::data::{DataError, DataOptions};
use crate::metrics::JobMetrics;

/// Starts in a row that may fail before the job does.
const MAX_START_FAILURES: u32 = 3;
/// Workers that may be lost in a row, with no bundle finished between.
const MAX_IDLE_LOSSES: u32 = 20;

/// What the job's tasks tell the loop.
pub(crate) enum Report {
    WorkerReady {
        worker: WorkerId,
        environment: EnvironmentId,
        handle: Worker,
    },
    WorkerLost {
        worker: WorkerId,
        reason: String,
    },
    WorkerFailed {
        environment: EnvironmentId,
        failure: StartFailure,
    },
    BundleEnded {
        bundle: BundleId,
        result: Result<Box<Staged>, BundleFailure>,
    },
    BundleSplit {
        bundle: BundleId,
        primary: Vec<PendingData>,
        residual: Vec<PendingData>,
    },
    SplitRefused {
        bundle: BundleId,
    },
    Cancel,
}

impl std::fmt::Debug for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Report")
    }
}

/// A job in progress.
pub(super) struct Run {
    engine: Engine,
    context: Arc<BundleContext>,
    workers: Workers,
    handles: FxHashMap<WorkerId, (Worker, EnvironmentId)>,
    tasks: FxHashMap<BundleId, Task>,
    staged: FxHashMap<BundleId, Box<Staged>>,
    /// Where committed bundles ran that want to be finalized.
    ran_on: FxHashMap<BundleId, (Worker, String)>,
    reports: mpsc::UnboundedSender<Report>,
    listener: Arc<dyn JobListener>,
    metrics: Arc<JobMetrics>,
    spec: Arc<JobSpec>,
    start_failures: u32,
    idle_losses: u32,
    running: bool,
    outcome: Option<JobOutcome>,
}

struct Task {
    abort: AbortHandle,
    /// Set for bundles on SDK workers.
    live: Option<Arc<Live>>,
}

impl Task {
    fn worker(&self) -> Option<WorkerId> {
        self.live.as_ref().and_then(|live| live.worker_id())
    }
}

impl Run {
    pub(super) fn new(
        spec: JobSpec,
        fn_api: FnApi,
        options: DriverOptions,
        data: DataOptions,
        listener: Arc<dyn JobListener>,
        metrics: Arc<JobMetrics>,
        reports: mpsc::UnboundedSender<Report>,
    ) -> Result<Self, DataError> {
        let spec = Arc::new(spec);
        let context = BundleContext::new(&spec.plan, &options, data, metrics.clone())?;
        let workers = Workers::new(
            spec.clone(),
            fn_api,
            listener.clone(),
            reports.clone(),
            options.worker_ready_timeout,
        );
        Ok(Self {
            engine: Engine::new(&spec.plan, options.engine),
            context: Arc::new(context),
            workers,
            handles: FxHashMap::default(),
            tasks: FxHashMap::default(),
            staged: FxHashMap::default(),
            ran_on: FxHashMap::default(),
            reports,
            listener,
            metrics,
            spec,
            start_failures: 0,
            idle_losses: 0,
            running: false,
            outcome: None,
        })
    }

    /// Runs the job to its end, and cleans up after it.
    pub(super) async fn run(mut self, mut inbox: mpsc::UnboundedReceiver<Report>) -> JobOutcome {
        let pools = self.spec.environments.iter().enumerate();
        let wanted: Vec<(EnvironmentId, u32)> = pools
            .map(|(index, spec)| (EnvironmentId(index as u32), spec.workers))
            .collect();
        for (environment, count) in wanted {
            (0..count).for_each(|_| self.workers.start(environment));
        }
        if self.spec.environments.is_empty() {
            self.mark_running();
        }
        self.tell(Input::Start);
        let outcome = loop {
            if let Some(outcome) = self.outcome.take() {
                break outcome;
            }
            match self.engine.next_deadline() {
                None => match inbox.recv().await {
                    Some(report) => self.take(report),
                    None => break JobOutcome::Failed("the job's driver lost its inbox".to_owned()),
                },
                Some(deadline) => {
                    let wait = deadline.0.saturating_sub(now().0).max(0).unsigned_abs();
                    tokio::select! {
                        Some(report) = inbox.recv() => self.take(report),
                        () = tokio::time::sleep(std::time::Duration::from_millis(wait)) => {
                            self.tell(Input::Tick);
                        }
                    }
                }
            }
        };
        self.clean_up().await;
        outcome
    }

    async fn clean_up(&mut self) {
        for (_, task) in self.tasks.drain() {
            task.abort.abort();
        }
        self.handles.clear();
        self.ran_on.clear();
        self.workers.stop().await;
        let scratch = self.spec.instance.job_scratch(&self.spec.id);
        if let Err(error) = std::fs::remove_dir_all(&scratch)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            let text = format!("could not remove {}: {error}", scratch.display());
            self.listener.message(Importance::Warning, text);
        }
    }

    fn take(&mut self, report: Report) {
        match report {
            Report::WorkerReady {
                worker,
                environment,
                handle,
            } => {
                self.start_failures = 0;
                self.handles.insert(worker, (handle, environment));
                self.mark_running();
                let slots = self.spec.environments[environment.index()].slots;
                self.tell(Input::WorkerJoined {
                    worker,
                    environment,
                    slots,
                });
            }
            Report::WorkerLost { worker, reason } => self.lose_worker(worker, reason),
            Report::WorkerFailed {
                environment,
                failure,
            } => {
                self.fail_to_start(environment, &failure);
            }
            Report::BundleEnded { bundle, result } => self.end_bundle(bundle, result),
            Report::BundleSplit {
                bundle,
                primary,
                residual,
            } => {
                self.tell(Input::BundleSplit {
                    bundle,
                    primary,
                    residual,
                });
            }
            Report::SplitRefused { bundle } => self.tell(Input::SplitRefused { bundle }),
            Report::Cancel => self.tell(Input::Cancel),
        }
    }

    fn mark_running(&mut self) {
        if !std::mem::replace(&mut self.running, true) {
            self.listener.running();
        }
    }

    /// A worker is gone, or as good as gone. Its bundles and its own task may both tell: the first
    /// counts.
    fn lose_worker(&mut self, worker: WorkerId, reason: String) {
        let Some((handle, environment)) = self.handles.remove(&worker) else {
            return;
        };
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
        self.tell(Input::WorkerLost { worker, reason });
    }

    fn fail_to_start(&mut self, environment: EnvironmentId, failure: &StartFailure) {
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

    fn end_bundle(&mut self, bundle: BundleId, result: Result<Box<Staged>, BundleFailure>) {
        let Some(task) = self.tasks.remove(&bundle) else {
            // The engine gave it up meanwhile.
            if let Ok(staged) = result {
                staged.discard(&self.context);
            }
            return;
        };
        match result {
            Ok(staged) => {
                self.idle_losses = 0;
                let effects = staged.effects.clone();
                self.staged.insert(bundle, staged);
                self.tell(Input::BundleFinished { bundle, effects });
            }
            Err(BundleFailure::WorkerLost(reason)) if self.has_worker_of(&task) => {
                // The worker's own end may be noticed later than that of its bundle.
                if let Some(worker) = task.worker() {
                    self.lose_worker(worker, reason);
                }
            }
            Err(failure) => self.tell(Input::BundleFailed { bundle, failure }),
        }
        if let Some(staged) = self.staged.remove(&bundle) {
            staged.discard(&self.context);
        }
    }

    fn has_worker_of(&self, task: &Task) -> bool {
        task.worker()
            .is_some_and(|worker| self.handles.contains_key(&worker))
    }

    fn tell(&mut self, input: Input) {
        tracing::trace!(job_id = self.spec.id, ?input, "input");
        self.engine.handle(input, now());
        while let Some(action) = self.engine.poll_action() {
            self.act(action);
        }
    }

    fn act(&mut self, action: Action) {
        tracing::trace!(job_id = self.spec.id, ?action, "action");
        match action {
            Action::StartBundle(bundle) => self.start_bundle(bundle),
            Action::SplitBundle {
                bundle,
                fraction_of_remainder,
            } => {
                let live = self.tasks.get(&bundle).and_then(|task| task.live.clone());
                if let Some(live) = live {
                    let (context, reports) = (self.context.clone(), self.reports.clone());
                    tokio::spawn(live.split(context, fraction_of_remainder, reports));
                } else {
                    self.reports.send(Report::SplitRefused { bundle }).ok();
                }
            }
            Action::CommitBundle { bundle } => self.commit(bundle),
            Action::DiscardBundle { bundle } => {
                self.metrics.discard(bundle);
                if let Some(task) = self.tasks.remove(&bundle) {
                    task.abort.abort();
                }
            }
            Action::ReleaseData(ids) => self.release(ids),
            Action::FinalizeBundle { bundle } => {
                if let Some((worker, instruction)) = self.ran_on.remove(&bundle) {
                    let listener = self.listener.clone();
                    tokio::spawn(async move {
                        if let Err(error) = worker.finalize(&instruction).await {
                            let text = format!("a bundle's finalization failed: {error}");
                            listener.message(Importance::Warning, text);
                        }
                    });
                }
            }
            Action::Warn(text) => self.listener.message(Importance::Warning, text),
            Action::Finish(outcome) => self.outcome = Some(outcome),
        }
    }

    fn release(&self, ids: Vec<DataId>) {
        self.context.data.release(ids);
    }

    fn start_bundle(&mut self, bundle: Bundle) {
        let id = bundle.id;
        let context = self.context.clone();
        let reports = self.reports.clone();
        let (task, live) = match bundle.executor {
            Executor::Runner => {
                let run = tokio::spawn(async move {
                    let result = crate::bundle::operators::execute(context, bundle).await;
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
    fn commit(&mut self, bundle: BundleId) {
        let Some(staged) = self.staged.remove(&bundle) else {
            return;
        };
        self.metrics.commit(bundle);
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

fn now() -> ProcessingTime {
    let since_epoch = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    ProcessingTime(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
}
