//! The clock of processing time, which tests of pipelines can move and stop.

use dataflume_model::time::ProcessingTime;

/// How the clock that timers and triggers in processing time follow stands to the real one. Delays that an SDK asks for,
/// splits and autoscaling follow the real one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    /// It runs as fast as the real one.
    Running {
        /// How far it is ahead of the real one, in ms; negative after it had been stopped.
        ahead_ms: i64,
    },
    /// It stands.
    Stopped {
        /// What it shows.
        at: ProcessingTime,
    },
}

impl Clock {
    /// The real clock.
    pub const REAL: Self = Self::Running { ahead_ms: 0 };

    /// What it shows when it is really `now`.
    ///
    /// ```
    /// use dataflume_engine::Clock;
    /// use dataflume_model::time::ProcessingTime;
    ///
    /// let clock = Clock::Running { ahead_ms: 50 };
    /// assert_eq!(clock.at(ProcessingTime(100)), ProcessingTime(150));
    /// assert_eq!(clock.real(ProcessingTime(150)), Some(ProcessingTime(100)));
    /// assert_eq!(Clock::Stopped { at: ProcessingTime(7) }.real(ProcessingTime(8)), None);
    /// ```
    pub fn at(self, now: ProcessingTime) -> ProcessingTime {
        match self {
            Self::Running { ahead_ms } => now.plus_ms(ahead_ms),
            Self::Stopped { at } => at,
        }
    }

    /// When it will really be that this clock shows `time`, if it runs.
    pub fn real(self, time: ProcessingTime) -> Option<ProcessingTime> {
        match self {
            Self::Running { ahead_ms } => Some(ProcessingTime(time.0.saturating_sub(ahead_ms))),
            Self::Stopped { .. } => None,
        }
    }
}
