//! Windowing strategies: what a PCollection's windowing says about grouping it.

use super::{WindowFn, WindowKind};
use crate::trigger::Trigger;

/// Whether windows still have to be merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MergeStatus {
    /// The window function does not merge.
    NonMerging,
    /// A grouping has to merge.
    NeedsMerge,
    /// A grouping has merged; nothing more to do.
    AlreadyMerged,
}

/// What happens to a pane's elements after it has fired.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AccumulationMode {
    /// They are dropped: panes are disjoint.
    Discarding,
    /// They stay: each pane holds all elements so far.
    Accumulating,
    /// They stay, and what was emitted before is retracted.
    Retracting,
}

/// Whether the last pane of a window is emitted when nothing was added since the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ClosingBehavior {
    /// Always.
    EmitAlways,
    /// Only if it holds something new.
    EmitIfNonempty,
}

/// Whether the on-time pane is emitted when nothing was added since the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OnTimeBehavior {
    /// Always.
    FireAlways,
    /// Only if it holds something new.
    FireIfNonempty,
}

/// Which timestamp the result of a grouping has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OutputTime {
    /// The end of the window.
    EndOfWindow,
    /// The latest of the elements' timestamps.
    LatestInPane,
    /// The earliest of the elements' timestamps.
    EarliestInPane,
}

/// Windowing of a PCollection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WindowingStrategy {
    /// How elements get their windows.
    pub window_fn: WindowFn,
    /// Whether windows still have to be merged.
    pub merge_status: MergeStatus,
    /// How windows are encoded.
    pub kind: WindowKind,
    /// When a grouping emits.
    pub trigger: Trigger,
    /// What becomes of emitted elements.
    pub accumulation: AccumulationMode,
    /// Whether an empty last pane is emitted.
    pub closing: ClosingBehavior,
    /// Whether an empty on-time pane is emitted.
    pub on_time: OnTimeBehavior,
    /// The timestamp of what a grouping emits.
    pub output_time: OutputTime,
    /// For how long after its end a window still takes elements.
    pub allowed_lateness_ms: i64,
    /// The environment of a window function that the user wrote; empty otherwise.
    pub environment_id: String,
    /// The id in the pipeline proto.
    pub proto_id: String,
}

impl Default for WindowingStrategy {
    /// The global window with the default trigger, discarding: what a pipeline starts with.
    fn default() -> Self {
        Self {
            window_fn: WindowFn::Global,
            merge_status: MergeStatus::NonMerging,
            kind: WindowKind::Global,
            trigger: Trigger::Default,
            accumulation: AccumulationMode::Discarding,
            closing: ClosingBehavior::EmitIfNonempty,
            on_time: OnTimeBehavior::FireAlways,
            output_time: OutputTime::EndOfWindow,
            allowed_lateness_ms: 0,
            environment_id: String::new(),
            proto_id: String::new(),
        }
    }
}
