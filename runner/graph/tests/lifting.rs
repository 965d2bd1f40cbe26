//! Which combiners combine in part before the grouping.

mod common;

use common::builder::Builder;
use common::stages::{check, stages};
use dataflume_graph::TranslateOptions;
use dataflume_proto::pipeline::accumulation_mode::Enum as Mode;
use dataflume_proto::pipeline::closing_behavior::Enum as Closing;
use dataflume_proto::pipeline::on_time_behavior::Enum as OnTime;
use dataflume_proto::pipeline::trigger::Trigger as Kind;
use dataflume_proto::pipeline::{self, is_bounded, output_time, trigger};
use expect_test::expect;

/// A combiner, of the values of each key.
fn sum_of_pairs() -> Builder {
    let mut b = Builder::new();
    b.impulse("start");
    b.par_do("key", &["start"], "kv");
    b.combine("sum", "key");
    b
}

#[test]
fn combiners_are_lifted() {
    let mut b = sum_of_pairs();
    b.par_do("after", &["sum"], "string");
    check(
        &b,
        &expect![[r#"
        impulse: start () -> start.out
        python: key + sum/Precombine (start.out) -> sum/Precombine.out
        group at end: sum/Group (sum/Precombine.out) -> sum/Group.out
        python: sum/Merge + sum/Extract + after (sum/Group.out) -> "#]],
    );
}

#[test]
fn a_combiner_that_holds_the_earliest_timestamp_sees_each_element_of_unbounded_input() {
    let mut b = sum_of_pairs();
    for strategy in b.components().windowing_strategies.values_mut() {
        strategy.set_output_time(output_time::Enum::EarliestInPane);
    }
    assert!(stages(&b.plan()).contains("Precombine"));
    for pcollection in b.components().pcollections.values_mut() {
        pcollection.set_is_bounded(is_bounded::Enum::Unbounded);
    }
    assert!(!stages(&b.plan()).contains("Precombine"));
}

#[test]
fn a_combiner_that_may_get_empty_panes_combines_at_once() {
    let is_lifted = |accumulation, closing, on_time, lateness, trigger: Kind| {
        let mut b = sum_of_pairs();
        for strategy in b.components().windowing_strategies.values_mut() {
            strategy.set_accumulation_mode(accumulation);
            strategy.set_closing_behavior(closing);
            strategy.set_on_time_behavior(on_time);
            strategy.allowed_lateness = lateness;
            strategy.trigger = Some(pipeline::Trigger {
                trigger: Some(trigger.clone()),
            });
        }
        stages(&b.plan()).contains("Precombine")
    };
    let early = || Kind::AfterProcessingTime(trigger::AfterProcessingTime::default());
    let default = || Kind::Default(trigger::Default::default());
    let at_the_end = || Kind::AfterEndOfWindow(Box::default());
    // As SDKs say that there is none.
    let no_early_firings = || {
        Kind::AfterEndOfWindow(Box::new(trigger::AfterEndOfWindow {
            early_firings: Some(Box::default()),
            late_firings: None,
        }))
    };
    let (discards, keeps) = (Mode::Discarding, Mode::Accumulating);
    let (if_any, closes) = (Closing::EmitIfNonempty, Closing::EmitAlways);
    let (always, never_empty) = (OnTime::FireAlways, OnTime::FireIfNonempty);
    assert!(!is_lifted(discards, if_any, always, 0, early()));
    assert!(is_lifted(discards, if_any, never_empty, 0, early()));
    assert!(!is_lifted(discards, closes, never_empty, 0, early()));
    assert!(is_lifted(keeps, if_any, always, 0, early()));
    assert!(is_lifted(discards, if_any, always, 1, default()));
    assert!(is_lifted(discards, if_any, always, 1, at_the_end()));
    assert!(is_lifted(discards, if_any, always, 1, no_early_firings()));
    assert!(is_lifted(discards, closes, always, 0, default()));
    assert!(!is_lifted(discards, closes, always, 1, default()));
}

#[test]
fn a_combiner_with_parts_runs_them_where_lifting_is_off() {
    let mut b = sum_of_pairs();
    b.group("sum/group", "key");
    b.par_do("sum/combine", &["sum/group"], "kv");
    let out = "sum.out".to_owned();
    b.get("sum/combine").outputs.insert("out".into(), out);
    b.get("sum").subtransforms = vec!["sum/group".into(), "sum/combine".into()];
    b.pipeline
        .root_transform_ids
        .retain(|id| !id.starts_with("sum/"));
    let options = TranslateOptions {
        lift_combiners: false,
        ..TranslateOptions::default()
    };
    expect![[r#"
        impulse: start () -> start.out
        python: key (start.out) -> key.out
        group at end: sum/group (key.out) -> sum/group.out
        python: sum/combine (sum/group.out) -> "#]]
    .assert_eq(&stages(&b.plan_with(&options)));
}
