//! The store with the bundle's own changes over it.

use std::collections::btree_map;
use std::iter::{Peekable, TakeWhile};
use std::ops::{Bound, ControlFlow};

use bytes::Bytes;

use crate::store::{Store, StoreError, WriteBatch};

/// Reads what the store will hold once the batch is committed.
pub(super) struct View<'a> {
    store: &'a dyn Store,
    batch: WriteBatch,
}

impl<'a> View<'a> {
    pub(super) fn new(store: &'a dyn Store) -> Self {
        Self {
            store,
            batch: WriteBatch::default(),
        }
    }

    pub(super) fn into_batch(self) -> WriteBatch {
        self.batch
    }

    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        match self.batch.writes.get(key) {
            Some(written) => Ok(written.clone()),
            None => self.store.get(key),
        }
    }

    pub(super) fn put(&mut self, key: impl Into<Bytes>, value: impl Into<Bytes>) {
        self.batch.put(key, value);
    }

    pub(super) fn remove(&mut self, key: impl Into<Bytes>) {
        self.batch.remove(key);
    }

    /// Visits what starts with the prefix, in key order, until told to stop.
    pub(super) fn scan(
        &self,
        prefix: &[u8],
        mut visit: impl FnMut(&[u8], &Bytes) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let from = (Bound::Included(prefix), Bound::Unbounded);
        let written = self.batch.writes.range::<[u8], _>(from);
        let mut written = written
            .take_while(|(key, _)| key.starts_with(prefix))
            .peekable();
        let mut flow = ControlFlow::Continue(());
        self.store.scan(prefix, prefix, &mut |key, value| {
            flow = merge(&mut written, key, value, &mut visit);
            flow
        })?;
        if flow.is_continue() {
            for (key, value) in written {
                let Some(value) = value else { continue };
                if visit(key, value).is_break() {
                    break;
                }
            }
        }
        Ok(())
    }

    /// The first key that starts with the prefix.
    pub(super) fn first(&self, prefix: &[u8]) -> Result<Option<Bytes>, StoreError> {
        let mut first = None;
        self.scan(prefix, |key, _| {
            first = Some(Bytes::copy_from_slice(key));
            ControlFlow::Break(())
        })?;
        Ok(first)
    }

    /// Removes all that starts with the prefix.
    pub(super) fn remove_all(&mut self, prefix: &[u8]) -> Result<(), StoreError> {
        let mut keys = Vec::new();
        self.scan(prefix, |key, _| {
            keys.push(Bytes::copy_from_slice(key));
            ControlFlow::Continue(())
        })?;
        for key in keys {
            self.remove(key);
        }
        Ok(())
    }
}

type Entries<'a> = btree_map::Range<'a, Bytes, Option<Bytes>>;

/// Visits the written entries up to a stored one, then that one unless it was written over.
fn merge<'a, P: FnMut(&(&'a Bytes, &'a Option<Bytes>)) -> bool>(
    written: &mut Peekable<TakeWhile<Entries<'a>, P>>,
    key: &[u8],
    value: &Bytes,
    visit: &mut impl FnMut(&[u8], &Bytes) -> ControlFlow<()>,
) -> ControlFlow<()> {
    while let Some((key, value)) = written.next_if(|(other, _)| other[..] < *key) {
        if let Some(value) = value {
            visit(key, value)?;
        }
    }
    match written.next_if(|(other, _)| other[..] == *key) {
        Some((_, Some(value))) => visit(key, value),
        Some((_, None)) => ControlFlow::Continue(()),
        None => visit(key, value),
    }
}
