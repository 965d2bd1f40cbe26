//! Window functions that only an SDK knows, as transforms of their own: each call is a bundle of
//! one environment, with a source, the transform and a sink.

use std::collections::HashMap;

use dataflume_model::ids::EnvironmentId;
use dataflume_proto::pipeline::{
    self, FunctionSpec, PCollection, PTransform, accumulation_mode, closing_behavior, is_bounded,
    merge_status, on_time_behavior, output_time, trigger,
};
use dataflume_proto::urn::{global_windows_payload, primitives, standard_coders};
use prost::Message;

use super::draft::{Draft, PORT};
use crate::components::Components;
use crate::plan::WindowFnCall;

/// Where a window function runs, and under which name its bundles are known.
pub(crate) struct Site<'a> {
    /// Unique among the plan's descriptors.
    pub(crate) id: String,
    pub(crate) environment: EnvironmentId,
    pub(crate) environment_name: &'a str,
}

/// Merges sets of windows: `KV<nonce, Iterable<W>>` goes in and `KV<nonce, KV<Iterable<W>,
/// Iterable<KV<W, Iterable<W>>>>>` comes out, which is the windows that stay and those that come of
/// others.
pub(crate) fn merging(site: Site<'_>, strategy: &str, components: &mut Components) -> WindowFnCall {
    let window = components.wire_window_coder_id(strategy);
    let function = components.strategies.get(strategy);
    let function = function
        .and_then(|strategy| strategy.window_fn.clone())
        .unwrap_or_default();
    let coders = &mut components.coders;
    let nonce = coders.add("window_nonce", standard_coders::BYTES, &[]);
    let windows = coders.add_iterable(&window);
    let merged = coders.add_kv(&window, &windows);
    let all_merged = coders.add_iterable(&merged);
    let both = coders.add_kv(&windows, &all_merged);
    let input = coders.add_kv(&nonce, &windows);
    let output = coders.add_kv(&nonce, &both);
    call(
        site,
        primitives::MERGE_WINDOWS,
        &function,
        [input, output],
        components,
    )
}

/// Maps windows of a main input onto those of a side input: `KV<nonce, W>` goes in and `KV<nonce, V>`
/// comes out.
pub(crate) fn mapping(
    site: Site<'_>,
    function: &FunctionSpec,
    main: &str,
    side: &str,
    components: &mut Components,
) -> WindowFnCall {
    let main = components.wire_window_coder_id(main);
    let side = components.wire_window_coder_id(side);
    let coders = &mut components.coders;
    let nonce = coders.add("window_nonce", standard_coders::BYTES, &[]);
    let input = coders.add_kv(&nonce, &main);
    let output = coders.add_kv(&nonce, &side);
    call(
        site,
        primitives::MAP_WINDOWS,
        function,
        [input, output],
        components,
    )
}

fn call(
    site: Site<'_>,
    urn: &str,
    function: &FunctionSpec,
    [input_coder, output_coder]: [String; 2],
    components: &mut Components,
) -> WindowFnCall {
    let strategy = global_windows(components);
    let mut pcollection = |name: &str, coder_id: String| {
        let id = format!("{}/{name}", site.id);
        let pcollection = PCollection {
            unique_name: id.clone(),
            coder_id,
            is_bounded: is_bounded::Enum::Bounded.into(),
            windowing_strategy_id: strategy.clone(),
            ..PCollection::default()
        };
        components.pcollections.insert(id.clone(), pcollection);
        id
    };
    let input = pcollection("asked", input_coder);
    let output = pcollection("answered", output_coder);
    let transform = PTransform {
        unique_name: site.id.clone(),
        spec: Some(FunctionSpec {
            urn: urn.to_owned(),
            payload: function.encode_to_vec().into(),
        }),
        inputs: HashMap::from([(PORT.to_owned(), input.clone())]),
        outputs: HashMap::from([(PORT.to_owned(), output.clone())]),
        environment_id: site.environment_name.to_owned(),
        ..PTransform::default()
    };
    let output_coder = components.wire_coder(&output);
    let mut draft = Draft::new(site.id, site.environment_name, components);
    let source = draft.source(&input);
    draft.transform(transform, &output);
    let sink = draft.sink(&output);
    WindowFnCall {
        environment: site.environment,
        descriptor: draft.finish(),
        source,
        sink,
        output_coder,
    }
}

/// The id of a windowing strategy of the global window, made if need be. Harnesses read all of a
/// strategy, so nothing in it is left open.
fn global_windows(components: &mut Components) -> String {
    let window = components
        .coders
        .add("global_window", standard_coders::GLOBAL_WINDOW, &[]);
    let id = "global_windows_of_the_runner".to_owned();
    let strategy = pipeline::WindowingStrategy {
        window_fn: Some(FunctionSpec {
            urn: global_windows_payload::PROPERTIES.to_owned(),
            ..FunctionSpec::default()
        }),
        merge_status: merge_status::Enum::NonMerging.into(),
        window_coder_id: window,
        trigger: Some(pipeline::Trigger {
            trigger: Some(trigger::Trigger::Default(trigger::Default {})),
        }),
        accumulation_mode: accumulation_mode::Enum::Discarding.into(),
        output_time: output_time::Enum::EndOfWindow.into(),
        closing_behavior: closing_behavior::Enum::EmitIfNonempty.into(),
        on_time_behavior: on_time_behavior::Enum::FireAlways.into(),
        ..pipeline::WindowingStrategy::default()
    };
    components.strategies.entry(id.clone()).or_insert(strategy);
    id
}
