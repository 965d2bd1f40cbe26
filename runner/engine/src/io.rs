//! What goes into the engine and what comes out of it: two closed enums.

use crate::clock::Clock;
use dataflume_model::ids::{BundleId, EnvironmentId, KeyGroup, PCollectionId, StageId, WorkerId};
use dataflume_model::time::{EventTime, ProcessingTime};
use smallvec::SmallVec;

/// Names a piece of encoded data that the driver holds. The engine never looks inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DataId(pub u64);

/// What the engine knows of a piece of data: indivisible for it, and meant for one consuming stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataHandle {
    /// Where the driver finds it.
    pub id: DataId,
    /// How many windowed values it holds.
    pub elements: u64,
    /// Encoded size.
    pub bytes: u64,
    /// The smallest element timestamp.
    pub min_timestamp: EventTime,
    /// Set when the consumer is keyed: all elements belong to this group.
    pub key_group: Option<KeyGroup>,
    /// For each side input of the consumer, in the plan's order: the watermark that the side
    /// input must reach before these elements may be processed. Empty without side inputs.
    pub side_inputs_ready_at: SmallVec<[EventTime; 2]>,
}

/// Data for a stage, with what restrains it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingData {
    /// The data.
    pub handle: DataHandle,
    /// Holds the stage's watermarks until it has been processed: the smallest timestamp of an
    /// element, or the watermark that a splittable DoFn reported for a residual.
    pub hold: EventTime,
    /// A residual's requested delay: it is not processed before this.
    pub not_before: Option<ProcessingTime>,
}

impl From<DataHandle> for PendingData {
    fn from(handle: DataHandle) -> Self {
        Self {
            hold: handle.min_timestamp,
            handle,
            not_before: None,
        }
    }
}

/// Timers and holds of one key group of a keyed stage, as they stand after a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyGroupSummary {
    /// Which group.
    pub key_group: KeyGroup,
    /// Firing time of the earliest event-time timer.
    pub next_event_timer: Option<EventTime>,
    /// Firing time of the earliest processing-time timer.
    pub next_processing_timer: Option<ProcessingTime>,
    /// The smallest watermark hold: timers' output timestamps, buffered elements.
    pub hold: Option<EventTime>,
}

/// Everything a finished bundle did, as far as the engine must know. Committed as a whole.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Effects {
    /// Output data, cut for each consuming stage.
    pub deliveries: Vec<(StageId, Vec<DataHandle>)>,
    /// What the stage must process later: residuals of splittable DoFns.
    pub residuals: Vec<PendingData>,
    /// The key groups that the bundle touched.
    pub key_groups: Vec<KeyGroupSummary>,
    /// Windows, by their ends, of PCollections whose readers may look at them from now on, though more
    /// may come: a trigger has fired.
    pub fired_side_inputs: Vec<(PCollectionId, EventTime)>,
    /// The SDK asked to be told when the bundle is durable.
    pub finalize: bool,
}

/// Who executes a bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Executor {
    /// The runner's own operators, on the driver's data threads.
    Runner,
    /// An SDK worker.
    Worker(WorkerId),
}

/// The input of a bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Work {
    /// Produce the impulse.
    Impulse,
    /// Produce the elements of this event of the stage's TestStream script.
    TestStreamEvent(usize),
    /// Process these, in order.
    Elements(Vec<PendingData>),
    /// Truncate these restrictions, since the job drains; what is left of them are the bundle's
    /// residuals.
    Truncate(Vec<PendingData>),
    /// Fire the timers of these groups that are due at the bundle's times.
    Timers(Vec<KeyGroup>),
}

/// A bundle to execute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    /// Unique within the job, and new for each attempt.
    pub id: BundleId,
    /// Of which stage.
    pub stage: StageId,
    /// Where.
    pub executor: Executor,
    /// What to process.
    pub work: Work,
    /// 1 for the first attempt.
    pub attempt: u32,
    /// The stage's input watermark as the bundle starts: event timers up to it are due.
    pub input_watermark: EventTime,
    /// The watermark of what the stage's producers have yet to send, pending data left out:
    /// an element whose window expired before it is late beyond the allowed lateness.
    pub upstream_watermark: EventTime,
    /// Processing time as the bundle starts (the TestStream's clock where there is one).
    pub processing_time: ProcessingTime,
}

