//! Carries the autoscaler's decisions out.

use std::fmt;

use dataflume_engine::Input;
use dataflume_engine::autoscale::{Autoscaler, Change, Reason};
use dataflume_model::ids::EnvironmentId;
use dataflume_model::time::ProcessingTime;

use super::run::Run;
use super::workers::Ending;

/// The number of workers of an environment changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScalingEvent {
    /// The environment, as the pipeline calls it.
    pub environment: String,
    /// Workers of the job that are ready, of all environments.
    pub current: u32,
    /// How many the job is to have, of all environments.
    pub target: u32,
    /// From which number, to which, and why.
    pub change: Change,
}

impl fmt::Display for ScalingEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Change { from, to, reason } = self.change;
        let verb = if to > from { "Raised" } else { "Reduced" };
        write!(f, "Autoscaling: {verb} the number of workers to {to}")?;
        match reason {
            Reason::Backlog {
                remaining_ms: Some(remaining),
            } => write!(
                f,
                ", since {from} would take {} s for the work that waits",
                remaining / 1000
            ),
            Reason::Backlog { remaining_ms: None } => {
                write!(f, ", since work waits and none was finished so far")
            }
            Reason::Idle => write!(f, ", since no more had work lately"),
            Reason::Limits => write!(f, ", as the job's limits are now"),
        }
    }
}

impl Run {
    /// When the load is to be looked at next.
    pub(super) fn next_look(&self) -> Option<ProcessingTime> {
        self.scalers.iter().filter_map(Autoscaler::next_look).min()
    }

    /// Looks at the load of every environment, and starts and stops workers.
    pub(super) fn scale(&mut self, now: ProcessingTime) {
        for index in 0..self.scalers.len() {
            if self.scalers[index].next_look().is_none_or(|at| at > now) {
                continue;
            }
            let environment = EnvironmentId(index as u32);
            let mut load = self.engine.load(environment);
            load.slots = self.slots[index].now();
            load.starting = self.workers.starting(environment);
            match self.scalers[index].look(now, &load) {
                Some(change) => self.carry_out(environment, change),
                // Some may have been busy when there became too many.
                None => self.stop_idle(environment),
            }
        }
    }

    /// Changes the limits of every environment whose number of workers changes at all.
    pub(super) fn limit_workers(&mut self, min: Option<u32>, max: Option<u32>) {
        for index in 0..self.scalers.len() {
            if let Some(change) = self.scalers[index].limit(min, max) {
                self.carry_out(EnvironmentId(index as u32), change);
            }
        }
    }

    fn carry_out(&mut self, environment: EnvironmentId, change: Change) {
        self.listener.scaled(ScalingEvent {
            environment: self.spec.plan.environments[environment.index()]
                .name
                .clone(),
            current: self.handles.len() as u32,
            target: self.scalers.iter().map(Autoscaler::target).sum(),
            change,
        });
        for _ in change.from..change.to {
            self.workers.start(environment);
        }
        self.stop_idle(environment);
    }

    /// Stops idle workers for as long as there are more than there should be. Busy ones are left alone: they are
    /// stopped when they have nothing to do.
    fn stop_idle(&mut self, environment: EnvironmentId) {
        let wanted = self.scalers[environment.index()].target();
        for worker in self.engine.idle_workers(environment) {
            let there = self.handles.values().filter(|(_, of)| *of == environment);
            if there.count() as u32 + self.workers.starting(environment) <= wanted {
                return;
            }
            self.handles.remove(&worker);
            self.context.workers.remove(worker);
            self.workers.stop_one(worker, Ending::InPeace);
            self.tell(Input::WorkerLost {
                worker,
                reason: "it was not needed any more".to_owned(),
                blames_bundles: false,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_say_what_and_why() {
        let event = |from, to, reason| {
            let event = ScalingEvent {
                environment: "e".to_owned(),
                current: from,
                target: to,
                change: Change { from, to, reason },
            };
            event.to_string()
        };
        let remaining_ms = Some(12_345);
        assert_eq!(
            event(1, 2, Reason::Backlog { remaining_ms }),
            "Autoscaling: Raised the number of workers to 2, since 1 would take 12 s for the work that waits"
        );
        assert_eq!(
            event(2, 1, Reason::Idle),
            "Autoscaling: Reduced the number of workers to 1, since no more had work lately"
        );
    }
}
