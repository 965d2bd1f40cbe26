//! What a bundle is made of, by its stage's role.

use dataflume_model::ids::{KeyGroup, StageId};

use super::share::{MAX_RESTRICTIONS, WORTH_BEGINNING_BYTES};
use super::side_inputs::side_inputs_ready;
use crate::engine::Engine;
use crate::io::{PendingData, Work};
use crate::pending::Limits;
use crate::stage::passed;
use crate::topology::Role;

impl Engine {
    pub(super) fn impulse(&self, stage: StageId) -> Option<Work> {
        let state = &self.stages[stage.index()];
        (!state.exhausted && state.running.is_empty()).then_some(Work::Impulse)
    }

    /// A stage of the runner's own passes elements on, and a key's elements in the order in which they came: what is behind it may
    /// have state, and Beam's tests look at that order across a Reshuffle.
    pub(super) fn keeps_order(&self, stage: StageId) -> bool {
        self.topology.node(stage).environment.is_none()
    }

    /// One bundle after the other, for the sake of order.
    pub(super) fn in_turn(&mut self, stage: StageId) -> Option<Work> {
        if !self.stages[stage.index()].running.is_empty() {
            return None;
        }
        self.elements(stage)
    }

    pub(super) fn truncations(&mut self, stage: StageId) -> Option<Work> {
        if !self.stages[stage.index()].pending.has_untruncated() {
            return None;
        }
        let sides = self.side_inputs(stage);
        let pending = &mut self.stages[stage.index()].pending;
        let ready = |data: &PendingData| side_inputs_ready(data, &sides);
        let taken = pending.take_untruncated(MAX_RESTRICTIONS, ready);
        (!taken.is_empty()).then_some(Work::Truncate(taken))
    }

    pub(super) fn elements(&mut self, stage: StageId) -> Option<Work> {
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

    pub(super) fn keyed(&mut self, stage: StageId) -> Option<Work> {
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
    pub(super) fn group_at_end(&mut self, stage: StageId) -> Option<Work> {
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
    pub(super) fn elements_by_time(&mut self, stage: StageId) -> Option<Work> {
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

    pub(super) fn timers(&mut self, stage: StageId) -> Option<Work> {
        let now = self.timer_clock();
        let slots = self.sharing(stage).max(1) as usize;
        let state = &mut self.stages[stage.index()];
        let mut due: Vec<KeyGroup> = state.timers.due(state.input_watermark, now, &state.busy);
        due.truncate(due.len().div_ceil(slots));
        state.busy.extend(due.iter().copied());
        (!due.is_empty()).then_some(Work::Timers(due))
    }
}
