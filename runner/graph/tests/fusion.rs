//! Which transforms end up in one stage, and what passes between stages.

mod common;

use common::builder::Builder;
use common::stages::{check, stages};
use dataflume_graph::TranslateOptions;
use dataflume_graph::plan::StageKind;
use dataflume_model::coder::Coder;
use dataflume_proto::pipeline::{self, TestStreamPayload, is_bounded};
use dataflume_proto::urn::{composites, primitives, standard_coders};
use expect_test::expect;
use prost::Message;

#[test]
fn a_chain_is_one_stage_up_to_the_grouping() {
    let mut b = Builder::new();
    b.impulse("start");
    b.par_do("read", &["start"], "string");
    b.par_do("key", &["read"], "kv");
    b.group("group", "key");
    b.par_do("sum", &["group"], "string");
    b.par_do("write", &["sum"], "string");
    check(
        &b,
        &expect![[r#"
        impulse: start () -> start.out
        python: read + key (start.out) -> key.out
        group at end: group (key.out) -> group.out
        python: sum + write (group.out) -> "#]],
    );
}

#[test]
fn another_environment_is_another_stage() {
    let mut b = Builder::new();
    b.impulse("start");
    b.par_do("a", &["start"], "string");
    b.par_do("b", &["a"], "string");
    b.par_do("c", &["b"], "string");
    b.environment("b", "java");
    check(
        &b,
        &expect![[r#"
        impulse: start () -> start.out
        python: a (start.out) -> a.out
        java: b (a.out) -> b.out
        python: c (b.out) -> "#]],
    );
}

#[test]
fn equal_environments_are_one() {
    let mut b = Builder::new();
    let environment = b.components().environments["python"].clone();
    b.components()
        .environments
        .insert("python again".into(), environment);
    b.impulse("start");
    b.par_do("a", &["start"], "string");
    b.par_do("b", &["a"], "string");
    b.environment("b", "python again");
    check(
        &b,
        &expect![[r#"
        impulse: start () -> start.out
        python: a + b (start.out) -> "#]],
    );
}

#[test]
fn a_reader_is_never_with_what_its_side_input_comes_of() {
    let mut b = Builder::new();
    b.impulse("start");
    b.par_do("numbers", &["start"], "varint");
    b.par_do("max", &["numbers"], "varint");
    b.par_do("scale", &["numbers", "max"], "varint");
    b.par_do("after", &["scale"], "varint");
    // Depends on the first stage by way of another.
    b.par_do("keyed", &["numbers"], "kv");
    b.group("group", "keyed");
    b.par_do("shift", &["max", "group"], "varint");
    check(
        &b,
        &expect![[r#"
        impulse: start () -> start.out
        python: numbers + max + keyed (start.out) -> numbers.out max.out keyed.out
        python: scale + after (numbers.out | max.out) -> 
        group at end: group (keyed.out) -> group.out
        python: shift (max.out | group.out) -> "#]],
    );
}

#[test]
fn an_unrelated_side_input_does_not_stop_fusion() {
    let mut b = Builder::new();
    b.impulse("start");
    b.impulse("other");
    b.par_do("names", &["other"], "string");
    b.par_do("numbers", &["start"], "varint");
    b.par_do("show", &["numbers", "names"], "string");
    check(
        &b,
        &expect![[r#"
        impulse: start () -> start.out
        impulse: other () -> other.out
        python: names (other.out) -> names.out
        python: numbers + show (start.out | names.out) -> "#]],
    );
}

#[test]
fn a_late_joiner_moves_its_stage_after_its_side_input() {
    let mut b = Builder::new();
    b.impulse("start");
    b.par_do("numbers", &["start"], "varint");
    b.impulse("other");
    b.par_do("names", &["other"], "string");
    b.par_do("show", &["numbers", "names"], "string");
    // Would close a circle: names would have to come before and after numbers.
    b.par_do("back", &["names", "numbers"], "string");
    check(
        &b,
        &expect![[r#"
        impulse: start () -> start.out
        impulse: other () -> other.out
        python: names (other.out) -> names.out
        python: numbers + show (start.out | names.out) -> numbers.out
        python: back (names.out | numbers.out) -> "#]],
    );
}

#[test]
fn readers_of_one_pcollection_share_it() {
    let mut b = Builder::new();
    b.impulse("start");
    b.par_do("key", &["start"], "kv");
    b.group("group", "key");
    b.par_do("a", &["group"], "string");
    b.par_do("b", &["group"], "string");
    b.par_do("java", &["group"], "string");
    b.environment("java", "java");
    b.par_do("with side", &["group", "a"], "string");
    check(
        &b,
        &expect![[r#"
        impulse: start () -> start.out
        python: key (start.out) -> key.out
        group at end: group (key.out) -> group.out
        python: a + b (group.out) -> a.out
        java: java (group.out) -> 
        python: with side (group.out | a.out) -> "#]],
    );
}

#[test]
fn what_crosses_between_stages_is_counted_once() {
    let mut b = Builder::new();
    b.impulse("start");
    b.par_do("key", &["start"], "kv");
    b.group("group", "key");
    b.par_do("first", &["group"], "string");
    b.par_do("java", &["group"], "string");
    b.environment("java", "java");
    b.par_do("java again", &["first"], "string");
    b.environment("java again", "java");
    let plan = b.plan();
    let counted_elsewhere = |name: &str| {
        let stage = plan.stages.iter().find(|stage| stage.name == name);
        match &stage.expect("a stage of this name").kind {
            StageKind::Executable(stage) => stage.counted_elsewhere.clone(),
            other => panic!("{name} is {other:?}"),
        }
    };
    assert_eq!(counted_elsewhere("key"), None);
    assert_eq!(counted_elsewhere("first"), None);
    assert_eq!(counted_elsewhere("java").as_deref(), Some("group.out"));
    assert_eq!(
        counted_elsewhere("java again").as_deref(),
        Some("first.out")
    );
}

#[test]
fn state_time_order_and_stable_input_start_stages() {
    let mut b = Builder::new();
    b.impulse("start");
    b.par_do("key", &["start"], "kv");
    b.par_do_with("stateful", &["key"], "kv", |payload| {
        payload
            .timer_family_specs
            .insert("timer".into(), event_time());
        payload.on_window_expiration_timer_family_spec = "timer".into();
    });
    b.par_do_with("sorted", &["stateful"], "kv", |payload| {
        payload.requires_time_sorted_input = true
    });
    b.par_do_with("stable", &["sorted"], "kv", |payload| {
        payload.requires_stable_input = true
    });
    b.par_do("after", &["stable"], "kv");
    check(
        &b,
        &expect![[r#"
        impulse: start () -> start.out
        python: key (start.out) -> key.out
        python: stateful (key.out) -> stateful.out
        python: sorted (stateful.out) -> sorted.out
        python: stable + after (sorted.out) -> "#]],
    );
    let plan = b.plan();
    let keyed = plan.stages.iter().find_map(|stage| match &stage.kind {
        StageKind::Executable(executable) => executable.keyed.as_ref(),
        _ => None,
    });
    assert_eq!(
        keyed.and_then(|keyed| keyed.on_window_expiration.as_deref()),
        Some("timer")
    );
}

fn event_time() -> pipeline::TimerFamilySpec {
    let mut spec = pipeline::TimerFamilySpec::default();
    spec.set_time_domain(pipeline::time_domain::Enum::EventTime);
    spec
}

#[test]
fn flattens_dissolve_or_stay_within_a_stage() {
    let mut b = Builder::new();
    b.impulse("start");
    b.par_do("a", &["start"], "string");
    b.par_do("b", &["start"], "string");
    b.impulse("other");
    b.par_do("c", &["other"], "string");
    b.with_output("inner", primitives::FLATTEN, &["a", "b"], "string");
    b.with_output("twice", primitives::FLATTEN, &["a", "a"], "string");
    b.with_output(
        "all",
        primitives::FLATTEN,
        &["inner", "c", "twice"],
        "string",
    );
    b.par_do("show", &["all"], "string");
    b.par_do("side", &["c", "all"], "string");
    check(
        &b,
        &expect![[r#"
        impulse: start () -> start.out
        python: a + b + inner (start.out) -> a.out inner.out
        impulse: other () -> other.out
        python: c (other.out) -> c.out
        python: show (inner.out c.out a.out a.out) -> 
        python: side (c.out | inner.out c.out a.out a.out) -> "#]],
    );
}

#[test]
fn an_sdk_cuts_the_elements_of_a_test_stream_that_only_it_can() {
    let mut b = Builder::new();
    b.coder("dark", standard_coders::KV, &["pickled", "pickled"]);
    for (script, coder) in [("dark script", "dark"), ("clear script", "kv")] {
        let payload = TestStreamPayload {
            coder_id: coder.to_owned(),
            ..Default::default()
        };
        let transform = b.with_output(script, primitives::TEST_STREAM, &[], coder);
        if let Some(spec) = &mut transform.spec {
            spec.payload = payload.encode_to_vec().into();
        }
    }
    b.par_do("show", &["dark script"], "string");
    b.group("group", "clear script");
    check(
        &b,
        &expect![[r#"
        test stream: dark script () -> dark script/Transcode/out.in
        python: dark script/Transcode/out + show (dark script/Transcode/out.in) -> 
        test stream: clear script () -> clear script.out
        group: group (clear script.out) -> group.out"#]],
    );
    let plan = b.plan();
    let coder = |name: &str| {
        let found = plan.pcollections.iter().find(|p| p.name == name);
        found.map(|p| p.coder.clone())
    };
    let script = coder("dark script/Transcode/out.in");
    assert!(matches!(script, Some(Coder::LengthPrefix(_))), "{script:?}");
}

#[test]
fn a_flatten_makes_its_inputs_alike() {
    let mut b = Builder::new();
    b.impulse("start");
    b.par_do("strings", &["start"], "string");
    b.impulse("other");
    b.par_do("numbers", &["other"], "varint");
    b.with_output(
        "all",
        primitives::FLATTEN,
        &["strings", "numbers"],
        "pickled",
    );
    b.par_do("show", &["all"], "string");
    check(
        &b,
        &expect![[r#"
        impulse: start () -> start.out
        python: strings + all/Transcode/in0 (start.out) -> all/Transcode/in0.out
        impulse: other () -> other.out
        python: numbers + all/Transcode/in1 (other.out) -> all/Transcode/in1.out
        python: show (all/Transcode/in0.out all/Transcode/in1.out) -> "#]],
    );
}

#[test]
fn languages_agree_on_the_wire() {
    let mut b = Builder::new();
    b.impulse("start");
    b.par_do("python", &["start"], "kv");
    b.par_do("java", &["python"], "kv");
    b.environment("java", "java");
    let plan = b.plan();
    let shared: Vec<_> = plan
        .stages
        .iter()
        .filter_map(|stage| match &stage.kind {
            StageKind::Executable(executable) => Some(&executable.descriptor),
            _ => None,
        })
        .map(|descriptor| descriptor.coders["kv_wire"].component_coder_ids.clone())
        .collect();
    assert_eq!(shared, [["string", "pickled_lp"], ["string", "pickled_lp"]]);
}

#[test]
fn reshuffles_pass_through_on_the_runner_unless_coders_differ() {
    let mut b = Builder::new();
    b.impulse("start");
    b.par_do("a", &["start"], "string");
    b.with_output("shuffle", composites::RESHUFFLE, &["a"], "string");
    b.par_do("part", &["shuffle"], "string");
    b.with_output("recode", composites::RESHUFFLE, &["shuffle"], "pickled");
    b.get("recode").subtransforms = vec!["part".into()];
    let out = "recode.out".to_owned();
    b.get("part").outputs.insert("out".into(), out);
    b.pipeline.root_transform_ids.retain(|id| id != "part");
    b.par_do("after", &["recode"], "string");
    check(
        &b,
        &expect![[r#"
        impulse: start () -> start.out
        python: a (start.out) -> a.out
        redistribute: shuffle (a.out) -> shuffle.out
        python: part + after (shuffle.out) -> "#]],
    );
}

/// As Java's SDK sends it: the parts are there, and group by a key.
fn reshuffle_of_pairs(key: &str, python: bool) -> Builder {
    let mut b = Builder::new();
    b.impulse("start");
    b.coder("numbered", standard_coders::KV, &["varint", "pickled"]);
    b.par_do("a", &["start"], "kv");
    b.with_output("shuffle", composites::RESHUFFLE, &["a"], "kv");
    b.get("shuffle").subtransforms = vec!["reify".into(), "group".into()];
    b.par_do("reify", &["a"], key);
    b.group("group", "reify");
    (b.pipeline.root_transform_ids).retain(|id| id != "reify" && id != "group");
    if python {
        for environment in b.components().environments.values_mut() {
            let version = "beam:version:sdk_base:apache/beam_python3.11_sdk:2.77.0";
            environment.capabilities.push(version.to_owned());
        }
    }
    b.par_do("after", &["shuffle"], "string");
    b
}

#[test]
fn a_reshuffle_that_groups_by_the_elements_own_key_keeps_keys_together() {
    let kind = |b: &Builder| {
        let plan = b.plan();
        let kinds = plan.stages.iter().map(|stage| &stage.kind);
        let mut kinds = kinds.filter_map(|kind| match kind {
            StageKind::Redistribute { by_key } => Some(*by_key),
            _ => None,
        });
        kinds.next()
    };
    assert_eq!(kind(&reshuffle_of_pairs("kv", false)), Some(true));
    assert_eq!(
        kind(&reshuffle_of_pairs("numbered", false)),
        Some(false),
        "another key"
    );
    assert_eq!(
        kind(&reshuffle_of_pairs("kv", true)),
        Some(false),
        "a random key, whatever its coder"
    );
    let mut unbounded = reshuffle_of_pairs("kv", false);
    let bounded = unbounded.pcollection("a.out", "kv");
    bounded.set_is_bounded(is_bounded::Enum::Unbounded);
    assert_eq!(kind(&unbounded), Some(false), "no end to wait for");
}

#[test]
fn bare_composites_vanish_and_unread_outputs_have_no_sink() {
    let mut b = Builder::new();
    b.impulse("start");
    b.par_do("a", &["start"], "string");
    b.transform("nothing", "", &["a"]);
    b.transform("through", "user:composite", &["a"])
        .outputs
        .insert("o".into(), "a.out".into());
    check(
        &b,
        &expect![[r#"
        impulse: start () -> start.out
        python: a (start.out) -> "#]],
    );
}

#[test]
fn a_grouping_decides_its_output_coder() {
    let mut b = Builder::new();
    b.impulse("start");
    b.par_do("key", &["start"], "kv");
    b.with_output("group", primitives::GROUP_BY_KEY, &["key"], "pickled");
    b.par_do("after", &["group"], "string");
    let plan = b.plan();
    let grouped = plan
        .pcollections
        .iter()
        .find(|p| p.name == "group.out")
        .expect("grouped");
    expect!["beam:coder:kv:v1<beam:coder:string_utf8:v1,beam:coder:iterable:v1<beam:coder:length_prefix:v1<beam:coder:pickled_python:v1>>>"]
        .assert_eq(&grouped.coder.to_string());
}

#[test]
fn rows_are_not_looked_into() {
    let mut b = Builder::new();
    b.coder("row", standard_coders::ROW, &[]);
    b.coder("rows", standard_coders::NULLABLE, &["row"]);
    b.impulse("start");
    b.par_do("a", &["start"], "rows");
    b.par_do("b", &["a"], "string");
    b.environment("b", "java");
    let plan = b.plan();
    expect!["beam:coder:nullable:v1<beam:coder:length_prefix:v1<beam:coder:row:v1>>"]
        .assert_eq(&plan.pcollections[1].coder.to_string());
}

#[test]
fn without_fusion_every_transform_is_a_stage() {
    let mut b = Builder::new();
    b.impulse("start");
    b.par_do("a", &["start"], "string");
    b.par_do("b", &["a"], "string");
    b.with_output("both", primitives::FLATTEN, &["a", "b"], "string");
    b.par_do("c", &["both"], "string");
    let options = TranslateOptions {
        fuse: false,
        ..TranslateOptions::default()
    };
    expect![[r#"
        impulse: start () -> start.out
        python: a (start.out) -> a.out
        python: b (a.out) -> b.out
        python: c (a.out b.out) -> "#]]
    .assert_eq(&stages(&b.plan_with(&options)));
}

#[test]
fn long_and_wide_pipelines_are_planned() {
    let mut b = Builder::new();
    b.impulse("start");
    b.par_do("link 0", &["start"], "string");
    for n in 1..3000 {
        b.par_do(
            &format!("link {n}"),
            &[&format!("link {}", n - 1)],
            "string",
        );
        b.par_do(&format!("wide {n}"), &["start"], "string");
    }
    let wide: Vec<String> = (1..3000).map(|n| format!("wide {n}")).collect();
    let wide: Vec<&str> = wide.iter().map(String::as_str).collect();
    b.with_output("all", primitives::FLATTEN, &wide, "string");
    b.par_do("last", &["link 2999", "all"], "string");
    assert_eq!(b.plan().explain().matches("    link ").count(), 3000);
    let options = TranslateOptions {
        fuse: false,
        ..TranslateOptions::default()
    };
    assert_eq!(b.plan_with(&options).stages.len(), 6001);
}

/// Gives a PCollection fixed windows.
fn fix_windows(b: &mut Builder, pcollection: &str) {
    use dataflume_proto::pipeline::{FixedWindowsPayload, WindowingStrategy};
    use prost::Message;
    b.coder("interval", standard_coders::INTERVAL_WINDOW, &[]);
    let size = Some(prost_types::Duration {
        seconds: 10,
        nanos: 0,
    });
    let payload = FixedWindowsPayload { size, offset: None };
    let urn = dataflume_proto::urn::fixed_windows_payload::PROPERTIES;
    let strategy = WindowingStrategy {
        window_fn: Some(common::builder::spec(urn, payload.encode_to_vec().into())),
        window_coder_id: "interval".into(),
        ..Default::default()
    };
    let components = b.components();
    components
        .windowing_strategies
        .insert("fixed".into(), strategy);
    let pcollection = components
        .pcollections
        .get_mut(pcollection)
        .expect("a PCollection");
    pcollection.windowing_strategy_id = "fixed".into();
}

#[test]
fn windows_that_side_inputs_are_looked_up_by_are_known_before_the_stage() {
    let mut b = Builder::new();
    b.impulse("start");
    b.impulse("other");
    b.par_do("side", &["other"], "string");
    b.par_do("windows", &["start"], "string");
    b.par_do("look", &["windows", "side"], "string");
    let one_stage = b.plan().stages.len();
    // The main input gets its windows in the stage; all map onto the side input's only one.
    fix_windows(&mut b, "windows.out");
    assert_eq!(b.plan().stages.len(), one_stage);
    fix_windows(&mut b, "side.out");
    assert_eq!(b.plan().stages.len(), one_stage + 1);
    fix_windows(&mut b, "start.out");
    assert_eq!(b.plan().stages.len(), one_stage);
}
