//! What a state request asks for: which cell, and what of it.

use std::borrow::Cow;

use bytes::Bytes;
use dataflume_model::coder::Coder;
use dataflume_model::wire;
use dataflume_proto::fn_execution::{OrderedListRange, StateKey, state_key};

use super::StateError;
use super::keys::Kind;

/// A state key taken apart.
#[derive(Debug, Clone, Copy)]
pub(super) struct Target<'a> {
    pub(super) transform: &'a str,
    pub(super) state: &'a str,
    pub(super) window: &'a Bytes,
    pub(super) key: &'a Bytes,
    pub(super) part: Part<'a>,
}

/// Which part of a cell.
#[derive(Debug, Clone, Copy)]
pub(super) enum Part<'a> {
    Bag,
    MapKeys,
    MapEntries,
    MapValues(&'a Bytes),
    List(Option<&'a OrderedListRange>),
}

impl Part<'_> {
    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Bag => Kind::Bag,
            Self::MapKeys | Self::MapEntries | Self::MapValues(_) => Kind::Multimap,
            Self::List(_) => Kind::OrderedList,
        }
    }
}

impl<'a> Target<'a> {
    pub(super) fn of(key: Option<&'a StateKey>) -> Result<Self, StateError> {
        use state_key::Type;
        let key = key.and_then(|key| key.r#type.as_ref());
        let key = key.ok_or_else(|| StateError::Refused("it has no state key".to_owned()))?;
        let new = |transform: &'a String, state: &'a String, window, key, part| Self {
            transform,
            state,
            window,
            key,
            part,
        };
        Ok(match key {
            Type::BagUserState(k) => new(
                &k.transform_id,
                &k.user_state_id,
                &k.window,
                &k.key,
                Part::Bag,
            ),
            Type::MultimapKeysUserState(k) => new(
                &k.transform_id,
                &k.user_state_id,
                &k.window,
                &k.key,
                Part::MapKeys,
            ),
            Type::MultimapEntriesUserState(k) => new(
                &k.transform_id,
                &k.user_state_id,
                &k.window,
                &k.key,
                Part::MapEntries,
            ),
            Type::MultimapUserState(k) => {
                let part = Part::MapValues(&k.map_key);
                new(&k.transform_id, &k.user_state_id, &k.window, &k.key, part)
            }
            Type::OrderedListUserState(k) => {
                let part = Part::List(k.range.as_ref());
                new(&k.transform_id, &k.user_state_id, &k.window, &k.key, part)
            }
            Type::Runner(_)
            | Type::IterableSideInput(_)
            | Type::MultimapSideInput(_)
            | Type::MultimapKeysSideInput(_)
            | Type::MultimapKeysValuesSideInput(_) => {
                return Err(StateError::Refused(format!("{key:?} is not user state")));
            }
        })
    }
}

/// The key as it stands within an encoded `KV`, which is what key groups are computed from.
///
/// SDKs send it so (Java, Python and Go encode keys of state requests as nested values). Should one
/// leave out the length that begins a nested value, it is put back.
pub(super) fn nested_key<'a>(key: &'a [u8], coder: &Coder) -> Cow<'a, [u8]> {
    let mut rest = key;
    if coder.skip(&mut rest).is_ok() && rest.is_empty() {
        return Cow::Borrowed(key);
    }
    match coder {
        Coder::LengthPrefix(_) | Coder::Bytes | Coder::StringUtf8 => {
            let mut nested = Vec::with_capacity(key.len() + 2);
            wire::put_prefixed(key, &mut nested);
            Cow::Owned(nested)
        }
        _ => Cow::Borrowed(key),
    }
}
