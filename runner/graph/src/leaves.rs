//! From the pipeline's tree of composites to the leaves that are executed.

use std::collections::HashMap;

use dataflume_proto::pipeline::{PTransform, ParDoPayload, Pipeline, TestStreamPayload};
use dataflume_proto::sdk_base;
use dataflume_proto::urn::{
    composites, deprecated_primitives, primitives, splittable_par_do_components as sdf,
};
use prost::Message;
use rustc_hash::FxHashSet;

use crate::components::Components;
use crate::expand::combine;
use crate::node::{Node, NodeKind};
use crate::refusal::{At, ProblemKind, Problems};
use crate::translate::TranslateOptions;

/// As this, Python's SDK writes a transform that has no form in Beam's model.
const PICKLED_PYTHON: &str = "beam:transform:pickled_python:v1";

/// Transforms that Beam leaves to the runner, and that this one doesn't run.
const NOT_RUN_HERE: [(&str, &str); 6] = [
    (
        deprecated_primitives::READ,
        "this is the deprecated primitive Read; let the SDK use splittable DoFns instead (remove the \
         experiment use_deprecated_read)",
    ),
    (
        composites::PUBSUB_READ,
        "reading Pub/Sub on the runner is not supported",
    ),
    (
        composites::PUBSUB_WRITE,
        "writing Pub/Sub on the runner is not supported",
    ),
    (
        composites::PUBSUB_WRITE_V2,
        "writing Pub/Sub on the runner is not supported",
    ),
    (
        composites::WRITE_FILES,
        "writing files on the runner is not supported; the SDK must expand it",
    ),
    (
        PICKLED_PYTHON,
        "this transform neither expands into others nor says in Beam's terms what it does; only a runner of \
         Python's own could know it",
    ),
];

/// The leaves in the order of the tree.
pub(crate) fn collect(
    pipeline: &Pipeline,
    components: &mut Components,
    options: &TranslateOptions,
    problems: &mut Problems,
) -> Vec<Node> {
    let mut walk = Walk {
        pipeline,
        components,
        options,
        problems,
        nodes: Vec::new(),
        visited: FxHashSet::default(),
    };
    for root in roots(pipeline) {
        walk.visit(root, At::PIPELINE);
    }
    walk.nodes
}

/// The declared roots; where an SDK declares none, whatever is nobody's part.
fn roots(pipeline: &Pipeline) -> Vec<&str> {
    if !pipeline.root_transform_ids.is_empty() {
        return pipeline
            .root_transform_ids
            .iter()
            .map(String::as_str)
            .collect();
    }
    let Some(components) = &pipeline.components else {
        return Vec::new();
    };
    let parts: FxHashSet<&String> = components
        .transforms
        .values()
        .flat_map(|transform| &transform.subtransforms)
        .collect();
    let mut roots: Vec<&str> = components
        .transforms
        .keys()
        .filter(|id| !parts.contains(id))
        .map(String::as_str)
        .collect();
    roots.sort_unstable();
    roots
}

struct Walk<'a> {
    pipeline: &'a Pipeline,
    components: &'a mut Components,
    options: &'a TranslateOptions,
    problems: &'a mut Problems,
    nodes: Vec<Node>,
    visited: FxHashSet<&'a str>,
}

impl<'a> Walk<'a> {
    fn visit(&mut self, id: &'a str, parent: At<'_>) {
        let transforms = self.pipeline.components.as_ref().map(|c| &c.transforms);
        let Some(transform) = transforms.and_then(|transforms| transforms.get(id)) else {
            let reason = "is named as a part, but the pipeline has no transform of this id";
            self.problems.malformed(parent, id, reason);
            return;
        };
        let at = At {
            id,
            name: &transform.unique_name,
        };
        if !self.visited.insert(id) {
            self.problems
                .malformed(at, id, "is a part of more than one transform");
            return;
        }
        match urn(transform) {
            primitives::IMPULSE => self.push(id, transform, NodeKind::Impulse),
            primitives::GROUP_BY_KEY => self.push(id, transform, NodeKind::GroupByKey),
            primitives::FLATTEN => self.push(id, transform, NodeKind::Flatten),
            primitives::TEST_STREAM => self.test_stream(id, transform),
            composites::RESHUFFLE
            | composites::REDISTRIBUTE_BY_KEY
            | composites::REDISTRIBUTE_ARBITRARILY
                if self.passes_through(transform) =>
            {
                let by_key = self.groups_by_own_key(transform);
                self.push(id, transform, NodeKind::Redistribute { by_key });
            }
            composites::COMBINE_PER_KEY if self.is_lifted(id, transform) => {
                let node = Node::new(id, transform, NodeKind::Sdk);
                self.nodes.extend(combine::lift(&node, self.components));
            }
            _ if !transform.subtransforms.is_empty() => {
                for part in &transform.subtransforms {
                    self.visit(part, at);
                }
            }
            _ => self.leaf(id, transform),
        }
    }

    fn push(&mut self, id: &str, transform: &PTransform, kind: NodeKind) {
        self.nodes.push(Node::new(id, transform, kind));
    }

    /// Whether output bytes may be the input's: then the runner does it. Otherwise the SDK's own
    /// implementation is run, if it sent one.
    fn passes_through(&self, transform: &PTransform) -> bool {
        let mut ends = transform.inputs.values().chain(transform.outputs.values());
        let (Some(input), Some(output), None) = (ends.next(), ends.next(), ends.next()) else {
            return false;
        };
        let coders = &self.components.coders;
        let same = coders.same(
            self.components.coder_id(input),
            self.components.coder_id(output),
        );
        transform.inputs.len() == 1 && (same || transform.subtransforms.is_empty())
    }

