//! The working form of a transform, between the proto and the plan.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use dataflume_proto::pipeline::{self, CombinePayload, ParDoPayload, SideInput, TestStreamPayload};
use dataflume_proto::urn::{composites, primitives, splittable_par_do_components as sdf};

use crate::refusal::At;

/// A leaf of the pipeline, or a part of one that was taken apart.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    /// The id in the pipeline proto, or a synthetic one.
    pub(crate) id: String,
    /// The user's name for it.
    pub(crate) name: String,
    pub(crate) kind: NodeKind,
    pub(crate) urn: String,
    pub(crate) payload: Bytes,
    /// Local tag -> PCollection id.
    pub(crate) inputs: BTreeMap<String, String>,
    /// Local tag -> PCollection id.
    pub(crate) outputs: BTreeMap<String, String>,
    /// The environment's id. Runner transforms may have one too; it counts only for SDK nodes.
    pub(crate) environment: String,
    pub(crate) annotations: HashMap<String, Bytes>,
    /// The payload of a ParDo and of all parts of one, decoded.
    pub(crate) par_do: Option<Box<ParDoPayload>>,
}

/// Who executes a node, and as what.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum NodeKind {
    Impulse,
    TestStream(TestStreamPayload),
    GroupByKey,
    /// Reshuffle and the like: hands its input on as it is.
    Redistribute {
        /// The elements of a key belong together.
        by_key: bool,
    },
    Identity,
    /// Dissolves, or becomes an SDK node during fusion.
    Flatten,
    /// An SDK environment.
    Sdk,
    /// Nobody; there is a problem that says why.
    Refused,
}

impl Node {
    pub(crate) fn new(id: &str, transform: &pipeline::PTransform, kind: NodeKind) -> Self {
        let spec = transform.spec.clone().unwrap_or_default();
        Self {
            id: id.to_owned(),
            name: transform.unique_name.clone(),
            kind,
            urn: spec.urn,
            payload: spec.payload,
            inputs: sorted(&transform.inputs),
            outputs: sorted(&transform.outputs),
            environment: transform.environment_id.clone(),
            annotations: transform.annotations.clone(),
            par_do: None,
        }
    }

    pub(crate) fn at(&self) -> At<'_> {
        At {
            id: &self.id,
            name: &self.name,
        }
    }

    pub(crate) fn side_input(&self, tag: &str) -> Option<&SideInput> {
        self.par_do.as_ref()?.side_inputs.get(tag)
    }

    /// Tag and PCollection of every input that is not a side input.
    pub(crate) fn main_inputs(&self) -> impl Iterator<Item = (&String, &String)> {
        self.inputs
            .iter()
            .filter(|(tag, _)| self.side_input(tag).is_none())
    }

    /// Tag and PCollection of the first main input, which is the only one of all but flattens.
    pub(crate) fn main_input(&self) -> Option<(&String, &String)> {
        self.main_inputs().next()
    }

    /// Tag, PCollection and declaration of every side input.
    pub(crate) fn side_inputs(&self) -> impl Iterator<Item = (&String, &String, &SideInput)> {
        self.inputs
            .iter()
            .filter_map(|(tag, id)| Some((tag, id, self.side_input(tag)?)))
    }

    pub(crate) fn is_stateful(&self) -> bool {
        self.urn == primitives::PAR_DO
            && self.par_do.as_ref().is_some_and(|par_do| {
                !par_do.state_specs.is_empty() || !par_do.timer_family_specs.is_empty()
            })
    }

    pub(crate) fn is_splittable(&self) -> bool {
        self.par_do
            .as_ref()
            .is_some_and(|par_do| !par_do.restriction_coder_id.is_empty())
    }

    pub(crate) fn processes_restrictions(&self) -> bool {
        self.urn == sdf::PROCESS_SIZED_ELEMENTS_AND_RESTRICTIONS
    }

    /// The combiner's payload, for the composite and its components.
    pub(crate) fn combine(&self) -> Option<CombinePayload> {
        use dataflume_proto::urn::combine_components as parts;
        let combines = [
            composites::COMBINE_PER_KEY,
            parts::COMBINE_PER_KEY_PRECOMBINE,
            parts::COMBINE_PER_KEY_MERGE_ACCUMULATORS,
            parts::COMBINE_PER_KEY_EXTRACT_OUTPUTS,
            parts::COMBINE_PER_KEY_CONVERT_TO_ACCUMULATORS,
            parts::COMBINE_GROUPED_VALUES,
        ];
        if !combines.contains(&self.urn.as_str()) {
            return None;
        }
        prost::Message::decode(self.payload.clone()).ok()
    }
}

pub(crate) fn sorted(map: &HashMap<String, String>) -> BTreeMap<String, String> {
    map.iter()
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}
