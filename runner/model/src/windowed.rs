//! Windowed values, as they cross the Fn API: concatenated, each with timestamp, windows and pane in
//! front.
//!
//! This is the hottest path of the runner: every element that is not passed on whole comes through
//! here. Nothing is copied or allocated per element, and windows and panes are parsed only when asked
//! for.

use std::ops::Range;

use crate::coder::{Coder, CoderError};
use crate::pane::PaneInfo;
use crate::time::EventTime;
use crate::window::{Window, WindowKind, Windows};
use crate::wire;

/// Walks chunks of windowed values of one PCollection.
///
/// ```
/// use dataflume_model::coder::Coder;
/// use dataflume_model::pane::PaneInfo;
/// use dataflume_model::time::EventTime;
/// use dataflume_model::window::{Window, WindowKind};
/// use dataflume_model::windowed::WindowedCodec;
///
/// let codec = WindowedCodec::new(Coder::Bytes, WindowKind::Global);
/// let mut chunk = Vec::new();
/// codec.encode_header(EventTime(7), &[Window::Global], &PaneInfo::NO_FIRING, &mut chunk)?;
/// chunk.extend_from_slice(b"\x05hello");
///
/// let element = codec.iter(&chunk).next().unwrap()?;
/// assert_eq!(element.timestamp, EventTime(7));
/// assert_eq!(element.value(), b"\x05hello");
/// # Ok::<(), dataflume_model::coder::CoderError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WindowedCodec {
    /// Of the values.
    pub value: Coder,
    /// Of the windows.
    pub window: WindowKind,
}

/// What a chunk holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    /// How many windowed values.
    pub count: u64,
    /// The smallest [`Element::hold`]; [`EventTime::MAX`] of an empty chunk.
    pub min_timestamp: EventTime,
}

impl WindowedCodec {
    /// A codec for values and windows so encoded.
    pub fn new(value: Coder, window: WindowKind) -> Self {
        Self { value, window }
    }

    /// The elements of a chunk, in order.
    pub fn iter<'a>(&'a self, chunk: &'a [u8]) -> Elements<'a> {
        Elements {
            codec: self,
            chunk,
            position: 0,
            rest: chunk,
        }
    }

    /// Counts a chunk's elements and finds how far they hold the watermark back.
    pub fn summarise(&self, chunk: &[u8]) -> Result<Summary, CoderError> {
        let mut summary = Summary {
            count: 0,
            min_timestamp: EventTime::MAX,
        };
        for element in self.iter(chunk) {
            summary.count += 1;
            summary.min_timestamp = summary.min_timestamp.min(element?.hold());
        }
        Ok(summary)
    }

    /// Appends what precedes a value.
    pub fn encode_header(
        &self,
        timestamp: EventTime,
        windows: &[Window],
        pane: &PaneInfo,
        out: &mut Vec<u8>,
    ) -> Result<(), CoderError> {
        out.extend_from_slice(&timestamp.encode());
        encode_windows(&self.window, windows, out)?;
        pane.encode(out);
        Ok(())
    }

    /// The coder of the whole windowed value.
    pub fn coder(&self) -> Coder {
        Coder::WindowedValue {
            value: Box::new(self.value.clone()),
            window: Box::new(self.window.coder()),
        }
    }
}

/// Windows as an iterable: a 4-byte count, then each.
pub(crate) fn encode_windows(
    kind: &WindowKind,
    windows: &[Window],
    out: &mut Vec<u8>,
) -> Result<(), CoderError> {
    out.extend_from_slice(&(windows.len() as u32).to_be_bytes());
    windows
        .iter()
        .try_for_each(|window| kind.encode(window, out))
}

/// The elements of a chunk. After an error it ends, and [`Elements::position`] is where the malformed
/// element begins.
#[derive(Debug, Clone)]
pub struct Elements<'a> {
    codec: &'a WindowedCodec,
    chunk: &'a [u8],
    position: usize,
    rest: &'a [u8],
}

impl<'a> Elements<'a> {
    /// Where the next element begins, counted from the start of the chunk.
    pub fn position(&self) -> usize {
        self.position
    }

