//! How windows are encoded.

use bytes::Bytes;

use super::Window;
use crate::coder::{Coder, CoderError};
use crate::time::EventTime;
use crate::wire;

/// How a PCollection's windows are encoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WindowKind {
    /// `beam:coder:global_window:v1`: no bytes at all.
    Global,
    /// `beam:coder:interval_window:v1`: the end, then the length as a varint.
    Interval,
    /// Any other window coder, whole. Windows are understood if it is [`Coder::CustomWindow`],
    /// which begins with the maximum timestamp.
    Custom(Coder),
}

impl WindowKind {
    /// The kind of window that a coder encodes.
    pub fn of(coder: Coder) -> Self {
        match coder {
            Coder::GlobalWindow => Self::Global,
            Coder::IntervalWindow => Self::Interval,
            other => Self::Custom(other),
        }
    }

    /// The coder of this kind of window.
    pub fn coder(&self) -> Coder {
        match self {
            Self::Global => Coder::GlobalWindow,
            Self::Interval => Coder::IntervalWindow,
            Self::Custom(coder) => coder.clone(),
        }
    }

    /// Takes one window off the front of the input.
    pub fn decode(&self, input: &mut &[u8]) -> Result<Window, CoderError> {
        match self {
            Self::Global => Ok(Window::Global),
            Self::Interval => {
                let end = EventTime::decode(wire::array(input)?);
                let span = wire::varint(input)?;
                let start = i64::try_from(span)
                    .ok()
                    .and_then(|span| end.0.checked_sub(span));
                let start = EventTime(start.ok_or(CoderError::BadInterval { span })?);
                Ok(Window::Interval { start, end })
            }
            Self::Custom(coder) => decode_custom(coder, input),
        }
    }

    /// Appends the encoding. The window must be of this kind.
    pub fn encode(&self, window: &Window, out: &mut Vec<u8>) -> Result<(), CoderError> {
        match (self, window) {
            (Self::Global, Window::Global) => {}
            (Self::Interval, Window::Interval { start, end }) => {
                out.extend_from_slice(&end.encode());
                wire::put_varint(end.0.wrapping_sub(start.0) as u64, out);
            }
            (Self::Custom(_), Window::Custom { encoded, .. }) => out.extend_from_slice(encoded),
            _ => {
                return Err(CoderError::OtherWindow {
                    window: window.to_string(),
                });
            }
        }
        Ok(())
    }

    /// Skips one window.
    #[inline]
    pub fn skip(&self, input: &mut &[u8]) -> Result<(), CoderError> {
        match self {
            Self::Global => Ok(()),
            Self::Interval => {
                wire::take(input, 8)?;
                wire::varint(input).map(|_| ())
            }
            Self::Custom(coder) => coder.skip(input),
        }
    }

    /// Skips a 4-byte count and so many windows; gives the count. There is but one global window, and
    /// as it takes no bytes, only refusing more keeps a count from costing more than the input's size.
    #[inline]
    pub fn skip_all(&self, input: &mut &[u8]) -> Result<u32, CoderError> {
        let count = u32::from_be_bytes(wire::array(input)?);
        if let Self::Global = self {
            return match count {
                0 | 1 => Ok(count),
                _ => Err(CoderError::BadCount {
                    count: count.into(),
                }),
            };
        }
        for _ in 0..count {
            self.skip(input)?;
        }
        Ok(count)
    }
}

fn decode_custom(coder: &Coder, input: &mut &[u8]) -> Result<Window, CoderError> {
    let Coder::CustomWindow(_) = coder else {
        return Err(CoderError::NoMaxTimestamp {
            coder: coder.name().to_owned(),
        });
    };
    let start = *input;
    coder.skip(input)?;
    let encoded = &start[..start.len() - input.len()];
    let max_timestamp = EventTime::decode(wire::array(&mut &*encoded)?);
    Ok(Window::Custom {
        max_timestamp,
        encoded: Bytes::copy_from_slice(encoded),
    })
}

/// Windows parsed one by one, as asked for.
#[derive(Debug, Clone)]
pub struct Windows<'a> {
    kind: &'a WindowKind,
    input: &'a [u8],
    left: u32,
}

impl<'a> Windows<'a> {
    pub(crate) fn new(kind: &'a WindowKind, input: &'a [u8], count: u32) -> Self {
        Self {
            kind,
            input,
            left: count,
        }
    }
}

impl Iterator for Windows<'_> {
    type Item = Result<Window, CoderError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let window = self.kind.decode(&mut self.input);
        if window.is_err() {
            self.left = 0;
        }
        Some(window)
    }
}
