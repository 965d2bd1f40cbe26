//! Workers, and which of their slots are taken.

use std::collections::BTreeSet;

use dataflume_model::ids::{BundleId, EnvironmentId};

use crate::engine::{Engine, Running};
use crate::io::Executor;

/// A worker that bundles can be given to.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) environment: EnvironmentId,
    pub(crate) slots: u32,
    pub(crate) running: BTreeSet<BundleId>,
    /// How many of `running` only have yet to be answered for.
    pub(crate) winding_up: u32,
}

impl Worker {
    pub(crate) fn free_slots(&self) -> u32 {
        self.slots.saturating_sub(self.working())
    }

    /// Bundles that take a slot. Those that wind up take none, as long as there are no more of them than slots.
    pub(crate) fn working(&self) -> u32 {
        (self.running.len() as u32).saturating_sub(self.winding_up.min(self.slots))
    }
}

impl Engine {
    /// A bundle only has yet to be answered for: its worker may begin another. Where that is worth it, that is: an SDK makes the code of
    /// a stage anew for it, and what takes long to end has run for long.
    pub(crate) fn wind_up(&mut self, id: BundleId) {
        let Some(running) = self.bundles.get_mut(&id) else {
            return;
        };
        if running.winding_up || self.now < running.late(&self.config) {
            return;
        }
        let Executor::Worker(worker) = running.bundle.executor else {
            return;
        };
        if let Some(worker) = self.workers.get_mut(&worker) {
            running.winding_up = true;
            worker.winding_up += 1;
            self.slow_to_end.insert(worker.environment, true);
        }
    }

    /// A long bundle has ended: its environment's are not slow to, unless one has been seen to be.
    pub(crate) fn note_end(&mut self, ended: &Running) {
        if let Some(environment) = self.topology.node(ended.bundle.stage).environment
            && self.now >= ended.late(&self.config)
        {
            self.slow_to_end.entry(environment).or_insert(false);
        }
    }
}
