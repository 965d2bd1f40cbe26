//! Which bundle runs next, and where.
//!
//! Later stages go first: they free memory and finish the job. Each stage takes a fair share of
//! what waits, so that idle slots get some, within the configured limits.

use std::collections::BTreeSet;

use dataflume_model::ids::{BundleId, KeyGroup, StageId};
use dataflume_model::time::EventTime;

use crate::engine::Engine;
use crate::io::{Executor, PendingData, Work};
use crate::pending::{Limits, Retry};
use crate::stage::passed;
use crate::topology::Role;

/// A bundle smaller than this is not made smaller for the sake of other slots.
pub(crate) const WORTH_SHARING_BYTES: u64 = 16 << 10;
/// Nor one with fewer elements than this, in a stage that isn't splittable.
pub(crate) const WORTH_SHARING_ELEMENTS: u64 = 64;
/// The same, as many times, for a bundle that can be split later on, should its elements take long.
const DIVISIBLE: u64 = 8;
/// More than this is begun with while groupings still give more: it takes a worker longer than it takes them to give as much.
const WORTH_BEGINNING_BYTES: u64 = 512 << 10;
/// The same, in elements.
const WORTH_BEGINNING_ELEMENTS: u64 = 8192;
/// Restrictions per bundle of a bounded splittable stage, and of a truncation.
const MAX_RESTRICTIONS: usize = 64;

impl Engine {
    pub(crate) fn schedule(&mut self) {
        self.candidates.append(&mut self.ahead);
        let mut cursor = self.candidates.last().copied();
        while let Some(stage) = cursor {
            if self.phase != crate::engine::Phase::Running {
                return;
            }
            while let Some(executor) = self.free_executor(stage) {
                let Some(next) = self.next_work(stage) else {
                    self.candidates.remove(&stage);
                    break;
                };
                self.start(stage, executor, next.work, next.attempt, next.worker_losses);
                self.dirty.insert(stage);
            }
            cursor = self.candidates.range(..stage).next_back().copied();
        }
    }

    /// Some candidate could not even be looked at for want of a worker or a slot.
    pub(crate) fn waits_for_slot(&self) -> bool {
        self.candidates.iter().any(|stage| self.has_work(*stage))
    }

    fn has_work(&self, stage: StageId) -> bool {
        let state = &self.stages[stage.index()];
        !state.pending.retries.is_empty()
            || state.pending.totals().pieces > 0
            || state.pending.has_untruncated()
            || state.timers.any_due(state.input_watermark)
            || state
                .timers
                .next_processing()
                .is_some_and(|time| time <= self.timer_clock())
    }

    fn free_executor(&self, stage: StageId) -> Option<Executor> {
        let Some(environment) = self.topology.node(stage).environment else {
            return (self.runner_bundles < self.config.runner_slots).then_some(Executor::Runner);
        };
        self.workers
            .iter()
            .filter(|(_, worker)| worker.environment == environment && worker.free_slots() > 0)
            .max_by_key(|(id, worker)| (worker.free_slots(), std::cmp::Reverse(**id)))
            .map(|(id, _)| Executor::Worker(*id))
    }

    /// Slots among which what waits is shared: also those that are taken, which are free again before one bundle with
    /// everything would have ended, but not those that have just got their share.
    fn sharing(&self, stage: StageId) -> u32 {
        let Some(environment) = self.topology.node(stage).environment else {
            return self.config.runner_slots - self.runner_bundles;
        };
        let workers = self.workers.values();
        let workers = workers.filter(|worker| worker.environment == environment);
        let has_its_share = |id: &&BundleId| self.just_started(id, stage);
        workers
            .map(|worker| {
                worker
                    .slots
                    .saturating_sub(worker.running.iter().filter(has_its_share).count() as u32)
            })
            .sum()
    }

