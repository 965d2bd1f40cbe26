//! Where state is in the store.
//!
//! ```text
//! s stage group v window key transform state b sequence            a bag's chunk
//! s stage group v window key transform state m map-key sequence    a multimap's chunk
//! s stage group v window key transform state o sort-key sequence   an ordered list's entry
//! s stage group w expiry window                                    this window has state
//! ```
//!
//! Stage, group and sequences are big-endian. Texts and encoded values are escaped so that none is a
//! prefix of another and order is kept. The window comes first: it is what expires as a whole.

use dataflume_model::ids::{BundleId, KeyGroup, StageId};
use dataflume_model::time::EventTime;

const STATE: u8 = b's';
const VALUES: u8 = b'v';
const WINDOWS: u8 = b'w';

/// Before the letter: what all entries of a stage's key group begin with.
pub(crate) const GROUP_BYTES: usize = 9;
/// Of a [`Sequence`].
pub(crate) const SEQUENCE_BYTES: usize = 12;

/// The kinds of state, as letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Bag,
    Multimap,
    OrderedList,
}

impl Kind {
    const fn letter(self) -> u8 {
        match self {
            Self::Bag => b'b',
            Self::Multimap => b'm',
            Self::OrderedList => b'o',
        }
    }
}

/// What tells the appends to one cell apart and keeps their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Sequence {
    bundle: u64,
    index: u32,
}

impl Sequence {
    /// Within a cell that the bundle found or made empty.
    pub(super) fn anew(index: usize) -> Self {
        Self {
            bundle: 0,
            index: index as u32,
        }
    }

    /// After all that earlier bundles appended.
    pub(super) fn of(bundle: BundleId, index: usize) -> Self {
        Self {
            bundle: bundle.0.saturating_add(1),
            index: index as u32,
        }
    }

    pub(super) fn encode(self) -> [u8; SEQUENCE_BYTES] {
        let mut bytes = [0; SEQUENCE_BYTES];
        bytes[..8].copy_from_slice(&self.bundle.to_be_bytes());
        bytes[8..].copy_from_slice(&self.index.to_be_bytes());
        bytes
    }
}

/// Eight bytes that sort as the numbers do.
pub(super) fn sortable(number: i64) -> [u8; 8] {
    (number as u64 ^ (1 << 63)).to_be_bytes()
}

/// The reverse of [`sortable`].
pub(super) fn unsortable(bytes: [u8; 8]) -> i64 {
    (u64::from_be_bytes(bytes) ^ (1 << 63)) as i64
}

/// What all entries of this letter of a stage's key group begin with.
pub(crate) fn group(letter: u8, stage: StageId, group: KeyGroup) -> Vec<u8> {
    let mut key = Vec::with_capacity(128);
    key.push(letter);
    key.extend_from_slice(&stage.0.to_be_bytes());
    key.extend_from_slice(&group.0.to_be_bytes());
    key
}

/// All state of a window.
pub(super) fn window(stage: StageId, key_group: KeyGroup, window: &[u8]) -> Vec<u8> {
    let mut key = group(STATE, stage, key_group);
    key.push(VALUES);
    put(window, &mut key);
    key
}

/// A cell: all that a key has of one state in one window.
pub(super) struct CellName<'a> {
    pub(super) group: KeyGroup,
    pub(super) window: &'a [u8],
    pub(super) key: &'a [u8],
    pub(super) transform: &'a str,
    pub(super) state: &'a str,
    pub(super) kind: Kind,
}

impl CellName<'_> {
    /// What the keys of the cell's entries begin with.
    pub(super) fn prefix(&self, stage: StageId) -> Vec<u8> {
        let mut key = window(stage, self.group, self.window);
        put(self.key, &mut key);
        put(self.transform.as_bytes(), &mut key);
        put(self.state.as_bytes(), &mut key);
        key.push(self.kind.letter());
        key
    }
}

/// The windows of a key group that have state, soonest to expire first.
pub(super) fn windows(stage: StageId, key_group: KeyGroup) -> Vec<u8> {
    let mut key = group(STATE, stage, key_group);
    key.push(WINDOWS);
    key
}

/// The entry that says that a window has state.
pub(super) fn window_entry(
    stage: StageId,
    key_group: KeyGroup,
    expiry: EventTime,
    window: &[u8],
) -> Vec<u8> {
    let mut key = windows(stage, key_group);
    key.extend_from_slice(&expiry.encode());
    key.extend_from_slice(window);
    key
}

/// Expiry and window of such an entry.
pub(super) fn parse_window_entry(entry: &[u8]) -> Option<(EventTime, &[u8])> {
    let (time, window) = entry.get(GROUP_BYTES + 1..)?.split_first_chunk::<8>()?;
    Some((EventTime::decode(*time), window))
}

const ESCAPED: u8 = 0;
const ESCAPED_ZERO: u8 = 0xff;
const END: u8 = 1;

/// Appends bytes, escaped, with an end mark.
pub(crate) fn put(bytes: &[u8], key: &mut Vec<u8>) {
    for byte in bytes {
        key.push(*byte);
        if *byte == ESCAPED {
            key.push(ESCAPED_ZERO);
        }
    }
    key.extend_from_slice(&[ESCAPED, END]);
}

/// Takes bytes off the front that [`put`] has put there.
pub(crate) fn take(key: &mut &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    loop {
        let zero = key.iter().position(|byte| *byte == ESCAPED)?;
        bytes.extend_from_slice(&key[..zero]);
        let mark = *key.get(zero + 1)?;
        *key = &key[zero + 2..];
        match mark {
            END => return Some(bytes),
            ESCAPED_ZERO => bytes.push(0),
            _ => return None,
        }
    }
}

/// The first key after all that begin with this one, which must end in a [`put`].
pub(super) fn after(mut key: Vec<u8>) -> Vec<u8> {
    if let Some(end) = key.last_mut() {
        *end = END + 1;
    }
    key
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn escaped(bytes: &[u8]) -> Vec<u8> {
        let mut key = Vec::new();
        put(bytes, &mut key);
        key
    }

    proptest! {
        #[test]
        fn escaping_keeps_order_and_comes_back(
            a in proptest::collection::vec(0u8..3, 0..6),
            b in proptest::collection::vec(0u8..3, 0..6),
            rest in proptest::collection::vec(any::<u8>(), 0..4),
        ) {
            let (x, y) = (escaped(&a), escaped(&b));
            prop_assert_eq!(x.cmp(&y), a.cmp(&b));
            prop_assert_eq!(x.starts_with(&y), a == b);
            let whole = [x.as_slice(), &rest].concat();
            let mut input = whole.as_slice();
            prop_assert_eq!(take(&mut input), Some(a));
            prop_assert_eq!(input, rest.as_slice());
            prop_assert!(after(x.clone()) > [x, vec![0xff; 4]].concat());
        }
    }

    #[test]
    fn what_does_not_end_is_no_component() {
        assert_eq!(take(&mut &[1, 2][..]), None);
        assert_eq!(take(&mut &[1, 0, 7][..]), None);
    }
}
