//! From fused nodes to the plan: stages get their PCollections, and all get their ids.

use std::collections::{BTreeMap, BTreeSet};

use dataflume_model::ids::{EnvironmentId, PCollectionId, StageId};
use dataflume_model::trigger::Trigger;
use dataflume_model::window::{MergeStatus, WindowFn, WindowingStrategy};
use dataflume_proto::pipeline;
use dataflume_proto::urn::standard_coders;
use rustc_hash::{FxHashMap, FxHashSet};

use crate::components::Components;
use crate::descriptor::{self, Site};
use crate::fuse::Fused;
use crate::node::{Node, NodeKind};
use crate::plan::{
    AccessPattern, Environment, GroupByKey, PCollection, Plan, SideInput, Stage, StageKind,
    TestStream, WindowFnCall,
};

/// Assembles the plan.
pub(crate) fn plan(
    fused: Fused,
    components: &mut Components,
    transform_names: BTreeMap<String, String>,
) -> Plan {
    let read_elsewhere = read_elsewhere(&fused);
    components.state_backed = state_backed(&fused, components);
    let mut builder = Builder {
        unbounded: unbounded(&fused, components),
        fused: &fused,
        components,
        read_elsewhere,
        ids: FxHashMap::default(),
        counted: FxHashSet::default(),
        plan: Plan {
            stages: Vec::new(),
            pcollections: Vec::new(),
            environments: Vec::new(),
            transform_names,
        },
    };
    for nodes in &fused.stages {
        let nodes: Vec<&Node> = nodes.iter().map(|index| &fused.nodes[*index]).collect();
        builder.stage(&nodes);
    }
    builder.plan
}

/// The PCollections that some stage reads which doesn't write them.
fn read_elsewhere(fused: &Fused) -> FxHashSet<String> {
    let mut read = FxHashSet::default();
    for stage in &fused.stages {
        let nodes = || stage.iter().map(|index| &fused.nodes[*index]);
        let own: FxHashSet<&String> = nodes().flat_map(|node| node.outputs.values()).collect();
        for input in nodes().flat_map(|node| node.inputs.values()) {
            read.extend(
                fused
                    .union(input)
                    .into_iter()
                    .filter(|part| !own.contains(part)),
            );
        }
    }
    read
}

/// The outputs of groupings that only DoFns read, in SDKs that can ask for the rest of a large group.
/// What the runner itself reads or hands on, and what is a side input, is always whole.
fn state_backed(fused: &Fused, components: &Components) -> BTreeSet<String> {
    let groupings = fused
        .nodes
        .iter()
        .filter(|node| node.kind == NodeKind::GroupByKey);
    let mut outputs: BTreeSet<String> = groupings
        .flat_map(|node| node.outputs.values().cloned())
        .collect();
    for node in &fused.nodes {
        let main_input = node.main_input().map(|(_, input)| input);
        let asks = node.kind == NodeKind::Sdk
            && components
                .environments
                .get(&node.environment)
                .is_some_and(|environment| {
                    let mut capabilities = environment.capabilities.iter();
                    capabilities.any(|urn| urn == standard_coders::STATE_BACKED_ITERABLE)
                });
        for input in node.inputs.values() {
            let union = fused.union(input);
            if !asks || Some(input) != main_input || union.len() > 1 {
                union.iter().for_each(|part| {
                    outputs.remove(part);
                });
                outputs.remove(input);
            }
        }
    }
    outputs
}

/// The PCollections whose watermark may take its time: unbounded ones, scripted ones, and all that
/// comes of them.
fn unbounded(fused: &Fused, components: &Components) -> FxHashSet<String> {
    let mut unbounded = FxHashSet::default();
    for node in &fused.nodes {
        let scripted = matches!(node.kind, NodeKind::TestStream(_));
        let inherited = node.inputs.values().any(|input| unbounded.contains(input));
        for output in node.outputs.values() {
            if scripted || inherited || !components.is_bounded(output) {
                unbounded.insert(output.clone());
            }
        }
    }
    unbounded
}

