//! A key's values while it is not known yet which of its windows become one: in memory, or, if they are too many, on disk.

use bytes::{Bytes, BytesMut};

use super::run::BLOCK_BYTES;
use crate::data::{Blocks, DataError, DataStore, DataWriter};

/// Some values of one window.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part {
    /// The window's number.
    pub(super) window: u32,
    /// How many values these are.
    pub(super) count: u64,
    bytes: usize,
}

/// Values in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    parts: Vec<Part>,
    /// Of all parts.
    bytes: usize,
    /// What belongs to the parts, if nothing of it is on disk.
    held: Vec<Bytes>,
    disk: Option<Disk>,
}

#[derive(Debug)]
struct Disk {
    data: DataWriter,
    /// What is not written yet. A block has only whole parts.
    block: BytesMut,
}

impl Waiting {
    /// Adds values. Beyond `memory_bytes`, all of them go to disk.
    pub(super) fn push(
        &mut self,
        store: &DataStore,
        memory_bytes: usize,
        window: u32,
        values: Bytes,
        count: u64,
    ) -> Result<(), DataError> {
        self.parts.push(Part {
            window,
            count,
            bytes: values.len(),
        });
        self.bytes += values.len();
        if let Some(disk) = &mut self.disk {
            return disk.push(&values);
        }
        self.held.push(values);
        if self.bytes > memory_bytes {
            let mut disk = Disk {
                data: store.writer(),
                block: BytesMut::with_capacity(BLOCK_BYTES),
            };
            for values in std::mem::take(&mut self.held) {
                disk.push(&values)?;
            }
            self.disk = Some(disk);
        }
        Ok(())
    }

    /// How many bytes of values there are.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The parts, to be read in the order in which they came.
    pub(super) fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// The values of each part, one after the other.
    pub(super) fn read(self) -> Result<Values, DataError> {
        let Some(mut disk) = self.disk else {
            return Ok(Values::Held(self.held.into_iter()));
        };
        disk.close_block()?;
        Ok(Values::Spilled {
            parts: self.parts.into_iter(),
            blocks: disk.data.into_blocks(),
            block: Bytes::new(),
        })
    }
}

impl Disk {
    fn push(&mut self, values: &[u8]) -> Result<(), DataError> {
        if self.block.len() + values.len() > BLOCK_BYTES {
            self.close_block()?;
        }
        self.block.extend_from_slice(values);
        Ok(())
    }

    fn close_block(&mut self) -> Result<(), DataError> {
        if self.block.is_empty() {
            return Ok(());
        }
        let block = std::mem::replace(&mut self.block, BytesMut::with_capacity(BLOCK_BYTES));
        self.data.push_to_disk(block.freeze())
    }
}

/// The values of a key's parts.
#[derive(Debug)]
pub(super) enum Values {
    Held(std::vec::IntoIter<Bytes>),
    Spilled {
        parts: std::vec::IntoIter<Part>,
        blocks: Blocks,
        block: Bytes,
    },
}

impl Iterator for Values {
    type Item = Result<Bytes, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::Held(held) => held.next().map(Ok),
            Self::Spilled {
                parts,
                blocks,
                block,
            } => {
                let bytes = parts.next()?.bytes;
                if block.is_empty() && bytes > 0 {
                    match blocks.next()? {
                        Ok(next) => *block = next,
                        Err(error) => return Some(Err(error)),
                    }
                }
                Some(Ok(block.split_to(bytes)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::DataOptions;

    #[test]
    fn values_come_back_as_they_came_from_memory_and_from_disk() {
        let folder = tempfile::tempdir().unwrap();
        let store = DataStore::open(DataOptions::new(folder.path())).unwrap();
        // Some are empty, and some larger than a block.
        let sizes = [0, 10, 0, BLOCK_BYTES + 1, 1, BLOCK_BYTES - 1, 0, 2];
        for memory_bytes in [usize::MAX, 100, 0] {
            let mut waiting = Waiting::default();
            let mut came = Vec::new();
            for (window, size) in (0_u32..).zip(sizes) {
                let values = Bytes::from(vec![window as u8; size]);
                waiting
                    .push(&store, memory_bytes, window, values.clone(), 1)
                    .unwrap();
                came.push(values);
            }
            assert_eq!(waiting.bytes(), sizes.iter().sum::<usize>());
            let windows = waiting.parts().iter().map(|part| part.window);
            assert!(windows.eq(0..sizes.len() as u32));
            let read: Vec<Bytes> = waiting.read().unwrap().map(Result::unwrap).collect();
            assert_eq!(read, came);
            let on_disk = store.stats().total_spilled_bytes > 0;
            assert_eq!(on_disk, memory_bytes < usize::MAX);
        }
    }
}
