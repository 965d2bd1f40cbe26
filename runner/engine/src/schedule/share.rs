//! How much of what waits a bundle gets.

use dataflume_model::ids::{BundleId, StageId};

use crate::engine::Engine;
use crate::pending::Limits;
use crate::topology::Role;

/// A bundle smaller than this is not made smaller for the sake of other slots.
pub(crate) const WORTH_SHARING_BYTES: u64 = 16 << 10;
/// Nor one with fewer elements than this, in a stage that isn't splittable.
pub(crate) const WORTH_SHARING_ELEMENTS: u64 = 64;
/// The same, as many times, for a bundle that can be split later on, should its elements take long.
const DIVISIBLE: u64 = 8;
/// More than this is begun with while groupings still give more: it takes a worker longer than it takes them to give as much.
pub(super) const WORTH_BEGINNING_BYTES: u64 = 512 << 10;
/// The same, in elements.
const WORTH_BEGINNING_ELEMENTS: u64 = 8192;
/// Restrictions per bundle of a bounded splittable stage, and of a truncation.
pub(super) const MAX_RESTRICTIONS: usize = 64;

impl Engine {
    pub(super) fn limits(&self, stage: StageId) -> Limits {
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

    /// Slots among which what waits is shared: also those that are taken, which are free again before one bundle with
    /// everything would have ended, but not those that have just got their share.
    pub(super) fn sharing(&self, stage: StageId) -> u32 {
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

    /// Workers that could start on a stage at once or soon, and have not just done so. What its user had redistributed is shared among
    /// them however little it is: a worker, other than a slot, is a processor.
    fn workers_without_share(&self, stage: StageId) -> u64 {
        let environment = self.topology.node(stage).environment;
        let workers = self.workers.values();
        let ends_soon = |id: &BundleId| self.bundles.get(id).is_some_and(|bundle| bundle.ends_soon);
        let free = workers.filter(|worker| {
            Some(worker.environment) == environment
                && (worker.free_slots() > 0 || worker.running.iter().any(ends_soon))
                && !worker.running.iter().any(|id| self.just_started(id, stage))
        });
        free.count() as u64
    }

    fn just_started(&self, bundle: &BundleId, stage: StageId) -> bool {
        let running = self.bundles.get(bundle);
        running.is_some_and(|running| running.bundle.stage == stage && running.started == self.now)
    }

    /// Little waits, and groupings whose input is complete are about to give more, here and in no time: a bundle for what there is
    /// now would cost a worker, and a sink another file, more than it gains.
    pub(super) fn more_comes_soon(&self, stage: StageId) -> bool {
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
}
