//! What triggers make of an element.

use dataflume_model::time::ProcessingTime;
use dataflume_model::trigger::TimestampTransform;

use super::{Kind, Moment, Program, ROOT, TriggerState};

impl Program {
    /// An element was added to the window.
    pub(in crate::grouping) fn on_element(&self, state: &mut TriggerState, moment: &Moment) {
        self.element(ROOT, state, moment);
    }

    fn element(&self, node: usize, state: &mut TriggerState, moment: &Moment) {
        if state.nodes[node].finished {
            return;
        }
        match &self.nodes[node].kind {
            Kind::Default | Kind::Never | Kind::Always => {}
            Kind::Count(_) => state.nodes[node].count += 1,
            Kind::ProcessingTime(transforms) => {
                let deadline = &mut state.nodes[node].deadline;
                deadline.get_or_insert_with(|| transformed(moment.now, transforms));
            }
            // There is one clock, so it is later everywhere as soon as it is later at all.
            Kind::SynchronizedProcessingTime => {
                state.nodes[node]
                    .deadline
                    .get_or_insert(moment.now.plus_ms(1));
            }
            Kind::EndOfWindow { early, late } => {
                let active = if state.nodes[node].on_time_fired {
                    late
                } else {
                    early
                };
                if let Some(active) = active {
                    self.element(*active, state, moment);
                }
            }
            Kind::Repeat(repeated) => self.element(*repeated, state, moment),
            Kind::Each(children) => {
                if let Some(current) = self.first_unfinished(children, state) {
                    self.element(current, state, moment);
                }
            }
            Kind::All(children) | Kind::Any(children) => {
                for child in children {
                    self.element(*child, state, moment);
                }
            }
            Kind::OrFinally { main, finally } => {
                self.element(*main, state, moment);
                self.element(*finally, state, moment);
            }
        }
    }

    pub(super) fn first_unfinished(
        &self,
        children: &[usize],
        state: &TriggerState,
    ) -> Option<usize> {
        children
            .iter()
            .copied()
            .find(|child| !state.nodes[*child].finished)
    }
}

fn transformed(from: ProcessingTime, transforms: &[TimestampTransform]) -> ProcessingTime {
    transforms
        .iter()
        .fold(from, |time, transform| match *transform {
            TimestampTransform::Delay { delay_ms } => time.plus_ms(delay_ms),
            TimestampTransform::AlignTo {
                period_ms,
                offset_ms,
            } => {
                let period = period_ms.max(1);
                match time.0.saturating_sub(offset_ms).rem_euclid(period) {
                    0 => time,
                    since => time.plus_ms(period - since),
                }
            }
        })
}