    fn next_work(&mut self, stage: StageId) -> Option<Retry> {
        if let Some(retry) = self.stages[stage.index()].pending.retries.pop_front() {
            return Some(retry);
        }
        let work = match self.topology.node(stage).role {
            Role::Impulse => self.impulse(stage),
            Role::TestStream => None,
            Role::Elements if self.keeps_order(stage) => self.in_turn(stage),
            Role::Elements => self.truncations(stage).or_else(|| {
                let more_comes_soon = self.more_comes_soon(stage);
                (!more_comes_soon).then(|| self.elements(stage)).flatten()
            }),
            Role::Keyed => self.keyed(stage),
            Role::GroupAtEnd => self.group_at_end(stage),
            Role::KeyedByTime => self.timers(stage).or_else(|| self.elements_by_time(stage)),
            Role::KeyedAtEnd => self.timers(stage).or_else(|| self.group_at_end(stage)),
        }?;
        Some(Retry {
            work,
            attempt: 1,
            worker_losses: 0,
        })
    }

    fn impulse(&self, stage: StageId) -> Option<Work> {
        let state = &self.stages[stage.index()];
        (!state.exhausted && state.running.is_empty()).then_some(Work::Impulse)
    }

    /// A stage of the runner's own passes elements on, and a key's elements in the order in which they came: what is behind it may
    /// have state, and Beam's tests look at that order across a Reshuffle.
    fn keeps_order(&self, stage: StageId) -> bool {
        self.topology.node(stage).environment.is_none()
    }

    /// One bundle after the other, for the sake of order.
    fn in_turn(&mut self, stage: StageId) -> Option<Work> {
        if !self.stages[stage.index()].running.is_empty() {
            return None;
        }
        self.elements(stage)
    }

    /// Little waits, and groupings whose input is complete are about to give more, here and in no time: a bundle for what there is
    /// now would cost a worker, and a sink another file, more than it gains.
    fn more_comes_soon(&self, stage: StageId) -> bool {
        let totals = self.stages[stage.index()].pending.totals();
        if totals.pieces == 0
            || totals.elements >= WORTH_BEGINNING_ELEMENTS
            || totals.bytes >= WORTH_BEGINNING_BYTES
        {
            return false;
        }
        let inputs = self.topology.node(stage).inputs.iter();
        let mut producers = inputs.map(|input| self.topology.producer[input.index()]);
        producers.any(|producer| {
            self.topology.node(producer).role == Role::GroupAtEnd
                && self.complete(producer)
                && !self.has_ended(producer)
        })
    }

    fn limits(&self, stage: StageId) -> Limits {
        let node = self.topology.node(stage);
        let totals = self.stages[stage.index()].pending.totals();
        let slots = self.sharing(stage).max(1);
        let share = u64::from(slots);
        let pieces = match (node.splittable, node.unbounded) {
            (true, true) => 1,
            (true, false) => totals
                .pieces
                .div_ceil(slots as usize)
                .clamp(1, MAX_RESTRICTIONS),
            (false, _) => usize::MAX,
        };
        let worth = match node.role {
            Role::Elements => DIVISIBLE,
            _ => 1,
        };
        let workers = match (node.redistributed, node.role) {
            (true, Role::Elements) => self.workers_without_share(stage),
            _ => 1,
        };
        let at_least = |worth_sharing: u64, total: u64| match workers {
            0 | 1 => worth_sharing,
            workers => worth_sharing.min(total.div_ceil(workers)),
        };
        Limits {
            elements: totals
                .elements
                .div_ceil(share)
                .max(at_least(WORTH_SHARING_ELEMENTS * worth, totals.elements))
                .min(self.config.max_bundle_elements),
            bytes: totals
                .bytes
                .div_ceil(share)
                .max(at_least(WORTH_SHARING_BYTES * worth, totals.bytes))
                .min(self.config.max_bundle_bytes),
            pieces,
        }
    }

    /// Workers that could start on a stage at once, and have not just done so. What its user had redistributed is shared among
    /// them however little it is: a worker, other than a slot, is a processor.
    fn workers_without_share(&self, stage: StageId) -> u64 {
        let environment = self.topology.node(stage).environment;
        let workers = self.workers.values();
        let free = workers.filter(|worker| {
            Some(worker.environment) == environment
                && worker.free_slots() > 0
                && !worker.running.iter().any(|id| self.just_started(id, stage))
        });
        free.count() as u64
    }

