//! The loop: reports go into the engine, its actions are carried out (`actions`). It decides
//! nothing about data; what it decides itself is when to give up on workers (`losses`).

use std::sync::Arc;
use std::time::Duration;

use dataflume_engine::autoscale::Autoscaler;
use dataflume_engine::{BundleFailure, Engine, Input, JobOutcome, PendingData};
use dataflume_harness::pool::Ended;
use dataflume_harness::{FnApi, Worker};
use dataflume_model::ids::{BundleId, EnvironmentId, WorkerId};
use dataflume_model::time::ProcessingTime;
use rustc_hash::FxHashMap;
use tokio::sync::{mpsc, oneshot};
use tokio::task::{AbortHandle, JoinSet};

use super::fault::FaultSwitch;
use super::progress::{StageProgress, Watch};
use super::slots::Slots;
use super::workers::{Ending, StartFailure, Workers};
use super::{DriverOptions, Importance, JobListener, JobSpec, Seen, WorkersPhase};
use crate::bundle::sdk::Live;
use crate::bundle::{BundleContext, Staged};
use crate::clock::now;
use crate::data::{DataError, DataOptions};

/// How long an ended job's workers are kept for the finalization of its last bundles.
const FINALIZATION_TIMEOUT: Duration = Duration::from_secs(10);

/// What the job's tasks tell the loop.
pub(crate) enum Report {
    WorkerReady {
        worker: WorkerId,
        environment: EnvironmentId,
        handle: Worker,
    },
    WorkerLost {
        worker: WorkerId,
        ended: Ended,
    },
    WorkerFailed {
        environment: EnvironmentId,
        failure: StartFailure,
    },
    BundleNearsEnd {
        bundle: BundleId,
    },
    BundleWindsUp {
        bundle: BundleId,
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
    Drain,
    Cancel,
    LimitWorkers {
        min: Option<u32>,
        max: Option<u32>,
    },
    /// How far the job is, is to be told.
    Look(oneshot::Sender<Vec<StageProgress>>),
}

impl std::fmt::Debug for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Report")
    }
}

/// A job in progress.
pub(super) struct Run {
    pub(super) engine: Engine,
    pub(super) context: Arc<BundleContext>,
    pub(super) workers: Workers,
    pub(super) handles: FxHashMap<WorkerId, (Worker, EnvironmentId)>,
    pub(super) tasks: FxHashMap<BundleId, Task>,
    pub(super) staged: FxHashMap<BundleId, Box<Staged>>,
    /// Where committed bundles ran that want to be finalized.
    pub(super) ran_on: FxHashMap<BundleId, (Worker, String)>,
    pub(super) finalizations: JoinSet<()>,
    pub(super) reports: mpsc::UnboundedSender<Report>,
    pub(super) listener: Arc<dyn JobListener>,
    pub(super) seen: Seen,
    pub(super) watch: Watch,
    pub(super) spec: Arc<JobSpec>,
    pub(super) start_failures: u32,
    pub(super) idle_losses: u32,
    pub(super) fault: FaultSwitch,
    pub(super) running: bool,
    pub(super) all_ready: bool,
    pub(super) outcome: Option<JobOutcome>,
    /// By environment.
    pub(super) scalers: Vec<Autoscaler>,
    /// By environment.
    pub(super) slots: Vec<Slots>,
}

pub(super) struct Task {
    pub(super) abort: AbortHandle,
    /// Set for bundles on SDK workers.
    pub(super) live: Option<Arc<Live>>,
}

