//! Writing groups as elements.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use dataflume_engine::DataId;
use dataflume_model::pane::PaneInfo;
use dataflume_model::time::EventTime;
use dataflume_model::window::OutputTime;
use dataflume_model::wire;

use super::{GroupError, GroupSpec};
use crate::data::{DataError, DataStore, DataWriter};

/// Output is handed on in chunks of about this size.
const CHUNK_BYTES: usize = 256 << 10;
/// About what is in front of a group's values: the element's header, the key, the number of values.
const HEAD_BYTES: usize = 32;
/// Values that are not counted in front travel in pages of about this size.
const PAGE_BYTES: usize = 1 << 20;

/// What is known of a group's values before the first is written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pane {
    pub(super) earliest: EventTime,
    pub(super) latest: EventTime,
    pub(super) count: u64,
    pub(super) bytes: u64,
}

impl Default for Pane {
    fn default() -> Self {
        Self {
            earliest: EventTime::MAX,
            latest: EventTime::MIN,
            count: 0,
            bytes: 0,
        }
    }
}

impl Pane {
    pub(super) fn add(&mut self, timestamp: EventTime, bytes: u64) {
        self.earliest = self.earliest.min(timestamp);
        self.latest = self.latest.max(timestamp);
        self.count += 1;
        self.bytes += bytes;
    }

    pub(super) fn join(&mut self, other: &Self) {
        self.earliest = self.earliest.min(other.earliest);
        self.latest = self.latest.max(other.latest);
        self.count += other.count;
        self.bytes += other.bytes;
    }
}

/// Writes groups one after the other: [`begin`](Self::begin), [`values`](Self::values),
/// [`end`](Self::end).
pub(super) struct Emitter<'a> {
    spec: &'a GroupSpec,
    store: &'a Arc<DataStore>,
    emit: &'a mut dyn FnMut(Bytes) -> Result<(), DataError>,
    out: BytesMut,
    header: Vec<u8>,
    pages: Option<Pages>,
    rests: Vec<DataId>,
}

/// A group whose values are too many to be counted in front, or to travel with it.
struct Pages {
    page: BytesMut,
    count: u64,
    /// Bytes that still travel with the group.
    inline_left: u64,
    rest: Option<DataWriter>,
}

impl<'a> Emitter<'a> {
    pub(super) fn new(
        spec: &'a GroupSpec,
        store: &'a Arc<DataStore>,
        emit: &'a mut dyn FnMut(Bytes) -> Result<(), DataError>,
    ) -> Self {
        Self {
            spec,
            store,
            emit,
            out: BytesMut::new(),
            header: Vec::new(),
            pages: None,
            rests: Vec::new(),
        }
    }

    /// Makes room for the first groups to come, so many with so many bytes of values, as far as they are handed on together.
    pub(super) fn expect(&mut self, bytes: u64, groups: usize) {
        if self.out.capacity() > 0 {
            return;
        }
        let bytes = usize::try_from(bytes).unwrap_or(CHUNK_BYTES);
        let in_all = bytes.saturating_add(groups.saturating_mul(HEAD_BYTES));
        self.out.reserve(in_all.min(CHUNK_BYTES + CHUNK_BYTES / 16));
    }

