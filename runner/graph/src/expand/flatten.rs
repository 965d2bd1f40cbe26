//! Makes all inputs of a flatten look like its output, so that the flatten can dissolve.

use std::collections::BTreeMap;

use dataflume_proto::urn::primitives;
use rustc_hash::FxHashMap;

use crate::components::Components;
use crate::node::{Node, NodeKind};

/// Puts a flatten of one input, run by an SDK, before every input that is encoded in another way
/// than the output: there, values are decoded and encoded anew.
pub(crate) fn transcode(nodes: Vec<Node>, components: &mut Components) -> Vec<Node> {
    let environments = environments(&nodes);
    let mut result = Vec::with_capacity(nodes.len());
    for mut node in nodes {
        if node.kind == NodeKind::Flatten {
            let transcoders = transcoders(&mut node, &environments, components);
            result.extend(transcoders);
        }
        result.push(node);
    }
    result
}

/// PCollection -> the environment that can decode it: its producer's, else a consumer's.
pub(super) fn environments(nodes: &[Node]) -> FxHashMap<String, String> {
    let mut environments = FxHashMap::default();
    let sdk = || nodes.iter().filter(|node| node.kind == NodeKind::Sdk);
    for node in sdk() {
        for output in node.outputs.values() {
            environments.insert(output.clone(), node.environment.clone());
        }
    }
    for node in sdk() {
        for input in node.inputs.values() {
            environments
                .entry(input.clone())
                .or_insert_with(|| node.environment.clone());
        }
    }
    environments
}

fn transcoders(
    flatten: &mut Node,
    environments: &FxHashMap<String, String>,
    components: &mut Components,
) -> Vec<Node> {
    let Some(output) = flatten.outputs.values().next().cloned() else {
        return Vec::new();
    };
    let coder_id = components.coder_id(&output).to_owned();
    let mut transcoders = Vec::new();
    for (tag, input) in flatten.inputs.clone() {
        let environment = [
            Some(&flatten.environment).filter(|own| !own.is_empty()),
            environments.get(&input),
            environments.get(&output),
        ];
        let environment = environment.into_iter().flatten().next();
        let (false, Some(environment)) = (
            components
                .coders
                .same(components.coder_id(&input), &coder_id),
            environment,
        ) else {
            continue;
        };
        let id = format!("{}/Transcode/{tag}", flatten.id);
        let transcoded = components.add_pcollection(&format!("{id}.out"), &input, coder_id.clone());
        flatten.inputs.insert(tag.clone(), transcoded.clone());
        transcoders.push(Node {
            name: format!("{}/Transcode/{tag}", flatten.name),
            id,
            kind: NodeKind::Sdk,
            urn: primitives::FLATTEN.to_owned(),
            inputs: BTreeMap::from([("0".to_owned(), input)]),
            outputs: BTreeMap::from([("out".to_owned(), transcoded)]),
            environment: environment.clone(),
            ..flatten.clone()
        });
    }
    transcoders
}