struct Builder<'a> {
    fused: &'a Fused,
    components: &'a mut Components,
    read_elsewhere: FxHashSet<String>,
    unbounded: FxHashSet<String>,
    ids: FxHashMap<String, PCollectionId>,
    /// The PCollections whose elements are counted by a stage that is there already.
    counted: FxHashSet<String>,
    plan: Plan,
}

impl Builder<'_> {
    fn stage(&mut self, nodes: &[&Node]) {
        let Some(head) = nodes.first() else {
            return;
        };
        let id = StageId(self.plan.stages.len() as u32);
        let inputs = match head.main_input() {
            Some((_, input)) => self.read(input),
            None => Vec::new(),
        };
        let outputs = self.outputs(id, nodes);
        let side_inputs = nodes
            .iter()
            .flat_map(|node| self.side_inputs(id, node))
            .collect();
        let kind = match &head.kind {
            NodeKind::Impulse => StageKind::Impulse,
            NodeKind::TestStream(payload) => StageKind::TestStream(TestStream {
                transform: head.id.clone(),
                tags: tags(head, &outputs),
                payload: payload.clone(),
            }),
            NodeKind::GroupByKey => self.group_by_key(id, head),
            NodeKind::Redistribute { by_key } => StageKind::Redistribute {
                by_key: *by_key && self.is_bounded(head),
            },
            NodeKind::Identity | NodeKind::Flatten | NodeKind::Refused => StageKind::Identity,
            NodeKind::Sdk => {
                let environment = self.environment(&head.environment);
                let mut stage =
                    descriptor::stage(id, environment, nodes, &outputs, self.components);
                stage.counted_elsewhere = self.count(head, nodes);
                StageKind::Executable(Box::new(stage))
            }
        };
        let names: Vec<&str> = nodes.iter().map(|node| node.name.as_str()).collect();
        self.plan.stages.push(Stage {
            id,
            name: names.join(" + "),
            kind,
            inputs,
            outputs: outputs.into_iter().map(|(_, id)| id).collect(),
            side_inputs,
        });
    }

    /// Makes the PCollections that cross the stage's boundary.
    fn outputs(&mut self, producer: StageId, nodes: &[&Node]) -> Vec<(String, PCollectionId)> {
        let mut outputs = Vec::new();
        for node in nodes {
            for name in node.outputs.values() {
                // What the runner makes, it always writes.
                if node.kind == NodeKind::Sdk && !self.read_elsewhere.contains(name) {
                    continue;
                }
                let id = PCollectionId(self.plan.pcollections.len() as u32);
                self.ids.insert(name.clone(), id);
                self.plan.pcollections.push(PCollection {
                    id,
                    name: name.clone(),
                    coder: self.components.wire_coder(name),
                    windowing: self.components.windowing(name),
                    bounded: self.components.is_bounded(name),
                    producer,
                });
                outputs.push((name.clone(), id));
            }
        }
        outputs
    }

    /// Notes what the stage's SDK counts. Gives back its main input if another stage counts that already.
    fn count(&mut self, head: &Node, nodes: &[&Node]) -> Option<String> {
        let input = head.main_input().map(|(_, input)| input.clone());
        let elsewhere = input.filter(|input| !self.counted.insert(input.clone()));
        let outputs = nodes.iter().flat_map(|node| node.outputs.values());
        self.counted.extend(outputs.cloned());
        elsewhere
    }

    fn read(&self, pcollection: &str) -> Vec<PCollectionId> {
        let parts = self.fused.union(pcollection);
        parts
            .iter()
            .filter_map(|part| self.ids.get(part).copied())
            .collect()
    }

    fn side_inputs(&mut self, stage: StageId, node: &Node) -> Vec<SideInput> {
        use dataflume_proto::urn::standard_side_input_types::MULTIMAP;
        let mut side_inputs = Vec::new();
        for (tag, pcollection, declared) in node.side_inputs() {
            let pattern = declared
                .access_pattern
                .as_ref()
                .map_or("", |spec| spec.urn.as_str());
            side_inputs.push(SideInput {
                transform: node.id.clone(),
                tag: tag.clone(),
                pcollections: self.read(pcollection),
                access_pattern: match pattern {
                    MULTIMAP => AccessPattern::Multimap,
                    _ => AccessPattern::Iterable,
                },
                windowing: self.components.windowing(pcollection),
                coder: self.components.wire_coder(pcollection),
                mapping: self.mapping(stage, node, tag, pcollection, declared),
            });
        }
        side_inputs
    }

    /// How the SDK is asked for side windows, where they are of the user's own kind.
    fn mapping(
        &mut self,
        stage: StageId,
        node: &Node,
        tag: &str,
        pcollection: &str,
        declared: &pipeline::SideInput,
    ) -> Option<Box<WindowFnCall>> {
        let WindowFn::Custom { .. } = self.components.windowing(pcollection).window_fn else {
            return None;
        };
        let main = node.main_input().map_or("", |(_, main)| main.as_str());
        let main = self.components.strategy_id(main).to_owned();
        let side = self.components.strategy_id(pcollection).to_owned();
        let site = Site {
            id: format!("{stage}-map-windows-{}-{tag}", node.id),
            environment: self.environment(&node.environment),
            environment_name: &node.environment,
        };
        let function = declared.window_mapping_fn.clone().unwrap_or_default();
        let call = descriptor::mapping(site, &function, &main, &side, self.components);
        Some(Box::new(call))
    }

    /// How the SDK is asked to merge windows, where they are of the user's own kind.
    fn merging(
        &mut self,
        stage: StageId,
        windowing: &WindowingStrategy,
    ) -> Option<Box<WindowFnCall>> {
        let (MergeStatus::NeedsMerge, WindowFn::Custom { .. }) =
            (windowing.merge_status, &windowing.window_fn)
        else {
            return None;
        };
        let name = self
            .components
            .canonical_environments
            .get(&windowing.environment_id)?
            .clone();
        let site = Site {
            id: format!("{stage}-merge-windows"),
            environment: self.environment(&name),
            environment_name: &name,
        };
        let call = descriptor::merging(site, &windowing.proto_id, self.components);
        Some(Box::new(call))
    }

    fn is_bounded(&self, node: &Node) -> bool {
        let mut inputs = node.inputs.values();
        inputs.all(|input| !self.unbounded.contains(input))
    }

    fn group_by_key(&mut self, stage: StageId, node: &Node) -> StageKind {
        let input = node.inputs.values().next().map_or("", String::as_str);
        let windowing = self.components.windowing(input);
        let merging = self.merging(stage, &windowing);
        let at_end_of_input = !self.unbounded.contains(input) && fires_once_at_the_end(&windowing);
        StageKind::GroupByKey(GroupByKey {
            transform: node.id.clone(),
            windowing,
            at_end_of_input,
            merging,
        })
    }

    /// Environments are numbered as they are first used.
    fn environment(&mut self, name: &str) -> EnvironmentId {
        let known = self
            .plan
            .environments
            .iter()
            .find(|environment| environment.name == name);
        if let Some(known) = known {
            return known.id;
        }
        let id = EnvironmentId(self.plan.environments.len() as u32);
        self.plan.environments.push(Environment {
            id,
            name: name.to_owned(),
            proto: self
                .components
                .environments
                .get(name)
                .cloned()
                .unwrap_or_default(),
        });
        id
    }
}

/// Over complete input, nothing is early and nothing late: what fires at the end of windows fires
/// once.
fn fires_once_at_the_end(windowing: &WindowingStrategy) -> bool {
    matches!(
        windowing.trigger,
        Trigger::Default | Trigger::AfterEndOfWindow { early: None, .. }
    )
}

fn tags(node: &Node, outputs: &[(String, PCollectionId)]) -> BTreeMap<String, PCollectionId> {
    let written: BTreeSet<(&String, PCollectionId)> = node
        .outputs
        .iter()
        .filter_map(|(tag, name)| Some((tag, outputs.iter().find(|(n, _)| n == name)?.1)))
        .collect();
    written
        .into_iter()
        .map(|(tag, id)| (tag.clone(), id))
        .collect()
}
