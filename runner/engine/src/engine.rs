//! The engine's own state, and the dispatch of inputs to the files that answer them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::clock::Clock;
use dataflume_graph::plan::Plan;
use dataflume_model::ids::{BundleId, EnvironmentId, StageId, WorkerId};
use dataflume_model::time::{EventTime, ProcessingTime};

use crate::config::EngineConfig;
use crate::io::{Action, Bundle, Executor, Input, JobOutcome, Work};
use crate::split::SplitState;
use crate::stage::StageState;
use crate::test_stream::Scripts;
use crate::topology::Topology;
use crate::workers::Worker;

/// Runs one job's plan. See the crate's documentation.
#[derive(Debug)]
pub struct Engine {
    pub(crate) config: EngineConfig,
    pub(crate) topology: Topology,
    pub(crate) stages: Vec<StageState>,
    /// By PCollection: no element with a smaller timestamp will be added, late data apart.
    pub(crate) watermarks: Vec<EventTime>,
    pub(crate) workers: BTreeMap<WorkerId, Worker>,
    pub(crate) bundles: BTreeMap<BundleId, Running>,
    pub(crate) runner_bundles: u32,
    /// Whether long bundles of an environment have taken a while to end after they had given all; nothing as long as none has ended.
    pub(crate) slow_to_end: BTreeMap<EnvironmentId, bool>,
    /// Bytes of committed bundles' input, by environment.
    pub(crate) processed: BTreeMap<EnvironmentId, u64>,
    /// Stages whose watermarks may have changed.
    pub(crate) dirty: BTreeSet<StageId>,
    /// Stages that may have work to start.
    pub(crate) candidates: BTreeSet<StageId>,
    /// Groupings that wait for their consumers.
    pub(crate) ahead: BTreeSet<StageId>,
    /// Stages with something that waits for processing time.
    pub(crate) timed: BTreeSet<StageId>,
    pub(crate) scripts: Scripts,
    /// By PCollection: the ends of windows that its readers may look at though they are not complete.
    pub(crate) fired: Vec<BTreeSet<EventTime>>,
    /// Sources have been stopped.
    pub(crate) draining: bool,
    pub(crate) now: ProcessingTime,
    pub(crate) clock: Clock,
    pub(crate) actions: VecDeque<Action>,
    pub(crate) phase: Phase,
    next_bundle: u64,
}

/// Where the job is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    New,
    Running,
    Finished,
}

/// A bundle in flight.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) bundle: Bundle,
    pub(crate) worker_losses: u32,
    pub(crate) started: ProcessingTime,
    pub(crate) split: SplitState,
    /// It has given all it gives.
    pub(crate) winding_up: bool,
    /// A split has left it little.
    pub(crate) ends_soon: bool,
    /// Started while the job drained: restrictions in it have been truncated.
    pub(crate) truncated: bool,
}

impl Engine {
    /// An engine for a plan; nothing happens before [`Input::Start`].
    pub fn new(plan: &Plan, config: EngineConfig) -> Self {
        let topology = Topology::of(plan);
        let stages: Vec<StageState> = topology
            .nodes
            .iter()
            .map(|_| StageState::default())
            .collect();
        Self {
            config,
            stages,
            watermarks: vec![EventTime::MIN; topology.producer.len()],
            fired: vec![BTreeSet::new(); topology.producer.len()],
            workers: BTreeMap::new(),
            bundles: BTreeMap::new(),
            runner_bundles: 0,
            slow_to_end: BTreeMap::new(),
            processed: BTreeMap::new(),
            dirty: topology.stages().collect(),
            candidates: topology.stages().collect(),
            ahead: BTreeSet::new(),
            timed: BTreeSet::new(),
            scripts: Scripts::of(plan),
            draining: false,
            now: ProcessingTime(0),
            clock: Clock::REAL,
            actions: VecDeque::new(),
            phase: Phase::New,
            next_bundle: 1,
            topology,
        }
    }

    /// Takes note of what happened at `now`. Inputs about bundles that the engine has given up
    /// are ignored, and so is everything after the job's end.
    pub fn handle(&mut self, input: Input, now: ProcessingTime) {
        if self.phase == Phase::Finished {
            return;
        }
        self.now = self.now.max(now);
        match input {
            Input::Start => {
                self.phase = Phase::Running;
                self.scripts.start(self.clock.at(self.now));
            }
            Input::WorkerJoined {
                worker,
                environment,
                slots,
            } => {
                self.workers.insert(
                    worker,
                    Worker {
                        environment,
                        slots,
                        running: BTreeSet::new(),
                        winding_up: 0,
                    },
                );
            }
            Input::WorkerSlots { worker, slots } => {
                if let Some(worker) = self.workers.get_mut(&worker) {
                    worker.slots = slots;
                }
            }
            Input::WorkerLost {
                worker,
                reason,
                blames_bundles,
            } => self.lose_worker(worker, &reason, blames_bundles),
            Input::BundleNearsEnd { bundle } => self.end_in_two(bundle),
            Input::BundleWindsUp { bundle } => self.wind_up(bundle),
            Input::BundleFinished { bundle, effects } => self.commit(bundle, effects),
            Input::BundleFailed { bundle, failure } => self.fail_bundle(bundle, failure),
            Input::BundleSplit {
                bundle,
                primary,
                residual,
            } => {
                self.apply_split(bundle, primary, residual);
            }
            Input::SplitRefused { bundle } => self.refuse_split(bundle),
            Input::Tick => {}
            Input::Clock(clock) => self.clock = clock,
            Input::Drain => self.drain(),
            Input::Cancel => self.finish(JobOutcome::Cancelled),
            Input::Fail(error) => self.finish(JobOutcome::Failed(error)),
        }
        if self.phase == Phase::Running {
            self.settle();
        }
    }

