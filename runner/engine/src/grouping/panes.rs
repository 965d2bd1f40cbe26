//! Panes: what is emitted, with which pane info, and what stays.

use dataflume_model::pane::{PaneInfo, PaneTiming};
use dataflume_model::window::{AccumulationMode, ClosingBehavior, OnTimeBehavior};

use super::cell::{Cell, Place};
use super::operator::Run;
use super::state::LastPane;
use super::triggers::Moment;
use super::{Grouper, GroupingError};

impl Run<'_> {
    /// Emits a pane if the trigger says so.
    pub(super) fn fire_if_ready(
        &mut self,
        cell: &mut Cell,
        place: Place<'_>,
    ) -> Result<(), GroupingError> {
        let moment = self.moment(&cell.window);
        let program = &self.grouper.program;
        if cell.is_closed(self.grouper) || !program.should_fire(&cell.record.trigger, &moment) {
            return Ok(());
        }
        program.on_fire(&mut cell.record.trigger, &moment);
        let is_last = cell.is_closed(self.grouper);
        self.fire(cell, place, &moment, is_last)
    }

    /// Ends the current pane: emits it, unless it is empty and nobody wants an empty one.
    pub(super) fn fire(
        &mut self,
        cell: &mut Cell,
        place: Place<'_>,
        moment: &Moment,
        is_last: bool,
    ) -> Result<(), GroupingError> {
        let grouper = self.grouper;
        let pane = next_pane(cell, moment, is_last);
        if grouper.is_emitted(cell.record.fresh == 0, &pane) {
            self.emit(cell, place, &pane)?;
            cell.record.pane = Some(LastPane {
                timing: pane.timing,
                index: pane.index,
                nonspeculative_index: pane.nonspeculative_index,
            });
        }
        cell.record.fresh = 0;
        cell.record.element_hold = None;
        cell.record.extra_hold = None;
        if is_last || grouper.strategy.accumulation == AccumulationMode::Discarding {
            cell.clear_values(&mut self.view, place)?;
        }
        if !is_last {
            cell.record.extra_hold = grouper.extra_hold(&cell.window, moment, true);
        }
        Ok(())
    }

    fn emit(
        &mut self,
        cell: &Cell,
        place: Place<'_>,
        pane: &PaneInfo,
    ) -> Result<(), GroupingError> {
        let timestamp = self.grouper.output_timestamp(cell);
        let (input, view) = (&self.grouper.input, &self.view);
        let window = std::slice::from_ref(&cell.window);
        self.output.push(
            |out| {
                input.encode_header(timestamp, window, pane, out)?;
                out.extend_from_slice(place.key);
                Ok(())
            },
            |out| cell.read_values(view, place, out),
        )
    }
}

impl Grouper {
    fn is_emitted(&self, is_empty: bool, pane: &PaneInfo) -> bool {
        let on_time = pane.timing == PaneTiming::OnTime
            && self.strategy.on_time == OnTimeBehavior::FireAlways;
        let closing = pane.is_last && self.strategy.closing == ClosingBehavior::EmitAlways;
        !is_empty || on_time || closing
    }
}

/// A pane is on time if it is the first since the watermark passed the end of the window and its
/// timestamp can still be ahead of the output watermark.
fn next_pane(cell: &Cell, moment: &Moment, is_last: bool) -> PaneInfo {
    let last = cell.record.pane;
    let index = last.map_or(0, |last| last.index + 1);
    let nonspeculative_index = last.map_or(0, |last| last.nonspeculative_index + 1);
    let only_early_so_far = last.is_none_or(|last| last.timing == PaneTiming::Early);
    let timing = if cell.record.late_only || !only_early_so_far {
        PaneTiming::Late
    } else if moment.end_of_window_passed() {
        PaneTiming::OnTime
    } else {
        PaneTiming::Early
    };
    let early = timing == PaneTiming::Early;
    PaneInfo {
        is_first: last.is_none(),
        is_last,
        timing,
        index,
        nonspeculative_index: if early { -1 } else { nonspeculative_index },
    }
}
