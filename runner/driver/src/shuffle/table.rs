//! Elements of one key group, indexed by key and window where they lie.

use bytes::Bytes;
use dataflume_model::time::EventTime;
use hashbrown::HashTable;

use super::emit::{Emitter, Pane};
use super::{GroupError, GroupSpec};
use crate::data::{DataError, hash};

/// Ends a list of values.
const NONE: u32 = u32::MAX;

/// Chunks of elements, and for each key and window a list of the values' places.
#[derive(Default)]
pub(super) struct Table {
    chunks: Vec<Bytes>,
    chunk_bytes: usize,
    index: HashTable<u32>,
    groups: Vec<Group>,
    values: Vec<Value>,
}

/// Bytes within a chunk.
#[derive(Debug, Clone, Copy)]
struct Place {
    chunk: u32,
    start: u32,
    length: u32,
}

#[derive(Debug)]
struct Group {
    key_hash: u64,
    key: Place,
    window: Place,
    first: u32,
    last: u32,
    pane: Pane,
}

/// One value, and the next of its group.
#[derive(Debug)]
struct Value {
    place: Place,
    next: u32,
}

impl Table {
    /// About how much memory is in use.
    pub(super) fn memory_bytes(&self) -> usize {
        self.chunk_bytes
            + self.values.len() * size_of::<Value>()
            + self.groups.len() * (size_of::<Group>() + 2 * size_of::<u32>())
    }

    /// Adds a chunk's elements. The offset is that of the chunk within the input.
    pub(super) fn add(
        &mut self,
        spec: &GroupSpec,
        chunk: Bytes,
        offset: u64,
    ) -> Result<(), DataError> {
        let number = self.chunks.len() as u32;
        let place = |start: usize, length: usize| -> Result<Place, DataError> {
            let fits = |value| u32::try_from(value).map_err(|_| spec.too_long(start));
            Ok(Place {
                chunk: number,
                start: fits(start)?,
                length: fits(length)?,
            })
        };
        let mut elements = spec.codec.iter(&chunk);
        loop {
            let malformed = |position| spec.malformed(offset + position as u64);
            let position = elements.position();
            let Some(element) = elements.next() else {
                break;
            };
            let element = element.map_err(malformed(position))?;
            let whole = element.value_range();
            let key_bytes = element.key();
            let key = place(whole.start, key_bytes.len())?;
            let value_start = whole.start + key_bytes.len();
            let value = place(value_start, whole.end - value_start)?;
            let key_hash = hash::stable_hash(key_bytes);
            let mut window_start = element.windows_range().start;
            for window_bytes in element.each_window_bytes() {
                let window_bytes = window_bytes.map_err(malformed(position))?;
                let window = place(window_start, window_bytes.len())?;
                window_start += window_bytes.len();
                let group = self.group(&chunk, key_hash, (key, key_bytes), (window, window_bytes));
                self.append(group, value, element.timestamp)
                    .ok_or_else(|| spec.too_long(whole.start))?;
            }
        }
        self.chunk_bytes += chunk.len();
        self.chunks.push(chunk);
        Ok(())
    }

    /// The group of a key and window in `chunk`, which is about to be added.
    fn group(
        &mut self,
        chunk: &Bytes,
        key_hash: u64,
        (key, key_bytes): (Place, &[u8]),
        (window, window_bytes): (Place, &[u8]),
    ) -> usize {
        let Self {
            chunks,
            index,
            groups,
            ..
        } = self;
        let bytes = |place: Place| {
            let of = chunks.get(place.chunk as usize).unwrap_or(chunk);
            &of[place.range()]
        };
        let hash = table_hash(key_hash, window_bytes);
        let found = index.entry(
            hash,
            |number| {
                let group = &groups[*number as usize];
                group.key_hash == key_hash
                    && bytes(group.key) == key_bytes
                    && bytes(group.window) == window_bytes
            },
            |number| {
                let group = &groups[*number as usize];
                table_hash(group.key_hash, bytes(group.window))
            },
        );
        match found {
            hashbrown::hash_table::Entry::Occupied(number) => *number.get() as usize,
            hashbrown::hash_table::Entry::Vacant(vacant) => {
                let number = groups.len();
                vacant.insert(number as u32);
                groups.push(Group {
                    key_hash,
                    key,
                    window,
                    first: NONE,
                    last: NONE,
                    pane: Pane::default(),
                });
                number
            }
        }
    }

    /// `None`: there are more values than can be numbered, which a grouping's memory prevents.
    fn append(&mut self, group: usize, place: Place, timestamp: EventTime) -> Option<()> {
        let number = u32::try_from(self.values.len()).ok()?;
        if number == NONE {
            return None;
        }
        self.values.push(Value { place, next: NONE });
        let group = &mut self.groups[group];
        if group.first == NONE {
            group.first = number;
        } else {
            self.values[group.last as usize].next = number;
        }
        group.last = number;
        group.pane.add(timestamp, u64::from(place.length));
        Some(())
    }

    /// Writes every group, in the order in which their first elements came.
    pub(super) fn emit(&self, out: &mut Emitter<'_>) -> Result<(), GroupError> {
        let bytes = self.groups.iter().map(|group| group.pane.bytes);
        out.expect(bytes.sum(), self.groups.len());
        for group in &self.groups {
            out.begin(self.bytes(group.key), self.bytes(group.window), &group.pane)?;
            for value in self.values_of(group) {
                out.values(value, 1)?;
            }
            out.end()?;
        }
        Ok(())
    }

    /// Every group by key hash, key and window.
    pub(super) fn sorted(&self) -> impl Iterator<Item = Grouped<'_>> {
        let mut order: Vec<&Group> = self.groups.iter().collect();
        order.sort_unstable_by(|a, b| {
            a.key_hash
                .cmp(&b.key_hash)
                .then_with(|| self.bytes(a.key).cmp(self.bytes(b.key)))
                .then_with(|| self.bytes(a.window).cmp(self.bytes(b.window)))
        });
        order
            .into_iter()
            .map(|group| Grouped { table: self, group })
    }

    fn values_of(&self, group: &Group) -> impl Iterator<Item = &[u8]> {
        let mut next = group.first;
        std::iter::from_fn(move || {
            let value = self.values.get(next as usize)?;
            next = value.next;
            Some(self.bytes(value.place))
        })
    }

    fn bytes(&self, place: Place) -> &[u8] {
        &self.chunks[place.chunk as usize][place.range()]
    }
}

/// A group of a table.
pub(super) struct Grouped<'a> {
    table: &'a Table,
    group: &'a Group,
}

impl<'a> Grouped<'a> {
    pub(super) fn key_hash(&self) -> u64 {
        self.group.key_hash
    }

    pub(super) fn key(&self) -> &'a [u8] {
        self.table.bytes(self.group.key)
    }

    pub(super) fn window(&self) -> &'a [u8] {
        self.table.bytes(self.group.window)
    }

    pub(super) fn pane(&self) -> &'a Pane {
        &self.group.pane
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &'a [u8]> {
        self.table.values_of(self.group)
    }
}

impl Place {
    fn range(self) -> std::ops::Range<usize> {
        self.start as usize..self.start as usize + self.length as usize
    }
}

/// The upper bits of a key's hash are alike within a key group, and those are what the table tells
/// entries apart by: the halves change places.
fn table_hash(key_hash: u64, window: &[u8]) -> u64 {
    let hash = key_hash.rotate_left(32);
    if window.is_empty() {
        return hash;
    }
    hash ^ hash::stable_hash(window).rotate_left(7)
}