    fn just_started(&self, bundle: &BundleId, stage: StageId) -> bool {
        let running = self.bundles.get(bundle);
        running.is_some_and(|running| running.bundle.stage == stage && running.started == self.now)
    }

    fn truncations(&mut self, stage: StageId) -> Option<Work> {
        if !self.stages[stage.index()].pending.has_untruncated() {
            return None;
        }
        let sides = self.side_inputs(stage);
        let pending = &mut self.stages[stage.index()].pending;
        let ready = |data: &PendingData| side_inputs_ready(data, &sides);
        let taken = pending.take_untruncated(MAX_RESTRICTIONS, ready);
        (!taken.is_empty()).then_some(Work::Truncate(taken))
    }

    fn elements(&mut self, stage: StageId) -> Option<Work> {
        let mut limits = self.limits(stage);
        let sides = self.side_inputs(stage);
        let pending = &mut self.stages[stage.index()].pending;
        let mut taken = Vec::new();
        pending.take(
            None,
            &mut limits,
            |data| side_inputs_ready(data, &sides),
            &mut taken,
        );
        (!taken.is_empty()).then_some(Work::Elements(taken))
    }

    fn keyed(&mut self, stage: StageId) -> Option<Work> {
        if self.stages[stage.index()].elements_first > 0
            && let Some(work) = self.keyed_elements(stage)
        {
            return Some(work);
        }
        self.timers(stage).or_else(|| self.keyed_elements(stage))
    }

    fn keyed_elements(&mut self, stage: StageId) -> Option<Work> {
        let mut limits = self.limits(stage);
        let sides = self.side_inputs(stage);
        let state = &mut self.stages[stage.index()];
        let mut taken = Vec::new();
        for group in state.pending.free_groups(&state.busy) {
            let before = taken.len();
            let ready = |data: &PendingData| side_inputs_ready(data, &sides);
            state
                .pending
                .take(Some(group), &mut limits, ready, &mut taken);
            if taken.len() > before {
                state.busy.insert(group);
            }
            if limits.elements == 0 || limits.bytes == 0 {
                break;
            }
        }
        state.elements_first = state.elements_first.saturating_sub(taken.len());
        (!taken.is_empty()).then_some(Work::Elements(taken))
    }

    /// Everything of one key group, or of some that are only passed on, once the input is complete.
    fn group_at_end(&mut self, stage: StageId) -> Option<Work> {
        if !self.complete(stage) {
            return None;
        }
        if self.is_ahead(stage) {
            self.ahead.insert(stage);
            return None;
        }
        let enough = match self.topology.node(stage).passes_on {
            true => WORTH_BEGINNING_BYTES,
            false => 0,
        };
        let state = &mut self.stages[stage.index()];
        let mut taken: Vec<PendingData> = Vec::new();
        for group in state.pending.free_groups(&state.busy) {
            let mut limits = Limits {
                elements: u64::MAX,
                bytes: u64::MAX,
                pieces: usize::MAX,
            };
            state
                .pending
                .take(Some(group), &mut limits, |_| true, &mut taken);
            state.busy.insert(group);
            if taken.iter().map(|data| data.handle.bytes).sum::<u64>() >= enough {
                break;
            }
        }
        (!taken.is_empty()).then_some(Work::Elements(taken))
    }

    /// Consumers that are at work have enough of what a grouping gives. Each end of a bundle of theirs is a reason to look again.
    fn is_ahead(&self, stage: StageId) -> bool {
        let node = self.topology.node(stage);
        let enough = self.config.max_waiting_bytes_of_grouping;
        node.role == Role::GroupAtEnd
            && node.downstream.iter().any(|consumer| {
                let consumer = &self.stages[consumer.index()];
                !consumer.running.is_empty() && consumer.pending.totals().bytes >= enough
            })
    }

