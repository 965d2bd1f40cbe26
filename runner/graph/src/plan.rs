//! The plan: what the engine runs and the driver executes.
//!
//! A plan is a list of [`Stage`]s in topological order, joined by [`PCollection`]s. Flattens have
//! dissolved: whoever consumes a flatten's output lists all of the flatten's inputs. Ids are dense
//! indices into the plan's own vectors.

use std::collections::BTreeMap;

use dataflume_model::coder::Coder;
use dataflume_model::ids::{EnvironmentId, PCollectionId, StageId};
use dataflume_model::window::WindowingStrategy;
use dataflume_proto::fn_execution::ProcessBundleDescriptor;
use dataflume_proto::pipeline;

/// A pipeline, validated, expanded and fused.
#[derive(Debug, Clone)]
pub struct Plan {
    /// All stages, producers before consumers. `stages[i].id == StageId(i)`.
    pub stages: Vec<Stage>,
    /// The PCollections that cross a stage boundary. `pcollections[i].id == PCollectionId(i)`.
    pub pcollections: Vec<PCollection>,
    /// The environments that at least one stage runs in.
    pub environments: Vec<Environment>,
    /// Pipeline-proto transform id -> the name the user gave it.
    pub transform_names: BTreeMap<String, String>,
}

/// An SDK environment of the pipeline: one worker pool per job and environment.
#[derive(Debug, Clone)]
pub struct Environment {
    /// Index in [`Plan::environments`].
    pub id: EnvironmentId,
    /// The id in the pipeline proto.
    pub name: String,
    /// The environment as the SDK sent it: urn, payload, capabilities, dependencies.
    pub proto: pipeline::Environment,
}

/// A PCollection that is materialised between stages.
#[derive(Debug, Clone)]
pub struct PCollection {
    /// Index in [`Plan::pcollections`].
    pub id: PCollectionId,
    /// The id in the pipeline proto, or a synthetic one.
    pub name: String,
    /// How one element (without its window header) is encoded on the wire, nested context.
    /// What the runner can't parse has been length-prefixed.
    pub coder: Coder,
    /// Windowing of the elements.
    pub windowing: WindowingStrategy,
    /// Whether the proto declares it bounded.
    pub bounded: bool,
    /// The one stage that writes it.
    pub producer: StageId,
}

/// One unit of scheduling: a fused set of SDK transforms, or one operator of the runner.
#[derive(Debug, Clone)]
pub struct Stage {
    /// Index in [`Plan::stages`].
    pub id: StageId,
    /// For people: the user names of the transforms within.
    pub name: String,
    /// What it does.
    pub kind: StageKind,
    /// The main input, as a union. Empty for roots, and for consumers of an empty flatten.
    pub inputs: Vec<PCollectionId>,
    /// What it writes.
    pub outputs: Vec<PCollectionId>,
    /// Side inputs that must be ready before an element is processed.
    pub side_inputs: Vec<SideInput>,
}

/// What a stage does.
#[derive(Debug, Clone)]
pub enum StageKind {
    /// One empty byte string in the global window at the minimum timestamp.
    Impulse,
    /// Scripted elements, watermarks and processing time (`beam:transform:teststream:v1`).
    TestStream(TestStream),
    /// Groups values by key and window, on the runner. Input coder is `KV<K, V>`, output coder
    /// `KV<K, Iterable<V>>`.
    GroupByKey(GroupByKey),
    /// Passes its input through unchanged, breaks fusion, and lets what follows run in parallel, on the
    /// runner (Reshuffle, Redistribute).
    Redistribute {
        /// The elements of a key are processed in one bundle, as if they had been grouped: bounded input, once it is complete.
        by_key: bool,
    },
    /// Passes its input through unchanged, on the runner (a flatten whose output needs a PCollection of
    /// its own).
    Identity,
    /// Fused transforms that run in an SDK harness.
    Executable(Box<ExecutableStage>),
}

/// A `beam:transform:group_by_key:v1`.
#[derive(Debug, Clone)]
pub struct GroupByKey {
    /// The pipeline-proto id of the transform.
    pub transform: String,
    /// Windowing of the input: window function, trigger, accumulation, lateness.
    pub windowing: WindowingStrategy,
    /// Groups once, when the input is complete: bounded input and a trigger that fires at the end of
    /// windows alone. Otherwise the trigger machine runs.
    pub at_end_of_input: bool,
    /// Set where windows merge and only the SDK knows how.
    pub merging: Option<Box<WindowFnCall>>,
}

/// How an SDK is asked about windows: a bundle of its own.
#[derive(Debug, Clone)]
pub struct WindowFnCall {
    /// Whose window function it is.
    pub environment: EnvironmentId,
    /// What the harness is told.
    pub descriptor: ProcessBundleDescriptor,
    /// The source port's transform id.
    pub source: String,
    /// The sink port's transform id.
    pub sink: String,
    /// Of the answers, without their windows, which are the global one.
    pub output_coder: Coder,
}

/// A `beam:transform:teststream:v1`.
#[derive(Debug, Clone)]
pub struct TestStream {
    /// The pipeline-proto id of the transform.
    pub transform: String,
    /// Output tag -> PCollection, as in `Stage::outputs`.
    pub tags: BTreeMap<String, PCollectionId>,
    /// The script as sent; element bytes are in the coder named there, which is the outputs'.
    pub payload: pipeline::TestStreamPayload,
}