    /// Whether its parts group elements by a key that they have. Java's Reshuffle and Redistribute do, and transforms of the SDK rely on
    /// it: what a key has comes in one bundle. Go's is no composite; Python's gives each element a random key first.
    fn groups_by_own_key(&self, transform: &PTransform) -> bool {
        let key_of = |pcollections: &HashMap<String, String>| {
            let pcollection = pcollections.values().next()?;
            let (key, _) =
                (self.components.coders).key_value(self.components.coder_id(pcollection))?;
            Some(key.to_owned())
        };
        let Some(own) = key_of(&transform.inputs) else {
            return false;
        };
        let parts = self.parts(transform);
        let by_own = |part: &&PTransform| {
            let key = key_of(&part.inputs);
            urn(part) == primitives::GROUP_BY_KEY
                && key.is_some_and(|key| self.components.coders.same(&key, &own))
        };
        parts.iter().any(by_own) && !parts.iter().any(|part| self.is_python(part))
    }

    /// All parts of a composite, and their parts. A pipeline that has itself as a part is refused elsewhere.
    fn parts(&self, transform: &'a PTransform) -> Vec<&'a PTransform> {
        let transforms = self.pipeline.components.as_ref().map(|c| &c.transforms);
        let mut seen = FxHashSet::default();
        let mut ids: Vec<&str> = transform.subtransforms.iter().map(String::as_str).collect();
        let mut parts = Vec::new();
        while let Some(id) = ids.pop() {
            let part = transforms.and_then(|transforms| transforms.get(id));
            if let (Some(part), true) = (part, seen.insert(id)) {
                ids.extend(part.subtransforms.iter().map(String::as_str));
                parts.push(part);
            }
        }
        parts
    }

    fn is_python(&self, transform: &PTransform) -> bool {
        let environments = self.pipeline.components.as_ref().map(|c| &c.environments);
        environments
            .and_then(|environments| environments.get(&transform.environment_id))
            .is_some_and(|it| sdk_base::is_named(&it.capabilities, sdk_base::PYTHON))
    }

    fn is_lifted(&mut self, id: &str, transform: &PTransform) -> bool {
        let node = Node::new(id, transform, NodeKind::Sdk);
        (self.options.lift_combiners || transform.subtransforms.is_empty())
            && combine::can_lift(&node, self.components)
    }

    fn test_stream(&mut self, id: &str, transform: &PTransform) {
        let spec = transform.spec.clone().unwrap_or_default();
        let at = At {
            id,
            name: &transform.unique_name,
        };
        match TestStreamPayload::decode(spec.payload) {
            // Python's SDK names a service always, by no address where there is none.
            Ok(TestStreamPayload {
                endpoint: Some(service),
                ..
            }) if !service.url.is_empty() => {
                let reason = format!(
                    "its events are at the service {:?}, which is not asked; give the TestStream the events \
                     themselves",
                    service.url
                );
                self.problems
                    .add(ProblemKind::UnsupportedTransform, at, spec.urn, reason);
                self.push(id, transform, NodeKind::Refused);
            }
            Ok(payload) => self.push(id, transform, NodeKind::TestStream(payload)),
            Err(error) => {
                self.problems
                    .malformed(at, spec.urn, format!("its payload is broken: {error}"));
                self.push(id, transform, NodeKind::Refused);
            }
        }
    }

    fn leaf(&mut self, id: &str, transform: &PTransform) {
        let at = At {
            id,
            name: &transform.unique_name,
        };
        let urn = urn(transform);
        let adds_nothing = transform
            .outputs
            .values()
            .all(|out| transform.inputs.values().any(|input| input == out));
        // A composite that only hands through what it was given, or a bare name.
        if adds_nothing && (urn.is_empty() || !transform.outputs.is_empty()) {
            return;
        }
        if urn == deprecated_primitives::CREATE_VIEW {
            // Its readers refer to its input; what it says about the view is for the SDK.
            self.push(id, transform, NodeKind::Identity);
            return;
        }
        if let Some((_, reason)) = NOT_RUN_HERE.iter().find(|(known, _)| *known == urn) {
            self.problems
                .add(ProblemKind::UnsupportedTransform, at, urn, *reason);
            self.push(id, transform, NodeKind::Refused);
            return;
        }
        if transform.environment_id.is_empty() {
            let value = if urn.is_empty() { "no URN" } else { urn };
            let reason = "has no environment to run in and is none of the runner's transforms; a \
                          cross-language transform must be expanded before the pipeline is submitted";
            self.problems
                .add(ProblemKind::UnknownTransform, at, value, reason);
            self.push(id, transform, NodeKind::Refused);
            return;
        }
        let mut node = Node::new(id, transform, NodeKind::Sdk);
        if is_par_do(urn) {
            match ParDoPayload::decode(node.payload.clone()) {
                Ok(payload) => node.par_do = Some(Box::new(payload)),
                Err(error) => {
                    self.problems
                        .malformed(at, urn, format!("its payload is broken: {error}"));
                    node.kind = NodeKind::Refused;
                }
            }
        }
        self.nodes.push(node);
    }
}

fn urn(transform: &PTransform) -> &str {
    transform.spec.as_ref().map_or("", |spec| spec.urn.as_str())
}

fn is_par_do(urn: &str) -> bool {
    [
        primitives::PAR_DO,
        sdf::PAIR_WITH_RESTRICTION,
        sdf::SPLIT_AND_SIZE_RESTRICTIONS,
        sdf::PROCESS_SIZED_ELEMENTS_AND_RESTRICTIONS,
        sdf::TRUNCATE_SIZED_RESTRICTION,
    ]
    .contains(&urn)
}
