//! Watermarks: how far event time has come, per stage and PCollection.
//!
//! A stage's input watermark is the smallest of its inputs' watermarks, held back by data that has
//! arrived and is not yet processed; its output watermark is that, held back by timers and state.
//! Watermarks never go back: data behind them is late.

use dataflume_model::ids::StageId;
use dataflume_model::time::EventTime;

use crate::engine::Engine;
use crate::topology::Role;

/// While something of a stage still runs, its watermark stays below the end of the global window:
/// "passed the end" must mean that nothing more comes.
const STILL_RUNNING: EventTime = EventTime(EventTime::END_OF_GLOBAL_WINDOW.0 - 1);

impl Engine {
    /// Recomputes the watermarks of dirty stages and of all that depends on them. Stage ids are in
    /// topological order, so each stage is computed once.
    pub(crate) fn propagate_watermarks(&mut self) {
        while let Some(stage) = self.dirty.pop_first() {
            self.recompute(stage);
        }
    }

    fn recompute(&mut self, stage: StageId) {
        let node = self.topology.node(stage);
        let state = &self.stages[stage.index()];
        let upstream = match node.role {
            Role::Impulse | Role::TestStream if state.exhausted => EventTime::MAX,
            Role::Impulse | Role::TestStream => EventTime::MIN,
            _ => self.smallest_watermark(&node.inputs),
        };
        let input = state
            .data_holds
            .min()
            .map_or(upstream, |hold| hold.min(upstream));
        let input = input.max(state.input_watermark);
        let mut output = state.timers.hold().map_or(input, |hold| hold.min(input));
        let unfinished =
            !state.running.is_empty() || !state.pending.is_empty() || state.timers.any_due(input);
        if unfinished {
            output = output.min(STILL_RUNNING);
        }
        let output = output.max(state.output_watermark);

        let state = &mut self.stages[stage.index()];
        if upstream != state.upstream_watermark || input != state.input_watermark {
            self.candidates.insert(stage);
        }
        state.upstream_watermark = upstream.max(state.upstream_watermark);
        state.advance(input);
        state.output_watermark = output;
        self.publish(stage, output);
    }

    fn publish(&mut self, stage: StageId, output: EventTime) {
        let node = self.topology.node(stage);
        let mut changed = false;
        for pcollection in &node.outputs {
            let watermark = match node.role {
                Role::TestStream => self.scripts.watermark(stage, *pcollection),
                _ => output,
            };
            let current = &mut self.watermarks[pcollection.index()];
            if watermark > *current {
                *current = watermark;
                changed = true;
            }
        }
        if changed {
            self.dirty.extend(node.downstream.iter().copied());
            self.candidates.extend(node.downstream.iter().copied());
        }
    }

    pub(crate) fn smallest_watermark(
        &self,
        pcollections: &[dataflume_model::ids::PCollectionId],
    ) -> EventTime {
        pcollections
            .iter()
            .map(|pcollection| self.watermarks[pcollection.index()])
            .min()
            .unwrap_or(EventTime::MAX)
    }
}
