//! Multimaps: map and set state are made of them.

use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};

use bytes::Bytes;
use dataflume_engine::store::{Store, StoreError, WriteBatch};
use dataflume_model::ids::BundleId;

use super::StateError;
use super::chunks::{Chunks, remove_all};
use super::keys;
use super::page::{Page, Position, Read};

/// What a bundle did to a multimap.
#[derive(Debug, Default)]
pub(super) struct Multimap {
    cleared: bool,
    generation: u32,
    keys: BTreeMap<Bytes, Chunks>,
}

impl Multimap {
    pub(super) fn append(&mut self, map_key: &Bytes, data: Bytes) {
        self.of(map_key).append(data);
    }

    pub(super) fn clear_key(&mut self, map_key: &Bytes) {
        self.of(map_key).clear();
    }

    pub(super) fn clear(&mut self) {
        self.cleared = true;
        self.generation += 1;
        for chunks in self.keys.values_mut() {
            // The keys stay: tokens of their values have to be told from later ones.
            chunks.clear();
        }
    }

    fn of(&mut self, map_key: &Bytes) -> &mut Chunks {
        let untouched = self.untouched();
        self.keys.entry(map_key.clone()).or_insert(untouched)
    }

    pub(super) fn read(
        &self,
        store: &dyn Store,
        prefix: &[u8],
        map_key: &Bytes,
        token: &Bytes,
    ) -> Result<Read, StateError> {
        let values = values(prefix, map_key);
        match self.keys.get(map_key) {
            Some(chunks) => chunks.read(store, &values, token),
            None => self.untouched().read(store, &values, token),
        }
    }

    /// What a key is that the bundle did nothing to.
    fn untouched(&self) -> Chunks {
        Chunks::cleared_times(self.generation)
    }

    /// The keys, in the order of their encoding.
    pub(super) fn read_keys(
        &self,
        store: &dyn Store,
        prefix: &[u8],
        token: &Bytes,
    ) -> Result<Read, StateError> {
        self.read_each(store, prefix, token, |key| Ok(key.clone()))
    }

    /// Keys with all their values: `make` gives the bytes of an entry from a key and its chunks.
    pub(super) fn read_entries(
        &self,
        store: &dyn Store,
        prefix: &[u8],
        token: &Bytes,
        make: impl Fn(&Bytes, &[Bytes]) -> Result<Bytes, StateError>,
    ) -> Result<Read, StateError> {
        let untouched = self.untouched();
        self.read_each(store, prefix, token, |key| {
            let chunks = self.keys.get(key).unwrap_or(&untouched);
            make(key, &chunks.all(store, &values(prefix, key))?)
        })
    }

    fn read_each(
        &self,
        store: &dyn Store,
        prefix: &[u8],
        token: &Bytes,
        mut piece: impl FnMut(&Bytes) -> Result<Bytes, StateError>,
    ) -> Result<Read, StateError> {
        let mut page = Page::default();
        let position = Position::decode(token, self.generation)?;
        let mut next = match position {
            None => self.next_key(store, prefix, None)?,
            // The page before ended in front of this key.
            Some(position) => match self.exists(store, prefix, &position.at)? {
                true => Some(position.at),
                false => self.next_key(store, prefix, Some(&position.at))?,
            },
        };
        while let Some(key) = next {
            if !page.add(&piece(&key)?) {
                let next = Position {
                    generation: self.generation,
                    at: key,
                };
                return Ok(Read {
                    data: page.finish(),
                    next: Some(next),
                });
            }
            next = self.next_key(store, prefix, Some(&key))?;
        }
        Ok(Read {
            data: page.finish(),
            next: None,
        })
    }

    fn exists(&self, store: &dyn Store, prefix: &[u8], key: &Bytes) -> Result<bool, StateError> {
        let chunks = self.keys.get(key);
        if chunks.is_some_and(Chunks::has_added) {
            return Ok(true);
        }
        if chunks.map_or(self.cleared, |chunks| chunks.cleared) {
            return Ok(false);
        }
        let values = values(prefix, key);
        let mut found = false;
        store.scan(&values, &values, &mut |_, _| {
            found = true;
            ControlFlow::Break(())
        })?;
        Ok(found)
    }

    /// The first key after one that has values.
    fn next_key(
        &self,
        store: &dyn Store,
        prefix: &[u8],
        after: Option<&Bytes>,
    ) -> Result<Option<Bytes>, StateError> {
        let bound = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut added = self.keys.range::<Bytes, _>((bound, Bound::Unbounded));
        let added = added
            .find(|(_, chunks)| chunks.has_added())
            .map(|(key, _)| key.clone());
        let stored = self.next_stored(store, prefix, after)?;
        Ok(match (added, stored) {
            (Some(added), Some(stored)) => Some(added.min(stored)),
            (added, stored) => added.or(stored),
        })
    }

    fn next_stored(
        &self,
        store: &dyn Store,
        prefix: &[u8],
        after: Option<&Bytes>,
    ) -> Result<Option<Bytes>, StateError> {
        if self.cleared {
            return Ok(None);
        }
        let mut from = after.map_or(prefix.to_vec(), |key| keys::after(values(prefix, key)));
        loop {
            let Some(key) = first_key(store, prefix, &from)? else {
                return Ok(None);
            };
            if self.keys.get(&key).is_none_or(|chunks| !chunks.cleared) {
                return Ok(Some(key));
            }
            from = keys::after(values(prefix, &key));
        }
    }

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
        for (key, chunks) in &self.keys {
            chunks.write(store, &values(prefix, key), bundle, batch)?;
        }
        Ok(())
    }
}

/// What the keys of a map key's chunks begin with.
fn values(prefix: &[u8], map_key: &[u8]) -> Vec<u8> {
    let mut key = prefix.to_vec();
    keys::put(map_key, &mut key);
    key
}

/// The first map key in the store, from a position on.
fn first_key(store: &dyn Store, prefix: &[u8], from: &[u8]) -> Result<Option<Bytes>, StoreError> {
    let mut first = None;
    store.scan(prefix, from, &mut |key, _| {
        first = keys::take(&mut &key[prefix.len()..]);
        ControlFlow::Break(())
    })?;
    Ok(first.map(Bytes::from))
}
