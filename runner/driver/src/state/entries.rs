//! A multimap's entry as one value: the map key, then its values as an iterable.

use bytes::Bytes;
use dataflume_model::coder::{Coder, CoderError};

/// `KV<map key, Iterable<value>>`, with the number of values in front of them.
pub(super) fn encode(map_key: &[u8], chunks: &[Bytes], value: &Coder) -> Result<Bytes, CoderError> {
    let mut count: u32 = 0;
    for chunk in chunks {
        let mut rest = &chunk[..];
        while !rest.is_empty() {
            value.skip(&mut rest)?;
            count += 1;
        }
    }
    let values = chunks.iter().map(Bytes::len).sum::<usize>();
    let mut entry = Vec::with_capacity(map_key.len() + size_of::<u32>() + values);
    entry.extend_from_slice(map_key);
    entry.extend_from_slice(&count.to_be_bytes());
    for chunk in chunks {
        entry.extend_from_slice(chunk);
    }
    Ok(entry.into())
}
