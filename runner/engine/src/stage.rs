//! What the engine remembers of one stage.

use std::collections::{BTreeMap, BTreeSet};

use dataflume_model::ids::{BundleId, KeyGroup};
use dataflume_model::time::{EventTime, ProcessingTime};

use crate::holds::Holds;
use crate::io::{KeyGroupSummary, PendingData};
use crate::pending::Pending;

/// Pending data, running bundles, timers and watermarks of a stage.
#[derive(Debug)]
pub(crate) struct StageState {
    pub(crate) pending: Pending,
    pub(crate) running: BTreeSet<BundleId>,
    /// Key groups that a running bundle, or one that waits for its next attempt, has for itself.
    pub(crate) busy: BTreeSet<KeyGroup>,
    /// Holds of all data that arrived and is not yet processed and committed.
    pub(crate) data_holds: Holds,
    pub(crate) timers: Timers,
    /// The smallest watermark of the main inputs.
    pub(crate) upstream_watermark: EventTime,
    /// The same, held back by data that is not yet processed.
    pub(crate) input_watermark: EventTime,
    /// The same, held back by timers and state.
    pub(crate) output_watermark: EventTime,
    /// For roots: nothing more comes.
    pub(crate) exhausted: bool,
    /// Data arrived since watermarks were last computed.
    arrived: bool,
    /// So many waiting pieces go before the timers that are due: see [`StageState::advance`].
    pub(crate) elements_first: usize,
}

impl Default for StageState {
    fn default() -> Self {
        Self {
            pending: Pending::default(),
            running: BTreeSet::new(),
            busy: BTreeSet::new(),
            data_holds: Holds::default(),
            timers: Timers::default(),
            upstream_watermark: EventTime::MIN,
            input_watermark: EventTime::MIN,
            output_watermark: EventTime::MIN,
            exhausted: false,
            arrived: false,
            elements_first: 0,
        }
    }
}

impl StageState {
    pub(crate) fn arrive(&mut self, data: PendingData) {
        self.data_holds.add(data.hold);
        self.pending.push(data);
        self.arrived = true;
    }

    /// The input watermark is now here. An upstream bundle's output and the watermark that its end
    /// lets go are seen at once, but the output was sent first: it is processed before the timers
    /// that this watermark makes due. Other timers go before what waits, as time does.
    pub(crate) fn advance(&mut self, input: EventTime) {
        let due_before = self.timers.any_due(self.input_watermark);
        self.input_watermark = input;
        if std::mem::take(&mut self.arrived) && !due_before && self.timers.any_due(input) {
            self.elements_first = self.pending.totals().pieces;
        }
    }

    /// The same, for a restriction that is to be truncated before it is processed.
    pub(crate) fn arrive_untruncated(&mut self, data: PendingData) {
        self.data_holds.add(data.hold);
        self.pending.push_untruncated(data);
    }
}

/// Timers and holds of a stage's key groups, by what is next.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    groups: BTreeMap<KeyGroup, KeyGroupSummary>,
    event: BTreeSet<(EventTime, KeyGroup)>,
    processing: BTreeSet<(ProcessingTime, KeyGroup)>,
    holds: Holds,
}

impl Timers {
    /// Takes over what a commit left in a group.
    pub(crate) fn update(&mut self, summary: KeyGroupSummary) {
        let group = summary.key_group;
        if let Some(old) = self.groups.remove(&group) {
            if let Some(time) = old.next_event_timer {
                self.event.remove(&(time, group));
            }
            if let Some(time) = old.next_processing_timer {
                self.processing.remove(&(time, group));
            }
            if let Some(hold) = old.hold {
                self.holds.remove(hold);
            }
        }
        if let Some(time) = summary.next_event_timer {
            self.event.insert((time, group));
        }
        if let Some(time) = summary.next_processing_timer {
            self.processing.insert((time, group));
        }
        if let Some(hold) = summary.hold {
            self.holds.add(hold);
        }
        if summary.next_event_timer.is_some()
            || summary.next_processing_timer.is_some()
            || summary.hold.is_some()
        {
            self.groups.insert(group, summary);
        }
    }

    pub(crate) fn hold(&self) -> Option<EventTime> {
        self.holds.min()
    }

    /// Groups with a timer that is due, earliest first, without the busy ones.
    pub(crate) fn due(
        &self,
        watermark: EventTime,
        now: ProcessingTime,
        busy: &BTreeSet<KeyGroup>,
    ) -> Vec<KeyGroup> {
        let event = self
            .event
            .iter()
            .take_while(|(time, _)| passed(*time, watermark))
            .map(|(_, g)| *g);
        let processing = self
            .processing
            .iter()
            .take_while(|(time, _)| *time <= now)
            .map(|(_, g)| *g);
        let mut due: Vec<KeyGroup> = Vec::new();
        let mut seen = BTreeSet::new();
        for group in event.chain(processing) {
            if !busy.contains(&group) && seen.insert(group) {
                due.push(group);
            }
        }
        due
    }

    /// An event-time timer is due, busy or not.
    pub(crate) fn any_due(&self, watermark: EventTime) -> bool {
        self.event
            .first()
            .is_some_and(|(time, _)| passed(*time, watermark))
    }

    pub(crate) fn next_event(&self) -> Option<EventTime> {
        self.event.first().map(|(time, _)| *time)
    }

    pub(crate) fn next_processing(&self) -> Option<ProcessingTime> {
        self.processing.first().map(|(time, _)| *time)
    }
}

/// An event-time timer is due when the watermark has passed its time: at that very time, an
/// element of the same timestamp could still come.
pub(crate) fn passed(time: EventTime, watermark: EventTime) -> bool {
    time < watermark || watermark == EventTime::MAX
}
