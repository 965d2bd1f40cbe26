//! Windows: the values, their encodings, the functions that assign them, windowing strategies.

mod codec;
mod function;
mod strategy;

use bytes::Bytes;

pub use codec::{WindowKind, Windows};
pub use function::WindowFn;
pub use strategy::{
    AccumulationMode, ClosingBehavior, MergeStatus, OnTimeBehavior, OutputTime, WindowingStrategy,
};

use crate::time::EventTime;

/// A window.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Window {
    /// All of event time.
    Global,
    /// From `start` to just before `end`.
    Interval {
        /// The smallest timestamp within.
        start: EventTime,
        /// The smallest timestamp after.
        end: EventTime,
    },
    /// A window of the user's own type.
    Custom {
        /// The greatest timestamp within.
        max_timestamp: EventTime,
        /// The whole encoding, with the maximum timestamp that it begins with.
        encoded: Bytes,
    },
}

impl Window {
    /// The greatest timestamp that an element in this window can have.
    pub fn max_timestamp(&self) -> EventTime {
        match self {
            Self::Global => EventTime::END_OF_GLOBAL_WINDOW,
            Self::Interval { end, .. } => end.minus_ms(1),
            Self::Custom { max_timestamp, .. } => *max_timestamp,
        }
    }
}

impl std::fmt::Display for Window {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Global => f.write_str("global"),
            Self::Interval { start, end } => write!(f, "[{start}, {end})"),
            Self::Custom { max_timestamp, .. } => write!(f, "custom(..{max_timestamp}]"),
        }
    }
}
