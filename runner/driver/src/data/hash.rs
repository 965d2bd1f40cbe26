//! Which key belongs to which key group.
//!
//! The answer is part of what durable jobs store, so it must never change: the hash is our own and
//! pinned by a test. It mixes eight bytes at a time by a 64 by 64 bit multiplication.

use dataflume_model::ids::KeyGroup;

const SEED: u64 = 0x9e37_79b9_7f4a_7c15;
const ODD: u64 = 0xd6e8_feb8_6659_fd93;

/// A 64-bit hash of bytes, the same on every machine and in every version.
pub fn stable_hash(bytes: &[u8]) -> u64 {
    let mut hash = SEED ^ (bytes.len() as u64);
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        hash = fold(hash ^ u64::from_le_bytes(*word), ODD);
    }
    if !rest.is_empty() {
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        hash = fold(hash ^ u64::from_le_bytes(last), ODD);
    }
    // Short inputs have been through one multiplication only: spread them once more.
    fold(hash ^ SEED, ODD)
}

/// The group, of `key_groups`, that a hash belongs to. Uses the upper half of the hash, so that
/// tables within a group may use the lower.
pub fn group_of_hash(hash: u64, key_groups: u32) -> KeyGroup {
    KeyGroup((((hash >> 32) * u64::from(key_groups)) >> 32) as u32)
}

/// The group of an encoded key.
///
/// The bytes are those within the encoded `KV`, nested context: a length prefix counts.
///
/// ```
/// use dataflume_driver::data::hash::key_group;
/// assert_eq!(key_group(b"\x03key", 16), key_group(b"\x03key", 16));
/// assert!(key_group(b"\x03key", 16).0 < 16);
/// ```
pub fn key_group(encoded_key: &[u8], key_groups: u32) -> KeyGroup {
    group_of_hash(stable_hash(encoded_key), key_groups)
}

fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product as u64) ^ ((product >> 64) as u64)
}
