//! Has an SDK cut the elements of a TestStream that the runner can't cut.

use std::collections::BTreeMap;

use dataflume_model::coder::Coder;
use dataflume_proto::urn::primitives;

use super::flatten::environments;
use crate::components::Components;
use crate::node::{Node, NodeKind};

/// By this capability an SDK says that it is Go's.
const GO: &str = "beam:version:sdk_base:go:";

/// A script has its elements as the SDK encodes them. Where that is a pair whose first part only the SDK understands,
/// nobody else can tell where the second begins. Such a script's elements leave the TestStream as byte strings, and a
/// flatten of one input, run by the SDK, decodes them and encodes them anew. Go's own coders bring their lengths.
pub(crate) fn transcode(nodes: Vec<Node>, components: &mut Components) -> Vec<Node> {
    let (environments, only) = (environments(&nodes), only_environment(&nodes));
    let mut result = Vec::with_capacity(nodes.len());
    for mut node in nodes {
        let mut transcoders = Vec::new();
        if let NodeKind::TestStream(_) = node.kind {
            for (tag, output) in node.outputs.clone() {
                let coder = components.coders.model(components.coder_id(&output));
                let environment = environments.get(&output).or(only.as_ref());
                let environment = environment.filter(|id| !is_go(components, id));
                if let (true, Some(environment)) = (hides_its_parts(&coder), environment) {
                    let transcoder = transcoder(&mut node, &tag, output, environment, components);
                    transcoders.push(transcoder);
                }
            }
        }
        result.push(node);
        result.extend(transcoders);
    }
    result
}

/// The environment of all transforms that have one: it knows every coder.
fn only_environment(nodes: &[Node]) -> Option<String> {
    let mut sdk = nodes.iter().filter(|node| node.kind == NodeKind::Sdk);
    let first = &sdk.next()?.environment;
    sdk.all(|node| node.environment == *first)
        .then(|| first.clone())
}

/// Whether it can't be told where the first of two parts ends.
fn hides_its_parts(coder: &Coder) -> bool {
    match coder {
        Coder::Kv(first, second) => first.is_opaque() || hides_its_parts(second),
        _ => false,
    }
}

fn is_go(components: &Components, environment: &str) -> bool {
    let environment = components.environments.get(environment);
    environment.is_some_and(|it| it.capabilities.iter().any(|urn| urn.starts_with(GO)))
}

fn transcoder(
    stream: &mut Node,
    tag: &str,
    output: String,
    environment: &str,
    components: &mut Components,
) -> Node {
    let id = format!("{}/Transcode/{tag}", stream.id);
    let coder = components.coder_id(&output).to_owned();
    let bytes = components.coders.length_prefixed(&coder);
    let encoded = components.add_pcollection(&format!("{id}.in"), &output, bytes);
    stream.outputs.insert(tag.to_owned(), encoded.clone());
    Node {
        name: format!("{}/Transcode/{tag}", stream.name),
        id,
        kind: NodeKind::Sdk,
        urn: primitives::FLATTEN.to_owned(),
        payload: bytes::Bytes::new(),
        inputs: BTreeMap::from([("0".to_owned(), encoded)]),
        outputs: BTreeMap::from([("out".to_owned(), output)]),
        environment: environment.to_owned(),
        annotations: stream.annotations.clone(),
        par_do: None,
    }
}
