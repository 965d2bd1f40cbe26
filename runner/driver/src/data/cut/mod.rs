//! Cutting: a bundle's output, as it arrives, becomes handles for each consumer.
//!
//! Where a consumer takes any grouping, chunks pass whole, shared and not copied. A keyed consumer
//! gets its elements by key group, each in a single window. Where the readiness of a side input
//! differs by window, elements are told apart by it.

mod builder;
mod rule;

use std::sync::Arc;

use bytes::Bytes;
use dataflume_engine::DataHandle;
use dataflume_model::coder::CoderError;
use dataflume_model::ids::{KeyGroup, StageId};
use dataflume_model::time::EventTime;
use dataflume_model::window::{Window, WindowingStrategy};
use dataflume_model::windowed::{Element, WindowedCodec};
use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use self::builder::{HandleBuilder, Limits};
pub use self::rule::{ConsumerRule, CutOptions, CutSpec};
use super::{DataError, DataStore, hash};
use crate::side_input::{FeedWriter, SideInputDelta};

/// Smaller elements are copied, where they are looked at one by one: a slice of a chunk keeps all of it in
/// memory, and costs more than it saves.
const WORTH_SHARING_BYTES: usize = 4 << 10;

type ReadyAt = SmallVec<[EventTime; 2]>;

/// Cuts what one bundle writes to one PCollection.
pub struct OutputCutter {
    spec: Arc<CutSpec>,
    store: Arc<DataStore>,
    codec: WindowedCodec,
    consumers: Vec<Consumer>,
    feeds: Vec<FeedWriter>,
    elements: u64,
    bytes: u64,
}

/// What was cut. Dropped before its parts are taken, the data is released.
pub struct CutOutput {
    store: Arc<DataStore>,
    deliveries: Vec<(StageId, Vec<DataHandle>)>,
    feeds: Vec<SideInputDelta>,
    /// Elements written.
    pub elements: u64,
    /// Their encoded size.
    pub bytes: u64,
}

/// One consumer's share.
struct Consumer {
    rule: ConsumerRule,
    store: Arc<DataStore>,
    /// Of a keyed consumer whose side inputs are all ready at once, by key group: there nothing must be
    /// looked up by more than a number.
    by_group: Vec<Option<HandleBuilder>>,
    /// All others.
    builders: FxHashMap<(Option<KeyGroup>, ReadyAt), HandleBuilder>,
    same_readiness: bool,
    /// For consumers that do not look at windows: when all side inputs are ready.
    same_ready_at: ReadyAt,
    /// Every element is looked at.
    by_element: bool,
}

impl OutputCutter {
    /// A cutter for one of the job's PCollections.
    pub fn new(spec: Arc<CutSpec>, store: Arc<DataStore>) -> Self {
        let codec = WindowedCodec::new(spec.coder.clone(), spec.window.clone());
        let consumers = spec
            .consumers
            .iter()
            .map(|rule| Consumer::new(rule, &store))
            .collect();
        let feeds = spec
            .feeds
            .iter()
            .map(|rule| FeedWriter::new(rule.clone()))
            .collect();
        Self {
            spec,
            store,
            codec,
            consumers,
            feeds,
            elements: 0,
            bytes: 0,
        }
    }

    /// Takes whole elements.
    ///
    /// # Errors
    /// If they do not decode, or can't be stored.
    pub fn push(&mut self, chunk: Bytes) -> Result<(), DataError> {
        let mut count = 0;
        let mut min_timestamp = EventTime::MAX;
        let by_element = self.consumers.iter().any(|c| c.by_element) || !self.feeds.is_empty();
        let mut elements = self.codec.iter(&chunk);
        loop {
            let position = elements.position() as u64;
            let Some(element) = elements.next() else {
                break;
            };
            let element = element.map_err(|source| DataError::Malformed {
                pcollection: self.spec.name.clone(),
                offset: self.bytes + position,
                source,
            })?;
            count += 1;
            min_timestamp = min_timestamp.min(element.hold());
            if by_element {
                for consumer in self.consumers.iter_mut().filter(|c| c.by_element) {
                    consumer.take(&self.spec, &chunk, &element)?;
                }
                for feed in &mut self.feeds {
                    feed.take(&chunk, &element);
                }
            }
        }
        self.elements += count;
        self.bytes += chunk.len() as u64;
        if count == 0 {
            return Ok(());
        }
        for consumer in self.consumers.iter_mut().filter(|c| !c.by_element) {
            let ready_at = consumer.same_ready_at.clone();
            consumer
                .builder(None, ready_at)
                .share(chunk.clone(), count, min_timestamp)?;
        }
        Ok(())
    }

    /// All that was pushed, cut.
    ///
    /// # Errors
    /// If it can't be stored.
    pub fn finish(self) -> Result<CutOutput, DataError> {
        let mut output = CutOutput {
            store: self.store,
            deliveries: Vec::new(),
            feeds: self
                .feeds
                .into_iter()
                .filter_map(FeedWriter::finish)
                .collect(),
            elements: self.elements,
            bytes: self.bytes,
        };
        for consumer in self.consumers {
            output.deliveries.push((consumer.rule.stage, Vec::new()));
            // Into the output at once: if a later one fails, what is there is released with it.
            if let Some((_, handles)) = output.deliveries.last_mut() {
                let by_group = consumer.by_group.into_iter().flatten();
                for builder in by_group.chain(consumer.builders.into_values()) {
                    handles.extend(builder.finish()?);
                }
                if handles.is_empty() {
                    output.deliveries.pop();
                }
            }
        }
        Ok(output)
    }
}

