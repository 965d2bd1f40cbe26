//! Side inputs: what a PCollection holds by window, and by key, for the stages that look at it.
//!
//! A window shows what was fired last: elements of a later pane take the place of those of earlier ones
//! (`contents`). Where a trigger may fire before the end of the window, readers need not wait for
//! that: the engine is told which windows have something to show. A bundle sees a window as it was at
//! its first look (`read`).
//!
//! All are in memory, within a limit. A window is removed when no reader can look at it any more (`expiry`).

mod cache;
mod contents;
mod expiry;
mod read;
#[cfg(test)]
mod tests;
mod windows;

use std::sync::{Mutex, PoisonError, RwLock};

use bytes::Bytes;
use dataflume_engine::Engine;
use dataflume_graph::plan::{AccessPattern, PCollection, Plan, SideInput};
use dataflume_model::ids::{PCollectionId, StageId};
use dataflume_model::time::EventTime;
use dataflume_model::trigger::Trigger;
use dataflume_model::window::{AccumulationMode, WindowKind};
use dataflume_model::windowed::Element;
use dataflume_proto::fn_execution::process_bundle_request::CacheToken;
use rustc_hash::FxHashMap;

use contents::{Entry, Rule, Snapshot, fired};
use expiry::Expiry;
pub use read::BundleSideInputs;
use windows::Windows;

/// Why what a bundle wrote can't be shown.
#[derive(Debug, thiserror::Error)]
pub enum SideInputError {
    /// There is too much of it.
    #[error(
        "the job's side inputs hold {} MiB, and may hold {} MiB: they are kept in memory, and half of --memory-budget is for them", bytes >> 20, limit >> 20
    )]
    TooLarge {
        /// What they hold, with what was to be added.
        bytes: u64,
        /// What they may hold.
        limit: u64,
    },
}

/// That a PCollection is read as a side input.
#[derive(Debug, Clone)]
pub struct FeedRule {
    pcollection: PCollectionId,
    rule: Rule,
    window: WindowKind,
    /// A window may have something to show before it is complete.
    early: bool,
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
        let early = may_show_early(&windowing.trigger);
        let by_key = |side: &&SideInput| side.access_pattern == AccessPattern::Multimap;
        vec![Self {
            pcollection: id,
            rule: Rule {
                by_key: readers.iter().all(by_key),
                bundles_replace: early
                    && !bounded
                    && windowing.accumulation == AccumulationMode::Discarding,
            },
            window: windowing.kind.clone(),
            early,
        }]
    }
}

impl FeedRule {
    /// The last moment of a window, if it is of a kind that is understood.
    fn end(&self, window: &Bytes) -> Option<EventTime> {
        let window = self.window.decode(&mut &window[..]).ok()?;
        Some(window.max_timestamp())
    }
}

/// Whether a window may have something to show before the watermark says that it has: not at its end, nor when it expires.
fn may_show_early(trigger: &Trigger) -> bool {
    let may_be_late = !trigger.fires_at_end_of_window() && *trigger != Trigger::Never;
    trigger.may_fire_early() || may_be_late
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
        if !self.rule.early {
            return Vec::new();
        }
        let windows = self.windows.keys();
        windows
            .filter_map(|window| self.rule.end(window))
            .map(|end| (self.rule.pcollection, end))
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
    cache_tokens: FxHashMap<StageId, Vec<CacheToken>>,
    windows: RwLock<Windows>,
    expiries: Mutex<Vec<Expiry>>,
    limit_bytes: u64,
}

impl SideInputStore {
    /// No side input has anything yet. All together may hold as much as the limit.
    pub fn new(plan: &Plan, limit_bytes: u64) -> Self {
        let stages = plan.stages.iter();
        Self {
            readers: stages
                .map(|stage| (stage.id, stage.side_inputs.clone()))
                .collect(),
            cache_tokens: plan
                .stages
                .iter()
                .map(|stage| (stage.id, cache::tokens(plan, stage)))
                .collect(),
            windows: RwLock::default(),
            expiries: Mutex::new(Expiry::all(plan)),
            limit_bytes,
        }
    }

    /// Adds what a bundle wrote.
    ///
    /// # Errors
    /// If there is too much of it.
    pub fn commit(&self, delta: SideInputDelta) -> Result<(), SideInputError> {
        let rule = delta.rule;
        let mut windows = self.windows.write().unwrap_or_else(PoisonError::into_inner);
        for (window, entries) in delta.windows {
            // What is not understood stays to the end.
            let end = rule.end(&window).unwrap_or(EventTime::MAX);
            windows.add(rule.pcollection, window, end, entries, rule.rule);
        }
        let (bytes, limit) = (windows.bytes(), self.limit_bytes);
        if bytes > limit {
            return Err(SideInputError::TooLarge { bytes, limit });
        }
        Ok(())
    }

    /// Removes the windows that no reader can look at any more.
    pub(crate) fn remove_expired(&self, engine: &Engine) {
        let mut expiries = self.expiries.lock().unwrap_or_else(PoisonError::into_inner);
        for expiry in expiries.iter_mut() {
            if let Some(time) = expiry.advance(engine) {
                let mut windows = self.windows.write().unwrap_or_else(PoisonError::into_inner);
                windows.remove_before(expiry.pcollection, time);
            }
        }
    }

    /// For those of a stage's side inputs that a worker may keep from bundle to bundle.
    pub(crate) fn cache_tokens(&self, stage: StageId) -> Vec<CacheToken> {
        self.cache_tokens.get(&stage).cloned().unwrap_or_default()
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
        let windows = self.windows.read().unwrap_or_else(PoisonError::into_inner);
        let parts = side.pcollections.iter();
        Snapshot::new(parts.filter_map(|id| windows.get(*id, window)).collect())
    }
}
