//! Panes on their way out: chunks of windowed `KV<K, Iterable<V>>`.

use bytes::Bytes;

use super::GroupingError;

/// A chunk is closed when it has grown to this size.
const CHUNK_BYTES: usize = 1 << 20;

#[derive(Debug, Default)]
pub(super) struct Output {
    chunks: Vec<Bytes>,
    buffer: Vec<u8>,
    pub(super) elements: u64,
}

impl Output {
    /// Appends a pane that `write` encodes up to the iterable's count; `values` appends the values
    /// and gives that count.
    pub(super) fn push(
        &mut self,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), GroupingError>,
        values: impl FnOnce(&mut Vec<u8>) -> Result<u64, GroupingError>,
    ) -> Result<(), GroupingError> {
        write(&mut self.buffer)?;
        let count_at = self.buffer.len();
        self.buffer.extend_from_slice(&[0; 4]);
        let values = values(&mut self.buffer)?;
        let count = i32::try_from(values).map_err(|_| GroupingError::PaneTooLarge { values })?;
        self.buffer[count_at..count_at + 4].copy_from_slice(&count.to_be_bytes());
        self.elements += 1;
        if self.buffer.len() >= CHUNK_BYTES {
            self.chunks.push(std::mem::take(&mut self.buffer).into());
        }
        Ok(())
    }

    pub(super) fn into_chunks(mut self) -> Vec<Bytes> {
        if !self.buffer.is_empty() {
            self.chunks.push(self.buffer.into());
        }
        self.chunks
    }
}