    /// What one key group has up to the watermark, and what is in the same pieces: the bundle sorts
    /// it, and gives back as residuals what is too early to process.
    fn elements_by_time(&mut self, stage: StageId) -> Option<Work> {
        let sides = self.side_inputs(stage);
        let lateness_ms = self.topology.node(stage).allowed_lateness_ms;
        let state = &mut self.stages[stage.index()];
        let upstream = state.upstream_watermark;
        let ready = |data: &PendingData| {
            passed(data.handle.min_timestamp.plus_ms(lateness_ms), upstream)
                && side_inputs_ready(data, &sides)
        };
        for group in state.pending.free_groups(&state.busy) {
            let taken = state.pending.take_ready(group, ready);
            if !taken.is_empty() {
                state.busy.insert(group);
                return Some(Work::Elements(taken));
            }
        }
        None
    }

    /// Whether event time has come as far as this data of a stage that is ordered by it.
    pub(crate) fn is_time(&self, stage: StageId, data: &PendingData) -> bool {
        let lateness_ms = self.topology.node(stage).allowed_lateness_ms;
        passed(
            data.handle.min_timestamp.plus_ms(lateness_ms),
            self.stages[stage.index()].upstream_watermark,
        )
    }

    /// Whether nothing more will come for a stage, nor for its side inputs.
    pub(crate) fn complete(&self, stage: StageId) -> bool {
        let side_inputs = self.side_inputs(stage);
        self.stages[stage.index()].upstream_watermark == EventTime::MAX
            && side_inputs
                .iter()
                .all(|side| side.watermark == EventTime::MAX)
    }

    fn timers(&mut self, stage: StageId) -> Option<Work> {
        let now = self.timer_clock();
        let slots = self.sharing(stage).max(1) as usize;
        let state = &mut self.stages[stage.index()];
        let mut due: Vec<KeyGroup> = state.timers.due(state.input_watermark, now, &state.busy);
        due.truncate(due.len().div_ceil(slots));
        state.busy.extend(due.iter().copied());
        (!due.is_empty()).then_some(Work::Timers(due))
    }

    pub(crate) fn side_inputs(&self, stage: StageId) -> Vec<SideInput> {
        let side_inputs = self.topology.node(stage).side_inputs.iter();
        side_inputs
            .map(|pcollections| SideInput {
                fired_after_ms: pcollections
                    .iter()
                    .map(|pcollection| self.topology.fired_after_ms[pcollection.index()])
                    .max()
                    .unwrap_or_default(),
                watermark: self.smallest_watermark(pcollections),
                fired: pcollections
                    .iter()
                    .flat_map(|pcollection| &self.fired[pcollection.index()])
                    .copied()
                    .collect(),
            })
            .collect()
    }

    /// Lets residuals whose delay has passed run.
    pub(crate) fn wake_delayed(&mut self) {
        let timed: Vec<StageId> = self.timed.iter().copied().collect();
        for stage in timed {
            if self.stages[stage.index()].pending.wake(self.now) {
                self.touch(stage);
            }
            self.candidates.insert(stage);
        }
    }
}

/// How far a side input is.
pub(crate) struct SideInput {
    watermark: EventTime,
    /// How long after its end a window with nothing to show is empty, and not merely unfired.
    fired_after_ms: i64,
    /// The ends of windows that have something to show, complete or not.
    fired: BTreeSet<EventTime>,
}

/// A side input is ready for an element when its trigger has fired for the side window, or would have by
/// now if there were anything: when its watermark has passed the end of the window (at the very end, an
/// element of that timestamp could still come), if that is when the trigger fires, or else its expiry, or the end of time.
pub(crate) fn side_inputs_ready(data: &PendingData, sides: &[SideInput]) -> bool {
    let ready = |ready_at: &EventTime, side: &SideInput| {
        side.watermark > ready_at.plus_ms(side.fired_after_ms)
            || side.watermark == EventTime::MAX
            || side.fired.contains(ready_at)
    };
    data.handle
        .side_inputs_ready_at
        .iter()
        .zip(sides)
        .all(|(ready_at, side)| ready(ready_at, side))
}
