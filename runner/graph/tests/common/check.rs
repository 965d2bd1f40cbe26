//! What holds of every plan, whatever the pipeline.

use std::collections::BTreeSet;

use dataflume_graph::plan::{ExecutableStage, Plan, Stage, StageKind};
use dataflume_model::ids::PCollectionId;
use dataflume_proto::fn_execution::{ProcessBundleDescriptor, RemoteGrpcPort};
use dataflume_proto::urn::{runner, standard_coders};
use prost::Message;

pub(crate) fn plan(plan: &Plan) {
    for (index, environment) in plan.environments.iter().enumerate() {
        assert_eq!(environment.id.index(), index);
    }
    for (index, pcollection) in plan.pcollections.iter().enumerate() {
        assert_eq!(pcollection.id.index(), index);
        assert!(
            plan.stage(pcollection.producer)
                .outputs
                .contains(&pcollection.id)
        );
        assert!(
            !pcollection.coder.is_opaque(),
            "{} can't be cut",
            pcollection.name
        );
        assert!(
            !pcollection.windowing.kind.coder().is_opaque(),
            "windows of {}",
            pcollection.name
        );
    }
    for (index, stage) in plan.stages.iter().enumerate() {
        assert_eq!(stage.id.index(), index);
        reads_what_is_there(plan, stage);
        if let StageKind::Executable(executable) = &stage.kind {
            executable_stage(plan, stage, executable);
        }
    }
}

fn reads_what_is_there(plan: &Plan, stage: &Stage) {
    let sides = stage.side_inputs.iter().flat_map(|side| &side.pcollections);
    for read in stage.inputs.iter().chain(sides) {
        assert!(
            plan.pcollection(*read).producer < stage.id,
            "{} reads {read} too early",
            stage.id
        );
    }
    for output in &stage.outputs {
        assert_eq!(plan.pcollection(*output).producer, stage.id);
    }
    for side in &stage.side_inputs {
        for part in &side.pcollections {
            assert_eq!(plan.pcollection(*part).coder, side.coder);
        }
    }
}

/// Java's harness reads no PCollection whose coder asks for the rest of a group.
fn groups_are_asked_for_at_ports_alone(descriptor: &ProcessBundleDescriptor) {
    for (name, pcollection) in &descriptor.pcollections {
        let mut open = vec![&pcollection.coder_id];
        while let Some(coder) = open.pop().and_then(|id| descriptor.coders.get(id)) {
            let urn = coder.spec.as_ref().map_or("", |spec| spec.urn.as_str());
            assert_ne!(urn, standard_coders::STATE_BACKED_ITERABLE, "{name}");
            open.extend(&coder.component_coder_ids);
        }
    }
}

fn executable_stage(plan: &Plan, stage: &Stage, executable: &ExecutableStage) {
    let descriptor = &executable.descriptor;
    references(descriptor);
    groups_are_asked_for_at_ports_alone(descriptor);
    let environment = &plan.environments[executable.environment.index()];
    for (id, transform) in &descriptor.transforms {
        let is_port = transform.environment_id.is_empty();
        assert!(
            is_port || transform.environment_id == environment.name,
            "{id} runs elsewhere"
        );
        assert!(
            is_port || plan.transform_names.contains_key(id),
            "{id} has no name"
        );
    }
    let sinks: Vec<PCollectionId> = executable.sinks.values().copied().collect();
    let outputs: BTreeSet<PCollectionId> = stage.outputs.iter().copied().collect();
    assert_eq!(sinks.len(), outputs.len());
    assert_eq!(sinks.into_iter().collect::<BTreeSet<_>>(), outputs);
    for (sink, pcollection) in &executable.sinks {
        let port = &descriptor.transforms[sink];
        let name = &plan.pcollection(*pcollection).name;
        assert_eq!(port.inputs.values().collect::<Vec<_>>(), [name]);
    }
    assert!(descriptor.transforms.contains_key(&executable.source));
    for side in &stage.side_inputs {
        assert!(
            descriptor.transforms[&side.transform]
                .inputs
                .contains_key(&side.tag)
        );
    }
    if let Some(splittable) = &executable.splittable {
        assert!(
            descriptor
                .transforms
                .contains_key(&splittable.process_transform)
        );
        if let Some(truncate) = &splittable.truncate {
            references(&truncate.descriptor);
            assert!(
                truncate
                    .descriptor
                    .transforms
                    .contains_key(&truncate.source)
            );
            assert!(truncate.descriptor.transforms.contains_key(&truncate.sink));
        }
    }
    if let Some(keyed) = &executable.keyed {
        let (key, _) = plan
            .pcollection(stage.inputs[0])
            .coder
            .key_value()
            .expect("a KV");
        assert_eq!(*key, keyed.key_coder);
    }
}

/// Every id in a descriptor leads to something in it.
fn references(descriptor: &ProcessBundleDescriptor) {
    let mut written = BTreeSet::new();
    for (id, transform) in &descriptor.transforms {
        for output in transform.outputs.values() {
            assert!(written.insert(output), "{output} is written twice");
        }
        for pcollection in transform.inputs.values().chain(transform.outputs.values()) {
            assert!(
                descriptor.pcollections.contains_key(pcollection),
                "{id}: {pcollection}"
            );
        }
        let spec = transform.spec.as_ref().expect("a spec");
        if [runner::DATA_SOURCE, runner::DATA_SINK].contains(&spec.urn.as_str()) {
            let port = RemoteGrpcPort::decode(spec.payload.clone()).expect("a port");
            let coder = &descriptor.coders[&port.coder_id];
            let urn = &coder.spec.as_ref().expect("a spec").urn;
            assert_eq!(urn, standard_coders::WINDOWED_VALUE);
        }
    }
    for (id, pcollection) in &descriptor.pcollections {
        assert!(
            descriptor.coders.contains_key(&pcollection.coder_id),
            "coder of {id}"
        );
        let strategy = &pcollection.windowing_strategy_id;
        assert!(
            descriptor.windowing_strategies.contains_key(strategy),
            "windowing of {id}"
        );
    }
    for (id, strategy) in &descriptor.windowing_strategies {
        assert!(
            descriptor.coders.contains_key(&strategy.window_coder_id),
            "windows of {id}"
        );
    }
    for (id, coder) in &descriptor.coders {
        for component in &coder.component_coder_ids {
            assert!(
                descriptor.coders.contains_key(component),
                "component {component} of {id}"
            );
        }
    }
}
