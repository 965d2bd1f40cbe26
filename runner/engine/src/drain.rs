//! Drain: sources stop, and what is under way is finished.
//!
//! Watermarks need no pushing: once the sources have nothing left, they reach the end of time by
//! themselves, windows end, and what was held back is emitted. Sources are splittable stages and
//! TestStreams. A TestStream plays no further event. A splittable stage's restrictions are truncated
//! by the SDK before they are processed: those that wait, those that still come, and what running
//! bundles give up when they are checkpointed. Where the SDK can't truncate, bounded restrictions
//! are processed whole and unbounded ones are dropped, which is what truncating does by default.

use dataflume_model::ids::StageId;

use crate::engine::{Engine, Running};
use crate::io::{Action, PendingData, Work};

impl Engine {
    pub(crate) fn drain(&mut self) {
        if std::mem::replace(&mut self.draining, true) {
            return;
        }
        self.scripts.stop();
        let splittable = |stage: &StageId| self.topology.node(*stage).splittable;
        let stages: Vec<StageId> = self.topology.stages().filter(splittable).collect();
        for stage in stages {
            for data in self.stages[stage.index()].pending.take_all() {
                self.stages[stage.index()].data_holds.remove(data.hold);
                self.arrive(stage, data, false);
            }
            self.touch(stage);
        }
        for running in self.bundles.values_mut() {
            running.split.next_checkpoint = self.now;
        }
    }

    /// Data comes to a stage. While the job drains, restrictions are not processed as they are.
    pub(crate) fn arrive(&mut self, stage: StageId, data: PendingData, truncated: bool) {
        let node = self.topology.node(stage);
        let state = &mut self.stages[stage.index()];
        if !self.draining || truncated || !node.splittable {
            state.arrive(data);
        } else if node.truncatable {
            state.arrive_untruncated(data);
        } else if node.unbounded {
            self.actions.push_back(Action::Warn(format!(
                "{}: an unbounded restriction is dropped since the job drains; its SDK can't truncate it",
                node.name
            )));
            self.actions
                .push_back(Action::ReleaseData(vec![data.handle.id]));
        } else {
            state.arrive(data);
        }
    }

    /// A bundle that was started before the drain, and has to be tried again: its restrictions are
    /// truncated first.
    pub(crate) fn requeue_untruncated(&mut self, running: Running) {
        let stage = running.bundle.stage;
        if let Work::Elements(restrictions) = running.bundle.work {
            for data in restrictions {
                self.stages[stage.index()].data_holds.remove(data.hold);
                self.arrive(stage, data, false);
            }
        }
        self.touch(stage);
    }
}
