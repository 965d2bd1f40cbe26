//! Splittable DoFns: an element is paired with its restriction, the restriction split and sized;
//! what processes the pieces is a stage of its own, which can be checkpointed and split further.

use std::collections::BTreeMap;

use dataflume_proto::urn::{primitives, splittable_par_do_components as urns, standard_coders};

use crate::components::Components;
use crate::node::Node;

/// Replaces every splittable ParDo by its three parts. The processing part keeps the id of the
/// ParDo.
pub(crate) fn expand(nodes: Vec<Node>, components: &mut Components) -> Vec<Node> {
    nodes
        .into_iter()
        .flat_map(|node| {
            if node.urn == primitives::PAR_DO && node.is_splittable() {
                parts(node, components)
            } else {
                vec![node]
            }
        })
        .collect()
}

fn parts(node: Node, components: &mut Components) -> Vec<Node> {
    let (Some((tag, input)), Some(par_do)) = (node.main_input(), node.par_do.as_ref()) else {
        return vec![node];
    };
    let element = components.coder_id(input).to_owned();
    let coders = &mut components.coders;
    let size = coders.add("double", standard_coders::DOUBLE, &[]);
    let paired = coders.add_kv(&element, &par_do.restriction_coder_id);
    let sized = coders.add_kv(&paired, &size);

    let id = |part: &str| format!("{}/{part}", node.id);
    let paired = components.add_pcollection(&id("PairWithRestriction.out"), input, paired);
    let sized = components.add_pcollection(&id("SplitAndSizeRestrictions.out"), input, sized);

    // All parts get the side inputs: the arguments of the user's function say that it has them.
    let reading = |from: &str| {
        let mut inputs = node.inputs.clone();
        inputs.insert(tag.clone(), from.to_owned());
        inputs
    };
    let part = |name: &str, urn: &str, from: &str, to: &str| Node {
        id: id(name),
        name: format!("{}/{name}", node.name),
        urn: urn.to_owned(),
        inputs: reading(from),
        outputs: BTreeMap::from([("out".to_owned(), to.to_owned())]),
        ..node.clone()
    };
    let pair = part(
        "PairWithRestriction",
        urns::PAIR_WITH_RESTRICTION,
        input,
        &paired,
    );
    let split = part(
        "SplitAndSizeRestrictions",
        urns::SPLIT_AND_SIZE_RESTRICTIONS,
        &paired,
        &sized,
    );
    let process = Node {
        urn: urns::PROCESS_SIZED_ELEMENTS_AND_RESTRICTIONS.to_owned(),
        inputs: reading(&sized),
        ..node.clone()
    };
    vec![pair, split, process]
}
