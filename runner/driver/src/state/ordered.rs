//! Ordered lists: entries by a sort key, read and cleared in ranges.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use bytes::Bytes;
use dataflume_engine::store::{Store, StoreError, WriteBatch};
use dataflume_model::coder::{Coder, CoderError};
use dataflume_model::ids::BundleId;
use dataflume_model::wire;
use dataflume_proto::fn_execution::OrderedListRange;

use super::StateError;
use super::keys::{Sequence, sortable, unsortable};
use super::page::{Page, Position, Read};

/// What a bundle did to an ordered list.
#[derive(Debug, Default)]
pub(super) struct OrderedList {
    /// Start -> end: ranges of sort keys whose stored entries don't count any more. Disjoint.
    cleared: BTreeMap<i64, i64>,
    added: BTreeMap<Place, Bytes>,
    next_index: usize,
}

/// Of an entry: by sort key, then what was stored before what the bundle added, then by age.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    sort_key: i64,
    added: bool,
    sequence: [u8; 12],
}

const SORT_KEY_BYTES: usize = 8;
const PLACE_BYTES: usize = SORT_KEY_BYTES + 1 + 12;

/// Sort keys from the start to just before the end.
#[derive(Debug, Clone, Copy)]
struct Span {
    start: i64,
    end: i64,
}

impl Span {
    fn of(range: Option<&OrderedListRange>) -> Self {
        // The end is not within: SDKs refuse to use the greatest number as a sort key.
        range.map_or(
            Self {
                start: i64::MIN,
                end: i64::MAX,
            },
            |range| Self {
                start: range.start,
                end: range.end,
            },
        )
    }
}

impl OrderedList {
    /// Takes concatenated entries apart: each is its sort key as a varint and a value.
    pub(super) fn append(&mut self, data: &Bytes, values: &Coder) -> Result<(), CoderError> {
        let mut entries = Vec::new();
        let mut rest = &data[..];
        while !rest.is_empty() {
            let start = data.len() - rest.len();
            let sort_key = wire::varint(&mut rest)? as i64;
            values.skip(&mut rest)?;
            entries.push((sort_key, data.slice(start..data.len() - rest.len())));
        }
        for (sort_key, entry) in entries {
            let sequence = Sequence::anew(self.next_index).encode();
            self.next_index += 1;
            self.added.insert(
                Place {
                    sort_key,
                    added: true,
                    sequence,
                },
                entry,
            );
        }
        Ok(())
    }

    pub(super) fn clear(&mut self, range: Option<&OrderedListRange>) {
        let Span { start, end } = Span::of(range);
        if start >= end {
            return;
        }
        self.added
            .retain(|place, _| !(start..end).contains(&place.sort_key));
        let (mut start, mut end) = (start, end);
        while let Some((other_start, other_end)) = self.cleared.range(..=end).next_back()
            && *other_end >= start
        {
            let (other_start, other_end) = (*other_start, *other_end);
            self.cleared.remove(&other_start);
            start = start.min(other_start);
            end = end.max(other_end);
        }
        self.cleared.insert(start, end);
    }

    fn is_cleared(&self, sort_key: i64) -> bool {
        let before = self.cleared.range(..=sort_key).next_back();
        before.is_some_and(|(_, end)| *end > sort_key)
    }

    pub(super) fn read(
        &self,
        store: &dyn Store,
        prefix: &[u8],
        range: Option<&OrderedListRange>,
        token: &Bytes,
    ) -> Result<Read, StateError> {
        let span = Span::of(range);
        let mut from = Place {
            sort_key: span.start,
            added: false,
            sequence: [0; 12],
        };
        if let Some(position) = Position::decode(token, 0)? {
            from = Place::decode(&position.at).ok_or(StateError::Token("is not one of ours"))?;
        }
        if span.start >= span.end {
            return Ok(Read {
                data: Bytes::new(),
                next: None,
            });
        }
        self.read_from(store, prefix, from, span.end)
    }

    /// Merges what is stored with what was added, until a page is full.
    fn read_from(
        &self,
        store: &dyn Store,
        prefix: &[u8],
        from: Place,
        end: i64,
    ) -> Result<Read, StateError> {
        let mut page = Page::default();
        let mut full: Option<Place> = None;
        let mut added = self
            .added
            .range(from..)
            .take_while(|(place, _)| place.sort_key < end);
        let mut ahead = added.next();
        store.scan(prefix, &from.key(prefix), &mut |key, entry| {
            let Some(place) = Place::of_key(&key[prefix.len()..]) else {
                return ControlFlow::Continue(());
            };
            if place.sort_key >= end {
                return ControlFlow::Break(());
            }
            while let Some((before, added_entry)) = ahead.filter(|(before, _)| **before < place) {
                if !page.add(added_entry) {
                    full = Some(*before);
                    return ControlFlow::Break(());
                }
                ahead = added.next();
            }
            if place < from || self.is_cleared(place.sort_key) || page.add(entry) {
                return ControlFlow::Continue(());
            }
            full = Some(place);
            ControlFlow::Break(())
        })?;
        while let Some((place, entry)) = ahead.filter(|_| full.is_none()) {
            if !page.add(entry) {
                full = Some(*place);
            }
            ahead = added.next();
        }
        let next = full.map(|place| Position {
            generation: 0,
            at: place.encode(),
        });
        Ok(Read {
            data: page.finish(),
            next,
        })
    }

    pub(super) fn write(
        &self,
        store: &dyn Store,
        prefix: &[u8],
        bundle: BundleId,
        batch: &mut WriteBatch,
    ) -> Result<(), StoreError> {
        for (start, end) in &self.cleared {
            let from = [prefix, &sortable(*start)].concat();
            store.scan(prefix, &from, &mut |key, _| {
                match Place::of_key(&key[prefix.len()..]) {
                    Some(place) if place.sort_key >= *end => return ControlFlow::Break(()),
                    _ => batch.remove(key.to_vec()),
                }
                ControlFlow::Continue(())
            })?;
        }
        for (index, (place, entry)) in self.added.iter().enumerate() {
            let sequence = Sequence::of(bundle, index).encode();
            let key = [prefix, &sortable(place.sort_key), &sequence].concat();
            batch.put(key, entry.clone());
        }
        Ok(())
    }
}

impl Place {
    /// From what follows the cell's prefix in a stored entry's key.
    fn of_key(key: &[u8]) -> Option<Self> {
        let (sort_key, sequence) = key.split_first_chunk::<SORT_KEY_BYTES>()?;
        let sort_key = unsortable(*sort_key);
        Some(Self {
            sort_key,
            added: false,
            sequence: sequence.try_into().ok()?,
        })
    }

    /// Where to begin in the store, to find everything from this place on.
    fn key(&self, prefix: &[u8]) -> Vec<u8> {
        let mut key = [prefix, &sortable(self.sort_key)].concat();
        if !self.added {
            key.extend_from_slice(&self.sequence);
        }
        key
    }

    fn encode(&self) -> Bytes {
        let mut bytes = Vec::with_capacity(PLACE_BYTES);
        bytes.extend_from_slice(&sortable(self.sort_key));
        bytes.push(self.added.into());
        bytes.extend_from_slice(&self.sequence);
        bytes.into()
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (sort_key, rest) = bytes.split_first_chunk::<SORT_KEY_BYTES>()?;
        let (added, sequence) = rest.split_first()?;
        let sort_key = unsortable(*sort_key);
        Some(Self {
            sort_key,
            added: *added != 0,
            sequence: sequence.try_into().ok()?,
        })
    }
}
