//! A row of chunks: a bag, or the values of one key of a multimap.

use std::ops::ControlFlow;

use bytes::Bytes;
use dataflume_engine::store::{Store, StoreError, WriteBatch};
use dataflume_model::ids::BundleId;

use super::StateError;
use super::keys::{SEQUENCE_BYTES, Sequence};
use super::page::{Page, Position, Read};

/// Small appends of a bundle are stored together up to this size.
const CHUNK_BYTES: usize = 256 << 10;

/// What a bundle did to a row of chunks.
#[derive(Debug, Default)]
pub(super) struct Chunks {
    /// What the store has does not count any more.
    pub(super) cleared: bool,
    generation: u32,
    added: Vec<Bytes>,
}

const STORED: u8 = 0;
const ADDED: u8 = 1;

impl Chunks {
    /// Part of something that was cleared so often as a whole.
    pub(super) fn cleared_times(generation: u32) -> Self {
        Self {
            cleared: generation > 0,
            generation,
            added: Vec::new(),
        }
    }

    /// Adds values, also if they are encoded in no bytes at all.
    pub(super) fn append(&mut self, data: Bytes) {
        self.added.push(data);
    }

    pub(super) fn clear(&mut self) {
        self.cleared = true;
        self.generation += 1;
        self.added.clear();
    }

    pub(super) fn has_added(&self) -> bool {
        !self.added.is_empty()
    }

    pub(super) fn read(
        &self,
        store: &dyn Store,
        prefix: &[u8],
        token: &Bytes,
    ) -> Result<Read, StateError> {
        let mut page = Page::default();
        let position = Position::decode(token, self.generation)?;
        let (phase, at) = match &position {
            None => (STORED, &[][..]),
            Some(position) => {
                let (phase, at) = position
                    .at
                    .split_first()
                    .ok_or(StateError::Token("is not one of ours"))?;
                (*phase, at)
            }
        };
        if phase == STORED
            && let Some(next) = self.read_stored(store, prefix, at, &mut page)?
        {
            return Ok(self.go_on(page, STORED, &next));
        }
        let from = match phase {
            STORED => 0,
            _ => at
                .try_into()
                .map(u32::from_be_bytes)
                .map_err(|_| StateError::Token("is not one of ours"))?,
        };
        for (index, chunk) in self.added.iter().enumerate().skip(from as usize) {
            if !page.add(chunk) {
                return Ok(self.go_on(page, ADDED, &(index as u32).to_be_bytes()));
            }
        }
        Ok(Read {
            data: page.finish(),
            next: None,
        })
    }

    /// Adds stored chunks to the page; gives the sequence of the first that found no room.
    fn read_stored(
        &self,
        store: &dyn Store,
        prefix: &[u8],
        at: &[u8],
        page: &mut Page,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let mut next = None;
        if !self.cleared {
            let from = [prefix, at].concat();
            store.scan(prefix, &from, &mut |key, chunk| {
                if page.add(chunk) {
                    return ControlFlow::Continue(());
                }
                next = Some(key[prefix.len()..].to_vec());
                ControlFlow::Break(())
            })?;
        }
        Ok(next)
    }

    fn go_on(&self, page: Page, phase: u8, at: &[u8]) -> Read {
        let at = [&[phase], at].concat().into();
        let next = Position {
            generation: self.generation,
            at,
        };
        Read {
            data: page.finish(),
            next: Some(next),
        }
    }

    /// Every chunk, in order.
    pub(super) fn all(&self, store: &dyn Store, prefix: &[u8]) -> Result<Vec<Bytes>, StoreError> {
        let mut chunks = Vec::new();
        if !self.cleared {
            store.scan(prefix, prefix, &mut |_, chunk| {
                chunks.push(chunk.clone());
                ControlFlow::Continue(())
            })?;
        }
        chunks.extend(self.added.iter().cloned());
        Ok(chunks)
    }

    /// Stages what was done.
    pub(super) fn write(
        &self,
        store: &dyn Store,
        prefix: &[u8],
        bundle: BundleId,
        batch: &mut WriteBatch,
    ) -> Result<(), StoreError> {
        if self.cleared {
            remove_all(store, prefix, batch)?;
        }
        for (index, chunk) in self.coalesced().into_iter().enumerate() {
            let sequence = if self.cleared {
                Sequence::anew(index)
            } else {
                Sequence::of(bundle, index)
            };
            let mut key = Vec::with_capacity(prefix.len() + SEQUENCE_BYTES);
            key.extend_from_slice(prefix);
            key.extend_from_slice(&sequence.encode());
            batch.put(key, chunk);
        }
        Ok(())
    }

    /// The chunks to store: many small appends become one.
    fn coalesced(&self) -> Vec<Bytes> {
        let mut chunks: Vec<Bytes> = Vec::new();
        let mut open: Vec<u8> = Vec::new();
        for data in &self.added {
            if self.added.len() == 1 || data.len() >= CHUNK_BYTES {
                if !open.is_empty() {
                    chunks.push(std::mem::take(&mut open).into());
                }
                chunks.push(data.clone());
                continue;
            }
            if open.len() + data.len() > CHUNK_BYTES {
                chunks.push(std::mem::take(&mut open).into());
            }
            open.extend_from_slice(data);
        }
        // Values without bytes leave a chunk, too: their key of a multimap exists.
        if !open.is_empty() || (chunks.is_empty() && !self.added.is_empty()) {
            chunks.push(open.into());
        }
        chunks
    }
}

/// Removes every entry under a prefix.
pub(super) fn remove_all(
    store: &dyn Store,
    prefix: &[u8],
    batch: &mut WriteBatch,
) -> Result<(), StoreError> {
    store.scan(prefix, prefix, &mut |key, _| {
        batch.remove(key.to_vec());
        ControlFlow::Continue(())
    })
}
