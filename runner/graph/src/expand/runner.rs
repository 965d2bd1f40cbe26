//! What the runner writes itself must be what its readers are told.

use crate::components::Components;
use crate::node::{Node, NodeKind};

/// Gives the outputs of runner transforms the coders that follow from the transforms, where the
/// pipeline declares others.
pub(crate) fn settle_coders(nodes: &[Node], components: &mut Components) {
    for node in nodes {
        let coder = match &node.kind {
            NodeKind::GroupByKey => grouped(node, components),
            NodeKind::TestStream(payload) => Some(payload.coder_id.clone()),
            NodeKind::Redistribute { .. } | NodeKind::Identity => node
                .inputs
                .values()
                .next()
                .map(|input| components.coder_id(input).to_owned()),
            _ => None,
        };
        for output in node.outputs.values() {
            let Some(coder) = &coder else {
                continue;
            };
            if !components.coders.same(components.coder_id(output), coder)
                && let Some(pcollection) = components.pcollections.get_mut(output)
            {
                pcollection.coder_id.clone_from(coder);
            }
        }
    }
}

/// `KV<K, Iterable<V>>` of the input's `KV<K, V>`.
fn grouped(node: &Node, components: &mut Components) -> Option<String> {
    let input = components.coder_id(node.inputs.values().next()?).to_owned();
    let (key, value) = components.coders.key_value(&input)?;
    let (key, value) = (key.to_owned(), value.to_owned());
    let values = components.coders.add_iterable(&value);
    Some(components.coders.add_kv(&key, &values))
}
