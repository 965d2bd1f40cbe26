//! How many workers an environment should have: a policy, apart from the engine, that knows nothing but
//! the [`Load`]s it is shown.
//!
//! It grows when the work that waits would keep the workers there are busy for longer than it takes to
//! start more, and as far as the work can be spread. It shrinks when workers have been of no use for a
//! while. Never beyond its [`ScalingLimits`], and not back and forth: workers are stopped only after a while of
//! no use, and after that the next ones take longer to come, the longer the more often it happened.

mod load;
mod slots;
mod throughput;

use dataflume_model::time::ProcessingTime;

pub use load::Load;
pub use slots::{Processors, SlotPolicy};

use throughput::Throughput;

/// How often the load is looked at.
const LOOK_EVERY_MS: i64 = 500;
/// Less remaining work than this is done before a new worker would be ready.
const WORTH_A_WORKER_MS: u64 = 3_000;
/// As long as nothing is known about the speed, work has to wait this long before workers are added.
const PATIENCE_MS: i64 = 2_000;
/// How often at most the wait before workers are added doubles, for each time that there were too many.
const MAX_DOUBLINGS: u32 = 5;
/// Workers have to have been too many for this long before some are stopped.
const IDLE_MS: i64 = 5_000;
/// The remaining work should take no longer than this, if workers can help it.
const AIM_MS: u64 = 10_000;

/// What decides the number of workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// It stays what it was at the beginning.
    None,
    /// The work that waits, and how fast it is done.
    ThroughputBased,
}

/// Between which numbers an environment is scaled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScalingLimits {
    /// The number at the beginning.
    pub initial: u32,
    /// Never fewer, once there were as many.
    pub min: u32,
    /// Never more; never less than `initial`.
    pub max: u32,
    /// What decides.
    pub algorithm: Algorithm,
}

impl ScalingLimits {
    /// Always this many.
    #[must_use]
    pub fn fixed(workers: u32) -> Self {
        Self {
            initial: workers,
            min: workers,
            max: workers,
            algorithm: Algorithm::None,
        }
    }

    fn can_change(&self) -> bool {
        self.algorithm == Algorithm::ThroughputBased && self.max.max(self.initial) > 1
    }
}

/// Another number of workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// The number so far.
    pub from: u32,
    /// The number from now on.
    pub to: u32,
    /// Why.
    pub reason: Reason,
}

/// Why the number of workers changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// With the workers there are, the work that waits would take this long.
    Backlog {
        /// If the speed is known.
        remaining_ms: Option<u64>,
    },
    /// Workers had nothing to do.
    Idle,
    /// The limits are other ones.
    Limits,
}

/// The policy for one environment.
#[derive(Debug, Clone)]
pub struct Autoscaler {
    limits: ScalingLimits,
    /// The number of workers that is wanted.
    target: u32,
    throughput: Throughput,
    next_look: ProcessingTime,
    /// Since when the load could use more workers.
    short_since: Option<ProcessingTime>,
    /// How often the number was reduced: the more often, the longer it takes to be raised again.
    reductions: u32,
    /// Since when it could do with fewer, and the most that it could have used in that time.
    idle_since: Option<(ProcessingTime, u32)>,
}

impl Autoscaler {
    /// A policy that begins with `limits.initial` workers.
    #[must_use]
    pub fn new(limits: ScalingLimits) -> Self {
        Self {
            limits,
            target: limits.initial,
            throughput: Throughput::default(),
            next_look: ProcessingTime(i64::MIN),
            short_since: None,
            reductions: 0,
            idle_since: None,
        }
    }

    /// How many workers there should be.
    #[must_use]
    pub fn target(&self) -> u32 {
        self.target
    }

    /// When [`look`](Self::look) is to be called next; never, if the number can't change.
    #[must_use]
    pub fn next_look(&self) -> Option<ProcessingTime> {
        self.limits.can_change().then_some(self.next_look)
    }

