//! What is emitted, when nothing is there to emit, and with which timestamp.

use dataflume_engine::grouping::{Grouper, GroupingError, GroupingOptions};
use dataflume_model::coder::Coder;
use dataflume_model::time::EventTime;
use dataflume_model::trigger::Trigger;
use dataflume_model::window::{
    AccumulationMode, ClosingBehavior, MergeStatus, OnTimeBehavior, OutputTime, WindowFn,
    WindowingStrategy,
};
use dataflume_model::windowed::WindowedCodec;
use expect_test::{Expect, expect};

use crate::world::{STAGE, World, fixed, trace};

fn check(strategy: WindowingStrategy, script: &str, expected: Expect) {
    let options = GroupingOptions {
        fire_at_every_element: true,
    };
    expected.assert_eq(&trace(&mut World::new(strategy, options), script));
}

fn early_and_late() -> WindowingStrategy {
    let trigger = Trigger::AfterEndOfWindow {
        early: Some(Box::new(Trigger::ElementCount(1))),
        late: Some(Box::new(Trigger::ElementCount(1))),
    };
    WindowingStrategy {
        trigger,
        allowed_lateness_ms: 5,
        ..fixed(10)
    }
}

const SCRIPT: &str = "+ 1; + 2; watermark 10; + 3; watermark 15; end";

