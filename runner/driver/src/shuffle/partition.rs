//! Parts of a grouping's input that fit a processor's cache: looking up the groups of ten million
//! elements in one table costs a cache miss or two for each, copying them apart first does not.

use std::sync::Arc;

use bytes::Bytes;

use super::GroupSpec;
use crate::data::{Blocks, DataError, DataStore, DataWriter, hash};

/// About what the second-level cache of a core holds, with the table's own memory.
const PART_BYTES: u64 = 1 << 20;
/// Copying to more places at once misses the cache itself.
const MAX_PARTS: u64 = 256;
/// Elements are handed to the store in chunks of this size.
const CHUNK_BYTES: usize = 64 << 10;

/// How many parts an input of this size is cut into.
pub(super) fn parts(input_bytes: u64) -> usize {
    let parts = input_bytes.div_ceil(PART_BYTES).next_power_of_two();
    usize::try_from(parts.clamp(1, MAX_PARTS)).unwrap_or(1)
}

/// One part in the making: all elements of the keys that belong to it, in the order in which they came.
struct Part {
    /// The first of them, in the grouping's own share of memory.
    held: Vec<Bytes>,
    rest: DataWriter,
    buffer: Vec<u8>,
}

/// A part's chunks.
pub(super) struct Chunks {
    held: std::vec::IntoIter<Bytes>,
    rest: Blocks,
}

impl Iterator for Chunks {
    type Item = Result<Bytes, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.held.next().map(Ok).or_else(|| self.rest.next())
    }
}

/// Cuts the input by key. What is more than a grouping may hold goes to disk.
pub(super) fn partition(
    spec: &GroupSpec,
    store: &Arc<DataStore>,
    parts: usize,
    input: impl IntoIterator<Item = Result<Bytes, DataError>>,
) -> Result<Vec<Chunks>, DataError> {
    debug_assert!(parts.is_power_of_two());
    let part = || Part {
        held: Vec::new(),
        rest: store.writer(),
        buffer: Vec::new(),
    };
    let mut to: Vec<Part> = std::iter::repeat_with(part).take(parts).collect();
    let mut held = 0;
    let mut offset = 0;
    for chunk in input {
        let chunk = chunk?;
        let mut elements = spec.codec.iter(&chunk);
        loop {
            let position = elements.position() as u64;
            let Some(element) = elements.next() else {
                break;
            };
            let element = element.map_err(spec.malformed(offset + position))?;
            // Neither the bits that make key groups nor those that a table looks up by.
            let number = (hash::stable_hash(element.key()) >> 8) as usize & (parts - 1);
            let part = &mut to[number];
            if part.buffer.len() + element.bytes().len() > CHUNK_BYTES {
                held += part.close(held > spec.memory_bytes)?;
            }
            if part.buffer.capacity() == 0 {
                part.buffer.reserve(CHUNK_BYTES.max(element.bytes().len()));
            }
            part.buffer.extend_from_slice(element.bytes());
        }
        offset += chunk.len() as u64;
    }
    to.into_iter()
        .map(|mut part| {
            held += part.close(held > spec.memory_bytes)?;
            Ok(Chunks {
                held: part.held.into_iter(),
                rest: part.rest.into_blocks(),
            })
        })
        .collect()
}

impl Part {
    /// Keeps what is buffered; gives the memory that it takes. Once a part has something on disk, all that follows goes there.
    fn close(&mut self, to_disk: bool) -> Result<usize, DataError> {
        let chunk = Bytes::from(std::mem::take(&mut self.buffer));
        let bytes = chunk.len();
        if bytes == 0 {
            return Ok(0);
        }
        if to_disk || self.rest.chunks() > 0 {
            self.rest.push_to_disk(chunk)?;
            return Ok(0);
        }
        self.held.push(chunk);
        Ok(bytes)
    }
}