    #[inline]
    fn parse(&self) -> Result<Element<'a>, CoderError> {
        let mut rest = self.rest;
        let total = self.chunk.len();
        let timestamp = EventTime::decode(wire::array(&mut rest)?);
        let window_count = self.codec.window.skip_all(&mut rest)?;
        let pane = total - rest.len();
        PaneInfo::skip(&mut rest)?;
        let value = total - rest.len();
        let key_end = match &self.codec.value {
            Coder::Kv(key, of) => {
                key.skip(&mut rest)?;
                let key_end = total - rest.len();
                of.skip(&mut rest)?;
                key_end
            }
            other => {
                other.skip(&mut rest)?;
                value
            }
        };
        Ok(Element {
            timestamp,
            codec: self.codec,
            chunk: self.chunk,
            window_count,
            start: self.position,
            pane,
            value,
            key_end,
            end: total - rest.len(),
        })
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = Result<Element<'a>, CoderError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        match self.parse() {
            Ok(element) => {
                self.position = element.end;
                self.rest = &self.chunk[element.end..];
                Some(Ok(element))
            }
            Err(error) => {
                self.rest = &[];
                Some(Err(error))
            }
        }
    }
}

/// One windowed value within a chunk. Ranges count from the start of the chunk.
#[derive(Debug, Clone, Copy)]
pub struct Element<'a> {
    /// The element's timestamp.
    pub timestamp: EventTime,
    codec: &'a WindowedCodec,
    chunk: &'a [u8],
    window_count: u32,
    start: usize,
    pane: usize,
    value: usize,
    key_end: usize,
    end: usize,
}

/// Timestamp and count, which come before the windows.
const BEFORE_WINDOWS: usize = 12;

impl<'a> Element<'a> {
    /// How many windows it is in.
    pub fn window_count(&self) -> u32 {
        self.window_count
    }

    /// Its windows, parsed as they are taken.
    pub fn windows(&self) -> Windows<'a> {
        Windows::new(&self.codec.window, self.windows_bytes(), self.window_count)
    }

    /// What it holds the watermark back to: its timestamp, or the end of a window that ends before. That is not as it
    /// should be, but DoFns may move timestamps out of the window, and Python rounds those just before 1970 up.
    pub fn hold(&self) -> EventTime {
        if self.codec.window == WindowKind::Global {
            return self.timestamp;
        }
        // Windows that do not decode were an error when the element was parsed, but for those that nobody understands.
        let ends = self.windows().flatten();
        ends.map(|window| window.max_timestamp())
            .fold(self.timestamp, EventTime::min)
    }

    /// The encoded windows, without their count.
    pub fn windows_bytes(&self) -> &'a [u8] {
        &self.chunk[self.start + BEFORE_WINDOWS..self.pane]
    }

    /// Each window's own encoding, without parsing it.
    pub fn each_window_bytes(
        &self,
    ) -> impl Iterator<Item = Result<&'a [u8], CoderError>> + use<'a> {
        let kind = &self.codec.window;
        let mut rest = self.windows_bytes();
        (0..self.window_count).map(move |_| {
            let before = rest;
            kind.skip(&mut rest)?;
            Ok(&before[..before.len() - rest.len()])
        })
    }

    /// Its pane.
    pub fn pane(&self) -> Result<PaneInfo, CoderError> {
        PaneInfo::decode(&mut self.pane_bytes())
    }

    /// The encoded pane.
    pub fn pane_bytes(&self) -> &'a [u8] {
        &self.chunk[self.pane..self.value]
    }

    /// The encoded timestamp, windows and pane.
    pub fn header(&self) -> &'a [u8] {
        &self.chunk[self.start..self.value]
    }

    /// The encoded value.
    pub fn value(&self) -> &'a [u8] {
        &self.chunk[self.value..self.end]
    }

    /// The encoded key, if the value coder is `KV`; empty otherwise.
    pub fn key(&self) -> &'a [u8] {
        &self.chunk[self.value..self.key_end]
    }

    /// The encoded value of the pair, if the value coder is `KV`; the whole value otherwise.
    pub fn value_of_key(&self) -> &'a [u8] {
        &self.chunk[self.key_end..self.end]
    }

    /// Header and value.
    pub fn bytes(&self) -> &'a [u8] {
        &self.chunk[self.start..self.end]
    }

    /// Where header and value are.
    pub fn range(&self) -> Range<usize> {
        self.start..self.end
    }

    /// Where the value is.
    pub fn value_range(&self) -> Range<usize> {
        self.value..self.end
    }

    /// Where the windows are, without their count.
    pub fn windows_range(&self) -> Range<usize> {
        self.start + BEFORE_WINDOWS..self.pane
    }
}
