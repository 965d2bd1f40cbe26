//! Side inputs: what a PCollection holds by window, and by key, for the stages that look at it.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use bytes::{BufMut, Bytes, BytesMut};
use dataflume_graph::plan::{AccessPattern, Plan, SideInput};
use dataflume_model::ids::{PCollectionId, StageId};
use dataflume_model::windowed::Element;
use dataflume_proto::fn_execution::state_key::Type;
use dataflume_proto::fn_execution::{StateGetResponse, StateKey};
use rustc_hash::FxHashMap;

use crate::data::{DataError, DataStore};

/// An answer grows up to about this size; what is left is asked for with a continuation token.
const PAGE_BYTES: usize = 1 << 20;

/// That a PCollection is read as a side input.
#[derive(Debug, Clone)]
pub struct FeedRule {
    pcollection: PCollectionId,
}

impl FeedRule {
    /// The rules of one of the plan's PCollections: one if any stage reads it as a side input.
    pub fn of(plan: &Plan, id: PCollectionId) -> Vec<Self> {
        let mut sides = plan.stages.iter().flat_map(|stage| &stage.side_inputs);
        let read = sides.any(|side| side.pcollections.contains(&id));
        if read {
            vec![Self { pcollection: id }]
        } else {
            Vec::new()
        }
    }
}

/// What one bundle adds to a side input.
#[derive(Debug)]
pub struct SideInputDelta {
    pcollection: PCollectionId,
    windows: FxHashMap<Bytes, Vec<Entry>>,
}

/// An element: its value, and where the key within it ends if it is `KV`.
#[derive(Debug, Clone)]
struct Entry {
    value: Bytes,
    key_end: usize,
}

/// Gathers what a bundle writes to a PCollection that is read as a side input.
#[derive(Debug)]
pub(crate) struct FeedWriter(SideInputDelta);

impl FeedWriter {
    pub(crate) fn new(rule: FeedRule) -> Self {
        Self(SideInputDelta {
            pcollection: rule.pcollection,
            windows: FxHashMap::default(),
        })
    }

    pub(crate) fn take(&mut self, chunk: &Bytes, element: &Element<'_>) {
        let value = chunk.slice(element.value_range());
        // Windows that do not decode were an error when the element was parsed.
        for window in element.each_window_bytes().flatten() {
            let entry = Entry {
                value: value.clone(),
                key_end: element.key().len(),
            };
            match self.0.windows.get_mut(window) {
                Some(entries) => entries.push(entry),
                None => {
                    self.0
                        .windows
                        .insert(Bytes::copy_from_slice(window), vec![entry]);
                }
            }
        }
    }

    pub(crate) fn finish(self) -> Option<SideInputDelta> {
        (!self.0.windows.is_empty()).then_some(self.0)
    }
}

/// The side inputs of one job.
#[derive(Debug)]
pub struct SideInputStore {
    /// (stage, transform, tag) -> what is read.
    readers: FxHashMap<(StageId, String, String), SideInput>,
    contents: RwLock<FxHashMap<(PCollectionId, Bytes), Arc<Contents>>>,
}

/// One window of a PCollection.
#[derive(Debug, Default, Clone)]
struct Contents {
    entries: Vec<Entry>,
    by_key: BTreeMap<Bytes, Vec<usize>>,
}

impl SideInputStore {
    /// No side input has anything yet.
    pub fn new(plan: &Plan, _data: Arc<DataStore>) -> Self {
        let sides = plan.stages.iter().flat_map(|stage| {
            stage.side_inputs.iter().map(move |side| {
                (
                    (stage.id, side.transform.clone(), side.tag.clone()),
                    side.clone(),
                )
            })
        });
        Self {
            readers: sides.collect(),
            contents: RwLock::default(),
        }
    }

