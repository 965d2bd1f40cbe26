//! Sessions.

use std::collections::BTreeMap;

use bytes::Bytes;
use dataflume_engine::grouping::{GroupingError, GroupingOptions, Merge, WindowMerger};
use dataflume_model::coder::Coder;
use dataflume_model::time::EventTime;
use dataflume_model::trigger::{TimestampTransform, Trigger};
use dataflume_model::window::{
    AccumulationMode, MergeStatus, OutputTime, Window, WindowFn, WindowKind, WindowingStrategy,
};
use expect_test::{Expect, expect};

use crate::world::{World, sessions, trace};

fn check(strategy: WindowingStrategy, script: &str, expected: Expect) {
    let options = GroupingOptions {
        fire_at_every_element: true,
    };
    expected.assert_eq(&trace(&mut World::new(strategy, options), script));
}

#[test]
fn sessions_grow_and_join() {
    check(
        sessions(10),
        "+ 1; + 20; + 8; + 15 9; watermark 12; + 40; watermark 35; end",
        expect![[r#"
        + 1
        + 20
        + 8
        + 15 9
        watermark 12
        + 40
        watermark 35
            [1, 30) on time 0/0 @29 first last: 1 8 15 9 20
        end
            [40, 50) on time 0/0 @49 first last: 40
    "#]],
    );
}

#[test]
fn joined_sessions_hold_at_the_earliest_element() {
    let strategy = WindowingStrategy {
        output_time: OutputTime::EarliestInPane,
        ..sessions(10)
    };
    let mut world = World::new(strategy, GroupingOptions::default());
    world.elements(&[30]);
    world.elements(&[12]);
    assert_eq!(world.summary.hold.map(|hold| hold.0), Some(12));
    world.elements(&[21]);
    expect![[r#"
        watermark 41
            [12, 40) on time 0/0 @12 first last: 12 21 30
        end
    "#]]
    .assert_eq(&trace(&mut world, "watermark 41; end"));
}

#[test]
fn trigger_states_merge() {
    let early = |early| WindowingStrategy {
        trigger: Trigger::AfterEndOfWindow {
            early: Some(Box::new(early)),
            late: None,
        },
        accumulation: AccumulationMode::Accumulating,
        ..sessions(10)
    };
    check(
        early(Trigger::ElementCount(4)),
        "+ 1; + 20; + 8; + 15; + 16; end",
        expect![[r#"
        + 1
        + 20
        + 8
        + 15
            [1, 30) early 0/-1 @29 first: 1 8 20 15
        + 16
        end
            [1, 30) on time 1/0 @29 last: 1 8 15 16 20
    "#]],
    );
    let delay = Trigger::AfterProcessingTime(vec![TimestampTransform::Delay { delay_ms: 5 }]);
    // The earlier deadline is the joined session's.
    check(
        early(delay),
        "+ 1; clock 3; + 20; clock 1; + 8 15; clock 1; end",
        expect![[r#"
        + 1
        clock 3
        + 20
        clock 1
        + 8 15
        clock 1
            [1, 30) early 0/-1 @29 first: 1 8 15 20
        end
            [1, 30) on time 1/0 @29 last: 1 8 15 20
    "#]],
    );
}

#[test]
fn a_closed_session_opens_again_when_it_grows() {
    let strategy = WindowingStrategy {
        trigger: Trigger::AfterEndOfWindow {
            early: None,
            late: None,
        },
        allowed_lateness_ms: 100,
        ..sessions(10)
    };
    check(
        strategy,
        "+ 1; watermark 11; + 0; + 9; watermark 30; end",
        expect![[r#"
        + 1
        watermark 11
            [1, 11) on time 0/0 @10 first last: 1
        + 0
        + 9
        watermark 30
            [0, 19) on time 0/0 @18 first last: 9
        end
        dropped: 0 late, 1 closed
    "#]],
    );
}

#[test]
fn keys_do_not_meet() {
    let mut world = World::new(sessions(10), GroupingOptions::default());
    world.bundle(&[("a", 1, 1), ("b", 5, 5)]);
    world.bundle(&[("b", 1, 10), ("a", 20, 20)]);
    expect![[r#"
        end
            a: [1, 11) on time 0/0 @10 first last: 1
            b: [1, 15) on time 0/0 @14 first last: 5 10
            a: [20, 30) on time 0/0 @29 first last: 20
    "#]]
    .assert_eq(&trace(&mut world, "end"));
}

/// A session that goes on and on keeps its values where they are.
#[test]
fn a_growing_session_does_not_move_its_values() {
    let mut world = World::new(sessions(10), GroupingOptions::default());
    for timestamp in 0..100 {
        world.elements(&[timestamp]);
    }
    // One entry of values per bundle, the record, a timer, a hold, the number of the next bag.
    assert_eq!(world.stored(), 104);
    let panes = world.advance_watermark(EventTime::MAX);
    assert_eq!(panes.len(), 1);
    assert_eq!(panes[0].values, (0..100).collect::<Vec<_>>());
    assert_eq!(world.stored(), 0);
}

/// Merges as an SDK might: windows of the same hundred become one, whose end is the latest.
struct Hundreds;

impl WindowMerger for Hundreds {
    fn merge(&self, sets: &[Vec<Window>]) -> Result<Vec<Vec<Merge>>, String> {
        let merge = |set: &Vec<Window>| {
            let mut by_hundred: BTreeMap<i64, Vec<Window>> = BTreeMap::new();
            for window in set {
                let hundred = window.max_timestamp().0.div_euclid(100);
                by_hundred.entry(hundred).or_default().push(window.clone());
            }
            // Windows that nothing happens to are left out: they stay.
            let joined = by_hundred.into_values().filter(|windows| windows.len() > 1);
            let merge = |sources: Vec<Window>| Merge {
                result: sources
                    .iter()
                    .max_by_key(|window| window.max_timestamp())
                    .expect("not empty")
                    .clone(),
                sources,
            };
            joined.map(merge).collect()
        };
        Ok(sets.iter().map(merge).collect())
    }
}

/// A window of the user's own: nothing is known of it but its maximum timestamp.
fn own(max_timestamp: i64) -> Window {
    let max_timestamp = EventTime(max_timestamp);
    let mut encoded = max_timestamp.encode().to_vec();
    encoded.push(0);
    Window::Custom {
        max_timestamp,
        encoded: encoded.into(),
    }
}

fn own_windows() -> WindowingStrategy {
    let coder = Coder::CustomWindow(Box::new(Coder::LengthPrefix(Box::new(Coder::Bytes))));
    WindowingStrategy {
        window_fn: WindowFn::Custom {
            urn: "beam:window_fn:pickled_python:v1".into(),
            payload: Bytes::new(),
        },
        merge_status: MergeStatus::NeedsMerge,
        kind: WindowKind::Custom(coder),
        ..WindowingStrategy::default()
    }
}

#[test]
fn windows_of_the_users_own_merge_as_the_sdk_says() {
    let mut world = World::new(own_windows(), GroupingOptions::default());
    let early = [
        ("a", 1, own(10)),
        ("b", 2, own(20)),
        ("a", 3, own(30)),
        ("a", 4, own(130)),
    ];
    assert_eq!(world.bundle_in(&early, &Hundreds), []);
    assert_eq!(world.bundle_in(&[("a", 5, own(60))], &Hundreds), []);
    assert_eq!(world.bundle_in(&[("b", 6, own(150))], &Hundreds), []);
    let panes = world.advance_watermark(EventTime::MAX);
    let mut found: Vec<(&str, i64, Vec<i64>)> = panes
        .iter()
        .map(|pane| {
            let mut values = pane.values.clone();
            values.sort_unstable();
            (pane.key.as_str(), pane.window.max_timestamp().0, values)
        })
        .collect();
    found.sort();
    let expected = [
        ("a", 60, vec![1, 3, 5]),
        ("a", 130, vec![4]),
        ("b", 20, vec![2]),
        ("b", 150, vec![6]),
    ];
    assert_eq!(found, expected);
}

#[test]
fn without_an_sdk_windows_of_the_users_own_do_not_merge() {
    let world = World::new(own_windows(), GroupingOptions::default());
    let function = world.strategy.window_fn.clone();
    let result = world.try_bundle_in(&[("a", 1, own(10))], &function);
    assert!(
        matches!(result, Err(GroupingError::Merger(_))),
        "{result:?}"
    );
}

#[test]
fn answers_that_contradict_the_question_are_refused() {
    struct Twice;
    impl WindowMerger for Twice {
        fn merge(&self, sets: &[Vec<Window>]) -> Result<Vec<Vec<Merge>>, String> {
            let twice = |set: &Vec<Window>| {
                let merge = |result| Merge {
                    result,
                    sources: set.clone(),
                };
                vec![merge(own(50)), merge(own(60))]
            };
            Ok(sets.iter().map(twice).collect())
        }
    }
    let world = World::new(own_windows(), GroupingOptions::default());
    let result = world.try_bundle_in(&[("a", 1, own(10))], &Twice);
    assert!(
        matches!(result, Err(GroupingError::BadMerge(_))),
        "{result:?}"
    );
}
