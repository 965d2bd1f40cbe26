//! Putting a descriptor together, with everything that its parts refer to.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use dataflume_proto::fn_execution::{ProcessBundleDescriptor, RemoteGrpcPort};
use dataflume_proto::pipeline::{self, FunctionSpec, PTransform, ParDoPayload, state_spec};
use dataflume_proto::urn::{runner, standard_coders};
use prost::Message;

use crate::components::Components;
use crate::node::Node;

/// The local name of what a port reads or writes.
pub(super) const PORT: &str = "out";

/// A descriptor under construction.
pub(super) struct Draft<'a> {
    components: &'a mut Components,
    descriptor: ProcessBundleDescriptor,
    /// The coders that something refers to.
    coders: BTreeSet<String>,
}

impl<'a> Draft<'a> {
    pub(super) fn new(id: String, environment: &str, components: &'a mut Components) -> Self {
        let environments = components.environments.get(environment);
        let environments = environments.map(|e| (environment.to_owned(), e.clone()));
        let descriptor = ProcessBundleDescriptor {
            id,
            environments: environments.into_iter().collect(),
            ..ProcessBundleDescriptor::default()
        };
        Self {
            components,
            descriptor,
            coders: BTreeSet::new(),
        }
    }

    pub(super) fn node(&mut self, node: &Node) {
        let payload = match &node.par_do {
            Some(par_do) => self.par_do(node, par_do),
            None => node.payload.clone(),
        };
        if let Some(combine) = node.combine() {
            self.coders.insert(combine.accumulator_coder_id);
        }
        for id in node.inputs.values().chain(node.outputs.values()) {
            self.pcollection(id, false);
        }
        for (_, id, _) in node.side_inputs() {
            self.pcollection(id, true);
        }
        let to_map = |map: &BTreeMap<String, String>| -> HashMap<String, String> {
            map.clone().into_iter().collect()
        };
        let transform = PTransform {
            unique_name: node.name.clone(),
            spec: Some(FunctionSpec {
                urn: node.urn.clone(),
                payload,
            }),
            inputs: to_map(&node.inputs),
            outputs: to_map(&node.outputs),
            environment_id: node.environment.clone(),
            annotations: node.annotations.clone(),
            ..PTransform::default()
        };
        self.descriptor
            .transforms
            .insert(node.id.clone(), transform);
    }

    /// A transform that is no node of the pipeline, and what it writes.
    pub(super) fn transform(&mut self, transform: PTransform, output: &str) {
        self.pcollection(output, true);
        self.descriptor
            .transforms
            .insert(transform.unique_name.clone(), transform);
    }

    /// The payload, with coders for state and timers that the runner can parse.
    fn par_do(&mut self, node: &Node, par_do: &ParDoPayload) -> bytes::Bytes {
        if !par_do.restriction_coder_id.is_empty() {
            self.coders.insert(par_do.restriction_coder_id.clone());
        }
        if !node.is_stateful() {
            return node.payload.clone();
        }
        let mut par_do = par_do.clone();
        for spec in par_do.state_specs.values_mut() {
            for coder in state_coders(spec) {
                *coder = self.components.coders.wire(coder);
                self.coders.insert(coder.clone());
            }
        }
        let timer_coder = self.timer_coder(node);
        for spec in par_do.timer_family_specs.values_mut() {
            if let Some(coder) = &timer_coder {
                spec.timer_family_coder_id.clone_from(coder);
            }
            self.coders.insert(spec.timer_family_coder_id.clone());
        }
        par_do.encode_to_vec().into()
    }

    /// Keys and windows are encoded in timers as they are in elements, so that both can be compared.
    fn timer_coder(&mut self, node: &Node) -> Option<String> {
        let (_, input) = node.main_input()?;
        let element = self.components.wire_coder_id(input);
        let key = self.components.coders.key_value(&element)?.0.to_owned();
        let strategy = self.components.strategy_id(input).to_owned();
        let window = self.components.wire_window_coder_id(&strategy);
        let name = format!("timer_{key}_{window}");
        Some(
            self.components
                .coders
                .add(&name, standard_coders::TIMER, &[&key, &window]),
        )
    }

