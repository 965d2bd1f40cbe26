//! Handles in the making.

use std::sync::Arc;

use bytes::Bytes;
use dataflume_engine::DataHandle;
use dataflume_model::ids::KeyGroup;
use dataflume_model::time::EventTime;
use smallvec::SmallVec;

use crate::data::error::DataError;
use crate::data::store::{DataStore, DataWriter};

/// Copied elements are handed to the store in chunks of about this size.
const CHUNK_BYTES: usize = 64 << 10;

/// Room made for the first of them.
const FIRST_CHUNK_BYTES: usize = 2 << 10;

/// When to close a handle.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) max_elements: u64,
    pub(super) target_bytes: u64,
    /// What it is for waits until all is there.
    pub(super) waits: bool,
}

/// Makes handles, one after the other, of elements that may share one.
#[derive(Debug)]
pub(super) struct HandleBuilder {
    store: Arc<DataStore>,
    limits: Limits,
    key_group: Option<KeyGroup>,
    side_inputs_ready_at: SmallVec<[EventTime; 2]>,
    writer: Option<DataWriter>,
    /// Elements that were copied and not yet handed to the store.
    buffer: Vec<u8>,
    elements: u64,
    bytes: u64,
    min_timestamp: EventTime,
    done: Vec<DataHandle>,
}

impl HandleBuilder {
    pub(super) fn new(
        store: Arc<DataStore>,
        limits: Limits,
        key_group: Option<KeyGroup>,
        side_inputs_ready_at: SmallVec<[EventTime; 2]>,
    ) -> Self {
        Self {
            store,
            limits,
            key_group,
            side_inputs_ready_at,
            writer: None,
            buffer: Vec::new(),
            elements: 0,
            bytes: 0,
            min_timestamp: EventTime::MAX,
            done: Vec::new(),
        }
    }

    /// Adds a slice of whole elements without copying it.
    pub(super) fn share(
        &mut self,
        slice: Bytes,
        elements: u64,
        min_timestamp: EventTime,
    ) -> Result<(), DataError> {
        self.flush()?;
        let bytes = slice.len() as u64;
        self.writer().push(slice)?;
        self.count(elements, bytes, min_timestamp);
        self.close_if_full()
    }

    /// Adds an element, given in parts, by copying it.
    #[inline]
    pub(super) fn copy(&mut self, parts: &[&[u8]], timestamp: EventTime) -> Result<(), DataError> {
        let bytes: usize = parts.iter().map(|part| part.len()).sum();
        let before = self.buffer.len();
        if before > 0 && before + bytes > CHUNK_BYTES {
            self.flush()?;
        }
        if self.buffer.capacity() == 0 {
            // The first of a builder may stay the only one.
            let full = if self.writer.is_some() {
                CHUNK_BYTES
            } else {
                FIRST_CHUNK_BYTES
            };
            self.buffer.reserve(full.max(bytes));
        }
        for part in parts {
            self.buffer.extend_from_slice(part);
        }
        self.count(1, bytes as u64, timestamp);
        self.close_if_full()
    }

    /// Hands what is buffered to the store.
    pub(super) fn flush(&mut self) -> Result<(), DataError> {
        if !self.buffer.is_empty() {
            let mut buffer = std::mem::take(&mut self.buffer);
            if buffer.len() < buffer.capacity() - buffer.capacity() / 8 {
                buffer.shrink_to_fit();
            }
            self.writer().push(buffer.into())?;
        }
        Ok(())
    }

    pub(super) fn finish(mut self) -> Result<Vec<DataHandle>, DataError> {
        self.close()?;
        Ok(std::mem::take(&mut self.done))
    }

    fn writer(&mut self) -> &mut DataWriter {
        let Self {
            writer,
            store,
            limits,
            ..
        } = self;
        writer.get_or_insert_with(|| match limits.waits {
            true => store.waiting_writer(),
            false => store.writer(),
        })
    }

    #[inline]
    fn count(&mut self, elements: u64, bytes: u64, min_timestamp: EventTime) {
        self.elements += elements;
        self.bytes += bytes;
        self.min_timestamp = self.min_timestamp.min(min_timestamp);
    }

    fn is_full(&self) -> bool {
        self.elements >= self.limits.max_elements || self.bytes >= self.limits.target_bytes
    }

    fn close_if_full(&mut self) -> Result<(), DataError> {
        if self.is_full() { self.close() } else { Ok(()) }
    }

    fn close(&mut self) -> Result<(), DataError> {
        self.flush()?;
        if let Some(writer) = self.writer.take() {
            self.done.push(DataHandle {
                id: self.store.insert(writer),
                elements: self.elements,
                bytes: self.bytes,
                min_timestamp: self.min_timestamp,
                key_group: self.key_group,
                side_inputs_ready_at: self.side_inputs_ready_at.clone(),
            });
        }
        self.elements = 0;
        self.bytes = 0;
        self.min_timestamp = EventTime::MAX;
        Ok(())
    }
}

/// Handles that nobody took are data that nobody can release.
impl Drop for HandleBuilder {
    fn drop(&mut self) {
        if !self.done.is_empty() {
            self.store.release(self.done.iter().map(|handle| handle.id));
        }
    }
}
