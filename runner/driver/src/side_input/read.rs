//! Reading a side input: pages of whole values.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::{BufMut, Bytes, BytesMut};
use dataflume_graph::plan::{AccessPattern, SideInput};
use dataflume_model::ids::StageId;
use dataflume_proto::fn_execution::state_key::Type;
use dataflume_proto::fn_execution::{StateGetResponse, StateKey};
use rustc_hash::FxHashMap;

use super::SideInputStore;
use super::contents::Snapshot;

/// An answer grows up to about this size; what is left is asked for with a continuation token.
const PAGE_BYTES: usize = 1 << 20;

/// The side inputs of one bundle. What it has looked at once stays as it was, whatever comes meanwhile:
/// that is what a continuation token counts in.
#[derive(Debug)]
pub struct BundleSideInputs {
    store: Arc<SideInputStore>,
    stage: StageId,
    seen: Mutex<FxHashMap<(String, String, Bytes), Arc<Snapshot>>>,
}

impl BundleSideInputs {
    /// Those of a bundle of this stage.
    pub fn new(store: Arc<SideInputStore>, stage: StageId) -> Self {
        Self {
            store,
            stage,
            seen: Mutex::default(),
        }
    }

    /// Answers a read of a side input; `None` if the key is of no side input.
    pub fn get(&self, key: &StateKey, token: &Bytes) -> Option<Result<StateGetResponse, String>> {
        let kind = key.r#type.as_ref()?;
        let (transform, tag, window) = match kind {
            Type::IterableSideInput(k) => (&k.transform_id, &k.side_input_id, &k.window),
            Type::MultimapSideInput(k) => (&k.transform_id, &k.side_input_id, &k.window),
            Type::MultimapKeysSideInput(k) => (&k.transform_id, &k.side_input_id, &k.window),
            Type::MultimapKeysValuesSideInput(k) => (&k.transform_id, &k.side_input_id, &k.window),
            _ => return None,
        };
        let Some(side) = self.store.reader(self.stage, transform, tag) else {
            return Some(Err(format!(
                "transform {transform:?} has no side input {tag:?}"
            )));
        };
        let name = (transform.clone(), tag.clone(), window.clone());
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let snapshot = seen
            .entry(name)
            .or_insert_with(|| Arc::new(self.store.snapshot(side, window)))
            .clone();
        drop(seen);
        Some(read(side, &snapshot, kind, token))
    }
}

fn read(
    side: &SideInput,
    snapshot: &Snapshot,
    kind: &Type,
    token: &Bytes,
) -> Result<StateGetResponse, String> {
    let from = position(token)?;
    let multimap = side.access_pattern == AccessPattern::Multimap;
    match kind {
        Type::IterableSideInput(_) => Ok(page(snapshot.values(from), from)),
        _ if !multimap => Err("the side input is not a multimap".to_owned()),
        Type::MultimapSideInput(k) => Ok(page(snapshot.values_of(&k.key, from), from)),
        Type::MultimapKeysSideInput(_) => Ok(page(snapshot.keys(from), from)),
        _ => Err("the side input can't be read as keys with their values".to_owned()),
    }
}

/// How many values a token says were read already.
fn position(token: &Bytes) -> Result<usize, String> {
    if token.is_empty() {
        return Ok(0);
    }
    let bytes = <[u8; 8]>::try_from(&token[..]).map_err(|_| {
        let length = token.len();
        format!("a continuation token of {length} bytes is not one of ours")
    })?;
    Ok(usize::try_from(u64::from_be_bytes(bytes)).unwrap_or(usize::MAX))
}

/// As many whole values as fit.
fn page(values: impl Iterator<Item = Bytes>, from: usize) -> StateGetResponse {
    let mut data = BytesMut::new();
    for (next, value) in (from..).zip(values) {
        if !data.is_empty() && data.len() + value.len() > PAGE_BYTES {
            return StateGetResponse {
                continuation_token: Bytes::copy_from_slice(&(next as u64).to_be_bytes()),
                data: data.freeze(),
            };
        }
        data.put_slice(&value);
    }
    StateGetResponse {
        continuation_token: Bytes::new(),
        data: data.freeze(),
    }
}