impl TestStream {
    /// The PCollection that an event's tag means. SDKs leave the tag empty where there is but one.
    pub fn output(&self, tag: &str) -> Option<PCollectionId> {
        let only = || {
            if self.tags.len() == 1 {
                self.tags.values().next()
            } else {
                None
            }
        };
        self.tags.get(tag).or_else(only).copied()
    }
}

/// A stage that runs in an SDK harness.
#[derive(Debug, Clone)]
pub struct ExecutableStage {
    /// Where it runs.
    pub environment: EnvironmentId,
    /// What the harness is told, without service descriptors' URLs filled in. Its ports are
    /// `beam:runner:source:v1` and `beam:runner:sink:v1` transforms.
    pub descriptor: ProcessBundleDescriptor,
    /// The source port's transform id: main input elements are sent to it.
    pub source: String,
    /// Sink port's transform id -> the PCollection it writes.
    pub sinks: BTreeMap<String, PCollectionId>,
    /// Set when the stage's first transform uses user state or timers: input must be `KV<K, _>`
    /// and bundles are exclusive per key.
    pub keyed: Option<KeyedStage>,
    /// Set when the first transform is `process_sized_element_and_restrictions`.
    pub splittable: Option<Splittable>,
    /// The first transform must see each key's elements in timestamp order.
    pub requires_time_sorted_input: bool,
    /// Input must be committed before it is processed (always true here: kept for the plan's text).
    pub requires_stable_input: bool,
    /// Some transform registers bundle finalizers.
    pub finalization: bool,
    /// What it reads, as the descriptor calls it, where that is counted by another stage, too: by the one that writes
    /// it, or by the first of those that read what the runner makes. An SDK's reports count both what a stage reads and
    /// what it writes.
    pub counted_elsewhere: Option<String>,
}

/// User state and timers of a stage's first transform.
#[derive(Debug, Clone)]
pub struct KeyedStage {
    /// The pipeline-proto id of the stateful transform.
    pub transform: String,
    /// How the key is encoded on the wire.
    pub key_coder: Coder,
    /// State id -> spec, as in the ParDoPayload.
    pub states: BTreeMap<String, pipeline::StateSpec>,
    /// Timer families.
    pub timers: BTreeMap<String, TimerFamily>,
    /// The timer family that must fire for each key when a window expires, after all other timers
    /// of that key and window.
    pub on_window_expiration: Option<String>,
}

/// A timer family of a stateful transform.
#[derive(Debug, Clone)]
pub struct TimerFamily {
    /// Event or processing time.
    pub domain: TimeDomain,
    /// How the timer's user key is encoded.
    pub key_coder: Coder,
}

/// The time domain a timer fires in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeDomain {
    /// Fires when the stage's input watermark passes it.
    EventTime,
    /// Fires when the clock passes it.
    ProcessingTime,
}

/// What is special about a splittable stage.
#[derive(Debug, Clone)]
pub struct Splittable {
    /// The id, in the descriptor, of the transform that processes sized elements and restrictions.
    pub process_transform: String,
    /// A stage may write unbounded output.
    pub unbounded: bool,
    /// What truncates restrictions on drain, where the SDK can do that.
    pub truncate: Option<Box<Truncation>>,
}

/// A bundle that truncates sized restrictions: it reads what the splittable stage reads, and writes
/// what that stage is to process instead.
#[derive(Debug, Clone)]
pub struct Truncation {
    /// What the harness is told; same coders as the stage's input on both sides. Its side inputs
    /// are those that the stage lists for its splittable transform.
    pub descriptor: ProcessBundleDescriptor,
    /// The source port's transform id.
    pub source: String,
    /// The sink port's transform id.
    pub sink: String,
}

/// A side input of an executable stage.
#[derive(Debug, Clone)]
pub struct SideInput {
    /// The transform that reads it.
    pub transform: String,
    /// Its local name at that transform.
    pub tag: String,
    /// What is read, as a union.
    pub pcollections: Vec<PCollectionId>,
    /// `beam:side_input:iterable:v1` or `beam:side_input:multimap:v1`.
    pub access_pattern: AccessPattern,
    /// Windowing of the side input, for mapping main windows onto it.
    pub windowing: WindowingStrategy,
    /// The element coder on the wire.
    pub coder: Coder,
    /// Set where only the SDK knows which side window belongs to a main one.
    pub mapping: Option<Box<WindowFnCall>>,
}

/// How a side input is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccessPattern {
    /// All values of a window.
    Iterable,
    /// Values by key of a window; the coder is `KV<K, V>`.
    Multimap,
}

impl Plan {
    /// The stage with this id.
    pub fn stage(&self, id: StageId) -> &Stage {
        &self.stages[id.index()]
    }

    /// Whether the elements of a key come together, to be processed in one bundle.
    pub fn comes_by_key(&self, id: PCollectionId) -> bool {
        let producer = self.stage(self.pcollection(id).producer);
        matches!(producer.kind, StageKind::Redistribute { by_key: true })
    }

    /// The PCollection with this id.
    pub fn pcollection(&self, id: PCollectionId) -> &PCollection {
        &self.pcollections[id.index()]
    }
}