/// Why a bundle did not finish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BundleFailure {
    /// User code or the SDK failed: counts as an attempt.
    Failed(String),
    /// The worker went away: the bundle goes elsewhere.
    WorkerLost(String),
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// The job may begin.
    Start,
    /// A worker is ready for bundles of its environment.
    WorkerJoined {
        /// New id.
        worker: WorkerId,
        /// What it can run.
        environment: EnvironmentId,
        /// How many bundles at once.
        slots: u32,
    },
    /// A worker runs another number of bundles at once from now on. What it has already it keeps.
    WorkerSlots {
        /// Which.
        worker: WorkerId,
        /// How many.
        slots: u32,
    },
    /// A worker is gone; its bundles are run again elsewhere.
    WorkerLost {
        /// Which.
        worker: WorkerId,
        /// For messages.
        reason: String,
        /// It is what it ran that has ended it: that was an attempt.
        blames_bundles: bool,
    },
    /// A bundle that has run for long is about to have processed all of its input.
    BundleNearsEnd {
        /// Which.
        bundle: BundleId,
    },
    /// A bundle has given all it gives, and its worker takes a while to say that it has ended: it could begin another meanwhile.
    BundleWindsUp {
        /// Which.
        bundle: BundleId,
    },
    /// A bundle ended well.
    BundleFinished {
        /// Which.
        bundle: BundleId,
        /// What it did.
        effects: Effects,
    },
    /// A bundle ended badly.
    BundleFailed {
        /// Which.
        bundle: BundleId,
        /// Why.
        failure: BundleFailure,
    },
    /// A split was carried out: the bundle goes on with `primary` alone.
    BundleSplit {
        /// Which.
        bundle: BundleId,
        /// All that the bundle still answers for.
        primary: Vec<PendingData>,
        /// What anybody may process now.
        residual: Vec<PendingData>,
    },
    /// The SDK would not split now.
    SplitRefused {
        /// Which.
        bundle: BundleId,
    },
    /// Time passed; `now` says how far.
    Tick,
    /// The clock of processing time was moved, stopped or started. Until the first of these it is the real one.
    Clock(Clock),
    /// Take in nothing more, and finish what is under way.
    Drain,
    /// Stop everything.
    Cancel,
    /// Something outside of bundles broke the job: no worker can be started, a store is broken.
    Fail(String),
}

/// A share of a bundle's remaining work, in thousandths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fraction(pub u16);

impl Fraction {
    /// Nothing: a checkpoint.
    pub const ZERO: Self = Self(0);
    /// One eighth.
    pub const EIGHTH: Self = Self(125);
    /// One half.
    pub const HALF: Self = Self(500);

    /// As the Fn API wants it, 0.0 to 1.0.
    pub fn as_f64(self) -> f64 {
        f64::from(self.0) / 1000.0
    }
}

/// What must hold of a bundle that is asked to split. If it doesn't, the split is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SplitCondition {
    /// Nothing.
    None,
    /// It has got through some of its input.
    UnderWay,
    /// It is not about to end.
    WorthSharing,
}

/// How the job ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobOutcome {
    /// Everything was processed.
    Done,
    /// The sources were stopped on request; what they had given was processed.
    Drained,
    /// With the error text for the user.
    Failed(String),
    /// On request.
    Cancelled,
}

/// What the driver must do, in this order. It decides nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Execute a bundle and report how it ended.
    StartBundle(Bundle),
    /// Ask the SDK to give up what lies behind this fraction of the remaining work.
    SplitBundle {
        /// Which.
        bundle: BundleId,
        /// 0 is a checkpoint: give up all that can be given up.
        fraction_of_remainder: Fraction,
        /// What else must hold, as the SDK sees it.
        condition: SplitCondition,
    },
    /// Make the bundle's state, timers, side inputs and metrics durable and visible.
    CommitBundle {
        /// Which.
        bundle: BundleId,
    },
    /// Forget everything this attempt produced, and abort it if it still runs.
    DiscardBundle {
        /// Which.
        bundle: BundleId,
    },
    /// Nobody will read this data again.
    ReleaseData(Vec<DataId>),
    /// Tell the SDK that the bundle is durable.
    FinalizeBundle {
        /// Which.
        bundle: BundleId,
    },
    /// A note for the job's messages.
    Warn(String),
    /// The job has ended; nothing follows.
    Finish(JobOutcome),
}
