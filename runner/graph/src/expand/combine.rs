//! Combiner lifting: combine on the way into the grouping what one bundle has of a key, so that
//! accumulators are shuffled instead of values.

use std::collections::BTreeMap;

use dataflume_proto::pipeline::{
    self, WindowingStrategy, accumulation_mode, closing_behavior, on_time_behavior, output_time,
    trigger,
};
use dataflume_proto::urn::{combine_components as parts, primitives};

use crate::components::Components;
use crate::node::{Node, NodeKind};

/// Whether the composite has all it takes, and neither its trigger counts elements nor what it holds depends on each: they
/// would no longer be seen one by one. Nor may a pane be empty: the accumulator of nothing is one that an SDK's coder may not know
/// (Java's `Latest`). Combined at once, it never leaves its CombineFn.
pub(crate) fn can_lift(node: &Node, components: &Components) -> bool {
    let (Some(input), 1, 1) = (
        node.inputs.values().next(),
        node.inputs.len(),
        node.outputs.len(),
    ) else {
        return false;
    };
    let Some(payload) = node.combine() else {
        return false;
    };
    let strategy = components.strategies.get(components.strategy_id(input));
    let trigger = strategy.and_then(|strategy| strategy.trigger.as_ref());
    // An accumulator with the timestamp of an element that the watermark has passed could not hold it at that of another.
    let looks_at_timestamps = strategy
        .is_some_and(|strategy| strategy.output_time() == output_time::Enum::EarliestInPane);
    !node.environment.is_empty()
        && !components
            .coders
            .urn(&payload.accumulator_coder_id)
            .is_empty()
        && components
            .coders
            .key_value(components.coder_id(input))
            .is_some()
        && trigger.is_none_or(may_see_accumulators)
        && !strategy.is_some_and(may_give_empty_panes)
        && (components.is_bounded(input) || !looks_at_timestamps)
}

fn may_see_accumulators(trigger: &pipeline::Trigger) -> bool {
    use trigger::Trigger as Kind;
    match &trigger.trigger {
        None
        | Some(
            Kind::Default(_)
            | Kind::Never(_)
            | Kind::AfterProcessingTime(_)
            | Kind::AfterSynchronizedProcessingTime(_),
        ) => true,
        Some(Kind::AfterEndOfWindow(of)) => {
            let firings = [of.early_firings.as_deref(), of.late_firings.as_deref()];
            firings.into_iter().flatten().all(may_see_accumulators)
        }
        Some(Kind::AfterAny(of)) => of.subtriggers.iter().all(may_see_accumulators),
        Some(Kind::Repeat(of)) => of.subtrigger.as_deref().is_none_or(may_see_accumulators),
        // These may have to fire at every single element, or at a number of them.
        Some(Kind::Always(_) | Kind::ElementCount(_)) => false,
        Some(Kind::AfterAll(_) | Kind::AfterEach(_) | Kind::OrFinally(_)) => false,
    }
}

/// Whether nothing may have come since the pane before, which took all there was.
fn may_give_empty_panes(strategy: &WindowingStrategy) -> bool {
    let keeps = strategy.accumulation_mode() == accumulation_mode::Enum::Accumulating;
    let closes = strategy.closing_behavior() == closing_behavior::Enum::EmitAlways;
    let on_time = strategy.on_time_behavior() != on_time_behavior::Enum::FireIfNonempty;
    let early = strategy.trigger.as_ref().is_some_and(may_fire_early);
    // What the watermark closes at once has a pane that is both the first and the last.
    let late = strategy.allowed_lateness > 0;
    !keeps && ((closes && (early || late)) || (on_time && early))
}

/// Of the triggers that may see accumulators.
fn may_fire_early(trigger: &pipeline::Trigger) -> bool {
    use trigger::Trigger as Kind;
    match &trigger.trigger {
        None | Some(Kind::Default(_) | Kind::Never(_)) => false,
        Some(Kind::AfterEndOfWindow(of)) => of.early_firings.is_some(),
        Some(Kind::Repeat(of)) => of.subtrigger.as_deref().is_some_and(may_fire_early),
        Some(Kind::AfterAny(of)) => of.subtriggers.iter().any(may_fire_early),
        Some(_) => true,
    }
}

/// Precombine, group, merge accumulators, extract outputs. [`can_lift`] must hold.
///
/// What extracts keeps the composite's id, so that its metrics are found under the user's name.
pub(crate) fn lift(node: &Node, components: &mut Components) -> Vec<Node> {
    let (Some(input), Some(output), Some(payload)) = (
        node.inputs.values().next(),
        node.outputs.values().next(),
        node.combine(),
    ) else {
        return Vec::new();
    };
    let accumulator = payload.accumulator_coder_id;
    let coder_id = components.coder_id(input).to_owned();
    let key = components
        .coders
        .key_value(&coder_id)
        .map_or("", |(key, _)| key)
        .to_owned();
    let combined = components.coders.add_kv(&key, &accumulator);
    let accumulators = components.coders.add_iterable(&accumulator);
    let grouped = components.coders.add_kv(&key, &accumulators);

    let id = |part: &str| format!("{}/{part}", node.id);
    let precombined = components.add_pcollection(&id("Precombine.out"), input, combined.clone());
    let grouped = components.add_pcollection(&id("Group.out"), output, grouped);
    let merged = components.add_pcollection(&id("Merge.out"), output, combined);

    let part = |name: &str, urn: &str, from: &str, to: &str| Node {
        id: id(name),
        name: format!("{}/{name}", node.name),
        urn: urn.to_owned(),
        inputs: BTreeMap::from([("in".to_owned(), from.to_owned())]),
        outputs: BTreeMap::from([("out".to_owned(), to.to_owned())]),
        ..node.clone()
    };
    let precombine = part(
        "Precombine",
        parts::COMBINE_PER_KEY_PRECOMBINE,
        input,
        &precombined,
    );
    let group = Node {
        kind: NodeKind::GroupByKey,
        environment: String::new(),
        payload: bytes::Bytes::new(),
        ..part("Group", primitives::GROUP_BY_KEY, &precombined, &grouped)
    };
    let merge = part(
        "Merge",
        parts::COMBINE_PER_KEY_MERGE_ACCUMULATORS,
        &grouped,
        &merged,
    );
    let extract = Node {
        id: node.id.clone(),
        outputs: node.outputs.clone(),
        ..part(
            "Extract",
            parts::COMBINE_PER_KEY_EXTRACT_OUTPUTS,
            &merged,
            output,
        )
    };
    vec![precombine, group, merge, extract]
}
