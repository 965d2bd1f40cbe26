//! Ids must lead somewhere, every PCollection has one producer, and nothing depends on itself.

use std::collections::BTreeSet;

use dataflume_proto::pipeline::{ParDoPayload, state_spec};
use rustc_hash::FxHashMap;

use crate::components::Components;
use crate::node::{Node, NodeKind};
use crate::refusal::{At, Problems};

/// Checks references and gives the nodes back, producers before consumers. Their environments are
/// now those that stand for all equal ones.
pub(crate) fn references(
    mut nodes: Vec<Node>,
    components: &mut Components,
    problems: &mut Problems,
) -> Vec<Node> {
    let mut producers: FxHashMap<String, usize> = FxHashMap::default();
    for (index, node) in nodes.iter().enumerate() {
        for output in node.outputs.values() {
            if let Some(other) = producers.insert(output.clone(), index)
                && other != index
            {
                let reason = format!("is also written by transform {:?}", nodes[other].name);
                problems.malformed(node.at(), pcollection_text(output), reason);
            }
        }
    }
    for node in &mut nodes {
        environment(node, components, problems);
        for id in node.inputs.values().chain(node.outputs.values()) {
            pcollection(node.at(), id, components, problems);
        }
        for input in node.inputs.values() {
            if !producers.contains_key(input) && components.pcollections.contains_key(input) {
                problems.malformed(
                    node.at(),
                    pcollection_text(input),
                    "is written by no transform",
                );
            }
        }
        for (what, id) in coder_references(node) {
            if components.coders.urn(&id).is_empty() {
                problems.malformed(
                    node.at(),
                    format!("coder {id:?}"),
                    format!("is the coder of {what}, and is missing from the pipeline"),
                );
            }
        }
    }
    sort(nodes, &producers, problems)
}

fn pcollection_text(id: &str) -> String {
    format!("PCollection {id:?}")
}

fn environment(node: &mut Node, components: &Components, problems: &mut Problems) {
    if node.kind != NodeKind::Sdk {
        return;
    }
    match components.canonical_environments.get(&node.environment) {
        Some(canonical) => node.environment.clone_from(canonical),
        None => {
            let value = format!("environment {:?}", node.environment);
            problems.malformed(node.at(), value, "is missing from the pipeline");
        }
    }
}

fn pcollection(at: At<'_>, id: &str, components: &Components, problems: &mut Problems) {
    let Some(pcollection) = components.pcollections.get(id) else {
        problems.malformed(at, pcollection_text(id), "is missing from the pipeline");
        return;
    };
    let coder = &pcollection.coder_id;
    if components.coders.urn(coder).is_empty() {
        let reason = format!("has coder {coder:?}, which is missing or has no URN");
        problems.malformed(at, pcollection_text(id), reason);
    }
    let strategy = &pcollection.windowing_strategy_id;
    match components.strategies.get(strategy) {
        None => {
            let reason = format!("has windowing strategy {strategy:?}, which is missing");
            problems.malformed(at, pcollection_text(id), reason);
        }
        Some(proto) if components.coders.urn(&proto.window_coder_id).is_empty() => {
            let value = format!("windowing strategy {strategy:?}");
            let reason = format!(
                "has window coder {:?}, which is missing",
                proto.window_coder_id
            );
            problems.malformed(at, value, reason);
        }
        Some(_) => {}
    }
}

/// The coders that a node's payload names.
fn coder_references(node: &Node) -> Vec<(String, String)> {
    let mut references = Vec::new();
    if let Some(par_do) = &node.par_do {
        if node.is_splittable() {
            references.push((
                "restrictions".to_owned(),
                par_do.restriction_coder_id.clone(),
            ));
        }
        references.extend(state_coders(par_do));
    }
    if let NodeKind::TestStream(payload) = &node.kind {
        references.push(("the script's elements".to_owned(), payload.coder_id.clone()));
    }
    references
}

fn state_coders(par_do: &ParDoPayload) -> impl Iterator<Item = (String, String)> + '_ {
    let states = par_do
        .state_specs
        .iter()
        .collect::<std::collections::BTreeMap<_, _>>();
    states.into_iter().flat_map(|(id, spec)| {
        use state_spec::Spec;
        let ids: Vec<&String> = match &spec.spec {
            Some(Spec::ReadModifyWriteSpec(of)) => vec![&of.coder_id],
            Some(Spec::BagSpec(of)) => vec![&of.element_coder_id],
            Some(Spec::CombiningSpec(of)) => vec![&of.accumulator_coder_id],
            Some(Spec::MapSpec(of)) => vec![&of.key_coder_id, &of.value_coder_id],
            Some(Spec::SetSpec(of)) => vec![&of.element_coder_id],
            Some(Spec::OrderedListSpec(of)) => vec![&of.element_coder_id],
            Some(Spec::MultimapSpec(of)) => vec![&of.key_coder_id, &of.value_coder_id],
            None => Vec::new(),
        };
        let what = format!("state {id:?}");
        ids.into_iter()
            .map(move |coder| (what.clone(), coder.clone()))
            .collect::<Vec<_>>()
    })
}

/// Kahn's algorithm, always taking the first node that is ready: the same pipeline gives the same
/// order, close to that of the tree.
fn sort(
    nodes: Vec<Node>,
    producers: &FxHashMap<String, usize>,
    problems: &mut Problems,
) -> Vec<Node> {
    let mut consumers: Vec<Vec<usize>> = vec![Vec::new(); nodes.len()];
    let mut waiting_for: Vec<usize> = vec![0; nodes.len()];
    for (index, node) in nodes.iter().enumerate() {
        let upstream: BTreeSet<usize> = node
            .inputs
            .values()
            .filter_map(|input| producers.get(input).copied())
            .collect();
        waiting_for[index] = upstream.len();
        for producer in upstream {
            consumers[producer].push(index);
        }
    }
    let mut ready: BTreeSet<usize> = (0..nodes.len())
        .filter(|index| waiting_for[*index] == 0)
        .collect();
    let mut order = Vec::with_capacity(nodes.len());
    while let Some(index) = ready.pop_first() {
        order.push(index);
        for consumer in &consumers[index] {
            waiting_for[*consumer] -= 1;
            if waiting_for[*consumer] == 0 {
                ready.insert(*consumer);
            }
        }
    }
    for (node, _) in nodes
        .iter()
        .zip(&waiting_for)
        .filter(|(_, waits)| **waits > 0)
    {
        problems.malformed(
            node.at(),
            "cycle",
            "depends on its own output, or on one that does",
        );
    }
    let mut slots: Vec<Option<Node>> = nodes.into_iter().map(Some).collect();
    order
        .into_iter()
        .filter_map(|index| slots[index].take())
        .collect()
}
