//! Event time and processing time, both in milliseconds since the Unix epoch.

use std::fmt;

/// A point in event time: an element's timestamp, a watermark, a window's bound.
///
/// The Fn API has no finer resolution than milliseconds. Values outside [`EventTime::MIN`] and
/// [`EventTime::MAX`] are not valid timestamps.
///
/// ```
/// use dataflume_model::time::EventTime;
/// assert_eq!(EventTime(0).encode(), [0x80, 0, 0, 0, 0, 0, 0, 0]);
/// assert_eq!(EventTime::MAX.plus_ms(1), EventTime::MAX);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventTime(pub i64);

impl EventTime {
    /// Beam's smallest timestamp; a watermark here says nothing yet.
    pub const MIN: Self = Self(-9_223_372_036_854_775);
    /// Beam's greatest timestamp; a watermark here says that nothing more comes.
    pub const MAX: Self = Self(9_223_372_036_854_775);
    /// The global window's greatest timestamp. It lies a day before [`EventTime::MAX`], so that
    /// timers of the global window fire before the end of time.
    pub const END_OF_GLOBAL_WINDOW: Self = Self(9_223_371_950_454_775);

    /// Later by `ms`, but never outside of the valid range.
    pub fn plus_ms(self, ms: i64) -> Self {
        Self(self.0.saturating_add(ms)).clamp(Self::MIN, Self::MAX)
    }

    /// Earlier by `ms`, but never outside of the valid range.
    pub fn minus_ms(self, ms: i64) -> Self {
        Self(self.0.saturating_sub(ms)).clamp(Self::MIN, Self::MAX)
    }

    /// Big-endian, shifted by `i64::MIN` so that the encoding sorts as the time does.
    #[inline]
    pub const fn encode(self) -> [u8; 8] {
        ((self.0 as u64) ^ SHIFT).to_be_bytes()
    }

    /// The reverse of [`EventTime::encode`].
    #[inline]
    pub const fn decode(bytes: [u8; 8]) -> Self {
        Self((u64::from_be_bytes(bytes) ^ SHIFT) as i64)
    }
}

const SHIFT: u64 = 1 << 63;

impl fmt::Display for EventTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::MIN => f.write_str("MIN"),
            Self::MAX => f.write_str("MAX"),
            Self::END_OF_GLOBAL_WINDOW => f.write_str("END_OF_GLOBAL_WINDOW"),
            Self(ms) => write!(f, "{ms}ms"),
        }
    }
}

/// A point in processing time: what the runner's clock, or a TestStream's, says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProcessingTime(pub i64);

impl ProcessingTime {
    /// Later by `ms`.
    pub const fn plus_ms(self, ms: i64) -> Self {
        Self(self.0.saturating_add(ms))
    }
}

impl fmt::Display for ProcessingTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}ms", self.0)
    }
}
