//! How much there is to do for the workers of an environment: what the autoscaler looks at.

use dataflume_model::ids::{EnvironmentId, StageId, WorkerId};

use crate::autoscale::Load;
use crate::engine::Engine;
use crate::io::Work;
use crate::schedule::{WORTH_SHARING_BYTES, WORTH_SHARING_ELEMENTS, side_inputs_ready};
use crate::topology::Role;

/// A bundle that runs for so long is worth being shared with another worker, if it can be split.
const LONG_BUNDLE_MS: i64 = 2_000;

impl Engine {
    /// What the workers of an environment do and have before them. Workers that are being started and
    /// the number of slots are the driver's to add.
    pub fn load(&self, environment: EnvironmentId) -> Load {
        let mut load = Load {
            processed_bytes: self.processed.get(&environment).copied().unwrap_or(0),
            ..Load::default()
        };
        for worker in self.workers.values() {
            if worker.environment == environment {
                load.running += worker.working();
            }
        }
        for running in self.bundles.values() {
            let bundle = &running.bundle;
            let here = self.topology.node(bundle.stage).environment == Some(environment);
            let age_ms = self.now.0.saturating_sub(running.started.0);
            if here && age_ms >= LONG_BUNDLE_MS && self.would_split(running) {
                load.startable += 1;
            }
        }
        for stage in self.topology.stages() {
            if self.topology.node(stage).environment == Some(environment) {
                self.add_waiting(stage, &mut load);
            }
        }
        load
    }

    fn add_waiting(&self, stage: StageId, load: &mut Load) {
        let node = self.topology.node(stage);
        let state = &self.stages[stage.index()];
        load.startable += state.pending.retries.len() as u64;
        if node.role == Role::KeyedAtEnd && !self.complete(stage) {
            return;
        }
        let sides = self.side_inputs(stage);
        let mut ready = (0_u64, 0_u64, 0_u64);
        let waiting = state
            .pending
            .waiting()
            .filter(|data| side_inputs_ready(data, &sides))
            .filter(|data| node.role != Role::KeyedByTime || self.is_time(stage, data));
        for data in waiting {
            ready.0 += 1;
            ready.1 += data.handle.elements;
            ready.2 += data.handle.bytes;
        }
        let (pieces, elements, bytes) = ready;
        load.waiting_bytes += bytes;
        load.startable += match node.role {
            _ if pieces == 0 => 0,
            Role::Keyed | Role::KeyedAtEnd | Role::KeyedByTime => {
                state.pending.free_groups(&state.busy).len() as u64
            }
            _ if node.splittable => pieces,
            // As many as the scheduler would make of it.
            _ => (bytes / WORTH_SHARING_BYTES)
                .max(elements / WORTH_SHARING_ELEMENTS)
                .clamp(1, pieces),
        };
    }

    /// Workers of an environment that run nothing, those that came last first.
    pub fn idle_workers(&self, environment: EnvironmentId) -> Vec<WorkerId> {
        let idle =
            self.workers.iter().rev().filter(|(_, worker)| {
                worker.environment == environment && worker.running.is_empty()
            });
        idle.map(|(id, _)| *id).collect()
    }

    /// A bundle was committed that a worker of this stage's environment has run.
    pub(crate) fn count_processed(&mut self, stage: StageId, work: &Work) {
        let Some(environment) = self.topology.node(stage).environment else {
            return;
        };
        if let Work::Elements(elements) = work {
            let bytes: u64 = elements.iter().map(|data| data.handle.bytes).sum();
            *self.processed.entry(environment).or_default() += bytes;
        }
    }
}
