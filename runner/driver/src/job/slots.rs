//! Gives workers more slots while their bundles leave the machine idle, or would if others did.

use std::time::{Duration, Instant};

use dataflume_engine::Input;
use dataflume_engine::autoscale::{Load, Processors, SlotPolicy};
use dataflume_harness::{Process, ProcessorTime, Worker};
use dataflume_model::ids::{EnvironmentId, WorkerId};
use dataflume_model::time::ProcessingTime;
use rustc_hash::FxHashMap;

use super::run::Run;
use crate::machine::processors;

/// The machine's processor time, as Linux counts it; nothing is known on other systems, and nothing changes then.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct MachineTime {
    idle: u64,
    all: u64,
}

impl MachineTime {
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

/// What the processes of an environment's workers have wanted so far.
#[derive(Debug)]
struct Wants {
    at: Instant,
    by_process: FxHashMap<Process, ProcessorTime>,
}

impl Wants {
    /// `None` if one of them is unknown.
    fn read(workers: &[Worker]) -> Option<Self> {
        // In LOOPBACK, all workers of a job are one process.
        let at = Instant::now();
        // Each is asked, so that all are looked for.
        let processes: Vec<Option<Process>> = workers.iter().map(Worker::process).collect();
        let by_process = processes
            .into_iter()
            .map(|process| Some((process?, process?.processor_time()?)))
            .collect::<Option<_>>()?;
        Some(Self { at, by_process })
    }

    /// How many processors they wanted since then. `None` if they are others.
    fn since(&self, before: &Self) -> Option<f64> {
        let mut wanted = Duration::ZERO;
        for (process, now) in &self.by_process {
            wanted += now.wanted_since(*before.by_process.get(process)?);
        }
        let passed = self.at.saturating_duration_since(before.at);
        (!passed.is_zero()).then(|| wanted.as_secs_f64() / passed.as_secs_f64())
    }
}

/// Of one environment.
#[derive(Debug)]
pub(super) struct Slots {
    policy: SlotPolicy,
    seen: Option<MachineTime>,
    wants: Option<Wants>,
}

impl Slots {
    pub(super) fn new(slots: u32) -> Self {
        Self {
            policy: SlotPolicy::new(slots),
            seen: None,
            wants: None,
        }
    }

    /// Of each worker.
    pub(super) fn now(&self) -> u32 {
        self.policy.slots()
    }

    /// The processors since the last look.
    fn processors(&mut self, load: &Load, workers: &[Worker]) -> Processors {
        let seen = MachineTime::read();
        let idle = seen
            .zip(self.seen)
            .and_then(|(now, before)| now.idle_since(before));
        self.seen = seen;
        let asks = self.policy.asks_for_wanted(load, workers.len() as u32);
        let wants = asks.then(|| Wants::read(workers)).flatten();
        let wanted = wants
            .as_ref()
            .zip(self.wants.as_ref())
            .and_then(|(now, before)| now.since(before));
        self.wants = wants;
        Processors {
            count: processors(),
            idle,
            wanted,
        }
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
            let (ids, workers): (Vec<WorkerId>, Vec<Worker>) =
                of.map(|(id, (worker, _))| (*id, worker.clone())).unzip();
            let slots = &mut self.slots[index];
            let processors = slots.processors(&load, &workers);
            let count = ids.len() as u32;
            let Some(slots) = slots.policy.look(now, &load, count, processors) else {
                continue;
            };
            tracing::info!(job_id = self.spec.id, %environment, slots, "bundles per worker");
            for worker in ids {
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
        let read = |line: &str| MachineTime::parse(&format!("{line}\ncpu0 1 2\n"));
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
