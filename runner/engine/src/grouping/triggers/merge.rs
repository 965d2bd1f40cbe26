//! What triggers make of windows that merge.
//!
//! A trigger that has finished in one window may have to start again in the merged one: the end of a
//! longer window is still to come.

use super::{Kind, Moment, Program, ROOT, TriggerState};

impl Program {
    /// The state of the merged window, at a moment of that window. Without sources, a new window's.
    pub(in crate::grouping) fn merge(
        &self,
        sources: &[&TriggerState],
        moment: &Moment,
    ) -> TriggerState {
        let mut merged = self.start();
        if !sources.is_empty() {
            self.merge_node(ROOT, sources, &mut merged, moment);
        }
        merged
    }

    fn merge_node(
        &self,
        node: usize,
        sources: &[&TriggerState],
        merged: &mut TriggerState,
        moment: &Moment,
    ) {
        let any_finished = sources.iter().any(|source| source.nodes[node].finished);
        let all_finished = sources.iter().all(|source| source.nodes[node].finished);
        let children = |children: &[usize], merged: &mut TriggerState| {
            for child in children {
                self.merge_node(*child, sources, merged, moment);
            }
        };
        match &self.nodes[node].kind {
            Kind::Default | Kind::Never | Kind::Always => {}
            // What was ready in one part is not made ready again by the others.
            Kind::Count(_) | Kind::ProcessingTime(_) | Kind::SynchronizedProcessingTime
                if any_finished =>
            {
                merged.nodes[node].finished = true;
            }
            Kind::Count(_) => {
                merged.nodes[node].count = sources.iter().map(|s| s.nodes[node].count).sum();
            }
            Kind::ProcessingTime(_) | Kind::SynchronizedProcessingTime => {
                let deadlines = sources.iter().filter_map(|s| s.nodes[node].deadline);
                merged.nodes[node].deadline = deadlines.min();
            }
            Kind::EndOfWindow { early, late } => {
                let fired = sources.iter().all(|s| s.nodes[node].on_time_fired);
                let fired = fired && moment.end_of_window_passed();
                merged.nodes[node].on_time_fired = fired;
                merged.nodes[node].finished = fired && all_finished;
                let active = if fired { late } else { early };
                children(active.as_slice(), merged);
            }
            Kind::Repeat(repeated) => children(&[*repeated], merged),
            Kind::Each(of) => {
                for child in of {
                    children(&[*child], merged);
                    if !merged.nodes[*child].finished {
                        break;
                    }
                }
                merged.nodes[node].finished = self.first_unfinished(of, merged).is_none();
            }
            Kind::All(of) => {
                children(of, merged);
                merged.nodes[node].finished = self.first_unfinished(of, merged).is_none();
            }
            Kind::Any(of) => {
                children(of, merged);
                let finished = of.iter().any(|child| merged.nodes[*child].finished);
                merged.nodes[node].finished = finished;
            }
            Kind::OrFinally { main, finally } => {
                children(&[*main, *finally], merged);
                let finished = merged.nodes[*main].finished || merged.nodes[*finally].finished;
                merged.nodes[node].finished = finished;
            }
        }
    }
}
