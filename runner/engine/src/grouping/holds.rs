//! Watermark holds, which are the timestamps of panes to come.
//!
//! A pane's output timestamp must still be ahead of the output watermark when the pane is emitted.
//! So each window holds the watermark at it. An element that is late already can't hold anything; its pane
//! is then held, and timestamped, at the end of the window, and after that at the window's expiry.

use dataflume_model::pane::PaneTiming;
use dataflume_model::time::EventTime;
use dataflume_model::window::{ClosingBehavior, OnTimeBehavior, OutputTime, Window};

use super::cell::Cell;
use super::triggers::Moment;
use super::{Grouper, passed};

impl Grouper {
    /// The last moment that a window takes elements: its end and the allowed lateness.
    pub(super) fn expiry(&self, window: &Window) -> EventTime {
        let end = window.max_timestamp();
        let late = end.plus_ms(self.strategy.allowed_lateness_ms);
        late.min(EventTime::END_OF_GLOBAL_WINDOW).max(end)
    }

    /// An element was added to the cell's pane.
    pub(super) fn hold_element(&self, cell: &mut Cell, timestamp: EventTime, moment: &Moment) {
        let hold = match self.strategy.output_time {
            OutputTime::EndOfWindow => moment.max_timestamp,
            OutputTime::EarliestInPane | OutputTime::LatestInPane => timestamp,
        };
        if hold < moment.watermark || moment.end_of_window_passed() {
            let hold = self.extra_hold(&cell.window, moment, false);
            cell.record.extra_hold = cell.record.extra_hold.into_iter().chain(hold).min();
        } else {
            let held = cell.record.element_hold;
            cell.record.element_hold = Some(held.map_or(hold, |held| self.combine(held, hold)));
        }
    }

    fn combine(&self, one: EventTime, other: EventTime) -> EventTime {
        match self.strategy.output_time {
            OutputTime::LatestInPane => one.max(other),
            OutputTime::EarliestInPane | OutputTime::EndOfWindow => one.min(other),
        }
    }

    /// The hold of windows that merge, at a moment of the merged one.
    pub(super) fn merged_hold(
        &self,
        holds: impl Iterator<Item = EventTime>,
        moment: &Moment,
    ) -> Option<EventTime> {
        let hold = holds.reduce(|one, other| self.combine(one, other))?;
        match self.strategy.output_time {
            OutputTime::EndOfWindow => Some(moment.max_timestamp),
            OutputTime::EarliestInPane | OutputTime::LatestInPane => Some(hold),
        }
    }

    /// Holds for the pane at the end or at the expiry of a window. Where the pane is empty so far, only
    /// if it would be emitted all the same.
    pub(super) fn extra_hold(
        &self,
        window: &Window,
        moment: &Moment,
        pane_is_empty: bool,
    ) -> Option<EventTime> {
        let closing = !pane_is_empty || self.strategy.closing == ClosingBehavior::EmitAlways;
        if !moment.end_of_window_passed() {
            // The pane at the end may be the last one too.
            let emitted = closing || self.strategy.on_time == OnTimeBehavior::FireAlways;
            return emitted.then_some(moment.max_timestamp);
        }
        let expiry = self.expiry(window);
        let ahead = expiry > moment.max_timestamp && !passed(expiry, moment.watermark);
        (closing && ahead).then_some(expiry)
    }

    /// The watermark has passed the end of a window that had nothing to emit. If its on-time pane will
    /// be emitted later in any case, it is still held; if not, there is no reason to.
    pub(super) fn release_end_of_window(&self, cell: &mut Cell, moment: &Moment) {
        let on_time_to_come = self.strategy.on_time == OnTimeBehavior::FireAlways
            && cell
                .record
                .pane
                .is_none_or(|pane| pane.timing == PaneTiming::Early);
        if cell.record.fresh == 0 && !on_time_to_come {
            cell.record.extra_hold = self.extra_hold(&cell.window, moment, true);
        }
    }

    /// The timestamp of the pane that is emitted now.
    pub(super) fn output_timestamp(&self, cell: &Cell) -> EventTime {
        let end = cell.window.max_timestamp();
        cell.record.element_hold.map_or(end, |hold| hold.min(end))
    }
}
