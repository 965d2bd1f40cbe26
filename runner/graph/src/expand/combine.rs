//! Combiner lifting: combine on the way into the grouping what one bundle has of a key, so that
//! accumulators are shuffled instead of values.

use std::collections::BTreeMap;

use dataflume_model::trigger::Trigger;
use dataflume_model::window::{
    AccumulationMode, ClosingBehavior, OnTimeBehavior, OutputTime, WindowingStrategy,
};
use dataflume_proto::urn::{combine_components as parts, primitives};

use crate::components::Components;
use crate::node::{Node, NodeKind};

/// Whether the composite has all it takes, and neither its trigger counts elements nor what it holds depends on each: they
/// would no longer be seen one by one. Nor may a pane be empty: the accumulator of nothing is one that an SDK's coder may not know
/// (Java's `Latest`). Combined at once, it never leaves its CombineFn.
pub(crate) fn can_lift(node: &Node, components: &mut Components) -> bool {
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
    let windowing = components.windowing(input);
    // An accumulator with the timestamp of an element that the watermark has passed could not hold it at that of another.
    let looks_at_timestamps = windowing.output_time == OutputTime::EarliestInPane;
    !node.environment.is_empty()
        && !components
            .coders
            .urn(&payload.accumulator_coder_id)
            .is_empty()
        && components
            .coders
            .key_value(components.coder_id(input))
            .is_some()
        && may_see_accumulators(&windowing.trigger)
        && !may_give_empty_panes(&windowing)
        && (components.is_bounded(input) || !looks_at_timestamps)
}

fn may_see_accumulators(trigger: &Trigger) -> bool {
    match trigger {
        Trigger::Default
        | Trigger::Never
        | Trigger::AfterProcessingTime(_)
        | Trigger::AfterSynchronizedProcessingTime => true,
        Trigger::AfterEndOfWindow { early, late } => {
            let mut firings = [early, late].into_iter().flatten();
            firings.all(|trigger| may_see_accumulators(trigger))
        }
        Trigger::AfterAny(any) => any.iter().all(may_see_accumulators),
        Trigger::Repeat(repeated) => may_see_accumulators(repeated),
        // These may have to fire at every single element, or at a number of them.
        Trigger::Always | Trigger::ElementCount(_) => false,
        Trigger::AfterAll(_) | Trigger::AfterEach(_) | Trigger::OrFinally { .. } => false,
    }
}

/// Whether nothing may have come since the pane before, which took all there was.
fn may_give_empty_panes(windowing: &WindowingStrategy) -> bool {
    let keeps = windowing.accumulation == AccumulationMode::Accumulating;
    let closes = windowing.closing == ClosingBehavior::EmitAlways;
    let on_time = windowing.on_time == OnTimeBehavior::FireAlways;
    let early = windowing.trigger.may_fire_early();
    // What the watermark closes at once has a pane that is both the first and the last.
    let late = windowing.allowed_lateness_ms > 0;
    !keeps && ((closes && (early || late)) || (on_time && early))
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
