//! The parts of a plan that the engine asks for again and again, as indices.

use dataflume_graph::plan::{Plan, StageKind};
use dataflume_model::ids::{EnvironmentId, PCollectionId, StageId};

/// What kind of scheduling a stage needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// One bundle, once.
    Impulse,
    /// A script, advanced when the job is quiescent.
    TestStream,
    /// Any pending data, in any grouping.
    Elements,
    /// Data and timers of a key group exclude each other.
    Keyed,
    /// All data of a key group at once, when the input is complete.
    GroupAtEnd,
    /// The same, with timers.
    KeyedAtEnd,
    /// Data of a key group as far as event time has come, allowed lateness included; with timers.
    KeyedByTime,
}

/// One stage's fixed facts.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) role: Role,
    /// `None`: the runner's own.
    pub(crate) environment: Option<EnvironmentId>,
    pub(crate) inputs: Vec<PCollectionId>,
    pub(crate) outputs: Vec<PCollectionId>,
    /// Per side input, the PCollections it is the union of.
    pub(crate) side_inputs: Vec<Vec<PCollectionId>>,
    /// Stages that read an output, as main or side input.
    pub(crate) downstream: Vec<StageId>,
    pub(crate) splittable: bool,
    pub(crate) unbounded: bool,
    /// All its input was redistributed: the user asks for it to be processed in parallel.
    pub(crate) redistributed: bool,
    /// It only passes elements on: bundles of many key groups cost less, and give no less.
    pub(crate) passes_on: bool,
    /// How far elements of the main input may be behind the watermark.
    pub(crate) allowed_lateness_ms: i64,
    /// Splittable, and its SDK can truncate restrictions.
    pub(crate) truncatable: bool,
}

/// The plan as a graph of nodes. `nodes[i]` is `StageId(i)`.
#[derive(Debug, Clone)]
pub(crate) struct Topology {
    pub(crate) nodes: Vec<Node>,
    pub(crate) producer: Vec<StageId>,
    /// By PCollection: how long after the end of a window its trigger is sure to have fired, if there is anything to fire
    /// for. What has not fired by then does so when the window expires.
    pub(crate) fired_after_ms: Vec<i64>,
}

impl Topology {
    pub(crate) fn of(plan: &Plan) -> Self {
        let mut nodes: Vec<Node> = plan
            .stages
            .iter()
            .map(|stage| {
                let (role, environment, splittable, unbounded) = match &stage.kind {
                    StageKind::Impulse => (Role::Impulse, None, false, false),
                    StageKind::TestStream(_) => (Role::TestStream, None, false, false),
                    StageKind::Redistribute { by_key: true } => {
                        (Role::GroupAtEnd, None, false, false)
                    }
                    StageKind::Redistribute { by_key: false } | StageKind::Identity => {
                        (Role::Elements, None, false, false)
                    }
                    StageKind::GroupByKey(group) if group.at_end_of_input => {
                        (Role::GroupAtEnd, None, false, false)
                    }
                    StageKind::GroupByKey(_) => (Role::Keyed, None, false, false),
                    StageKind::Executable(executable) => (
                        match &executable.keyed {
                            Some(_) if executable.requires_time_sorted_input => {
                                // Without late data, sorting is cheapest once all is there.
                                if stage.inputs.iter().all(|id| plan.pcollection(*id).bounded) {
                                    Role::KeyedAtEnd
                                } else {
                                    Role::KeyedByTime
                                }
                            }
                            Some(_) => Role::Keyed,
                            None => Role::Elements,
                        },
                        Some(executable.environment),
                        executable.splittable.is_some(),
                        executable.splittable.as_ref().is_some_and(|s| s.unbounded),
                    ),
                };
                Node {
                    name: stage.name.clone(),
                    role,
                    environment,
                    inputs: stage.inputs.clone(),
                    outputs: stage.outputs.clone(),
                    side_inputs: stage
                        .side_inputs
                        .iter()
                        .map(|s| s.pcollections.clone())
                        .collect(),
                    downstream: Vec::new(),
                    splittable,
                    unbounded,
                    redistributed: stage.inputs.iter().all(|id| {
                        let producer = plan.stage(plan.pcollection(*id).producer);
                        matches!(producer.kind, StageKind::Redistribute { .. })
                    }),
                    passes_on: matches!(stage.kind, StageKind::Redistribute { .. }),
                    allowed_lateness_ms: stage
                        .inputs
                        .first()
                        .map_or(0, |id| plan.pcollection(*id).windowing.allowed_lateness_ms),
                    truncatable: truncatable(&stage.kind),
                }
            })
            .collect();
        let producer: Vec<StageId> = plan.pcollections.iter().map(|p| p.producer).collect();
        for stage in &plan.stages {
            let read = stage
                .inputs
                .iter()
                .chain(stage.side_inputs.iter().flat_map(|s| &s.pcollections));
            for pcollection in read {
                let downstream = &mut nodes[producer[pcollection.index()].index()].downstream;
                if !downstream.contains(&stage.id) {
                    downstream.push(stage.id);
                }
            }
        }
        let windowings = plan.pcollections.iter().map(|p| &p.windowing);
        let fired_after_ms = windowings
            .map(
                |windowing| match windowing.trigger.fires_at_end_of_window() {
                    true => 0,
                    false => windowing.allowed_lateness_ms,
                },
            )
            .collect();
        Self {
            nodes,
            producer,
            fired_after_ms,
        }
    }

    pub(crate) fn node(&self, stage: StageId) -> &Node {
        &self.nodes[stage.index()]
    }

    pub(crate) fn stages(&self) -> impl Iterator<Item = StageId> + use<> {
        (0..self.nodes.len()).map(|index| StageId(index as u32))
    }
}

fn truncatable(kind: &StageKind) -> bool {
    let StageKind::Executable(executable) = kind else {
        return false;
    };
    let splittable = executable.splittable.as_ref();
    splittable.is_some_and(|splittable| splittable.truncate.is_some())
}
