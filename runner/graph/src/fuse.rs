//! Fusion: which nodes run in one bundle.
//!
//! Greedy, in topological order: a node joins the stage that produces its main input, if both run in
//! the same environment, nothing demands that the node's input be committed first, none of its
//! side inputs depends on that stage, and a side input's windows can be told from those that the stage's
//! input has: whether it is ready is found out there. What can't join its producer joins a stage that reads the same
//! PCollection, so that it is sent once. Flattens dissolve, unless all their inputs come from one
//! stage: then the SDK flattens within it.

use std::collections::BTreeSet;

use dataflume_proto::urn::global_windows_payload;
use rustc_hash::FxHashMap;

use crate::components::Components;
use crate::node::{Node, NodeKind};

/// Nodes by stage, and what became of flattens.
#[derive(Debug)]
pub(crate) struct Fused {
    pub(crate) nodes: Vec<Node>,
    /// Stages in topological order, each with the indices of its nodes, in topological order.
    pub(crate) stages: Vec<Vec<usize>>,
    /// The output of a dissolved flatten -> the PCollections that it is the union of. None of these
    /// is the output of a dissolved flatten.
    unions: FxHashMap<String, Vec<String>>,
}

impl Fused {
    /// What a reader of this PCollection reads.
    pub(crate) fn union(&self, pcollection: &str) -> Vec<String> {
        resolve(&self.unions, pcollection)
    }
}

fn resolve(unions: &FxHashMap<String, Vec<String>>, pcollection: &str) -> Vec<String> {
    unions
        .get(pcollection)
        .cloned()
        .unwrap_or_else(|| vec![pcollection.to_owned()])
}

/// Puts nodes, which are in topological order, into stages.
pub(crate) fn fuse(mut nodes: Vec<Node>, enabled: bool, components: &Components) -> Fused {
    let mut fusion = Fusion {
        enabled,
        components,
        stages: Vec::new(),
        producers: FxHashMap::default(),
        readers: FxHashMap::default(),
        unions: FxHashMap::default(),
    };
    for (index, node) in nodes.iter_mut().enumerate() {
        fusion.place(index, node);
    }
    let stages = fusion.sorted();
    Fused {
        nodes,
        stages,
        unions: fusion.unions,
    }
}

#[derive(Debug)]
struct Fusion<'a> {
    enabled: bool,
    components: &'a Components,
    stages: Vec<Draft>,
    /// PCollection -> the stage that writes it.
    producers: FxHashMap<String, usize>,
    /// What stages read from outside -> the last one that others may join there.
    readers: FxHashMap<(String, String, String), usize>,
    unions: FxHashMap<String, Vec<String>>,
}

#[derive(Debug, Default)]
struct Draft {
    nodes: Vec<usize>,
    /// Of SDK stages.
    environment: Option<String>,
    /// The stages that it reads from.
    upstream: BTreeSet<usize>,
    /// Something in it reads a side input.
    waits: bool,
    /// The main inputs of its nodes.
    inputs: Vec<String>,
}