    /// Adds what a bundle wrote.
    ///
    /// # Errors
    /// If it can't be stored.
    pub fn commit(&self, delta: SideInputDelta) -> Result<(), DataError> {
        let mut contents = self
            .contents
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        for (window, entries) in delta.windows {
            let of_window = contents.entry((delta.pcollection, window)).or_default();
            let of_window = Arc::make_mut(of_window);
            for entry in entries {
                let key = entry.value.slice(..entry.key_end);
                of_window
                    .by_key
                    .entry(key)
                    .or_default()
                    .push(of_window.entries.len());
                of_window.entries.push(entry);
            }
        }
        Ok(())
    }

    /// Answers a read of a side input; `None` if the key is of no side input.
    pub fn get(
        &self,
        stage: StageId,
        key: &StateKey,
        token: &Bytes,
    ) -> Option<Result<StateGetResponse, String>> {
        let (transform, tag, window) = match key.r#type.as_ref()? {
            Type::IterableSideInput(k) => (&k.transform_id, &k.side_input_id, &k.window),
            Type::MultimapSideInput(k) => (&k.transform_id, &k.side_input_id, &k.window),
            Type::MultimapKeysSideInput(k) => (&k.transform_id, &k.side_input_id, &k.window),
            Type::MultimapKeysValuesSideInput(k) => (&k.transform_id, &k.side_input_id, &k.window),
            _ => return None,
        };
        let reader = self.readers.get(&(stage, transform.clone(), tag.clone()));
        let Some(side) = reader else {
            return Some(Err(format!(
                "transform {transform:?} has no side input {tag:?}"
            )));
        };
        Some(self.read(side, key.r#type.as_ref()?, window, token))
    }

    fn read(
        &self,
        side: &SideInput,
        key: &Type,
        window: &Bytes,
        token: &Bytes,
    ) -> Result<StateGetResponse, String> {
        let contents = self.contents.read().unwrap_or_else(PoisonError::into_inner);
        let windows: Vec<Arc<Contents>> = side
            .pcollections
            .iter()
            .filter_map(|id| contents.get(&(*id, window.clone())).cloned())
            .collect();
        drop(contents);
        let multimap = side.access_pattern == AccessPattern::Multimap;
        let values: Vec<Bytes> = match key {
            Type::IterableSideInput(_) => windows
                .iter()
                .flat_map(|w| w.entries.iter().map(|entry| entry.value.clone()))
                .collect(),
            _ if !multimap => return Err("the side input is not a multimap".to_owned()),
            Type::MultimapSideInput(k) => windows
                .iter()
                .flat_map(|w| {
                    let found = w.by_key.get(&k.key).into_iter().flatten();
                    found.map(|index| {
                        let entry = &w.entries[*index];
                        entry.value.slice(entry.key_end..)
                    })
                })
                .collect(),
            Type::MultimapKeysSideInput(_) => {
                let keys: std::collections::BTreeSet<&Bytes> =
                    windows.iter().flat_map(|w| w.by_key.keys()).collect();
                keys.into_iter().cloned().collect()
            }
            _ => return Err("the side input can't be read as keys with their values".to_owned()),
        };
        page(&values, token)
    }
}

/// As many whole values as fit, from where the token says.
fn page(values: &[Bytes], token: &Bytes) -> Result<StateGetResponse, String> {
    let start = match token.len() {
        0 => 0,
        8 => {
            let mut bytes = [0; 8];
            bytes.copy_from_slice(token);
            usize::try_from(u64::from_be_bytes(bytes)).unwrap_or(usize::MAX)
        }
        other => {
            return Err(format!(
                "a continuation token of {other} bytes is not one of ours"
            ));
        }
    };
    let mut data = BytesMut::new();
    let mut next = start;
    while let Some(value) = values.get(next) {
        if !data.is_empty() && data.len() + value.len() > PAGE_BYTES {
            break;
        }
        data.put_slice(value);
        next += 1;
    }
    let more = next < values.len();
    let token = if more {
        Bytes::copy_from_slice(&(next as u64).to_be_bytes())
    } else {
        Bytes::new()
    };
    Ok(StateGetResponse {
        continuation_token: token,
        data: data.freeze(),
    })
}