    /// Adds the PCollection, with the wire's coder if it comes over the wire.
    fn pcollection(&mut self, id: &str, wire: bool) {
        if !wire && self.descriptor.pcollections.contains_key(id) {
            return;
        }
        let Some(mut pcollection) = self.components.pcollections.get(id).cloned() else {
            return;
        };
        if wire {
            pcollection.coder_id = self.components.element_coder_id(id);
        }
        pcollection.coder_id = self.components.coders.of_elements(&pcollection.coder_id);
        self.coders.insert(pcollection.coder_id.clone());
        self.strategy(&pcollection.windowing_strategy_id);
        pcollection.display_data.clear();
        self.descriptor
            .pcollections
            .insert(id.to_owned(), pcollection);
    }

    fn strategy(&mut self, id: &str) {
        if self.descriptor.windowing_strategies.contains_key(id) {
            return;
        }
        let Some(mut strategy) = self.components.strategies.get(id).cloned() else {
            return;
        };
        strategy.window_coder_id = self.components.wire_window_coder_id(id);
        self.coders.insert(strategy.window_coder_id.clone());
        self.descriptor
            .windowing_strategies
            .insert(id.to_owned(), strategy);
    }

    pub(super) fn source(&mut self, pcollection: &str) -> String {
        self.pcollection(pcollection, true);
        let id = format!("{}/source", self.descriptor.id);
        let mut port = self.port(runner::DATA_SOURCE, pcollection, &id);
        port.outputs = HashMap::from([(PORT.to_owned(), pcollection.to_owned())]);
        self.descriptor.transforms.insert(id.clone(), port);
        id
    }

    pub(super) fn sink(&mut self, pcollection: &str) -> String {
        let id = format!("{}/sink/{pcollection}", self.descriptor.id);
        let mut port = self.port(runner::DATA_SINK, pcollection, &id);
        port.inputs = HashMap::from([(PORT.to_owned(), pcollection.to_owned())]);
        self.descriptor.transforms.insert(id.clone(), port);
        id
    }

    fn port(&mut self, urn: &str, pcollection: &str, id: &str) -> PTransform {
        let value = self.components.wire_coder_id(pcollection);
        let strategy = self.components.strategy_id(pcollection).to_owned();
        let window = self.components.wire_window_coder_id(&strategy);
        let coder_id = self.components.coders.add(
            &format!("windowed_{value}_{window}"),
            standard_coders::WINDOWED_VALUE,
            &[&value, &window],
        );
        self.coders.insert(coder_id.clone());
        let port = RemoteGrpcPort {
            api_service_descriptor: None,
            coder_id,
        };
        PTransform {
            unique_name: id.to_owned(),
            spec: Some(FunctionSpec {
                urn: urn.to_owned(),
                payload: port.encode_to_vec().into(),
            }),
            ..PTransform::default()
        }
    }

    pub(super) fn finish(mut self) -> ProcessBundleDescriptor {
        let coders = self.coders.iter().map(String::as_str);
        self.descriptor.coders = self.components.coders.closure(coders);
        self.descriptor
    }
}

fn state_coders(spec: &mut pipeline::StateSpec) -> Vec<&mut String> {
    use state_spec::Spec;
    match &mut spec.spec {
        Some(Spec::ReadModifyWriteSpec(of)) => vec![&mut of.coder_id],
        Some(Spec::BagSpec(of)) => vec![&mut of.element_coder_id],
        Some(Spec::CombiningSpec(of)) => vec![&mut of.accumulator_coder_id],
        Some(Spec::MapSpec(of)) => vec![&mut of.key_coder_id, &mut of.value_coder_id],
        Some(Spec::SetSpec(of)) => vec![&mut of.element_coder_id],
        Some(Spec::OrderedListSpec(of)) => vec![&mut of.element_coder_id],
        Some(Spec::MultimapSpec(of)) => vec![&mut of.key_coder_id, &mut of.value_coder_id],
        None => Vec::new(),
    }
}