impl Task {
    pub(super) fn worker(&self) -> Option<WorkerId> {
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
        seen: Seen,
        reports: mpsc::UnboundedSender<Report>,
    ) -> Result<Self, DataError> {
        let spec = Arc::new(spec);
        let limits = spec.environments.iter().map(|each| each.scaling);
        let scalers = limits.map(Autoscaler::new).collect();
        let slots = spec.environments.iter().map(|each| Slots::new(each.slots));
        let slots = slots.collect();
        let context = BundleContext::new(&spec.plan, &options, data, seen.metrics.clone())?;
        let workers = Workers::new(
            spec.clone(),
            fn_api,
            listener.clone(),
            reports.clone(),
            options.worker_ready_timeout,
            seen.meter.clone(),
        );
        Ok(Self {
            engine: Engine::new(&spec.plan, options.engine),
            context: Arc::new(context),
            workers,
            handles: FxHashMap::default(),
            tasks: FxHashMap::default(),
            staged: FxHashMap::default(),
            ran_on: FxHashMap::default(),
            finalizations: JoinSet::new(),
            reports,
            listener,
            watch: Watch::new(&spec.plan, seen.meter.clone()),
            seen,
            spec,
            start_failures: 0,
            idle_losses: 0,
            fault: FaultSwitch::new(options.fail_every_nth_bundle),
            running: false,
            all_ready: false,
            outcome: None,
            scalers,
            slots,
        })
    }

    /// Runs the job to its end, tells how far it came, and cleans up after it.
    pub(super) async fn run(mut self, mut inbox: mpsc::UnboundedReceiver<Report>) -> JobOutcome {
        let pools = self.spec.environments.iter().enumerate();
        let wanted: Vec<(EnvironmentId, u32)> = pools
            .map(|(index, spec)| (EnvironmentId(index as u32), spec.scaling.initial))
            .collect();
        for (environment, count) in wanted {
            (0..count).for_each(|_| self.workers.start(environment));
        }
        if self.spec.environments.is_empty() {
            self.mark_running();
        }
        let clock = self.context.clock.clone();
        let mut clock = clock.subscribe();
        self.tell(Input::Clock(*clock.borrow_and_update()));
        self.tell(Input::Start);
        let outcome = loop {
            if let Some(outcome) = self.outcome.take() {
                break outcome;
            }
            let deadline = self.engine.next_deadline().into_iter();
            let deadline = deadline.chain(self.next_look());
            let deadline = deadline.chain(self.next_look_at_slots()).min();
            tokio::select! {
                report = inbox.recv() => match report {
                    Some(report) => self.take(report),
                    None => break JobOutcome::Failed("the job's driver lost its inbox".to_owned()),
                },
                // The job's context has the sender.
                Ok(()) = clock.changed() => {
                    let reading = *clock.borrow_and_update();
                    self.tell(Input::Clock(reading));
                }
                () = reached(deadline) => self.tell(Input::Tick),
            }
            self.scale(now());
            self.adapt_slots(now());
            self.watch.look(&self.engine);
            self.context.side_inputs.remove_expired(&self.engine);
        };
        // Nobody else sets it.
        let _ = self.seen.last.set(self.watch.progress(&self.engine));
        // Who asks from now on is told what was last.
        drop(inbox);
        let ending = match outcome {
            JobOutcome::Done | JobOutcome::Drained => Ending::InPeace,
            JobOutcome::Failed(_) | JobOutcome::Cancelled => Ending::AtOnce,
        };
        self.clean_up(ending).await;
        outcome
    }

    async fn clean_up(&mut self, ending: Ending) {
        for (_, task) in self.tasks.drain() {
            task.abort.abort();
        }
        self.finalize().await;
        self.context.workers.close();
        self.handles.clear();
        self.ran_on.clear();
        self.listener.workers(WorkersPhase::Stopping);
        self.workers.stop(ending).await;
        self.listener.workers(WorkersPhase::Stopped);
    }

