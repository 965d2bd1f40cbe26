//! Dynamic splits: giving idle slots a share of what already runs, and checkpointing what never ends.

use std::collections::BTreeMap;

use dataflume_model::ids::{BundleId, EnvironmentId};
use dataflume_model::time::ProcessingTime;

use crate::config::EngineConfig;
use crate::engine::{Engine, Running};
use crate::io::{Action, DataId, Executor, Fraction, PendingData, SplitCondition, Work};
use crate::topology::Role;

/// A refusal doubles the wait before the next request, up to this many times the first wait.
const MAX_BACK_OFF: i64 = 16;

/// When a bundle may be asked to split.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SplitState {
    next_request: ProcessingTime,
    pub(crate) next_checkpoint: ProcessingTime,
    back_off: i64,
    /// A request was sent and is not yet answered.
    requested: Option<Request>,
    /// It would leave the bundle little.
    leaves_little: bool,
}

/// Why a bundle is asked to split.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Request {
    /// A worker is idle, and it may be under way already.
    Early,
    /// A worker is idle, and it is long.
    ForWorker,
    /// A slot is idle of a worker that isn't, and it is long.
    ForSlot,
    /// It would never end.
    Checkpoint,
    /// It nears its end.
    EndInTwo,
}

impl SplitState {
    pub(crate) fn new(now: ProcessingTime, config: &EngineConfig) -> Self {
        Self {
            next_request: ProcessingTime(
                now.0
                    .saturating_add(config.early_split_after_ms.min(config.split_after_ms)),
            ),
            next_checkpoint: ProcessingTime(now.0.saturating_add(config.checkpoint_after_ms)),
            back_off: 1,
            requested: None,
            leaves_little: false,
        }
    }
}

impl Engine {
    /// The bundle goes on with less. From here on it answers for `primary` alone, also when it
    /// fails and is tried again.
    pub(crate) fn apply_split(
        &mut self,
        id: BundleId,
        primary: Vec<PendingData>,
        residual: Vec<PendingData>,
    ) {
        let Some(running) = self.bundles.get_mut(&id) else {
            return;
        };
        let stage = running.bundle.stage;
        let truncated = running.truncated;
        let before = match std::mem::replace(&mut running.bundle.work, Work::Elements(primary)) {
            Work::Elements(before) => before,
            other => {
                // Only elements are ever asked to split: keep what the bundle had.
                running.bundle.work = other;
                return;
            }
        };
        running.ends_soon = running.split.leaves_little;
        running.split = SplitState::new(self.now, &self.config);
        let state = &mut self.stages[stage.index()];
        let mut released: Vec<DataId> = Vec::new();
        let Work::Elements(primary) = &running.bundle.work else {
            return;
        };
        for data in primary {
            state.data_holds.add(data.hold);
        }
        for data in &before {
            state.data_holds.remove(data.hold);
            let id = data.handle.id;
            let kept = primary
                .iter()
                .chain(&residual)
                .any(|other| other.handle.id == id);
            if !kept {
                released.push(id);
            }
        }
        for data in residual {
            self.arrive(stage, data, truncated);
        }
        if !released.is_empty() {
            self.actions.push_back(Action::ReleaseData(released));
        }
        self.touch(stage);
    }

    pub(crate) fn refuse_split(&mut self, id: BundleId) {
        let Some(running) = self.bundles.get_mut(&id) else {
            return;
        };
        let late = running.late(&self.config);
        let split = &mut running.split;
        match split.requested.take() {
            Some(Request::Early) => {
                let (started, now) = (running.started.0, self.now.0);
                let twice = now.saturating_add(now.saturating_sub(started).max(1));
                split.next_request = ProcessingTime(twice.min(late.0.max(now)));
                return;
            }
            // It may yet give up a share for somebody who is idle.
            Some(Request::EndInTwo) => return,
            Some(Request::ForWorker | Request::ForSlot | Request::Checkpoint) | None => {}
        }
        split.back_off = (split.back_off * 2).min(MAX_BACK_OFF);
        let wait = |first: i64| first.max(1).saturating_mul(split.back_off);
        split.next_request = ProcessingTime(self.now.0 + wait(self.config.split_after_ms));
        split.next_checkpoint = ProcessingTime(self.now.0 + wait(self.config.checkpoint_after_ms));
    }

    /// Asks bundles to split: never-ending ones after a while, others when slots are idle.
    pub(crate) fn request_splits(&mut self) {
        let mut idle = self.idle();
        let mut requests: Vec<(BundleId, Fraction, Request)> = Vec::new();
        for (id, running) in &self.bundles {
            if running.split.requested.is_some() || !self.divisible(running) {
                continue;
            }
            let node = self.topology.node(running.bundle.stage);
            if node.unbounded && running.split.next_checkpoint <= self.now {
                requests.push((*id, Fraction::ZERO, Request::Checkpoint));
            } else if running.split.next_request <= self.now
                && let Some(idle) = node.environment.and_then(|e| idle.get_mut(&e))
            {
                let late = running.late(&self.config) <= self.now;
                if let Some(request) = idle.take(late) {
                    let kept = match late {
                        true => self.kept_of_remainder(running),
                        false => Fraction::HALF,
                    };
                    requests.push((*id, kept, request));
                }
            }
        }
        for (bundle, kept, request) in requests {
            self.ask_to_split(bundle, kept, request);
        }
    }

