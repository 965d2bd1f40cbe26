//! Commit: a finished bundle's effects become part of the job, all of them at once.

use dataflume_model::ids::{BundleId, PCollectionId, StageId};
use dataflume_model::time::EventTime;

use crate::engine::Engine;
use crate::io::{Action, DataId, Effects, Work};

impl Engine {
    pub(crate) fn commit(&mut self, id: BundleId, effects: Effects) {
        let Some(running) = self.take_running(id) else {
            return;
        };
        let stage = running.bundle.stage;
        self.note_end(&running);
        self.actions.push_back(Action::CommitBundle { bundle: id });
        self.consume(stage, &running.bundle.work);
        self.count_processed(stage, &running.bundle.work);
        for (consumer, data) in effects.deliveries {
            for handle in data {
                self.arrive(consumer, handle.into(), false);
            }
            self.touch(consumer);
        }
        let floor = truncation_hold(&running.bundle.work);
        for mut data in effects.residuals {
            data.hold = data.hold.max(floor);
            self.arrive(stage, data, running.truncated);
        }
        for summary in effects.key_groups {
            self.stages[stage.index()].timers.update(summary);
        }
        self.fire_side_inputs(effects.fired_side_inputs);
        if effects.finalize {
            self.actions
                .push_back(Action::FinalizeBundle { bundle: id });
        }
        self.touch(stage);
    }

    fn fire_side_inputs(&mut self, fired: Vec<(PCollectionId, EventTime)>) {
        for (pcollection, end) in fired {
            // What the watermark has passed is ready in any case.
            let watermark = self.watermarks[pcollection.index()];
            let open = &mut self.fired[pcollection.index()];
            *open = open.split_off(&watermark);
            open.insert(end);
            let producer = self.topology.producer[pcollection.index()];
            let readers = &self.topology.node(producer).downstream;
            self.candidates.extend(readers.iter().copied());
        }
    }

    /// The work of a bundle is done for good: release its holds, data and key groups.
    fn consume(&mut self, stage: StageId, work: &Work) {
        let state = &mut self.stages[stage.index()];
        match work {
            Work::Impulse => state.exhausted = true,
            Work::TestStreamEvent(_) => {}
            Work::Elements(elements) | Work::Truncate(elements) => {
                let mut released: Vec<DataId> = Vec::with_capacity(elements.len());
                for data in elements {
                    state.data_holds.remove(data.hold);
                    if let Some(group) = data.handle.key_group {
                        state.busy.remove(&group);
                    }
                    released.push(data.handle.id);
                }
                self.actions.push_back(Action::ReleaseData(released));
            }
            Work::Timers(groups) => {
                for group in groups {
                    state.busy.remove(group);
                }
            }
        }
    }

    /// Something about a stage changed: its watermarks and what it could start are looked at again.
    pub(crate) fn touch(&mut self, stage: StageId) {
        self.dirty.insert(stage);
        self.candidates.insert(stage);
        let state = &self.stages[stage.index()];
        if state.pending.next_wake().is_some() || state.timers.next_processing().is_some() {
            self.timed.insert(stage);
        } else {
            self.timed.remove(&stage);
        }
    }
}

/// What is left of a truncated restriction is held where the whole was: its watermark may be ahead
/// of its element's timestamp.
fn truncation_hold(work: &Work) -> EventTime {
    let holds = match work {
        Work::Truncate(restrictions) => restrictions.iter().map(|data| data.hold).min(),
        _ => None,
    };
    holds.unwrap_or(EventTime::MIN)
}