impl CutOutput {
    /// What each consumer gets. Who takes it must see to its release.
    pub fn take_deliveries(&mut self) -> Vec<(StageId, Vec<DataHandle>)> {
        std::mem::take(&mut self.deliveries)
    }

    /// What side inputs get.
    pub fn take_feeds(&mut self) -> Vec<SideInputDelta> {
        std::mem::take(&mut self.feeds)
    }
}

impl Drop for CutOutput {
    fn drop(&mut self) {
        let handles = self.deliveries.iter().flat_map(|(_, handles)| handles);
        self.store
            .release(handles.map(|handle| handle.id).collect::<Vec<_>>());
    }
}

impl Consumer {
    fn new(rule: &ConsumerRule, store: &Arc<DataStore>) -> Self {
        let same = rule.same_readiness_for_all();
        Self {
            by_element: rule.key_groups.is_some()
                || rule.max_elements_per_handle.is_some()
                || !same,
            same_ready_at: rule
                .side_inputs
                .iter()
                .map(|_| EventTime::END_OF_GLOBAL_WINDOW)
                .collect(),
            rule: rule.clone(),
            store: store.clone(),
            by_group: Vec::new(),
            builders: FxHashMap::default(),
            same_readiness: same,
        }
    }

    fn builder(&mut self, group: Option<KeyGroup>, ready_at: ReadyAt) -> &mut HandleBuilder {
        let Self {
            rule,
            store,
            builders,
            ..
        } = self;
        builders
            .entry((group, ready_at))
            .or_insert_with_key(|(group, ready_at)| {
                HandleBuilder::new(store.clone(), limits(rule), *group, ready_at.clone())
            })
    }

    #[inline]
    fn builder_of_group(&mut self, group: KeyGroup) -> &mut HandleBuilder {
        let index = group.0 as usize;
        if index >= self.by_group.len() {
            self.by_group.resize_with(index + 1, || None);
        }
        self.by_group[index].get_or_insert_with(|| {
            let ready_at = self.same_ready_at.clone();
            HandleBuilder::new(
                self.store.clone(),
                limits(&self.rule),
                Some(group),
                ready_at,
            )
        })
    }

    fn take(
        &mut self,
        spec: &CutSpec,
        chunk: &Bytes,
        element: &Element<'_>,
    ) -> Result<(), DataError> {
        let group = self
            .rule
            .key_groups
            .map(|groups| hash::key_group(element.key(), groups));
        let single = element.window_count() == 1;
        let same = self.same_readiness;
        if let (true, true, Some(group)) = (single, same, group) {
            let builder = self.builder_of_group(group);
            return builder.copy(&[element.bytes()], element.hold());
        }
        // A keyed consumer treats each window by itself; so does one whose side inputs do.
        if single || (group.is_none() && same) {
            let ready_at = if same {
                self.same_ready_at.clone()
            } else {
                self.ready_at(spec, element, 0)?
            };
            let builder = self.builder(group, ready_at);
            // A large slice is shared; many small ones cost more than their bytes.
            if group.is_none() && element.range().len() >= WORTH_SHARING_BYTES {
                return builder.share(chunk.slice(element.range()), 1, element.hold());
            }
            return builder.copy(&[element.bytes()], element.hold());
        }
        for (index, window) in element.each_window_bytes().enumerate() {
            let window = window.map_err(|source| spec.malformed(source))?;
            let ready_at = if same {
                self.same_ready_at.clone()
            } else {
                self.ready_at(spec, element, index)?
            };
            let timestamp = element.timestamp.encode();
            let count = 1u32.to_be_bytes();
            let parts = [
                &timestamp[..],
                &count,
                window,
                element.pane_bytes(),
                element.value(),
            ];
            self.builder(group, ready_at).copy(&parts, element.hold())?;
        }
        Ok(())
    }

    /// When the side inputs are ready for one of the element's windows.
    fn ready_at(
        &self,
        spec: &CutSpec,
        element: &Element<'_>,
        index: usize,
    ) -> Result<ReadyAt, DataError> {
        let Some(window) = element.windows().nth(index) else {
            return Ok(self.same_ready_at.clone());
        };
        let window: Window = window.map_err(|source| spec.malformed(source))?;
        let ready = |side: &WindowingStrategy| match side.window_fn.map_side_input(&window) {
            Some(side_window) => side_window.max_timestamp(),
            // Which side window it is only the SDK knows: all of them have to be complete.
            None => EventTime::END_OF_GLOBAL_WINDOW,
        };
        Ok(self.rule.side_inputs.iter().map(ready).collect())
    }
}

fn limits(rule: &ConsumerRule) -> Limits {
    Limits {
        max_elements: rule.max_elements_per_handle.unwrap_or(u64::MAX),
        target_bytes: rule.target_bytes_per_handle,
        waits: rule.waits,
    }
}

impl CutSpec {
    fn malformed(&self, source: CoderError) -> DataError {
        DataError::Malformed {
            pcollection: self.name.clone(),
            offset: 0,
            source,
        }
    }
}
