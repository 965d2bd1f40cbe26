//! Sorted runs: groups by key hash, key and window, in blocks that are read one at a time.

use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use dataflume_model::time::EventTime;

use super::GroupSpec;
use super::emit::Pane;
use super::table::{Grouped, Table};
use crate::data::{Blocks, DataError, DataStore, DataWriter};

/// A block is closed when it has grown to this size.
pub(super) const BLOCK_BYTES: usize = 256 << 10;
/// The fixed part of a record.
const HEAD_BYTES: usize = 8 + 4 * 4 + 8 * 4;

/// A written run, read record by record.
pub(super) struct Run {
    blocks: Blocks,
    block: Bytes,
}

/// A part of a group: as much of its values as one block holds. The parts of a group follow each other.
#[derive(Debug, Clone)]
pub(super) struct Record {
    pub(super) key_hash: u64,
    pub(super) key: Bytes,
    pub(super) window: Bytes,
    /// Of the whole group, in this run.
    pub(super) pane: Pane,
    pub(super) is_first_part: bool,
    pub(super) values: Bytes,
    pub(super) count: u64,
}

impl Run {
    /// Writes a table to disk.
    pub(super) fn spill(
        spec: &GroupSpec,
        store: &Arc<DataStore>,
        table: Table,
    ) -> Result<Self, DataError> {
        Self::write(spec, store, &table, DataWriter::push_to_disk)
    }

    /// Writes a table to memory, or where the store has room.
    pub(super) fn keep(
        spec: &GroupSpec,
        store: &Arc<DataStore>,
        table: Table,
    ) -> Result<Self, DataError> {
        Self::write(spec, store, &table, DataWriter::push)
    }

    fn write(
        spec: &GroupSpec,
        store: &Arc<DataStore>,
        table: &Table,
        push: fn(&mut DataWriter, Bytes) -> Result<(), DataError>,
    ) -> Result<Self, DataError> {
        let mut writer = Writer {
            spec,
            data: store.writer(),
            block: BytesMut::with_capacity(BLOCK_BYTES),
            push,
        };
        for group in table.sorted() {
            writer.group(&group)?;
        }
        writer.close_block()?;
        Ok(Self {
            blocks: writer.data.into_blocks(),
            block: Bytes::new(),
        })
    }

    /// The next record; none at the end.
    pub(super) fn next(&mut self) -> Result<Option<Record>, DataError> {
        if self.block.is_empty() {
            let Some(block) = self.blocks.next() else {
                return Ok(None);
            };
            self.block = block?;
        }
        Ok(Some(Record::take(&mut self.block)))
    }
}

struct Writer<'a> {
    spec: &'a GroupSpec,
    data: DataWriter,
    block: BytesMut,
    push: fn(&mut DataWriter, Bytes) -> Result<(), DataError>,
}

impl Writer<'_> {
    fn group(&mut self, group: &Grouped<'_>) -> Result<(), DataError> {
        let mut head = self.begin(group, true);
        let (mut length, mut count) = (0, 0);
        for value in group.values() {
            if length > 0 && self.block.len() + value.len() > BLOCK_BYTES {
                self.end(head, length, count)?;
                self.close_block()?;
                head = self.begin(group, false);
                (length, count) = (0, 0);
            }
            self.block.put_slice(value);
            length += value.len();
            count += 1;
        }
        self.end(head, length, count)?;
        if self.block.len() >= BLOCK_BYTES {
            self.close_block()?;
        }
        Ok(())
    }

    /// Writes a record's head; gives where the values' length belongs.
    fn begin(&mut self, group: &Grouped<'_>, is_first_part: bool) -> usize {
        let block = &mut self.block;
        let pane = group.pane();
        block.put_u64(group.key_hash());
        block.put_u32(group.key().len() as u32);
        block.put_u32(group.window().len() as u32 | u32::from(is_first_part) << 31);
        block.put_i64(pane.earliest.0);
        block.put_i64(pane.latest.0);
        block.put_u64(pane.count);
        block.put_u64(pane.bytes);
        let at = block.len();
        block.put_u64(0);
        block.put_slice(group.key());
        block.put_slice(group.window());
        at
    }

    fn end(&mut self, head: usize, length: usize, count: u32) -> Result<(), DataError> {
        let length = u32::try_from(length).map_err(|_| self.spec.too_long(0))?;
        self.block[head..head + 4].copy_from_slice(&length.to_be_bytes());
        self.block[head + 4..head + 8].copy_from_slice(&count.to_be_bytes());
        Ok(())
    }

    fn close_block(&mut self) -> Result<(), DataError> {
        if self.block.is_empty() {
            return Ok(());
        }
        let block = std::mem::replace(&mut self.block, BytesMut::with_capacity(BLOCK_BYTES));
        (self.push)(&mut self.data, block.freeze())
    }
}

impl Record {
    /// Takes a record off the front of a block. Blocks are our own: on disk they have checksums.
    fn take(block: &mut Bytes) -> Self {
        const IS_FIRST: u32 = 1 << 31;
        debug_assert!(block.len() >= HEAD_BYTES);
        let key_hash = block.get_u64();
        let key = block.get_u32() as usize;
        let window = block.get_u32();
        let pane = Pane {
            earliest: EventTime(block.get_i64()),
            latest: EventTime(block.get_i64()),
            count: block.get_u64(),
            bytes: block.get_u64(),
        };
        let values = block.get_u32() as usize;
        let count = u64::from(block.get_u32());
        Self {
            key_hash,
            key: block.split_to(key),
            window: block.split_to((window & !IS_FIRST) as usize),
            pane,
            is_first_part: window & IS_FIRST != 0,
            values: block.split_to(values),
            count,
        }
    }
}