impl Fusion<'_> {
    fn place(&mut self, index: usize, node: &mut Node) {
        if node.kind == NodeKind::Flatten && !self.flattens_within_a_stage(node) {
            let parts = node
                .inputs
                .values()
                .flat_map(|input| resolve(&self.unions, input));
            let parts: Vec<String> = parts.collect();
            for output in node.outputs.values() {
                self.unions.insert(output.clone(), parts.clone());
            }
            return;
        }
        let stage = self.home(node).unwrap_or_else(|| {
            let environment = (node.kind == NodeKind::Sdk).then(|| node.environment.clone());
            self.stages.push(Draft {
                environment,
                ..Draft::default()
            });
            let stage = self.stages.len() - 1;
            if let Some(reading) = reading(node) {
                self.readers.insert(reading, stage);
            }
            stage
        });
        let upstream: Vec<usize> = node
            .inputs
            .values()
            .flat_map(|input| self.sources(input))
            .filter(|source| *source != stage)
            .collect();
        self.stages[stage].nodes.push(index);
        self.stages[stage].upstream.extend(upstream);
        self.stages[stage].waits |= node.side_inputs().next().is_some();
        let input = node.main_input().map(|(_, input)| input.clone());
        self.stages[stage].inputs.extend(input);
        for output in node.outputs.values() {
            self.producers.insert(output.clone(), stage);
        }
    }

    /// Makes the flatten one that an SDK runs, if it can stay within a stage.
    fn flattens_within_a_stage(&self, node: &mut Node) -> bool {
        let inputs: BTreeSet<&String> = node.inputs.values().collect();
        let mut stages = node
            .inputs
            .values()
            .map(|input| self.direct_producer(input));
        let Some(Some(stage)) = stages.next() else {
            return false;
        };
        let Some(environment) = &self.stages[stage].environment else {
            return false;
        };
        let together = stages.all(|other| other == Some(stage));
        // SDKs differ in what they make of an input that is there twice.
        if !self.enabled || !together || inputs.len() < node.inputs.len() {
            return false;
        }
        node.kind = NodeKind::Sdk;
        node.environment.clone_from(environment);
        true
    }

    /// The stage that a node can join.
    fn home(&self, node: &Node) -> Option<usize> {
        if !self.enabled || node.kind != NodeKind::Sdk || starts_a_stage(node) {
            return None;
        }
        let (_, input) = node.main_input()?;
        self.with_producer(node, input)
            .or_else(|| self.with_sibling(node))
    }

    fn with_producer(&self, node: &Node, input: &str) -> Option<usize> {
        let stage = self.direct_producer(input)?;
        let same_environment = self.stages[stage].environment.as_ref() == Some(&node.environment);
        let mut sides = node
            .side_inputs()
            .flat_map(|(_, side, _)| self.sources(side));
        let joins = same_environment
            && !sides.any(|side| self.depends(side, stage))
            && self.windows_tell_side_inputs(node, input, stage);
        joins.then_some(stage)
    }

    /// Whether the windows that the node's side inputs are looked up by are those of the stage's
    /// input, or don't matter.
    fn windows_tell_side_inputs(&self, node: &Node, input: &str, stage: usize) -> bool {
        let function = |pcollection: &str| {
            let id = self.components.strategy_id(pcollection);
            self.components.strategies.get(id)?.window_fn.as_ref()
        };
        let is_global = |side: &String| {
            function(side).is_some_and(|of| of.urn == global_windows_payload::PROPERTIES)
        };
        let same = |other: &String| function(other) == function(input);
        node.side_inputs().all(|(_, side, _)| is_global(side))
            || self.stages[stage].inputs.iter().all(same)
    }

    /// Only what is of the same kind shares: the Go SDK chooses how to decode a group by the first
    /// transform that reads it.
    fn with_sibling(&self, node: &Node) -> Option<usize> {
        let stage = *self.readers.get(&reading(node)?)?;
        // Nobody should have to wait for the side inputs of others.
        (!self.stages[stage].waits).then_some(stage)
    }

    fn direct_producer(&self, pcollection: &str) -> Option<usize> {
        self.producers.get(pcollection).copied()
    }

    /// The stages that write what a reader of this PCollection reads.
    fn sources(&self, pcollection: &str) -> Vec<usize> {
        let parts = resolve(&self.unions, pcollection);
        parts
            .iter()
            .filter_map(|part| self.direct_producer(part))
            .collect()
    }

    /// Whether a stage is another, or needs its results.
    fn depends(&self, stage: usize, on: usize) -> bool {
        let mut seen = BTreeSet::from([stage]);
        let mut open = vec![stage];
        while let Some(next) = open.pop() {
            if next == on {
                return true;
            }
            open.extend(
                self.stages[next]
                    .upstream
                    .iter()
                    .filter(|up| seen.insert(**up)),
            );
        }
        false
    }

    /// A node that joined late can make its stage depend on one that was begun later.
    fn sorted(&mut self) -> Vec<Vec<usize>> {
        let mut order = Vec::with_capacity(self.stages.len());
        let mut done = BTreeSet::new();
        for stage in 0..self.stages.len() {
            self.visit(stage, &mut done, &mut order);
        }
        order
            .into_iter()
            .map(|stage| std::mem::take(&mut self.stages[stage].nodes))
            .collect()
    }

    fn visit(&self, stage: usize, done: &mut BTreeSet<usize>, order: &mut Vec<usize>) {
        // Depth first without recursion: pipelines can be long.
        let mut open = vec![(stage, false)];
        while let Some((stage, upstream_done)) = open.pop() {
            if upstream_done {
                order.push(stage);
            } else if done.insert(stage) {
                open.push((stage, true));
                let upstream = self.stages[stage].upstream.iter().rev();
                open.extend(upstream.map(|up| (*up, false)));
            }
        }
    }
}

/// What a node would read together with others, if it may: PCollection, environment and URN.
fn reading(node: &Node) -> Option<(String, String, String)> {
    if node.kind != NodeKind::Sdk || starts_a_stage(node) || node.side_inputs().next().is_some() {
        return None;
    }
    let (_, input) = node.main_input()?;
    Some((input.clone(), node.environment.clone(), node.urn.clone()))
}

/// Whether a node's input must be committed before the node sees it.
fn starts_a_stage(node: &Node) -> bool {
    node.is_stateful()
        || node.processes_restrictions()
        || node
            .par_do
            .as_ref()
            .is_some_and(|par_do| par_do.requires_time_sorted_input || par_do.requires_stable_input)
}
