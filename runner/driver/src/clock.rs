//! The clock that the timers of all jobs of an emulator follow.

use std::time::{SystemTime, UNIX_EPOCH};

use dataflume_engine::Clock;
use dataflume_model::time::ProcessingTime;
use tokio::sync::watch;

/// A clock that can be moved and stopped while jobs follow it.
#[derive(Debug)]
pub struct SharedClock(watch::Sender<Clock>);

impl Default for SharedClock {
    /// The real time.
    fn default() -> Self {
        Self(watch::Sender::new(Clock::REAL))
    }
}

impl SharedClock {
    /// How it stands now.
    pub fn reading(&self) -> Clock {
        *self.0.borrow()
    }

    /// What it shows now.
    pub fn now(&self) -> ProcessingTime {
        self.reading().at(now())
    }

    /// Stops it.
    pub fn pause(&self) {
        let now = now();
        self.change(|clock| Clock::Stopped { at: clock.at(now) });
    }

    /// Lets it go on from where it was stopped.
    pub fn resume(&self) {
        let now = now();
        self.change(|clock| Clock::Running {
            ahead_ms: clock.at(now).0.saturating_sub(now.0),
        });
    }

    /// Moves it forward, whether it runs or not.
    pub fn advance(&self, ms: u64) {
        let ms = i64::try_from(ms).unwrap_or(i64::MAX);
        self.change(|clock| match clock {
            Clock::Running { ahead_ms } => Clock::Running {
                ahead_ms: ahead_ms.saturating_add(ms),
            },
            Clock::Stopped { at } => Clock::Stopped { at: at.plus_ms(ms) },
        });
    }

    /// Tells of every change, and of how it stands first.
    pub(crate) fn subscribe(&self) -> watch::Receiver<Clock> {
        let mut changes = self.0.subscribe();
        changes.mark_changed();
        changes
    }

    fn change(&self, change: impl FnOnce(Clock) -> Clock) {
        self.0.send_modify(|clock| *clock = change(*clock));
    }
}

/// The real time.
pub(crate) fn now() -> ProcessingTime {
    let since_epoch = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    ProcessingTime(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_never_goes_back() {
        let clock = SharedClock::default();
        clock.pause();
        let stopped = clock.now();
        clock.advance(3_600_000);
        assert_eq!(clock.now(), stopped.plus_ms(3_600_000));
        clock.resume();
        let resumed = clock.now();
        assert!(resumed >= stopped.plus_ms(3_600_000));
        clock.advance(u64::MAX);
        assert!(clock.now() > resumed);
    }
}
