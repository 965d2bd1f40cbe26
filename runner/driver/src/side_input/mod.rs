//! Side inputs: what a PCollection holds by window, and by key, for the stages that look at it.
//!
//! A window shows what was fired last: elements of a later pane take the place of those of earlier ones
//! (`contents`). Where a trigger may fire before the end of the window, readers need not wait for
//! that: the engine is told which windows have something to show. A bundle sees a window as it was at
//! its first look (`read`).

mod contents;
mod read;
#[cfg(test)]
mod tests;

use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;
use dataflume_graph::plan::{AccessPattern, PCollection, Plan, SideInput};
use dataflume_model::ids::{PCollectionId, StageId};
use dataflume_model::time::EventTime;
use dataflume_model::trigger::Trigger;
use dataflume_model::window::{AccumulationMode, WindowKind};
use dataflume_model::windowed::Element;
use rustc_hash::FxHashMap;

use crate::data::{DataError, DataStore};
use contents::{Contents, Entry, Rule, Snapshot, fired};
pub use read::BundleSideInputs;

/// That a PCollection is read as a side input.
#[derive(Debug, Clone)]
pub struct FeedRule {
    pcollection: PCollectionId,
    rule: Rule,
    /// Set where a window may have something to show before it is complete.
    early: Option<WindowKind>,
}

impl FeedRule {
    /// The rules of one of the plan's PCollections: one if any stage reads it as a side input.
    pub fn of(plan: &Plan, id: PCollectionId) -> Vec<Self> {
        let sides = plan.stages.iter().flat_map(|stage| &stage.side_inputs);
        let readers: Vec<&SideInput> = sides
            .filter(|side| side.pcollections.contains(&id))
            .collect();
        if readers.is_empty() {
            return Vec::new();
        }
        let PCollection {
            windowing, bounded, ..
        } = plan.pcollection(id);
        let early = fires_early(&windowing.trigger);
        let by_key = |side: &&SideInput| side.access_pattern == AccessPattern::Multimap;
        vec![Self {
            pcollection: id,
            rule: Rule {
                by_key: readers.iter().all(by_key),
                bundles_replace: early
                    && !bounded
                    && windowing.accumulation == AccumulationMode::Discarding,
            },
            early: early.then(|| windowing.kind.clone()),
        }]
    }
}

/// Whether a trigger may fire before the end of the window.
fn fires_early(trigger: &Trigger) -> bool {
    !matches!(
        trigger,
        Trigger::Default | Trigger::Never | Trigger::AfterEndOfWindow { early: None, .. }
    )
}

/// What one bundle adds to a side input.
#[derive(Debug)]
pub struct SideInputDelta {
    rule: FeedRule,
    windows: FxHashMap<Bytes, Vec<Entry>>,
}

impl SideInputDelta {
    /// The ends of the windows that have something to show as soon as this is committed.
    pub fn fired(&self) -> Vec<(PCollectionId, EventTime)> {
        let Some(kind) = &self.rule.early else {
            return Vec::new();
        };
        let windows = self.windows.keys();
        windows
            .filter_map(|window| kind.decode(&mut &window[..]).ok())
            .map(|window| (self.rule.pcollection, window.max_timestamp()))
            .collect()
    }
}

/// Gathers what a bundle writes to a PCollection that is read as a side input.
#[derive(Debug)]
pub(crate) struct FeedWriter(SideInputDelta);

impl FeedWriter {
    pub(crate) fn new(rule: FeedRule) -> Self {
        Self(SideInputDelta {
            rule,
            windows: FxHashMap::default(),
        })
    }

    pub(crate) fn take(&mut self, chunk: &Bytes, element: &Element<'_>) {
        let entry = Entry {
            value: chunk.slice(element.value_range()),
            key_end: element.key().len(),
            // A pane that does not decode was an error when the element was parsed.
            pane: element.pane().ok().and_then(|pane| fired(&pane)),
        };
        // So were windows.
        for window in element.each_window_bytes().flatten() {
            match self.0.windows.get_mut(window) {
                Some(entries) => entries.push(entry.clone()),
                None => {
                    self.0
                        .windows
                        .insert(Bytes::copy_from_slice(window), vec![entry.clone()]);
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
    readers: FxHashMap<StageId, Vec<SideInput>>,
    contents: RwLock<FxHashMap<(PCollectionId, Bytes), Arc<Contents>>>,
}

impl SideInputStore {
    /// No side input has anything yet.
    pub fn new(plan: &Plan, _data: Arc<DataStore>) -> Self {
        let stages = plan.stages.iter();
        Self {
            readers: stages
                .map(|stage| (stage.id, stage.side_inputs.clone()))
                .collect(),
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
            let of_window = contents
                .entry((delta.rule.pcollection, window))
                .or_default();
            Arc::make_mut(of_window).add(entries, delta.rule.rule);
        }
        Ok(())
    }

    /// The side input of this name at a stage's transform.
    fn reader(&self, stage: StageId, transform: &str, tag: &str) -> Option<&SideInput> {
        let of_stage = self.readers.get(&stage)?;
        of_stage
            .iter()
            .find(|side| side.transform == transform && side.tag == tag)
    }

    /// A window as it is now.
    fn snapshot(&self, side: &SideInput, window: &Bytes) -> Snapshot {
        let contents = self.contents.read().unwrap_or_else(PoisonError::into_inner);
        let parts = side.pcollections.iter();
        Snapshot::new(
            parts
                .filter_map(|id| contents.get(&(*id, window.clone())).cloned())
                .collect(),
        )
    }
}