    /// The rest of a long bundle becomes a bundle of its own, where long bundles are slow to end or it isn't known yet: while the long one
    /// winds up, its worker processes that rest, in a bundle that is soon over because it is short. Bounded sources
    /// refuse to end at the record that they are at; asked to end a little later, the word count gained nothing.
    pub(crate) fn end_in_two(&mut self, id: BundleId) {
        let Some(running) = self.bundles.get(&id) else {
            return;
        };
        if self.slow_to_end(running) == Some(false)
            || self.topology.node(running.bundle.stage).unbounded
            || running.split.requested.is_some()
            || !self.divisible(running)
        {
            return;
        }
        self.ask_to_split(id, Fraction::ZERO, Request::EndInTwo);
    }

    fn ask_to_split(&mut self, bundle: BundleId, kept: Fraction, request: Request) {
        if let Some(running) = self.bundles.get_mut(&bundle) {
            running.split.requested = Some(request);
            running.split.leaves_little = kept.0 <= Fraction::EIGHTH.0;
        }
        self.actions.push_back(Action::SplitBundle {
            bundle,
            fraction_of_remainder: kept,
            condition: match request {
                Request::Early => SplitCondition::UnderWay,
                Request::ForSlot => SplitCondition::WorthSharing,
                Request::ForWorker | Request::Checkpoint | Request::EndInTwo => {
                    SplitCondition::None
                }
            },
        });
    }

    /// How much of its remaining work a long bundle keeps when it is split. Where long bundles are slow to end it had best end soon:
    /// while it does, its worker goes on with some of what it gave up, in a bundle that is not long. What one element gives up is one
    /// piece, and only for one worker.
    fn kept_of_remainder(&self, running: &Running) -> Fraction {
        match self.slow_to_end(running) == Some(true) && running.elements() > 1 {
            true => Fraction::EIGHTH,
            false => Fraction::HALF,
        }
    }

    /// Whether bundles like this one are, once they are long; nothing as long as that isn't known.
    fn slow_to_end(&self, running: &Running) -> Option<bool> {
        let environment = self.topology.node(running.bundle.stage).environment?;
        self.slow_to_end.get(&environment).copied()
    }

    /// When the next split will be asked for, if all stays as it is.
    pub(crate) fn next_split_check(&self) -> Option<ProcessingTime> {
        let idle = self.idle();
        self.bundles
            .values()
            .filter(|running| running.split.requested.is_none() && self.divisible(running))
            .filter_map(|running| {
                let node = self.topology.node(running.bundle.stage);
                let checkpoint = node.unbounded.then_some(running.split.next_checkpoint);
                let idle = node.environment.and_then(|e| idle.get(&e));
                let split = idle.and_then(|idle| match (idle.workers, idle.slots) {
                    (0, 0) => None,
                    (0, _) => Some(running.split.next_request.max(running.late(&self.config))),
                    _ => Some(running.split.next_request),
                });
                [checkpoint, split]
                    .into_iter()
                    .flatten()
                    .filter(|at| *at > self.now)
                    .min()
            })
            .min()
    }

    /// Whether a bundle would give up some of its work if there were an idle slot: it has some, and has
    /// not refused.
    pub(crate) fn would_split(&self, running: &Running) -> bool {
        running.split.back_off == 1 && self.divisible(running)
    }

    /// Keyed bundles are not split: their key groups would have to run in two places.
    fn divisible(&self, running: &Running) -> bool {
        let node = self.topology.node(running.bundle.stage);
        let elements = running.elements();
        node.role == Role::Elements
            && !running.winding_up
            && matches!(running.bundle.executor, Executor::Worker(_))
            && (elements > 1 || (elements == 1 && node.splittable))
    }

    /// Per environment, where nothing waits that could fill them.
    fn idle(&self) -> BTreeMap<EnvironmentId, Idle> {
        let mut idle: BTreeMap<EnvironmentId, Idle> = BTreeMap::new();
        for worker in self.workers.values() {
            let idle = idle.entry(worker.environment).or_default();
            idle.slots += worker.free_slots();
            idle.workers += u32::from(worker.working() == 0);
        }
        idle
    }
}

impl Running {
    /// From when on it has run for so long that any idle slot may have a share of it.
    pub(crate) fn late(&self, config: &EngineConfig) -> ProcessingTime {
        ProcessingTime(self.started.0.saturating_add(config.split_after_ms))
    }

    fn elements(&self) -> u64 {
        match &self.bundle.work {
            Work::Elements(data) => data.iter().map(|data| data.handle.elements).sum(),
            _ => 0,
        }
    }
}

/// What has nothing to do.
#[derive(Debug, Default, Clone, Copy)]
struct Idle {
    slots: u32,
    /// With all their slots: processors, as a rule.
    workers: u32,
}

impl Idle {
    /// Takes what shall have a share of a bundle, if there is something: early, only a worker that does nothing.
    fn take(&mut self, late: bool) -> Option<Request> {
        let worker = self.workers > 0;
        if self.slots == 0 || !(worker || late) {
            return None;
        }
        self.slots -= 1;
        self.workers -= u32::from(worker);
        Some(match (late, worker) {
            (false, _) => Request::Early,
            (true, true) => Request::ForWorker,
            (true, false) => Request::ForSlot,
        })
    }
}
