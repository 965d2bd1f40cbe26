//! Which bundle runs next, and where.
//!
//! Later stages go first: they free memory and finish the job. Each stage takes a fair share of
//! what waits, so that idle slots get some, within the configured limits.

mod share;
mod side_inputs;
mod take;

use dataflume_model::ids::StageId;

use crate::engine::{Engine, Phase};
use crate::io::Executor;
use crate::pending::Retry;
use crate::topology::Role;

pub(crate) use self::share::{WORTH_SHARING_BYTES, WORTH_SHARING_ELEMENTS};
pub(crate) use self::side_inputs::side_inputs_ready;

impl Engine {
    pub(crate) fn schedule(&mut self) {
        self.candidates.append(&mut self.ahead);
        let mut cursor = self.candidates.last().copied();
        while let Some(stage) = cursor {
            if self.phase != Phase::Running {
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
