//! Skipping exactly one value.
//!
//! Recursion is bounded by the coder, never by the data; loops by the input's length, because values
//! that take no bytes are multiplied, not walked.

use super::{Coder, CoderError};
use crate::pane::PaneInfo;
use crate::wire;

/// No SDK comes near this; a pipeline made to overflow the stack does.
const MAX_DEPTH: u32 = 200;

impl Coder {
    /// Moves the input past one value in the nested context.
    ///
    /// ```
    /// use dataflume_model::coder::Coder;
    /// let mut input: &[u8] = b"\x03keyvalue";
    /// Coder::Bytes.skip(&mut input)?;
    /// assert_eq!(input, b"value");
    /// # Ok::<(), dataflume_model::coder::CoderError>(())
    /// ```
    #[inline]
    pub fn skip(&self, input: &mut &[u8]) -> Result<(), CoderError> {
        self.skip_at(input, 0)
    }

    /// Checks that the input is one value and nothing else.
    pub fn check(&self, mut input: &[u8]) -> Result<(), CoderError> {
        self.skip(&mut input)?;
        match input.len() {
            0 => Ok(()),
            left => Err(CoderError::TrailingBytes { left }),
        }
    }

    #[inline]
    pub(super) fn skip_at(&self, input: &mut &[u8], depth: u32) -> Result<(), CoderError> {
        match self {
            // What nearly all values on the wire are made of.
            Self::Bytes | Self::StringUtf8 | Self::LengthPrefix(_) => {
                wire::prefixed(input).map(|_| ())
            }
            Self::Varint => wire::varint(input).map(|_| ()),
            Self::GlobalWindow => Ok(()),
            Self::Double => wire::take(input, 8).map(|_| ()),
            _ => self.skip_nested(input, depth),
        }
    }

    fn skip_nested(&self, input: &mut &[u8], depth: u32) -> Result<(), CoderError> {
        if depth >= MAX_DEPTH {
            return Err(CoderError::TooDeep { limit: MAX_DEPTH });
        }
        let depth = depth + 1;
        match self {
            Self::Bytes
            | Self::StringUtf8
            | Self::LengthPrefix(_)
            | Self::Varint
            | Self::GlobalWindow
            | Self::Double => self.skip_at(input, depth),
            Self::Bool => flag(input).map(|_| ()),
            Self::FixedWidth(width) => wire::take(input, *width as usize).map(|_| ()),
            Self::Decimal => {
                wire::varint(input)?;
                wire::prefixed(input).map(|_| ())
            }
            Self::IntervalWindow => {
                wire::take(input, 8)?;
                wire::varint(input).map(|_| ())
            }
            Self::CustomWindow(window) => {
                wire::take(input, 8)?;
                window.skip_at(input, depth)
            }
            Self::Kv(key, value) => {
                key.skip_at(input, depth)?;
                value.skip_at(input, depth)
            }
            Self::Iterable(element) => skip_iterable(element, false, input, depth),
            Self::StateBackedIterable(element) => skip_iterable(element, true, input, depth),
            Self::Map(key, value) => skip_map(key, value, input, depth),
            Self::Nullable(value) => {
                if flag(input)? {
                    value.skip_at(input, depth)?;
                }
                Ok(())
            }
            Self::ShardedKey(key) => {
                wire::prefixed(input)?;
                key.skip_at(input, depth)
            }
            Self::Row(row) => row.skip(input, depth),
            Self::Timer { key, window } => skip_timer(key, window, input, depth),
            Self::WindowedValue { value, window } => {
                wire::take(input, 8)?;
                skip_windows(window, input, depth)?;
                PaneInfo::skip(input)?;
                value.skip_at(input, depth)
            }
            Self::ParamWindowedValue { value, .. } => value.skip_at(input, depth),
            Self::Opaque { urn } => Err(CoderError::Opaque { urn: urn.clone() }),
        }
    }

    /// How many bytes every value takes, where that is always the same.
    fn width(&self) -> Option<u64> {
        match self {
            Self::GlobalWindow => Some(0),
            Self::Double => Some(8),
            Self::FixedWidth(width) => Some(u64::from(*width)),
            Self::Kv(key, value) => key.width()?.checked_add(value.width()?),
            Self::CustomWindow(window) => window.width()?.checked_add(8),
            Self::ParamWindowedValue { value, .. } => value.width(),
            _ => None,
        }
    }

    fn skip_many(&self, count: u64, input: &mut &[u8], depth: u32) -> Result<(), CoderError> {
        if let Some(width) = self.width() {
            let total = width.saturating_mul(count);
            let missing = total.saturating_sub(input.len() as u64);
            if missing > 0 {
                return Err(CoderError::UnexpectedEnd { missing });
            }
            return wire::take(input, total as usize).map(|_| ());
        }
        for _ in 0..count {
            self.skip_at(input, depth)?;
        }
        Ok(())
    }
}

fn flag(input: &mut &[u8]) -> Result<bool, CoderError> {
    match wire::byte(input)? {
        0 => Ok(false),
        1 => Ok(true),
        byte => Err(CoderError::BadFlag { byte }),
    }
}

fn known_count(input: &mut &[u8]) -> Result<u64, CoderError> {
    let count = i32::from_be_bytes(wire::array(input)?);
    u64::try_from(count).map_err(|_| CoderError::BadCount {
        count: count.into(),
    })
}

/// A 4-byte count and so many elements; or -1, then chunks, each preceded by its count as a varint,
/// until a count of 0 or, with state behind it, of -1, which a length-prefixed state token follows.
fn skip_iterable(
    element: &Coder,
    state_backed: bool,
    input: &mut &[u8],
    depth: u32,
) -> Result<(), CoderError> {
    match i32::from_be_bytes(wire::array(input)?) {
        count @ 0.. => element.skip_many(count as u64, input, depth),
        -1 => loop {
            match wire::varint(input)? as i64 {
                0 => return Ok(()),
                -1 if state_backed => return wire::prefixed(input).map(|_| ()),
                count @ 1.. => element.skip_many(count as u64, input, depth)?,
                count => return Err(CoderError::BadCount { count }),
            }
        },
        count => Err(CoderError::BadCount {
            count: count.into(),
        }),
    }
}

fn skip_map(key: &Coder, value: &Coder, input: &mut &[u8], depth: u32) -> Result<(), CoderError> {
    let count = known_count(input)?;
    if let Some(width) = key
        .width()
        .zip(value.width())
        .and_then(|(k, v)| k.checked_add(v))
    {
        let width = u32::try_from(width).unwrap_or(u32::MAX);
        return Coder::FixedWidth(width).skip_many(count, input, depth);
    }
    for _ in 0..count {
        key.skip_at(input, depth)?;
        value.skip_at(input, depth)?;
    }
    Ok(())
}

fn skip_windows(window: &Coder, input: &mut &[u8], depth: u32) -> Result<(), CoderError> {
    let count = known_count(input)?;
    window.skip_many(count, input, depth)
}

fn skip_timer(
    key: &Coder,
    window: &Coder,
    input: &mut &[u8],
    depth: u32,
) -> Result<(), CoderError> {
    key.skip_at(input, depth)?;
    wire::prefixed(input)?;
    skip_windows(window, input, depth)?;
    let clear = flag(input)?;
    if !clear {
        wire::take(input, 16)?;
        PaneInfo::skip(input)?;
    }
    Ok(())
}
