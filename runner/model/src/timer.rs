//! Timers as they cross the Fn API (`beam:coder:timer:v1`).

use bytes::Bytes;

use crate::coder::{Coder, CoderError};
use crate::pane::PaneInfo;
use crate::time::EventTime;
use crate::window::{Window, WindowKind, Windows};
use crate::windowed::encode_windows;
use crate::wire;

/// A timer that is set, cleared or fired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timer {
    /// The encoded user key.
    pub key: Bytes,
    /// Tells apart the timers of a family, key and window.
    pub tag: String,
    /// The windows it belongs to.
    pub windows: Vec<Window>,
    /// When it fires; `None` clears it.
    pub firing: Option<Firing>,
}

/// When a timer fires, and with what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Firing {
    /// In the time domain of its family: for processing time, milliseconds since the epoch.
    pub fire_timestamp: EventTime,
    /// The output timestamp, which holds the watermark.
    pub hold_timestamp: EventTime,
    /// Of the element that set it.
    pub pane: PaneInfo,
}

/// Walks and writes chunks of timers of one family.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimerCodec {
    /// Of the user key.
    pub key: Coder,
    /// Of the windows.
    pub window: WindowKind,
}

impl TimerCodec {
    /// A codec for timers with keys and windows so encoded.
    pub fn new(key: Coder, window: WindowKind) -> Self {
        Self { key, window }
    }

    /// The timers of a chunk, in order. It ends after an error.
    pub fn iter<'a>(
        &'a self,
        chunk: &'a [u8],
    ) -> impl Iterator<Item = Result<Timer, CoderError>> + 'a {
        let mut rest = chunk;
        std::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            let timer = self.decode(&mut rest);
            if timer.is_err() {
                rest = &[];
            }
            Some(timer)
        })
    }

    /// Takes one timer off the front of the input.
    pub fn decode(&self, input: &mut &[u8]) -> Result<Timer, CoderError> {
        let key = skipped(input, |input| self.key.skip(input))?;
        let key = Bytes::copy_from_slice(key);
        let tag = std::str::from_utf8(wire::prefixed(input)?).map_err(|_| CoderError::BadText)?;
        let tag = tag.to_owned();
        let mut count = 0;
        let windows = skipped(input, |input| {
            count = self.window.skip_all(input)?;
            Ok(())
        })?;
        let windows = Windows::new(&self.window, &windows[COUNT_BYTES..], count);
        let windows = windows.collect::<Result<Vec<_>, _>>()?;
        let firing = match wire::byte(input)? {
            0 => Some(Firing {
                fire_timestamp: EventTime::decode(wire::array(input)?),
                hold_timestamp: EventTime::decode(wire::array(input)?),
                pane: PaneInfo::decode(input)?,
            }),
            1 => None,
            byte => return Err(CoderError::BadFlag { byte }),
        };
        Ok(Timer {
            key,
            tag,
            windows,
            firing,
        })
    }

    /// Appends the encoding.
    pub fn encode(&self, timer: &Timer, out: &mut Vec<u8>) -> Result<(), CoderError> {
        out.extend_from_slice(&timer.key);
        wire::put_prefixed(timer.tag.as_bytes(), out);
        encode_windows(&self.window, &timer.windows, out)?;
        match &timer.firing {
            Some(firing) => {
                out.push(0);
                out.extend_from_slice(&firing.fire_timestamp.encode());
                out.extend_from_slice(&firing.hold_timestamp.encode());
                firing.pane.encode(out);
            }
            None => out.push(1),
        }
        Ok(())
    }

    /// The coder of the whole timer.
    pub fn coder(&self) -> Coder {
        Coder::Timer {
            key: Box::new(self.key.clone()),
            window: Box::new(self.window.coder()),
        }
    }
}

/// Of the count in front of the windows.
const COUNT_BYTES: usize = 4;

fn skipped<'a>(
    input: &mut &'a [u8],
    skip: impl FnOnce(&mut &'a [u8]) -> Result<(), CoderError>,
) -> Result<&'a [u8], CoderError> {
    let before = *input;
    skip(input)?;
    Ok(&before[..before.len() - input.len()])
}
