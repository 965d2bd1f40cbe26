//! What a job uses, as a service would charge for it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What a job has used so far, and uses now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Workers that are there, from before their start to the end of their process.
    pub workers: u32,
    /// How long all workers together have been there.
    pub worker_time: Duration,
    /// Bytes that were handed to the runner to be grouped or reshuffled, and bytes that it took up for that: what is
    /// shuffled counts twice, once written and once read.
    pub shuffled_bytes: u64,
}

/// Measures a job's usage. Clones measure together.
#[derive(Debug, Clone, Default)]
pub(crate) struct Meter {
    shuffled_bytes: Arc<AtomicU64>,
    workers: Arc<Mutex<Workers>>,
}

#[derive(Debug, Default)]
struct Workers {
    there: u32,
    /// Of those that were and are there, up to `since`.
    time: Duration,
    since: Option<Instant>,
}

impl Workers {
    /// Accounts for the time that has passed.
    fn advance(&mut self, now: Instant) {
        if let Some(since) = self.since.replace(now) {
            self.time += now.saturating_duration_since(since) * self.there;
        }
    }
}

/// A worker that counts as there until this is dropped.
pub(crate) struct There(Meter);

impl Meter {
    /// So much was written to, or read from, what is shuffled.
    pub(crate) fn shuffled(&self, bytes: u64) {
        self.shuffled_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// One more worker is there.
    pub(crate) fn worker(&self) -> There {
        let mut workers = self.workers();
        workers.advance(Instant::now());
        workers.there += 1;
        There(self.clone())
    }

    pub(crate) fn read(&self) -> Usage {
        let mut workers = self.workers();
        workers.advance(Instant::now());
        Usage {
            workers: workers.there,
            worker_time: workers.time,
            shuffled_bytes: self.shuffled_bytes.load(Ordering::Relaxed),
        }
    }

    fn workers(&self) -> MutexGuard<'_, Workers> {
        // Every change is a whole one.
        self.workers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for There {
    fn drop(&mut self) {
        let mut workers = self.0.workers();
        workers.advance(Instant::now());
        workers.there = workers.there.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_counts_for_each_worker_that_is_there() {
        let start = Instant::now();
        let mut workers = Workers::default();
        let second = |n| start + Duration::from_secs(n);
        workers.advance(start);
        workers.there = 2;
        workers.advance(second(3));
        workers.there = 1;
        workers.advance(second(5));
        workers.there = 0;
        workers.advance(second(9));
        assert_eq!(workers.time, Duration::from_secs(8));
    }

    #[test]
    fn workers_are_there_until_they_are_dropped() {
        let meter = Meter::default();
        let (first, second) = (meter.worker(), meter.worker());
        assert_eq!(meter.read().workers, 2);
        drop(first);
        drop(second);
        meter.shuffled(3);
        meter.clone().shuffled(4);
        let usage = meter.read();
        assert_eq!((usage.workers, usage.shuffled_bytes), (0, 7));
        assert_eq!(usage, meter.read(), "nobody is there whose time could pass");
    }
}
