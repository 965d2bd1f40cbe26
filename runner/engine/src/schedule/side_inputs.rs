//! When a stage is complete, and when its side inputs are ready for an element.

use std::collections::BTreeSet;

use dataflume_model::ids::StageId;
use dataflume_model::time::EventTime;

use crate::engine::Engine;
use crate::io::PendingData;

impl Engine {
    /// Whether nothing more will come for a stage, nor for its side inputs.
    pub(crate) fn complete(&self, stage: StageId) -> bool {
        let mut side_inputs = self.topology.node(stage).side_inputs.iter();
        self.stages[stage.index()].upstream_watermark == EventTime::MAX
            && side_inputs
                .all(|pcollections| self.smallest_watermark(pcollections) == EventTime::MAX)
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