    /// Begins a group.
    pub(super) fn begin(
        &mut self,
        key: &[u8],
        window: &[u8],
        pane: &Pane,
    ) -> Result<(), GroupError> {
        let codec = &self.spec.codec;
        let window = codec
            .window
            .decode(&mut &*window)
            .map_err(|source| self.spec.window(source))?;
        let timestamp = match self.spec.windowing.output_time {
            OutputTime::EndOfWindow => window.max_timestamp(),
            OutputTime::EarliestInPane => pane.earliest,
            OutputTime::LatestInPane => pane.latest,
        };
        self.header.clear();
        codec
            .encode_header(
                timestamp,
                &[window],
                &PaneInfo::ON_TIME_AND_ONLY,
                &mut self.header,
            )
            .map_err(|source| self.spec.window(source))?;
        self.out.put_slice(&self.header);
        self.out.put_slice(key);
        let asked_for = self.spec.state_backed && pane.bytes > self.spec.inline_bytes as u64;
        match i32::try_from(pane.count) {
            Ok(count) if !asked_for => self.out.put_i32(count),
            _ => {
                self.out.put_i32(-1);
                self.pages = Some(Pages {
                    page: BytesMut::new(),
                    count: 0,
                    inline_left: if asked_for {
                        self.spec.inline_bytes as u64
                    } else {
                        u64::MAX
                    },
                    rest: None,
                });
            }
        }
        Ok(())
    }

    /// Adds whole values of the group begun.
    pub(super) fn values(&mut self, bytes: &[u8], count: u64) -> Result<(), DataError> {
        let Some(pages) = &mut self.pages else {
            self.out.put_slice(bytes);
            return Ok(());
        };
        if !pages.page.is_empty() && pages.page.len() + bytes.len() > PAGE_BYTES {
            pages.turn(self.store, &mut self.out)?;
        }
        pages.page.put_slice(bytes);
        pages.count += count;
        Ok(())
    }

    /// Ends the group begun.
    pub(super) fn end(&mut self) -> Result<(), DataError> {
        if let Some(mut pages) = self.pages.take() {
            pages.turn(self.store, &mut self.out)?;
            let mut end = Vec::new();
            match pages.rest {
                None => wire::put_varint(0, &mut end),
                Some(rest) => {
                    let id = self.store.insert(rest);
                    self.rests.push(id);
                    let token = id.0.to_be_bytes();
                    // Minus one, in two's complement: the rest is where the token says.
                    wire::put_varint(u64::MAX, &mut end);
                    wire::put_varint(token.len() as u64, &mut end);
                    end.extend_from_slice(&token);
                }
            }
            self.out.put_slice(&end);
        }
        if self.out.len() >= CHUNK_BYTES {
            self.hand_on()?;
            self.out.reserve(CHUNK_BYTES + CHUNK_BYTES / 16);
        }
        Ok(())
    }

    /// What is handed on may stay in memory for long: without much spare room.
    fn hand_on(&mut self) -> Result<(), DataError> {
        let out = std::mem::take(&mut self.out);
        let spare = out.capacity() - out.len();
        (self.emit)(match spare > out.len() / 8 {
            true => Bytes::copy_from_slice(&out),
            false => out.freeze(),
        })
    }

    /// Hands on what is left; gives the ids of what did not travel with its group.
    pub(super) fn finish(mut self) -> Result<Vec<DataId>, DataError> {
        if !self.out.is_empty() {
            self.hand_on()?;
        }
        Ok(std::mem::take(&mut self.rests))
    }
}

/// What nobody was told of is data that nobody can release.
impl Drop for Emitter<'_> {
    fn drop(&mut self) {
        self.store.release(std::mem::take(&mut self.rests));
    }
}

impl Pages {
    /// The page is full, or the last: it travels with the group, or goes to the store.
    fn turn(&mut self, store: &Arc<DataStore>, out: &mut BytesMut) -> Result<(), DataError> {
        let page = self.page.split().freeze();
        let count = std::mem::take(&mut self.count);
        if count == 0 {
            return Ok(());
        }
        if self.inline_left > 0 && self.rest.is_none() {
            self.inline_left = self.inline_left.saturating_sub(page.len() as u64);
            let mut head = Vec::new();
            wire::put_varint(count, &mut head);
            out.put_slice(&head);
            out.put_slice(&page);
            return Ok(());
        }
        // A copy without the page's spare room: it may stay in memory for long.
        let page = Bytes::copy_from_slice(&page);
        self.rest.get_or_insert_with(|| store.writer()).push(page)
    }
}
