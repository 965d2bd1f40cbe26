//! Where timers are in the store.
//!
//! ```text
//! t stage group e time rank identity    an event-time timer, as it is sent to the SDK
//! t stage group p time rank identity    a processing-time timer, likewise
//! t stage group h time rank identity    the watermark hold of a timer
//! t stage group i identity              where a timer's entries are
//! ```
//!
//! The identity is what a timer replaces another by: window, family, user key, tag, each escaped.
//! Times sort as they do; the rank puts expiry timers after others of the same time.

use bytes::Bytes;
use dataflume_engine::store::WriteBatch;
use dataflume_graph::plan::TimeDomain;
use dataflume_model::ids::{KeyGroup, StageId};
use dataflume_model::time::EventTime;

use crate::state::keys::{GROUP_BYTES, group, put, take};

const TIMERS: u8 = b't';
const TIME_AT: usize = GROUP_BYTES + 1;
const IDENTITY_AT: usize = TIME_AT + 8 + 1;

/// What is indexed by time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Index {
    EventTime,
    ProcessingTime,
    Hold,
}

impl Index {
    pub(super) const fn of(domain: TimeDomain) -> Self {
        match domain {
            TimeDomain::EventTime => Self::EventTime,
            TimeDomain::ProcessingTime => Self::ProcessingTime,
        }
    }

    const fn letter(self) -> u8 {
        match self {
            Self::EventTime => b'e',
            Self::ProcessingTime => b'p',
            Self::Hold => b'h',
        }
    }
}

/// A key group's part of the store.
#[derive(Debug, Clone, Copy)]
pub(super) struct Keys {
    pub(super) stage: StageId,
    pub(super) group: KeyGroup,
}

impl Keys {
    fn letter(&self, letter: u8) -> Vec<u8> {
        let mut key = group(TIMERS, self.stage, self.group);
        key.push(letter);
        key
    }

    /// All entries of an index, soonest first.
    pub(super) fn index(&self, index: Index) -> Vec<u8> {
        self.letter(index.letter())
    }

    fn entry(&self, index: Index, time: EventTime, rank: u8, identity: &[u8]) -> Vec<u8> {
        let mut key = self.index(index);
        key.extend_from_slice(&time.encode());
        key.push(rank);
        key.extend_from_slice(identity);
        key
    }

    pub(super) fn place(&self, identity: &[u8]) -> Vec<u8> {
        let mut key = self.letter(b'i');
        key.extend_from_slice(identity);
        key
    }

    /// What the places of all timers of a window begin with.
    pub(super) fn places_in(&self, window: &[u8]) -> Vec<u8> {
        let mut key = self.letter(b'i');
        put(window, &mut key);
        key
    }

    /// The identity in the key of a place.
    pub(super) fn identity_of_place(key: &[u8]) -> &[u8] {
        key.get(TIME_AT..).unwrap_or_default()
    }
}

/// Time and identity in an index entry.
pub(super) fn parse(entry: &[u8]) -> Option<(EventTime, &[u8])> {
    let (time, _) = entry.get(TIME_AT..)?.split_first_chunk::<8>()?;
    Some((EventTime::decode(*time), entry.get(IDENTITY_AT..)?))
}

/// What a timer replaces another by.
pub(super) fn identity(window: &[u8], family: &str, key: &[u8], tag: &str) -> Bytes {
    let mut identity = Vec::with_capacity(window.len() + family.len() + key.len() + tag.len() + 8);
    put(window, &mut identity);
    put(family.as_bytes(), &mut identity);
    put(key, &mut identity);
    put(tag.as_bytes(), &mut identity);
    identity.into()
}

/// The parts of an identity that matter here.
pub(super) struct Owner {
    pub(super) window: Vec<u8>,
    pub(super) family: String,
    pub(super) key: Vec<u8>,
}

impl Owner {
    pub(super) fn of(mut identity: &[u8]) -> Option<Self> {
        let window = take(&mut identity)?;
        let family = String::from_utf8(take(&mut identity)?).ok()?;
        let key = take(&mut identity)?;
        Some(Self {
            window,
            family,
            key,
        })
    }
}

/// Where a timer's entries are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) domain: TimeDomain,
    pub(super) fire: EventTime,
    pub(super) hold: EventTime,
    pub(super) rank: u8,
}

impl Place {
    fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![Index::of(self.domain).letter(), self.rank];
        bytes.extend_from_slice(&self.fire.encode());
        bytes.extend_from_slice(&self.hold.encode());
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (head, times) = bytes.split_first_chunk::<2>()?;
        let (fire, hold) = times.split_first_chunk::<8>()?;
        let domain = match head[0] {
            b'e' => TimeDomain::EventTime,
            b'p' => TimeDomain::ProcessingTime,
            _ => return None,
        };
        Some(Self {
            domain,
            rank: head[1],
            fire: EventTime::decode(*fire),
            hold: EventTime::decode(hold.try_into().ok()?),
        })
    }

    fn entries(&self, keys: &Keys, identity: &[u8]) -> [Vec<u8>; 2] {
        [
            keys.entry(Index::of(self.domain), self.fire, self.rank, identity),
            keys.entry(Index::Hold, self.hold, self.rank, identity),
        ]
    }

    /// Removes the timer's entries.
    pub(super) fn remove(&self, keys: &Keys, identity: &[u8], batch: &mut WriteBatch) {
        for entry in self.entries(keys, identity) {
            batch.remove(entry);
        }
        batch.remove(keys.place(identity));
    }

    /// Writes the timer's entries.
    pub(super) fn put(&self, keys: &Keys, identity: &[u8], record: &Bytes, batch: &mut WriteBatch) {
        let [timer, hold] = self.entries(keys, identity);
        batch.put(timer, record.clone());
        batch.put(hold, Bytes::new());
        batch.put(keys.place(identity), self.encode());
    }
}