    /// Looks at the load and says whether the number of workers changes. Looking too soon does nothing.
    pub fn look(&mut self, now: ProcessingTime, load: &Load) -> Option<Change> {
        if !self.limits.can_change() || now < self.next_look {
            return None;
        }
        self.next_look = ProcessingTime(now.0.saturating_add(LOOK_EVERY_MS));
        self.throughput.observe(now, load);
        let useful = load.useful_workers();
        let change = match useful.cmp(&self.target) {
            std::cmp::Ordering::Greater => {
                self.idle_since = None;
                self.grow(now, load, useful)
            }
            std::cmp::Ordering::Less => {
                self.short_since = None;
                self.shrink(now, useful)
            }
            std::cmp::Ordering::Equal => {
                self.short_since = None;
                self.idle_since = None;
                None
            }
        }?;
        self.target = change.to;
        self.short_since = None;
        self.idle_since = None;
        Some(change)
    }

    /// Changes the limits while the job runs; what is absent stays. Says whether the number of workers
    /// changes with that. Where it never changes, nor do its limits.
    pub fn limit(&mut self, min: Option<u32>, max: Option<u32>) -> Option<Change> {
        if self.limits.algorithm == Algorithm::None {
            return None;
        }
        let max = max.unwrap_or(self.limits.max).max(1);
        let min = min.unwrap_or(self.limits.min).clamp(1, max);
        self.limits = ScalingLimits {
            initial: self.limits.initial.min(max),
            min,
            max,
            ..self.limits
        };
        let to = self.target.clamp(min, max);
        if to == self.target {
            return None;
        }
        let change = self.change(to, Reason::Limits);
        self.target = to;
        self.short_since = None;
        self.idle_since = None;
        Some(change)
    }

    /// Whether there can be no more workers.
    #[must_use]
    pub fn is_at_limit(&self) -> bool {
        !self.limits.can_change() || self.target >= self.limits.max
    }

    fn grow(&mut self, now: ProcessingTime, load: &Load, useful: u32) -> Option<Change> {
        if load.starting > 0 {
            // Those that were asked for last are to show first what they can do.
            self.short_since = None;
            return None;
        }
        let since = *self.short_since.get_or_insert(now);
        let most = self.limits.max.max(self.limits.initial).min(useful);
        let waited_ms = now.0.saturating_sub(since.0);
        let hesitation_ms = match self.reductions {
            0 => 0,
            reductions => PATIENCE_MS << reductions.min(MAX_DOUBLINGS),
        };
        if self.target >= most || waited_ms < hesitation_ms {
            return None;
        }
        let remaining_ms = self.throughput.remaining_ms(load);
        let to = match remaining_ms {
            Some(remaining) if remaining < WORTH_A_WORKER_MS => return None,
            Some(remaining) => {
                let factor = remaining.div_ceil(AIM_MS).max(2);
                u64::from(self.target.max(1)).saturating_mul(factor)
            }
            None if waited_ms < PATIENCE_MS => return None,
            None => u64::from(self.target.max(1)) * 2,
        };
        let to = u32::try_from(to).unwrap_or(u32::MAX).min(most);
        Some(self.change(to, Reason::Backlog { remaining_ms }))
    }

    fn shrink(&mut self, now: ProcessingTime, useful: u32) -> Option<Change> {
        let (since, peak) = self.idle_since.get_or_insert((now, useful));
        *peak = useful.max(*peak);
        if now.0.saturating_sub(since.0) < IDLE_MS {
            return None;
        }
        let to = (*peak).max(self.limits.min).max(1);
        if to >= self.target {
            return None;
        }
        self.reductions = self.reductions.saturating_add(1);
        Some(self.change(to, Reason::Idle))
    }

    fn change(&self, to: u32, reason: Reason) -> Change {
        Change {
            from: self.target,
            to,
            reason,
        }
    }
}