#[test]
fn accumulation() {
    check(
        early_and_late(),
        SCRIPT,
        expect![[r#"
        + 1
            [0, 10) early 0/-1 @9 first: 1
        + 2
            [0, 10) early 1/-1 @9: 2
        watermark 10
            [0, 10) on time 2/0 @9:
        + 3
            [0, 10) late 3/1 @9: 3
        watermark 15
        end
    "#]],
    );
    let accumulating = WindowingStrategy {
        accumulation: AccumulationMode::Accumulating,
        ..early_and_late()
    };
    check(
        accumulating,
        SCRIPT,
        expect![[r#"
        + 1
            [0, 10) early 0/-1 @9 first: 1
        + 2
            [0, 10) early 1/-1 @9: 1 2
        watermark 10
            [0, 10) on time 2/0 @9: 1 2
        + 3
            [0, 10) late 3/1 @9: 1 2 3
        watermark 15
        end
    "#]],
    );
}

#[test]
fn on_time_and_closing_behaviour() {
    let if_nonempty = WindowingStrategy {
        on_time: OnTimeBehavior::FireIfNonempty,
        ..early_and_late()
    };
    check(
        if_nonempty.clone(),
        SCRIPT,
        expect![[r#"
        + 1
            [0, 10) early 0/-1 @9 first: 1
        + 2
            [0, 10) early 1/-1 @9: 2
        watermark 10
        + 3
            [0, 10) late 2/0 @9: 3
        watermark 15
        end
    "#]],
    );
    let always = WindowingStrategy {
        closing: ClosingBehavior::EmitAlways,
        ..early_and_late()
    };
    check(
        always,
        SCRIPT,
        expect![[r#"
        + 1
            [0, 10) early 0/-1 @9 first: 1
        + 2
            [0, 10) early 1/-1 @9: 2
        watermark 10
            [0, 10) on time 2/0 @9:
        + 3
            [0, 10) late 3/1 @9: 3
        watermark 15
            [0, 10) late 4/2 @9 last:
        end
    "#]],
    );
    let repeated = WindowingStrategy {
        trigger: Trigger::Repeat(Box::new(Trigger::ElementCount(1))),
        on_time: OnTimeBehavior::FireIfNonempty,
        ..fixed(10)
    };
    check(
        repeated,
        "+ 1; end",
        expect![[r#"
        + 1
            [0, 10) early 0/-1 @9 first: 1
        end
    "#]],
    );
}

#[test]
fn output_times() {
    for (output_time, expected) in [
        (
            OutputTime::EarliestInPane,
            expect![[r#"
            watermark 3
            + 2
            + 5 4
            watermark 10
                [0, 10) on time 0/0 @4 first: 2 5 4
            + 6
                [0, 10) late 1/1 @9: 6
            end
        "#]],
        ),
        (
            OutputTime::LatestInPane,
            expect![[r#"
            watermark 3
            + 2
            + 5 4
            watermark 10
                [0, 10) on time 0/0 @5 first: 2 5 4
            + 6
                [0, 10) late 1/1 @9: 6
            end
        "#]],
        ),
        (
            OutputTime::EndOfWindow,
            expect![[r#"
            watermark 3
            + 2
            + 5 4
            watermark 10
                [0, 10) on time 0/0 @9 first: 2 5 4
            + 6
                [0, 10) late 1/1 @9: 6
            end
        "#]],
        ),
    ] {
        let strategy = WindowingStrategy {
            output_time,
            allowed_lateness_ms: 20,
            ..fixed(10)
        };
        check(
            strategy,
            "watermark 3; + 2; + 5 4; watermark 10; + 6; end",
            expected,
        );
    }
}

/// What the watermark is held at, step by step.
#[test]
fn holds() {
    let strategy = WindowingStrategy {
        output_time: OutputTime::EarliestInPane,
        closing: ClosingBehavior::EmitAlways,
        ..early_and_late()
    };
    let strategy = WindowingStrategy {
        trigger: Trigger::AfterEndOfWindow {
            early: Some(Box::new(Trigger::ElementCount(2))),
            late: Some(Box::new(Trigger::ElementCount(2))),
        },
        ..strategy
    };
    let mut world = World::new(strategy, GroupingOptions::default());
    let mut hold_after = |step: &str| {
        trace(&mut world, step);
        world.summary.hold.map(|hold| hold.0)
    };
    assert_eq!(hold_after("+ 4"), Some(4));
    // The pane at the end of the window will be emitted even if it is empty.
    assert_eq!(hold_after("+ 6"), Some(9));
    assert_eq!(hold_after("+ 7"), Some(7));
    // And so will be the last one.
    assert_eq!(hold_after("watermark 10"), Some(14));
    assert_eq!(hold_after("+ 8"), Some(14));
    assert_eq!(hold_after("watermark 15"), None);
}

#[test]
fn late_elements() {
    let strategy = WindowingStrategy {
        allowed_lateness_ms: 5,
        ..fixed(10)
    };
    // A window that nothing came for in time has no on-time pane.
    check(
        strategy.clone(),
        "watermark 12; + 1; + 2; watermark 14; + 3; watermark 15; + 4; end",
        expect![[r#"
        watermark 12
        + 1
            [0, 10) late 0/0 @9 first: 1
        + 2
            [0, 10) late 1/1 @9: 2
        watermark 14
        + 3
            [0, 10) late 2/2 @9: 3
        watermark 15
        + 4
        end
        dropped: 1 late, 0 closed
    "#]],
    );
    check(
        strategy,
        "+ 11; watermark 15; + 1 12; end",
        expect![[r#"
        + 11
        watermark 15
        + 1 12
        end
            [10, 20) on time 0/0 @19 first last: 11 12
        dropped: 1 late, 0 closed
    "#]],
    );
}

#[test]
fn global_window() {
    let strategy = WindowingStrategy {
        trigger: Trigger::Repeat(Box::new(Trigger::ElementCount(2))),
        on_time: OnTimeBehavior::FireIfNonempty,
        ..WindowingStrategy::default()
    };
    check(
        strategy,
        "+ 1 2 3; watermark 1000; end",
        expect![[r#"
        + 1 2 3
            global early 0/-1 @end first: 1 2
        watermark 1000
        end
            global on time 1/0 @end last: 3
    "#]],
    );
    let default = WindowingStrategy::default();
    let mut world = World::new(default, GroupingOptions::default());
    world.elements(&[1]);
    // Not before the watermark has passed the very end of the window.
    assert!(
        world
            .advance_watermark(EventTime::END_OF_GLOBAL_WINDOW)
            .is_empty()
    );
    assert_eq!(
        world
            .advance_watermark(EventTime(EventTime::END_OF_GLOBAL_WINDOW.0 + 1))
            .len(),
        1
    );
    assert_eq!(world.stored(), 0);
}

#[test]
fn sliding_windows() {
    let strategy = WindowingStrategy {
        window_fn: WindowFn::Sliding {
            size_ms: 10,
            period_ms: 5,
            offset_ms: 0,
        },
        ..fixed(10)
    };
    check(
        strategy,
        "+ 7 3; end",
        expect![[r#"
        + 7 3
        end
            [-5, 5) on time 0/0 @4 first last: 3
            [0, 10) on time 0/0 @9 first last: 7 3
            [5, 15) on time 0/0 @14 first last: 7
    "#]],
    );
}

#[test]
fn refusals() {
    let coder = || Coder::kv(Coder::Bytes, Coder::Bytes);
    let refused = |strategy: WindowingStrategy, value: Coder| {
        let input = WindowedCodec::new(value, strategy.kind.clone());
        Grouper::new(STAGE, strategy, input, GroupingOptions::default()).err()
    };
    let retracting = WindowingStrategy {
        accumulation: AccumulationMode::Retracting,
        ..fixed(10)
    };
    assert_eq!(
        refused(retracting, coder()),
        Some(GroupingError::Retracting)
    );
    let merging = WindowingStrategy {
        merge_status: MergeStatus::NeedsMerge,
        ..fixed(10)
    };
    assert_eq!(refused(merging, coder()), Some(GroupingError::NotMerging));
    let not_keyed = refused(fixed(10), Coder::Bytes);
    assert!(matches!(not_keyed, Some(GroupingError::NotKeyed { .. })));
}
