//! A bundle for a real SDK harness: byte strings go in at a port and out at another.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::collections::HashMap;
use std::sync::Arc;

use dataflume_harness::state::NoState;
use dataflume_harness::{BundleInputs, BundleRequest, InputChunk, Worker};
use dataflume_proto::fn_execution::{ProcessBundleDescriptor, RemoteGrpcPort};
use dataflume_proto::pipeline::{Coder, FunctionSpec, PCollection, PTransform, WindowingStrategy};
use dataflume_proto::urn::{global_windows_payload, runner, standard_coders};
use prost::Message;

use crate::pool_common::step;

/// Has the worker process a bundle, and checks that what comes out is what went in.
pub(crate) async fn echo(worker: &Worker, instruction_id: &str) {
    worker.register(&descriptor()).unwrap();
    let input = elements(&["hello", "world"]);
    let mut running = worker
        .process_bundle(BundleRequest {
            instruction_id: instruction_id.to_owned(),
            descriptor_id: "echo".to_owned(),
            inputs: BundleInputs::Complete(vec![InputChunk::data("in", input.clone())]),
            cache_tokens: Vec::new(),
            has_no_state: false,
            only_bundle_for_keys: false,
            state: Arc::new(NoState),
        })
        .unwrap();
    let mut written = Vec::new();
    while let Some(output) = step("output", running.outputs.recv()).await {
        written.extend_from_slice(output.bytes());
    }
    step("finish", running.handle.finish()).await.unwrap();
    assert_eq!(written, input);
}

/// `in -> out`, of byte strings in the global window.
fn descriptor() -> ProcessBundleDescriptor {
    let spec = |urn: &str, payload: Vec<u8>| {
        Some(FunctionSpec {
            urn: urn.to_owned(),
            payload: payload.into(),
        })
    };
    let port = RemoteGrpcPort {
        coder_id: "windowed".to_owned(),
        ..Default::default()
    }
    .encode_to_vec();
    let local = || HashMap::from([("local".to_owned(), "pc".to_owned())]);
    let source = PTransform {
        unique_name: "in".to_owned(),
        spec: spec(runner::DATA_SOURCE, port.clone()),
        outputs: local(),
        ..Default::default()
    };
    let sink = PTransform {
        unique_name: "out".to_owned(),
        spec: spec(runner::DATA_SINK, port),
        inputs: local(),
        ..Default::default()
    };
    let coder = |urn: &str, components: &[&str]| Coder {
        spec: spec(urn, Vec::new()),
        component_coder_ids: components.iter().map(|c| (*c).to_owned()).collect(),
    };
    let coders = [
        ("bytes", coder(standard_coders::BYTES, &[])),
        ("window", coder(standard_coders::GLOBAL_WINDOW, &[])),
        (
            "windowed",
            coder(standard_coders::WINDOWED_VALUE, &["bytes", "window"]),
        ),
    ];
    let pcollection = PCollection {
        unique_name: "pc".to_owned(),
        coder_id: "bytes".to_owned(),
        windowing_strategy_id: "global".to_owned(),
        ..Default::default()
    };
    let windowing = WindowingStrategy {
        window_fn: spec(global_windows_payload::PROPERTIES, Vec::new()),
        window_coder_id: "window".to_owned(),
        ..Default::default()
    };
    ProcessBundleDescriptor {
        id: "echo".to_owned(),
        transforms: HashMap::from([("in".to_owned(), source), ("out".to_owned(), sink)]),
        pcollections: HashMap::from([("pc".to_owned(), pcollection)]),
        windowing_strategies: HashMap::from([("global".to_owned(), windowing)]),
        coders: coders.map(|(id, coder)| (id.to_owned(), coder)).into(),
        ..Default::default()
    }
}

/// Windowed byte strings: timestamp 0, the global window, the only firing.
fn elements(texts: &[&str]) -> Vec<u8> {
    let mut encoded = Vec::new();
    for text in texts {
        encoded.extend_from_slice(&(1_u64 << 63).to_be_bytes());
        encoded.extend_from_slice(&1_u32.to_be_bytes());
        encoded.push(0x0f);
        prost::encoding::encode_varint(text.len() as u64, &mut encoded);
        encoded.extend_from_slice(text.as_bytes());
    }
    encoded
}
