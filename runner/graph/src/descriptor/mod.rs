//! What an SDK harness is told about a stage: its `ProcessBundleDescriptor`.
//!
//! PCollections that come over the wire have the wire's coder in it, also where they are read as
//! side inputs, because SDKs decode state, residuals and side inputs with what the PCollection
//! says. PCollections that stay within the harness keep the user's coder.

mod draft;
mod window_fn;

use std::collections::BTreeMap;

use dataflume_model::ids::{EnvironmentId, PCollectionId, StageId};
use dataflume_proto::pipeline::{self, time_domain};
use dataflume_proto::urn::splittable_par_do_components as sdf;

use crate::components::Components;
use crate::node::Node;
use crate::plan::{ExecutableStage, KeyedStage, Splittable, TimeDomain, TimerFamily, Truncation};

use draft::{Draft, PORT};
pub(crate) use window_fn::{Site, mapping, merging};

/// Makes the executable stage of these nodes. The first one reads the main input.
pub(crate) fn stage(
    id: StageId,
    environment: EnvironmentId,
    nodes: &[&Node],
    outputs: &[(String, PCollectionId)],
    components: &mut Components,
) -> ExecutableStage {
    let head = nodes[0];
    let mut draft = Draft::new(id.to_string(), &head.environment, components);
    let mut sinks = BTreeMap::new();
    for node in nodes {
        draft.node(node);
    }
    let input = head.main_input().map_or("", |(_, input)| input.as_str());
    let source = draft.source(input);
    for (name, pcollection) in outputs {
        sinks.insert(draft.sink(name), *pcollection);
    }
    let descriptor = draft.finish();
    let payloads = || nodes.iter().filter_map(|node| node.par_do.as_deref());
    ExecutableStage {
        environment,
        source,
        sinks,
        keyed: head
            .is_stateful()
            .then(|| keyed(head, input, components))
            .flatten(),
        splittable: head
            .processes_restrictions()
            .then(|| splittable(id, head, input, components)),
        requires_time_sorted_input: payloads().any(|payload| payload.requires_time_sorted_input),
        requires_stable_input: payloads().any(|payload| payload.requires_stable_input),
        finalization: payloads().any(|payload| payload.requests_finalization),
        counted_elsewhere: None,
        descriptor,
    }
}

fn keyed(head: &Node, input: &str, components: &mut Components) -> Option<KeyedStage> {
    let par_do = head.par_do.as_deref()?;
    let key_coder = components.wire_coder(input).key_value()?.0.clone();
    let timer = |spec: &pipeline::TimerFamilySpec| TimerFamily {
        domain: match spec.time_domain() {
            time_domain::Enum::ProcessingTime => TimeDomain::ProcessingTime,
            _ => TimeDomain::EventTime,
        },
        key_coder: key_coder.clone(),
    };
    let expiration = &par_do.on_window_expiration_timer_family_spec;
    Some(KeyedStage {
        transform: head.id.clone(),
        states: par_do
            .state_specs
            .iter()
            .map(|(id, spec)| (id.clone(), spec.clone()))
            .collect(),
        timers: par_do
            .timer_family_specs
            .iter()
            .map(|(id, spec)| (id.clone(), timer(spec)))
            .collect(),
        on_window_expiration: (!expiration.is_empty()).then(|| expiration.clone()),
        key_coder,
    })
}

fn splittable(id: StageId, head: &Node, input: &str, components: &mut Components) -> Splittable {
    Splittable {
        process_transform: head.id.clone(),
        unbounded: head
            .outputs
            .values()
            .any(|output| !components.is_bounded(output)),
        truncate: truncation(id, head, input, components),
    }
}

/// Truncates restrictions in the form in which the processing transform reads them.
fn truncation(
    id: StageId,
    head: &Node,
    input: &str,
    components: &mut Components,
) -> Option<Box<Truncation>> {
    let capabilities = &components.environments.get(&head.environment)?.capabilities;
    if !capabilities
        .iter()
        .any(|capability| capability == sdf::TRUNCATE_SIZED_RESTRICTION)
    {
        return None;
    }
    let truncated = components.add_pcollection(
        &format!("{input}/truncated"),
        input,
        components.coder_id(input).to_owned(),
    );
    let node = Node {
        id: format!("{}/TruncateSizedRestriction", head.id),
        name: format!("{}/TruncateSizedRestriction", head.name),
        urn: sdf::TRUNCATE_SIZED_RESTRICTION.to_owned(),
        outputs: BTreeMap::from([(PORT.to_owned(), truncated.clone())]),
        ..head.clone()
    };
    let mut draft = Draft::new(format!("{id}-truncate"), &head.environment, components);
    draft.node(&node);
    let source = draft.source(input);
    let sink = draft.sink(&truncated);
    Some(Box::new(Truncation {
        descriptor: draft.finish(),
        source,
        sink,
    }))
}
