//! What is refused, and how that is said.

mod common;

use common::builder::{Builder, set_payload, spec};
use dataflume_graph::ProblemKind;
use dataflume_proto::pipeline::{
    ApiServiceDescriptor, StateSpec, TestStreamPayload, TimerFamilySpec, accumulation_mode,
};
use dataflume_proto::urn::{
    composites, deprecated_primitives, primitives, standard_coders, standard_side_input_types,
    standard_user_state_types,
};
use expect_test::{Expect, expect};
use prost::Message as _;

fn check(builder: &Builder, expected: &Expect) {
    let problems: Vec<String> = builder
        .refusal()
        .problems
        .iter()
        .map(|p| format!("{} {:?} {}: {}", p.kind.code(), p.name, p.value, p.reason))
        .collect();
    expected.assert_eq(&problems.join("\n"));
}

fn pipeline() -> Builder {
    let mut b = Builder::new();
    b.impulse("start");
    b.par_do("strings", &["start"], "string");
    b
}

#[test]
fn everything_is_said_at_once() {
    let mut b = pipeline();
    b.pipeline
        .requirements
        .push("acme:requirement:telepathy:v1".into());
    b.with_output("mystery", "acme:transform:v1", &["strings"], "string");
    b.with_output("read", deprecated_primitives::READ, &[], "string");
    b.with_output("pubsub", composites::PUBSUB_READ, &[], "string");
    b.group("group", "strings");
    b.par_do_with("state", &["mystery"], "string", |payload| {
        payload
            .timer_family_specs
            .insert("when".into(), TimerFamilySpec::default());
    });
    b.with_output("source", "acme:source:v1", &[], "string")
        .environment_id = "python".into();
    check(
        &b,
        &expect![[r#"
        unknown-requirement "" acme:requirement:telepathy:v1: the pipeline requires what is not known here; running it without could give wrong results
        unknown-transform "mystery" acme:transform:v1: has no environment to run in and is none of the runner's transforms; a cross-language transform must be expanded before the pipeline is submitted
        unsupported-transform "read" beam:transform:read:v1: this is the deprecated primitive Read; let the SDK use splittable DoFns instead (remove the experiment use_deprecated_read)
        unsupported-transform "pubsub" beam:transform:pubsub_read:v1: reading Pub/Sub on the runner is not supported
        not-keyed "group" beam:coder:string_utf8:v1: groups by key, so PCollection "strings.out" must have a beam:coder:kv:v1 coder; give its elements a key-value type
        not-keyed "state" beam:coder:string_utf8:v1: has state or timers, so PCollection "mystery.out" must have a beam:coder:kv:v1 coder; give its elements a key-value type
        unsupported-state "state" 0: timer family "when" is in a time domain that is not known
        unsupported-transform "source" acme:source:v1: has 0 main inputs; only one can be read (a source begins with an Impulse)"#]],
    );
}

#[test]
fn what_only_the_sdk_s_own_runner_knows() {
    let mut b = pipeline();
    b.with_output(
        "timing",
        "beam:transform:pickled_python:v1",
        &["strings"],
        "string",
    )
    .environment_id = "python".into();
    let payload = TestStreamPayload {
        coder_id: "string".into(),
        endpoint: Some(ApiServiceDescriptor {
            url: "localhost:1".into(),
            ..ApiServiceDescriptor::default()
        }),
        ..TestStreamPayload::default()
    };
    b.with_output("script", primitives::TEST_STREAM, &[], "string")
        .spec = Some(spec(
        primitives::TEST_STREAM,
        payload.encode_to_vec().into(),
    ));
    check(
        &b,
        &expect![[r#"
        unsupported-transform "timing" beam:transform:pickled_python:v1: this transform neither expands into others nor says in Beam's terms what it does; only a runner of Python's own could know it
        unsupported-transform "script" beam:transform:teststream:v1: its events are at the service "localhost:1", which is not asked; give the TestStream the events themselves"#]],
    );
}

#[test]
fn side_inputs() {
    let mut b = pipeline();
    b.par_do_with("by key", &["strings", "start"], "string", |payload| {
        let side = payload.side_inputs.get_mut("in1").expect("a side input");
        side.access_pattern = Some(spec(standard_side_input_types::MULTIMAP, "".into()));
    });
    b.par_do_with("guess", &["strings", "start"], "string", |payload| {
        let side = payload.side_inputs.get_mut("in1").expect("a side input");
        side.access_pattern = Some(spec("acme:guess:v1", "".into()));
    });
    b.par_do_with("missing", &["strings"], "string", |payload| {
        payload
            .side_inputs
            .insert("gone".into(), Default::default());
    });
    check(
        &b,
        &expect![[r#"
        not-keyed "by key" beam:coder:bytes:v1: reads a side input by key, so PCollection "start.out" must have a beam:coder:kv:v1 coder; give its elements a key-value type
        unsupported-side-input "guess" acme:guess:v1: side input "in1" is read in a way that is not known
        malformed-pipeline "missing" side input "gone": is declared, but is none of the transform's inputs"#]],
    );
}

#[test]
fn state() {
    let mut b = pipeline();
    b.par_do("key", &["strings"], "kv");
    b.par_do_with("quantum", &["key"], "kv", |payload| {
        let protocol = Some(spec("acme:state:quantum:v1", "".into()));
        payload.state_specs.insert(
            "cat".into(),
            StateSpec {
                protocol,
                spec: None,
            },
        );
    });
    b.par_do_with("split", &["key"], "kv", |payload| {
        use dataflume_proto::pipeline::{BagStateSpec, state_spec::Spec};
        let protocol = Some(spec(standard_user_state_types::BAG, "".into()));
        let bag = Some(Spec::BagSpec(BagStateSpec {
            element_coder_id: "string".into(),
        }));
        payload.state_specs.insert(
            "bag".into(),
            StateSpec {
                protocol,
                spec: bag,
            },
        );
        payload.restriction_coder_id = "string".into();
    });
    check(
        &b,
        &expect![[r#"
        unsupported-state "quantum" acme:state:quantum:v1: state "cat" is of a kind that is not known
        unsupported-dofn "split" beam:transform:pardo:v1: a splittable DoFn can't have state or timers"#]],
    );
}

#[test]
fn windowing() {
    let mut b = pipeline();
    let mut strategy = b.components().windowing_strategies["global"].clone();
    strategy.set_accumulation_mode(accumulation_mode::Enum::Retracting);
    b.components()
        .windowing_strategies
        .insert("retracting".into(), strategy.clone());
    strategy.set_accumulation_mode(accumulation_mode::Enum::Discarding);
    strategy.trigger = Some(dataflume_proto::pipeline::Trigger { trigger: None });
    b.components()
        .windowing_strategies
        .insert("odd".into(), strategy.clone());
    strategy.trigger = None;
    let urn = dataflume_proto::urn::fixed_windows_payload::PROPERTIES;
    strategy.window_fn = Some(spec(urn, "".into()));
    b.coder("interval", standard_coders::INTERVAL_WINDOW, &[]);
    strategy.window_coder_id = "interval".into();
    b.components()
        .windowing_strategies
        .insert("empty".into(), strategy);
    for id in ["retracting", "odd", "empty"] {
        b.par_do(id, &["strings"], "string");
        b.pcollection(&format!("{id}.out"), "string")
            .windowing_strategy_id = id.into();
    }
    b.with_output(
        "flatten",
        primitives::FLATTEN,
        &["strings", "empty"],
        "string",
    );
    check(
        &b,
        &expect![[r#"
        unsupported-windowing "retracting" windowing strategy "retracting": retracting accumulation has no definition in Beam's model yet; use ACCUMULATING
        unsupported-windowing "odd" windowing strategy "odd": its trigger is empty, or of a kind that is not known here
        unsupported-windowing "empty" windowing strategy "empty": the window function's size is 0 ms and must be positive
        incompatible-flatten "flatten" PCollection "empty.out": has windows of coder beam:coder:interval_window:v1, but the flatten's output has beam:coder:global_window:v1; give all inputs the same window function"#]],
    );
}

#[test]
fn dangling_references() {
    let mut b = pipeline();
    b.par_do("a", &["strings", "nowhere"], "no coder");
    b.environment("a", "no environment");
    b.pcollection("orphan.out", "string").windowing_strategy_id = "no windowing".into();
    b.par_do("b", &["orphan"], "string");
    b.par_do("twin", &["strings"], "string");
    b.get("twin").outputs.insert("again".into(), "b.out".into());
    b.transform("composite", "", &[]).subtransforms = vec!["ghost".into(), "b".into()];
    b.par_do("broken", &["strings"], "string");
    set_payload(b.get("broken"), &"not a ParDo".to_owned());
    check(
        &b,
        &expect![[r#"
        malformed-pipeline "composite" ghost: is named as a part, but the pipeline has no transform of this id
        malformed-pipeline "b" b: is a part of more than one transform
        malformed-pipeline "broken" beam:transform:pardo:v1: its payload is broken: failed to decode Protobuf message: ParDoPayload.do_fn: invalid wire type value: 6
        malformed-pipeline "twin" PCollection "b.out": is also written by transform "b"
        malformed-pipeline "a" environment "no environment": is missing from the pipeline
        malformed-pipeline "a" PCollection "nowhere.out": is missing from the pipeline
        malformed-pipeline "a" PCollection "a.out": has coder "no coder", which is missing or has no URN
        malformed-pipeline "b" PCollection "orphan.out": has windowing strategy "no windowing", which is missing
        malformed-pipeline "b" PCollection "orphan.out": is written by no transform"#]],
    );
}

#[test]
fn circles() {
    let mut b = pipeline();
    b.par_do("hen", &["egg"], "string");
    b.par_do("egg", &["hen"], "string");
    check(
        &b,
        &expect![[r#"
        malformed-pipeline "hen" cycle: depends on its own output, or on one that does
        malformed-pipeline "egg" cycle: depends on its own output, or on one that does"#]],
    );
}

#[test]
fn coders() {
    let mut b = pipeline();
    b.coder("ouroboros", standard_coders::ITERABLE, &["ouroboros"]);
    b.coder("half", standard_coders::KV, &["string"]);
    b.coder("hollow", standard_coders::NULLABLE, &["nothing"]);
    check(
        &b,
        &expect![[r#"
        malformed-pipeline "" coder "half": beam:coder:kv:v1 has 1 components, which is too few
        malformed-pipeline "" coder "hollow": is made of coder "nothing", which is missing
        malformed-pipeline "" coder "ouroboros": is made of itself"#]],
    );
}

#[test]
fn nesting_is_bounded() {
    let mut b = pipeline();
    for level in 1..20_000 {
        let inner = if level == 1 {
            "string".to_owned()
        } else {
            format!("n{}", level - 1)
        };
        b.coder(&format!("n{level}"), standard_coders::NULLABLE, &[&inner]);
    }
    let refusal = b.refusal();
    assert!(
        refusal.problems[0].reason.contains("levels deep"),
        "{}",
        refusal.problems[0]
    );
}

#[test]
fn every_kind_has_a_page() {
    for kind in ProblemKind::ALL {
        let page = format!("{}/../../{}", env!("CARGO_MANIFEST_DIR"), kind.help());
        let text = std::fs::read_to_string(&page).unwrap_or_else(|error| panic!("{page}: {error}"));
        assert!(text.starts_with(&format!("# {}\n", kind.code())), "{page}");
        for part in ["**What.**", "**Why.**", "**What to do.**"] {
            assert!(text.contains(part), "{page} lacks {part}");
        }
    }
}
