//! When triggers fire, and what becomes of them.

use super::{Kind, Moment, Program, ROOT, TriggerState};

impl Program {
    /// Whether the window should emit a pane now.
    pub(in crate::grouping) fn should_fire(&self, state: &TriggerState, moment: &Moment) -> bool {
        self.ready(ROOT, state, moment)
    }

    /// The window emits a pane because the trigger said so.
    pub(in crate::grouping) fn on_fire(&self, state: &mut TriggerState, moment: &Moment) {
        self.fire(ROOT, state, moment);
    }

    fn ready(&self, node: usize, state: &TriggerState, moment: &Moment) -> bool {
        let own = &state.nodes[node];
        if own.finished {
            return false;
        }
        let ready = |child: &usize| self.ready(*child, state, moment);
        match &self.nodes[node].kind {
            Kind::Never => false,
            Kind::Always => true,
            Kind::Default => moment.end_of_window_passed(),
            Kind::Count(count) => own.count >= *count,
            Kind::ProcessingTime(_) | Kind::SynchronizedProcessingTime => {
                own.deadline.is_some_and(|deadline| deadline <= moment.now)
            }
            Kind::EndOfWindow { late, .. } if own.on_time_fired => late.as_ref().is_some_and(ready),
            Kind::EndOfWindow { early, .. } => {
                moment.end_of_window_passed() || early.as_ref().is_some_and(ready)
            }
            Kind::Repeat(repeated) => ready(repeated),
            Kind::Each(children) => self
                .first_unfinished(children, state)
                .as_ref()
                .is_some_and(ready),
            Kind::All(children) => children
                .iter()
                .all(|child| state.nodes[*child].finished || ready(child)),
            Kind::Any(children) => children.iter().any(ready),
            Kind::OrFinally { main, finally } => ready(finally) || ready(main),
        }
    }

    fn fire(&self, node: usize, state: &mut TriggerState, moment: &Moment) {
        match &self.nodes[node].kind {
            Kind::Default | Kind::Always => {}
            Kind::Never
            | Kind::Count(_)
            | Kind::ProcessingTime(_)
            | Kind::SynchronizedProcessingTime => self.finish(node, state),
            Kind::EndOfWindow { early, late } => {
                self.fire_end_of_window(node, *early, *late, state, moment)
            }
            Kind::Repeat(repeated) => self.fire_again(*repeated, state, moment),
            Kind::Each(children) => {
                if let Some(current) = self.first_unfinished(children, state) {
                    self.fire(current, state, moment);
                }
                state.nodes[node].finished = self.first_unfinished(children, state).is_none();
            }
            // Whatever was ready with it, these fire but once.
            Kind::All(_) | Kind::Any(_) => self.finish(node, state),
            Kind::OrFinally { main, finally } => {
                if self.ready(*finally, state, moment) {
                    self.finish(node, state);
                } else {
                    self.fire(*main, state, moment);
                    state.nodes[node].finished = state.nodes[*main].finished;
                }
            }
        }
    }

    /// Early and late triggers are repeated whether or not the pipeline says so.
    fn fire_end_of_window(
        &self,
        node: usize,
        early: Option<usize>,
        late: Option<usize>,
        state: &mut TriggerState,
        moment: &Moment,
    ) {
        if state.nodes[node].on_time_fired {
            if let Some(late) = late {
                self.fire_again(late, state, moment);
            }
        } else if moment.end_of_window_passed() {
            self.reset(state, node);
            state.nodes[node].on_time_fired = true;
            state.nodes[node].finished = late.is_none();
        } else if let Some(early) = early {
            self.fire_again(early, state, moment);
        }
    }

    /// Fires, and starts anew what that has finished.
    fn fire_again(&self, node: usize, state: &mut TriggerState, moment: &Moment) {
        self.fire(node, state, moment);
        if state.nodes[node].finished {
            self.reset(state, node);
        }
    }

    fn finish(&self, node: usize, state: &mut TriggerState) {
        self.reset(state, node);
        for index in self.subtree(node) {
            state.nodes[index].finished = true;
        }
    }
}
