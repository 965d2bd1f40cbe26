//! The streaming GroupByKey: groups values by key and window, and emits panes as triggers say.
//!
//! [`Grouper`] runs every grouping that can't wait for the end of its input: unbounded input,
//! triggers other than the default one, windows that merge. It is a function of what the store holds and the
//! work it is given; what it changes comes back as a batch that is committed with the bundle.
//!
//! Semantics are those of Beam's reference for Dataflow, the Java `ReduceFnRunner`. One file per
//! behaviour: `operator` (elements), `timers` (due timers, expiry), `merging` and `merger` (windows that
//! merge), `triggers`
//! (when to fire), `panes` (what is emitted), `holds` (timestamps and watermark holds), `cell`, `state` and
//! `view` (what is kept, and where).

mod cell;
mod holds;
mod keys;
mod merger;
mod merging;
mod operator;
mod output;
mod panes;
mod state;
mod timers;
mod triggers;
mod view;

use bytes::Bytes;
use dataflume_model::coder::CoderError;
use dataflume_model::ids::{KeyGroup, StageId};
use dataflume_model::time::{EventTime, ProcessingTime};
use dataflume_model::window::{AccumulationMode, MergeStatus, WindowFn, WindowingStrategy};
use dataflume_model::windowed::WindowedCodec;

use crate::io::KeyGroupSummary;
use crate::store::{Store, StoreError, WriteBatch};
pub use merger::{Merge, WindowMerger, merged};
use triggers::Program;

/// Why a grouping could not be run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GroupingError {
    /// An element does not decode.
    #[error("malformed element: {0}")]
    Coder(#[from] CoderError),
    /// The keyed store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Nobody said how windows merge.
    #[error("windows could not be merged: {0}")]
    Merger(String),
    /// The window function's answer contradicts what it was asked.
    #[error("the window function merges windows wrongly: {0}")]
    BadMerge(String),
    /// The window function can't merge, though the windowing strategy says so.
    #[error("the windowing strategy wants windows merged that do not merge")]
    NotMerging,
    /// Retractions are not supported.
    #[error("accumulation mode RETRACTING is not supported")]
    Retracting,
    /// The input's coder is not `KV`.
    #[error("a grouping needs KV elements, not {coder}")]
    NotKeyed {
        /// What it is.
        coder: String,
    },
    /// The store holds something that this grouping didn't write.
    #[error("the state of a window is damaged: {0}")]
    Damaged(CoderError),
    /// A pane has more values than an encoded iterable can count.
    #[error("a pane has {values} values, more than an iterable can hold")]
    PaneTooLarge {
        /// How many.
        values: u64,
    },
}

/// Choices that Beam leaves to the runner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct GroupingOptions {
    /// Asks triggers after every element, so that `AfterCount(2)` fires with two elements however
    /// they are bundled. Otherwise they are asked when all of a bundle's elements are in.
    pub fire_at_every_element: bool,
}

/// One GroupByKey.
#[derive(Debug, Clone)]
pub struct Grouper {
    stage: StageId,
    strategy: WindowingStrategy,
    merging: bool,
    program: Program,
    input: WindowedCodec,
    options: GroupingOptions,
}

/// What a bundle has to do.
#[derive(Debug, Clone)]
pub struct GroupingWork {
    /// Chunks of windowed `KV<K, V>`, each of one key group.
    pub elements: Vec<(KeyGroup, Vec<Bytes>)>,
    /// Groups whose due timers must fire, after the elements were added.
    pub timers: Vec<KeyGroup>,
    /// The stage's input watermark. Event timers before it are due; what belongs to a window that
    /// expired before it is dropped.
    pub input_watermark: EventTime,
    /// Processing-time timers up to it are due.
    pub processing_time: ProcessingTime,
}

/// What the bundle did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GroupingEffects {
    /// Chunks of windowed `KV<K, Iterable<V>>`.
    pub output: Vec<Bytes>,
    /// How many panes they hold.
    pub output_elements: u64,
    /// What to commit.
    pub batch: WriteBatch,
    /// Each key group that the work names, as it stands after the commit.
    pub key_groups: Vec<KeyGroupSummary>,
    /// Elements, once per window, that came after their window had expired.
    pub dropped_late: u64,
    /// Elements, once per window, that came after their window's trigger had finished.
    pub dropped_closed: u64,
}

impl Grouper {
    /// A grouping of `input`, whose value coder must be `KV`, by a windowing strategy. Its state is
    /// kept under the stage's id.
    pub fn new(
        stage: StageId,
        strategy: WindowingStrategy,
        input: WindowedCodec,
        options: GroupingOptions,
    ) -> Result<Self, GroupingError> {
        let merging = strategy.merge_status == MergeStatus::NeedsMerge;
        if strategy.accumulation == AccumulationMode::Retracting {
            return Err(GroupingError::Retracting);
        }
        if input.value.key_value().is_none() {
            return Err(GroupingError::NotKeyed {
                coder: input.value.to_string(),
            });
        }
        let program = Program::new(&strategy.trigger);
        let may_merge = strategy.window_fn.is_merging()
            || matches!(strategy.window_fn, WindowFn::Custom { .. });
        if merging && !may_merge {
            return Err(GroupingError::NotMerging);
        }
        Ok(Self {
            stage,
            strategy,
            merging,
            program,
            input,
            options,
        })
    }

    /// Does the work against the store, which is only read.
    ///
    /// The key groups of the work must be the caller's alone until the batch is committed.
    pub fn run(
        &self,
        store: &dyn Store,
        work: &GroupingWork,
    ) -> Result<GroupingEffects, GroupingError> {
        self.run_with(store, work, &self.strategy.window_fn)
    }

    /// The same, where this says how windows merge.
    pub fn run_with(
        &self,
        store: &dyn Store,
        work: &GroupingWork,
        merger: &dyn WindowMerger,
    ) -> Result<GroupingEffects, GroupingError> {
        operator::run(self, store, work, merger)
    }
}

/// Event time has come past `time`: nothing with this timestamp is expected any more.
fn passed(time: EventTime, watermark: EventTime) -> bool {
    time < watermark || watermark == EventTime::MAX
}