    /// The next thing to do, if any.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// How the elements of a stage are grouped into bundles is decided here and nowhere else:
    /// recompute watermarks, start what can start, and when nothing runs see what that means.
    fn settle(&mut self) {
        loop {
            self.wake_delayed();
            self.propagate_watermarks();
            self.schedule();
            if !self.bundles.is_empty() || self.waits_for_slot() {
                break;
            }
            if self.advance_test_streams() {
                continue;
            }
            self.conclude();
            break;
        }
        if self.phase == Phase::Running {
            self.request_splits();
        }
    }

    /// Nothing runs and nothing can be started: the job is done, waits for time, or is stuck.
    fn conclude(&mut self) {
        let done = self.stages.iter().all(|stage| {
            stage.output_watermark == EventTime::MAX
                && stage.pending.is_empty()
                && !stage.timers.any_due(EventTime::MAX)
        });
        if done {
            self.finish(if self.draining {
                JobOutcome::Drained
            } else {
                JobOutcome::Done
            });
        } else if self.next_deadline().is_none() && !self.waits_for_stopped_clock() {
            let dump = self.dump();
            self.finish(JobOutcome::Failed(format!(
                "the job can make no progress: nothing runs, nothing is ready, and no timer or delay is due\n{dump}"
            )));
        }
    }

    /// Somebody will move the clock, and timers are due then.
    fn waits_for_stopped_clock(&self) -> bool {
        let is_timed = |stage: &StageId| {
            self.stages[stage.index()]
                .timers
                .next_processing()
                .is_some()
        };
        matches!(self.clock, Clock::Stopped { .. }) && self.timed.iter().any(is_timed)
    }

    /// Ends the job: nothing of what still runs will count.
    pub(crate) fn finish(&mut self, outcome: JobOutcome) {
        for bundle in std::mem::take(&mut self.bundles).into_keys() {
            self.actions.push_back(Action::DiscardBundle { bundle });
        }
        self.actions.push_back(Action::Finish(outcome));
        self.phase = Phase::Finished;
    }

    /// Puts a bundle in flight.
    pub(crate) fn start(
        &mut self,
        stage: StageId,
        executor: Executor,
        work: Work,
        attempt: u32,
        worker_losses: u32,
    ) {
        let id = BundleId(self.next_bundle);
        self.next_bundle += 1;
        match executor {
            Executor::Runner => self.runner_bundles += 1,
            Executor::Worker(worker) => {
                if let Some(worker) = self.workers.get_mut(&worker) {
                    worker.running.insert(id);
                }
            }
        }
        let processing_time = self.timer_clock();
        let state = &mut self.stages[stage.index()];
        state.running.insert(id);
        let bundle = Bundle {
            id,
            stage,
            executor,
            work,
            attempt,
            input_watermark: state.input_watermark,
            upstream_watermark: state.upstream_watermark,
            processing_time,
        };
        self.actions.push_back(Action::StartBundle(bundle.clone()));
        let split = SplitState::new(self.now, &self.config);
        self.bundles.insert(
            id,
            Running {
                bundle,
                worker_losses,
                started: self.now,
                split,
                winding_up: false,
                ends_soon: false,
                truncated: self.draining,
            },
        );
    }

    /// Takes a bundle out of flight. Its key groups stay busy: the caller decides.
    pub(crate) fn take_running(&mut self, id: BundleId) -> Option<Running> {
        let running = self.bundles.remove(&id)?;
        match running.bundle.executor {
            Executor::Runner => self.runner_bundles -= 1,
            Executor::Worker(worker) => {
                if let Some(worker) = self.workers.get_mut(&worker) {
                    worker.running.remove(&id);
                    worker.winding_up -= u32::from(running.winding_up);
                }
            }
        }
        let stage = running.bundle.stage;
        self.stages[stage.index()].running.remove(&id);
        self.candidates.insert(stage);
        Some(running)
    }

    /// When [`Engine::handle`] should be called with [`Input::Tick`], should nothing happen before.
    pub fn next_deadline(&self) -> Option<ProcessingTime> {
        if self.phase != Phase::Running {
            return None;
        }
        let stages = self.timed.iter().flat_map(|stage| {
            let state = &self.stages[stage.index()];
            let timer = if self.scripts.is_empty() {
                state.timers.next_processing()
            } else {
                None
            };
            [
                state.pending.next_wake(),
                timer
                    .filter(|time| *time > self.timer_clock())
                    .and_then(|time| self.clock.real(time)),
            ]
        });
        stages.flatten().chain(self.next_split_check()).min()
    }

    /// The watermark of a stage's output, for metrics and the console.
    pub fn output_watermark(&self, stage: StageId) -> EventTime {
        self.stages[stage.index()].output_watermark
    }

    /// Elements that have come to a stage and are in no bundle.
    pub fn waiting_elements(&self, stage: StageId) -> u64 {
        self.stages[stage.index()].pending.totals().elements
    }

    /// Whether a stage has nothing to do any more, and nothing more can come.
    pub fn has_ended(&self, stage: StageId) -> bool {
        let state = &self.stages[stage.index()];
        state.output_watermark == EventTime::MAX
            && state.pending.is_empty()
            && state.running.is_empty()
    }

    /// The watermark of a stage's main input.
    pub fn input_watermark(&self, stage: StageId) -> EventTime {
        self.stages[stage.index()].input_watermark
    }
}
