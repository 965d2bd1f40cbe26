//! Gives workers more slots while their bundles leave the machine idle.

use dataflume_engine::Input;
use dataflume_engine::autoscale::SlotPolicy;
use dataflume_model::ids::{EnvironmentId, WorkerId};
use dataflume_model::time::ProcessingTime;

use super::run::Run;

/// The machine's processor time, as Linux counts it; nothing is known on other systems, and nothing changes then.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct ProcessorTime {
    idle: u64,
    all: u64,
}

impl ProcessorTime {
    fn read() -> Option<Self> {
        Self::parse(&std::fs::read_to_string("/proc/stat").ok()?)
    }

    /// The first line has the sums over all processors: user, nice, system, idle, waiting for disks, interrupts (two kinds), stolen.
    fn parse(stat: &str) -> Option<Self> {
        let mut words = stat.lines().next()?.split_ascii_whitespace();
        if words.next()? != "cpu" {
            return None;
        }
        let times: Vec<u64> = words
            .take(8)
            .map(|word| word.parse().ok())
            .collect::<Option<_>>()?;
        Some(Self {
            idle: times.get(3)? + times.get(4)?,
            all: times.iter().sum(),
        })
    }

    /// The share of the time since then that was idle.
    fn idle_since(self, before: Self) -> Option<f64> {
        let all = self.all.checked_sub(before.all).filter(|all| *all > 0)?;
        let idle = self.idle.saturating_sub(before.idle);
        Some(idle as f64 / all as f64)
    }
}

/// Of one environment.
#[derive(Debug)]
pub(super) struct Slots {
    policy: SlotPolicy,
    seen: Option<ProcessorTime>,
}

impl Slots {
    pub(super) fn new(slots: u32) -> Self {
        Self {
            policy: SlotPolicy::new(slots),
            seen: None,
        }
    }

    /// Of each worker.
    pub(super) fn now(&self) -> u32 {
        self.policy.slots()
    }
}

impl Run {
    /// When the machine is to be looked at next, as long as bundles run.
    pub(super) fn next_look_at_slots(&self) -> Option<ProcessingTime> {
        if self.tasks.is_empty() {
            return None;
        }
        let slots = self.slots.iter().zip(&self.scalers);
        slots
            .filter(|(_, scaler)| scaler.is_at_limit())
            .map(|(slots, _)| slots.policy.next_look())
            .min()
    }

    /// Looks at the machine, and gives each worker of an environment as many slots as there should be. More workers come first:
    /// as long as there may be more, the autoscaler is at it.
    pub(super) fn adapt_slots(&mut self, now: ProcessingTime) {
        if self.tasks.is_empty() {
            return;
        }
        for index in 0..self.slots.len() {
            if self.slots[index].policy.next_look() > now || !self.scalers[index].is_at_limit() {
                continue;
            }
            let environment = EnvironmentId(index as u32);
            let load = self.engine.load(environment);
            let of = self
                .handles
                .iter()
                .filter(|(_, (_, of))| *of == environment);
            let workers: Vec<WorkerId> = of.map(|(worker, _)| *worker).collect();
            let slots = &mut self.slots[index];
            let seen = ProcessorTime::read();
            let idle = seen
                .zip(slots.seen)
                .and_then(|(now, before)| now.idle_since(before));
            slots.seen = seen;
            let count = workers.len() as u32;
            let Some(slots) = slots.policy.look(now, &load, count, idle) else {
                continue;
            };
            tracing::info!(job_id = self.spec.id, %environment, slots, "bundles per worker");
            for worker in workers {
                self.tell(Input::WorkerSlots { worker, slots });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_is_what_no_processor_worked_in() {
        let read = |line: &str| ProcessorTime::parse(&format!("{line}\ncpu0 1 2\n"));
        let before = read("cpu  100 0 50 800 40 5 5 0 7 7").expect("a line of Linux");
        assert_eq!((before.idle, before.all), (840, 1000));
        let after = read("cpu  120 0 50 860 60 5 5 0 9 9").expect("a line of Linux");
        let idle = after.idle_since(before).expect("time has passed");
        assert!((idle - 0.8).abs() < 1e-9, "{idle}");
        assert_eq!(before.idle_since(before), None, "no time has passed");
        assert_eq!(read("intr 1 2 3 4"), None);
        assert_eq!(read("cpu 1 2 x 4 5"), None);
    }
}
