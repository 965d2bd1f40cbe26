//! Panes: which of a window's firings an element came out of.

use crate::coder::CoderError;
use crate::wire;

/// How a firing relates to the watermark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PaneTiming {
    /// Before the watermark passed the end of the window.
    Early,
    /// The first firing after the watermark passed the end of the window.
    OnTime,
    /// Any firing after the on-time one, or an on-time one that held only late data.
    Late,
    /// Not the result of a grouping.
    Unknown,
}

/// `PaneInfo` of an element.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PaneInfo {
    /// No other pane of the window and key came before.
    pub is_first: bool,
    /// No other pane of the window and key will come.
    pub is_last: bool,
    /// Early, on time, late.
    pub timing: PaneTiming,
    /// Counts the panes of the window and key from 0.
    pub index: i64,
    /// Counts those that are not early from 0; -1 for an early one.
    pub nonspeculative_index: i64,
}

const IS_FIRST: u8 = 1;
const IS_LAST: u8 = 1 << 1;
const TIMING_SHIFT: u8 = 2;
const FORMAT_SHIFT: u8 = 4;

/// The upper half of the first byte: which indices follow.
const NO_INDEX: u8 = 0;
const ONE_INDEX: u8 = 1;
const TWO_INDICES: u8 = 2;

impl PaneInfo {
    /// What elements have that never went through a grouping.
    pub const NO_FIRING: Self = Self {
        is_first: true,
        is_last: true,
        timing: PaneTiming::Unknown,
        index: 0,
        nonspeculative_index: 0,
    };

    /// The one firing of a window under the default trigger without late data.
    pub const ON_TIME_AND_ONLY: Self = Self {
        is_first: true,
        is_last: true,
        timing: PaneTiming::OnTime,
        index: 0,
        nonspeculative_index: 0,
    };

    /// Appends the encoding.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let flags = (u8::from(self.is_first) * IS_FIRST)
            | (u8::from(self.is_last) * IS_LAST)
            | ((self.timing as u8) << TIMING_SHIFT);
        let format = self.format();
        out.push(flags | (format << FORMAT_SHIFT));
        if format >= ONE_INDEX {
            wire::put_varint(self.index as u64, out);
        }
        if format == TWO_INDICES {
            wire::put_varint(self.nonspeculative_index as u64, out);
        }
    }

    fn format(&self) -> u8 {
        if self.timing == PaneTiming::Unknown || (self.index == 0 && self.nonspeculative_index == 0)
        {
            NO_INDEX
        } else if self.timing == PaneTiming::Early || self.index == self.nonspeculative_index {
            ONE_INDEX
        } else {
            TWO_INDICES
        }
    }

    /// Takes one pane off the front of the input.
    pub fn decode(input: &mut &[u8]) -> Result<Self, CoderError> {
        let first = wire::byte(input)?;
        let timing = match first >> TIMING_SHIFT & 3 {
            0 => PaneTiming::Early,
            1 => PaneTiming::OnTime,
            2 => PaneTiming::Late,
            _ => PaneTiming::Unknown,
        };
        let nonspeculative = |index| {
            if timing == PaneTiming::Early {
                -1
            } else {
                index
            }
        };
        let (index, nonspeculative_index) = match first >> FORMAT_SHIFT {
            NO_INDEX => (0, nonspeculative(0)),
            ONE_INDEX => {
                let index = wire::varint(input)? as i64;
                (index, nonspeculative(index))
            }
            TWO_INDICES => (wire::varint(input)? as i64, wire::varint(input)? as i64),
            _ => return Err(CoderError::BadPane { byte: first }),
        };
        Ok(Self {
            is_first: first & IS_FIRST != 0,
            is_last: first & IS_LAST != 0,
            timing,
            index,
            nonspeculative_index,
        })
    }

    /// Skips one pane without looking at what it says.
    #[inline]
    pub(crate) fn skip(input: &mut &[u8]) -> Result<(), CoderError> {
        let first = wire::byte(input)?;
        match first >> FORMAT_SHIFT {
            NO_INDEX => Ok(()),
            ONE_INDEX => wire::varint(input).map(|_| ()),
            TWO_INDICES => {
                wire::varint(input)?;
                wire::varint(input).map(|_| ())
            }
            _ => Err(CoderError::BadPane { byte: first }),
        }
    }
}
