//! Where things are in the store.
//!
//! All keys of a key group share a prefix: `g`, stage, key group. Then a letter says what it is, so that
//! timers and holds are in time order:
//!
//! ```text
//! w key window        a window's record
//! v key bag sequence  values of a bag: a count as a varint, then the values
//! n key               the number of the key's next bag (merging windows only)
//! e time key window   an event-time timer
//! p time key window   a processing-time timer
//! h time key window   a watermark hold
//! ```

use dataflume_model::coder::CoderError;
use dataflume_model::ids::{KeyGroup, StageId};
use dataflume_model::wire;

const OPERATOR: u8 = b'g';

/// What is indexed by time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Index {
    EventTimer,
    ProcessingTimer,
    Hold,
}

impl Index {
    const fn letter(self) -> u8 {
        match self {
            Self::EventTimer => b'e',
            Self::ProcessingTimer => b'p',
            Self::Hold => b'h',
        }
    }
}

/// The keys of one key group.
#[derive(Debug, Clone, Copy)]
pub(super) struct Keys {
    prefix: [u8; 9],
}

/// Before the time: the group's prefix and a letter.
const TIME_AT: usize = 10;
/// Where an index entry says whose it is.
pub(super) const OWNER_AT: usize = TIME_AT + 8;

impl Keys {
    pub(super) fn new(stage: StageId, group: KeyGroup) -> Self {
        let mut prefix = [OPERATOR; 9];
        prefix[1..5].copy_from_slice(&stage.0.to_be_bytes());
        prefix[5..].copy_from_slice(&group.0.to_be_bytes());
        Self { prefix }
    }

    fn letter(&self, letter: u8) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(64);
        bytes.extend_from_slice(&self.prefix);
        bytes.push(letter);
        bytes
    }

    fn of_key(&self, letter: u8, key: &[u8]) -> Vec<u8> {
        let mut bytes = self.letter(letter);
        wire::put_prefixed(key, &mut bytes);
        bytes
    }

    /// All windows of a key: what follows is the window.
    pub(super) fn windows(&self, key: &[u8]) -> Vec<u8> {
        self.of_key(b'w', key)
    }

    pub(super) fn window(&self, key: &[u8], window: &[u8]) -> Vec<u8> {
        let mut bytes = self.windows(key);
        bytes.extend_from_slice(window);
        bytes
    }

    pub(super) fn bag(&self, key: &[u8], bag: &[u8]) -> Vec<u8> {
        let mut bytes = self.of_key(b'v', key);
        wire::put_prefixed(bag, &mut bytes);
        bytes
    }

    pub(super) fn values(&self, key: &[u8], bag: &[u8], sequence: u64) -> Vec<u8> {
        let mut bytes = self.bag(key, bag);
        bytes.extend_from_slice(&sequence.to_be_bytes());
        bytes
    }

    pub(super) fn next_bag(&self, key: &[u8]) -> Vec<u8> {
        self.of_key(b'n', key)
    }

    pub(super) fn index(&self, index: Index) -> Vec<u8> {
        self.letter(index.letter())
    }

    /// An index entry; `time` must sort as the time does.
    pub(super) fn entry(&self, index: Index, time: [u8; 8], key: &[u8], window: &[u8]) -> Vec<u8> {
        let mut bytes = self.index(index);
        bytes.extend_from_slice(&time);
        wire::put_prefixed(key, &mut bytes);
        bytes.extend_from_slice(window);
        bytes
    }
}

/// The time in an index entry.
pub(super) fn time_of(entry: &[u8]) -> Result<[u8; 8], CoderError> {
    wire::array(&mut entry.get(TIME_AT..).unwrap_or_default())
}

/// The key and the window in an index entry.
pub(super) fn owner_of(entry: &[u8]) -> Result<(&[u8], &[u8]), CoderError> {
    let mut rest = entry.get(OWNER_AT..).unwrap_or_default();
    let key = wire::prefixed(&mut rest)?;
    Ok((key, rest))
}
