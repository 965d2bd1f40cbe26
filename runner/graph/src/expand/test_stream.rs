//! Has an SDK cut the elements of a TestStream that the runner can't cut.

use std::collections::BTreeMap;

use dataflume_model::coder::Coder;
use dataflume_proto::sdk_base;
use dataflume_proto::urn::primitives;
use rustc_hash::FxHashMap;

use super::flatten::environments;
use crate::components::Components;
use crate::node::{Node, NodeKind};

/// A script has its elements as the SDK encodes them. Where that is a pair whose first part only the SDK understands,
/// nobody else can tell where the second begins. And where a stateful DoFn follows, Python's script has another coder than its
/// output: not that of a pair. Such a script's elements leave the TestStream as byte strings, and a
/// flatten of one input, run by the SDK, decodes them and encodes them anew. Go's own coders bring their lengths.
pub(crate) fn transcode(nodes: Vec<Node>, components: &mut Components) -> Vec<Node> {
    let (environments, only) = (environments(&nodes), only_environment(&nodes));
    let mut result = Vec::with_capacity(nodes.len());
    for mut node in nodes {
        let transcoders = transcoders(&mut node, &environments, only.as_ref(), components);
        result.push(node);
        result.extend(transcoders);
    }
    result
}

/// One for each output that only an SDK can encode.
fn transcoders(
    node: &mut Node,
    environments: &FxHashMap<String, String>,
    only: Option<&String>,
    components: &mut Components,
) -> Vec<Node> {
    let NodeKind::TestStream(payload) = &mut node.kind else {
        return Vec::new();
    };
    let scripted = payload.coder_id.clone();
    let script = components.coders.model(&scripted);
    let mut transcoders = Vec::new();
    for (tag, output) in &mut node.outputs {
        let coder = components.coders.model(components.coder_id(output));
        let environment = environments.get(output).or(only);
        let environment = environment.filter(|id| !is_go(components, id));
        if let Some(environment) = environment
            && (hides_its_parts(&script) || is_pair(&coder) && !is_pair(&script))
        {
            // From here on the script is one of byte strings.
            payload.coder_id = components.coders.length_prefixed(&scripted);
            let id = format!("{}/Transcode/{tag}", node.id);
            let bytes = payload.coder_id.clone();
            let encoded = components.add_pcollection(&format!("{id}.in"), output, bytes);
            let decoded = std::mem::replace(output, encoded.clone());
            transcoders.push(Node {
                name: format!("{}/Transcode/{tag}", node.name),
                id,
                kind: NodeKind::Sdk,
                urn: primitives::FLATTEN.to_owned(),
                payload: bytes::Bytes::new(),
                inputs: BTreeMap::from([("0".to_owned(), encoded)]),
                outputs: BTreeMap::from([("out".to_owned(), decoded)]),
                environment: environment.clone(),
                annotations: node.annotations.clone(),
                par_do: None,
            });
        }
    }
    transcoders
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

fn is_pair(coder: &Coder) -> bool {
    matches!(coder, Coder::Kv(..))
}

fn is_go(components: &Components, environment: &str) -> bool {
    let environment = components.environments.get(environment);
    environment.is_some_and(|it| sdk_base::is_named(&it.capabilities, sdk_base::GO))
}
