//! Small pipelines: `id` is both a transform's id and its name, and every output is `id.out`.

use bytes::Bytes;
use dataflume_graph::{Refusal, TranslateOptions, plan::Plan, translate};
use dataflume_proto::pipeline::{
    Coder, CombinePayload, Components, Environment, FunctionSpec, PCollection, PTransform,
    ParDoPayload, Pipeline, SideInput, WindowingStrategy, is_bounded,
};
use dataflume_proto::urn::{composites, primitives, standard_coders, standard_side_input_types};
use prost::Message;

use super::check;

#[derive(Default)]
pub(crate) struct Builder {
    pub(crate) pipeline: Pipeline,
}

impl Builder {
    /// Two environments `python` and `java`; coders `bytes`, `string`, `varint`, `pickled`, and
    /// `kv` of the string and the pickled one; the windowing `global`.
    pub(crate) fn new() -> Self {
        let mut this = Self::default();
        for name in ["python", "java"] {
            let environment = Environment {
                urn: format!("env:{name}"),
                ..Default::default()
            };
            this.components()
                .environments
                .insert(name.into(), environment);
        }
        this.coder("bytes", standard_coders::BYTES, &[]);
        this.coder("string", standard_coders::STRING_UTF8, &[]);
        this.coder("varint", standard_coders::VARINT, &[]);
        this.coder("pickled", "beam:coder:pickled_python:v1", &[]);
        this.coder("global_window", standard_coders::GLOBAL_WINDOW, &[]);
        this.coder("kv", standard_coders::KV, &["string", "pickled"]);
        let urn = dataflume_proto::urn::global_windows_payload::PROPERTIES;
        let strategy = WindowingStrategy {
            window_fn: Some(spec(urn, Bytes::new())),
            window_coder_id: "global_window".into(),
            ..Default::default()
        };
        this.components()
            .windowing_strategies
            .insert("global".into(), strategy);
        this
    }

    pub(crate) fn components(&mut self) -> &mut Components {
        self.pipeline.components.get_or_insert_default()
    }

    pub(crate) fn coder(&mut self, id: &str, urn: &str, components: &[&str]) {
        let coder = Coder {
            spec: Some(spec(urn, Bytes::new())),
            component_coder_ids: components.iter().map(|id| (*id).to_owned()).collect(),
        };
        self.components().coders.insert(id.into(), coder);
    }

    pub(crate) fn pcollection(&mut self, id: &str, coder: &str) -> &mut PCollection {
        let mut pcollection = PCollection {
            unique_name: id.into(),
            coder_id: coder.into(),
            windowing_strategy_id: "global".into(),
            ..Default::default()
        };
        pcollection.set_is_bounded(is_bounded::Enum::Bounded);
        let pcollections = &mut self.components().pcollections;
        pcollections.insert(id.into(), pcollection);
        pcollections.get_mut(id).expect("just added")
    }

    /// Any transform, at the root.
    pub(crate) fn transform(&mut self, id: &str, urn: &str, inputs: &[&str]) -> &mut PTransform {
        self.pipeline.root_transform_ids.push(id.into());
        let inputs = inputs.iter().enumerate();
        let transform = PTransform {
            unique_name: id.into(),
            spec: Some(spec(urn, Bytes::new())),
            inputs: inputs
                .map(|(i, input)| (format!("in{i}"), format!("{input}.out")))
                .collect(),
            ..Default::default()
        };
        let transforms = &mut self.components().transforms;
        transforms.insert(id.into(), transform);
        transforms.get_mut(id).expect("just added")
    }

    /// Any transform with an output.
    pub(crate) fn with_output(
        &mut self,
        id: &str,
        urn: &str,
        inputs: &[&str],
        coder: &str,
    ) -> &mut PTransform {
        let output = format!("{id}.out");
        self.pcollection(&output, coder);
        let transform = self.transform(id, urn, inputs);
        transform.outputs.insert("out".into(), output);
        transform
    }

    pub(crate) fn impulse(&mut self, id: &str) {
        self.with_output(id, primitives::IMPULSE, &[], "bytes");
    }

    pub(crate) fn group(&mut self, id: &str, input: &str) {
        if !self.components().coders.contains_key("grouped") {
            self.coder("values", standard_coders::ITERABLE, &["pickled"]);
            self.coder("grouped", standard_coders::KV, &["string", "values"]);
        }
        self.with_output(id, primitives::GROUP_BY_KEY, &[input], "grouped");
    }

    /// Input `0` is the main one, all others are side inputs read as iterables.
    pub(crate) fn par_do(&mut self, id: &str, inputs: &[&str], coder: &str) {
        self.par_do_with(id, inputs, coder, |_| {});
    }

    pub(crate) fn par_do_with(
        &mut self,
        id: &str,
        inputs: &[&str],
        coder: &str,
        change: impl FnOnce(&mut ParDoPayload),
    ) {
        let side = SideInput {
            access_pattern: Some(spec(standard_side_input_types::ITERABLE, Bytes::new())),
            ..Default::default()
        };
        let sides = (1..inputs.len()).map(|i| (format!("in{i}"), side.clone()));
        let mut payload = ParDoPayload {
            side_inputs: sides.collect(),
            ..ParDoPayload::default()
        };
        change(&mut payload);
        let transform = self.with_output(id, primitives::PAR_DO, inputs, coder);
        transform.environment_id = "python".into();
        set_payload(transform, &payload);
    }

    pub(crate) fn combine(&mut self, id: &str, input: &str) {
        let transform = self.with_output(id, composites::COMBINE_PER_KEY, &[input], "kv");
        transform.environment_id = "python".into();
        let accumulator_coder_id = "pickled".into();
        set_payload(
            transform,
            &CombinePayload {
                accumulator_coder_id,
                ..Default::default()
            },
        );
    }

    pub(crate) fn environment(&mut self, transform: &str, environment: &str) {
        self.get(transform).environment_id = environment.into();
    }

    pub(crate) fn get(&mut self, transform: &str) -> &mut PTransform {
        self.components()
            .transforms
            .get_mut(transform)
            .expect("a transform of this id")
    }

    /// The plan, checked.
    pub(crate) fn plan(&self) -> Plan {
        self.plan_with(&TranslateOptions::default())
    }

    pub(crate) fn plan_with(&self, options: &TranslateOptions) -> Plan {
        let plan = translate(&self.pipeline, options).unwrap_or_else(|error| panic!("{error}"));
        check::plan(&plan);
        plan
    }

    pub(crate) fn refusal(&self) -> Refusal {
        match translate(&self.pipeline, &TranslateOptions::default()) {
            Ok(plan) => panic!("was not refused:\n{}", plan.explain()),
            Err(refusal) => refusal,
        }
    }
}

pub(crate) fn spec(urn: &str, payload: Bytes) -> FunctionSpec {
    FunctionSpec {
        urn: urn.into(),
        payload,
    }
}

pub(crate) fn set_payload(transform: &mut PTransform, payload: &impl Message) {
    if let Some(spec) = &mut transform.spec {
        spec.payload = payload.encode_to_vec().into();
    }
}