    /// What was committed is finalized while there are workers, unless that takes too long.
    async fn finalize(&mut self) {
        let all = async { while self.finalizations.join_next().await.is_some() {} };
        if tokio::time::timeout(FINALIZATION_TIMEOUT, all)
            .await
            .is_err()
        {
            let text = format!(
                "{} bundles were not finalized within {} s of the job's end",
                self.finalizations.len(),
                FINALIZATION_TIMEOUT.as_secs()
            );
            self.listener.message(Importance::Warning, text);
            self.finalizations.abort_all();
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
                self.workers.started(environment);
                let known = handle.clone();
                self.context.workers.add(environment, worker, known);
                self.handles.insert(worker, (handle, environment));
                self.mark_running();
                self.mark_all_ready();
                let slots = self.slots[environment.index()].now();
                self.tell(Input::WorkerJoined {
                    worker,
                    environment,
                    slots,
                });
            }
            Report::WorkerLost { worker, ended } => {
                self.lose_worker(worker, ended.reason, ended.self_inflicted);
            }
            Report::WorkerFailed {
                environment,
                failure,
            } => {
                self.workers.started(environment);
                self.fail_to_start(environment, &failure);
            }
            Report::BundleNearsEnd { bundle } => self.tell(Input::BundleNearsEnd { bundle }),
            Report::BundleWindsUp { bundle } => self.tell(Input::BundleWindsUp { bundle }),
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
            Report::Drain => self.tell(Input::Drain),
            Report::Cancel => self.tell(Input::Cancel),
            Report::LimitWorkers { min, max } => self.limit_workers(min, max),
            Report::Look(answer) => {
                // Whoever asked may be gone.
                let _ = answer.send(self.watch.progress(&self.engine));
            }
        }
    }

    fn mark_running(&mut self) {
        if !std::mem::replace(&mut self.running, true) {
            self.listener.running();
        }
    }

    fn mark_all_ready(&mut self) {
        let wanted: u32 = self
            .spec
            .environments
            .iter()
            .map(|each| each.scaling.initial)
            .sum();
        if !self.all_ready && self.handles.len() >= wanted as usize {
            self.all_ready = true;
            self.listener.workers(WorkersPhase::AllReady);
        }
    }

    fn strikes(&mut self, task: &Task) -> bool {
        let live = task.live.as_ref();
        live.is_some_and(|live| self.fault.strikes(live.bundle()))
    }

    fn end_bundle(&mut self, bundle: BundleId, result: Result<Box<Staged>, BundleFailure>) {
        let Some(task) = self.tasks.remove(&bundle) else {
            // The engine gave it up meanwhile.
            return;
        };
        match result {
            Ok(staged) if self.strikes(&task) => {
                drop(staged);
                let text = "the fault switch made it fail".to_owned();
                let failure = BundleFailure::Failed(text);
                self.distrust_cache(&task);
                self.tell(Input::BundleFailed { bundle, failure });
            }
            Ok(staged) => {
                self.idle_losses = 0;
                let effects = staged.effects.clone();
                self.staged.insert(bundle, staged);
                self.tell(Input::BundleFinished { bundle, effects });
            }
            Err(BundleFailure::WorkerLost(reason)) if self.has_worker_of(&task) => {
                // Whoever waits for the worker's end tells of it, and why it came: the bundles are given back then.
                let known = task.worker().and_then(|worker| self.handles.get(&worker));
                if let Some((handle, _)) = known {
                    handle.shutdown(&reason);
                }
            }
            Err(failure) => {
                self.distrust_cache(&task);
                self.tell(Input::BundleFailed { bundle, failure });
            }
        }
        self.staged.remove(&bundle);
    }

    /// What a bundle wrote that does not count may be in its worker's cache of user state.
    pub(super) fn distrust_cache(&self, task: &Task) {
        if let (Some(live), Some(worker)) = (&task.live, task.worker()) {
            let stage = live.bundle().stage;
            self.context.state_tokens.forget(worker, stage);
        }
    }

    pub(super) fn tell(&mut self, input: Input) {
        tracing::trace!(job_id = self.spec.id, ?input, "input");
        self.engine.handle(input, now());
        while let Some(action) = self.engine.poll_action() {
            self.act(action);
        }
    }
}

/// Waits until it is that late; for ever if there is nothing to wait for.
async fn reached(deadline: Option<ProcessingTime>) {
    match deadline {
        Some(deadline) => {
            let wait = deadline.0.saturating_sub(now().0).max(0).unsigned_abs();
            tokio::time::sleep(Duration::from_millis(wait)).await;
        }
        None => std::future::pending().await,
    }
}
