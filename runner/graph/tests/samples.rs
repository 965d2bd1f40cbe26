//! Plans of real pipelines, as SDKs submit them (see `pipelines/`).

mod common;

use dataflume_graph::{TranslateOptions, plan::Plan, translate};
use dataflume_proto::pipeline::Pipeline;
use expect_test::expect_file;
use prost::Message;

fn pipeline(name: &str) -> Pipeline {
    let path = format!("{}/tests/pipelines/{name}.pb", env!("CARGO_MANIFEST_DIR"));
    let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    Pipeline::decode(bytes.as_slice()).expect("a pipeline")
}

fn planned(name: &str, options: &TranslateOptions) -> Plan {
    let plan = translate(&pipeline(name), options).unwrap_or_else(|error| panic!("{error}"));
    common::check::plan(&plan);
    plan
}

fn explains(name: &str, expected: &expect_test::ExpectFile) {
    expected.assert_eq(&planned(name, &TranslateOptions::default()).explain());
}

macro_rules! samples {
    ($($name:ident),* $(,)?) => {
        $(
            #[test]
            fn $name() {
                explains(
                    stringify!($name),
                    &expect_file![concat!("pipelines/", stringify!($name), ".txt")],
                );
            }
        )*

        #[test]
        fn every_sample_can_be_run_without_fusion_and_lifting() {
            $(
                for (fuse, lift_combiners) in [(false, true), (true, false), (false, false)] {
                    planned(stringify!($name), &TranslateOptions { fuse, lift_combiners });
                }
            )*
        }

        #[test]
        fn plans_are_the_same_every_time() {
            $(
                let first = planned(stringify!($name), &TranslateOptions::default());
                let second = planned(stringify!($name), &TranslateOptions::default());
                assert_eq!(descriptors(&first), descriptors(&second));
                assert_eq!(first.explain(), second.explain());
            )*
        }
    };
}

samples! {
    wordcount,
    group,
    side_inputs,
    splittable,
    stateful,
    flatten,
    reshuffle,
    test_stream,
    triggers,
    custom_windows,
    sdk_windows,
    go,
    java,
}

/// Which coders, transforms and PCollections the harnesses are told of, in order.
fn descriptors(plan: &Plan) -> Vec<String> {
    use dataflume_graph::plan::StageKind;
    let mut lines = Vec::new();
    for stage in &plan.stages {
        if let StageKind::Executable(executable) = &stage.kind {
            let descriptor = &executable.descriptor;
            lines.extend(
                descriptor
                    .coders
                    .iter()
                    .map(|(id, coder)| format!("{id} {coder:?}")),
            );
            lines.extend(descriptor.transforms.keys().cloned());
            lines.extend(
                descriptor
                    .pcollections
                    .iter()
                    .map(|(id, p)| format!("{id} {p:?}")),
            );
        }
    }
    lines.sort();
    lines
}
