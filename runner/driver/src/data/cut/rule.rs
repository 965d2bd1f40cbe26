//! How a PCollection is to be cut: one rule for each stage that consumes it.

use std::sync::Arc;

use dataflume_graph::plan::{Plan, Stage, StageKind};
use dataflume_model::coder::Coder;
use dataflume_model::ids::{PCollectionId, StageId};
use dataflume_model::window::{WindowFn, WindowKind, WindowingStrategy};

use crate::side_input::FeedRule;

/// As much of one key group as is kept together: what a bundle takes at most, by default.
const WHOLE_KEYS_BYTES: u64 = 32 << 20;

/// What one consumer wants of a PCollection's elements.
#[derive(Debug, Clone)]
pub struct ConsumerRule {
    /// Who consumes.
    pub stage: StageId,
    /// It consumes nothing before all of it is there.
    pub waits: bool,
    /// Set for keyed consumers: the number of key groups. The element coder must be `KV`; every
    /// handle then holds elements of one group, each in a single window.
    pub key_groups: Option<u32>,
    /// The windowing of each of the consumer's side inputs, in the plan's order.
    pub side_inputs: Vec<WindowingStrategy>,
    /// No handle holds more elements than this.
    pub max_elements_per_handle: Option<u64>,
    /// A handle is closed when it has grown to this size.
    pub target_bytes_per_handle: u64,
}

/// How the consumers of a plan's PCollections are cut for.
#[derive(Debug, Clone)]
pub struct CutOptions {
    /// The number of key groups of every keyed stage.
    pub key_groups: u32,
    /// A handle is closed when it has grown to this size.
    pub target_bytes_per_handle: u64,
    /// No handle holds more elements than this, for any consumer: a stress test of the engine.
    pub max_elements_per_handle: Option<u64>,
}

impl Default for CutOptions {
    fn default() -> Self {
        Self {
            key_groups: 64,
            target_bytes_per_handle: 1 << 20,
            max_elements_per_handle: None,
        }
    }
}

impl CutOptions {
    /// The same for data of which each key group comes at once, and stays together as far as one bundle can take it.
    fn of_whole_keys(&self) -> Self {
        Self {
            target_bytes_per_handle: WHOLE_KEYS_BYTES.max(self.target_bytes_per_handle),
            max_elements_per_handle: None,
            ..self.clone()
        }
    }
}

/// All that an [`OutputCutter`](super::OutputCutter) must know of a PCollection. Made once per job.
#[derive(Debug, Clone)]
pub struct CutSpec {
    /// The PCollection's id in the pipeline, for messages.
    pub name: Arc<str>,
    /// The element coder on the wire.
    pub coder: Coder,
    /// How its windows are encoded.
    pub window: WindowKind,
    /// Who consumes it as main input.
    pub consumers: Vec<ConsumerRule>,
    /// As what it is read as a side input.
    pub feeds: Vec<FeedRule>,
}

impl CutSpec {
    /// The spec of one of the plan's PCollections.
    pub fn of(plan: &Plan, id: PCollectionId, options: &CutOptions) -> Self {
        let pcollection = plan.pcollection(id);
        let options = match plan.comes_by_key(id) {
            true => &options.of_whole_keys(),
            false => options,
        };
        let consumers = plan
            .stages
            .iter()
            .flat_map(|stage| {
                // A flatten may read the same PCollection twice: then all is delivered twice.
                let reads = stage.inputs.iter().filter(|input| **input == id).count();
                std::iter::repeat_n(stage, reads)
            })
            .map(|stage| ConsumerRule::of(stage, options))
            .collect();
        Self {
            name: pcollection.name.as_str().into(),
            coder: pcollection.coder.clone(),
            window: pcollection.windowing.kind.clone(),
            consumers,
            feeds: FeedRule::of(plan, id),
        }
    }
}

impl ConsumerRule {
    /// The rule of a stage: keyed if it groups or keeps state, one element a handle if it is
    /// splittable.
    pub fn of(stage: &Stage, options: &CutOptions) -> Self {
        let (keyed, splittable) = match &stage.kind {
            StageKind::GroupByKey(_) | StageKind::Redistribute { by_key: true } => (true, false),
            StageKind::Executable(executable) => {
                (executable.keyed.is_some(), executable.splittable.is_some())
            }
            StageKind::Impulse
            | StageKind::TestStream(_)
            | StageKind::Redistribute { by_key: false }
            | StageKind::Identity => (false, false),
        };
        let waits = match &stage.kind {
            StageKind::GroupByKey(group) => group.at_end_of_input,
            StageKind::Redistribute { by_key } => *by_key,
            _ => false,
        };
        Self {
            stage: stage.id,
            waits,
            key_groups: keyed.then_some(options.key_groups),
            side_inputs: stage
                .side_inputs
                .iter()
                .map(|side| side.windowing.clone())
                .collect(),
            max_elements_per_handle: if splittable {
                Some(1)
            } else {
                options.max_elements_per_handle
            },
            target_bytes_per_handle: options.target_bytes_per_handle,
        }
    }

    /// Whether every main window maps onto the same side windows.
    pub(super) fn same_readiness_for_all(&self) -> bool {
        self.side_inputs
            .iter()
            .all(|side| matches!(side.window_fn, WindowFn::Global))
    }
}
