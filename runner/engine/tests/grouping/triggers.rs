//! Each trigger by a trace.

use dataflume_engine::grouping::GroupingOptions;
use dataflume_model::trigger::{TimestampTransform, Trigger};
use dataflume_model::window::WindowingStrategy;
use expect_test::{Expect, expect};

use crate::world::{World, fixed, trace};

const EVERY_ELEMENT: GroupingOptions = GroupingOptions {
    fire_at_every_element: true,
};

fn check(trigger: Trigger, script: &str, expected: Expect) {
    let strategy = WindowingStrategy {
        trigger,
        ..fixed(10)
    };
    check_strategy(strategy, script, expected);
}

fn check_strategy(strategy: WindowingStrategy, script: &str, expected: Expect) {
    expected.assert_eq(&trace(&mut World::new(strategy, EVERY_ELEMENT), script));
}

fn count(count: u32) -> Trigger {
    Trigger::ElementCount(count)
}

fn delay(delay_ms: i64) -> Trigger {
    Trigger::AfterProcessingTime(vec![TimestampTransform::Delay { delay_ms }])
}

fn repeat(trigger: Trigger) -> Trigger {
    Trigger::Repeat(Box::new(trigger))
}

fn end_of_window(early: Option<Trigger>, late: Option<Trigger>) -> Trigger {
    Trigger::AfterEndOfWindow {
        early: early.map(Box::new),
        late: late.map(Box::new),
    }
}

#[test]
fn default() {
    check(
        Trigger::Default,
        "+ 1 2; + 12; watermark 9; watermark 10; watermark 25; + 13; end",
        expect![[r#"
        + 1 2
        + 12
        watermark 9
        watermark 10
            [0, 10) on time 0/0 @9 first last: 1 2
        watermark 25
            [10, 20) on time 0/0 @19 first last: 12
        + 13
        end
        dropped: 1 late, 0 closed
    "#]],
    );
}

#[test]
fn element_count() {
    check(
        count(2),
        "+ 1 2 3; + 4; + 11; end",
        expect![[r#"
        + 1 2 3
            [0, 10) early 0/-1 @9 first last: 1 2
        + 4
        + 11
        end
            [10, 20) on time 0/0 @19 first last: 11
        dropped: 0 late, 2 closed
    "#]],
    );
    check(
        repeat(count(2)),
        "+ 1 2 3; + 4 5; end",
        expect![[r#"
        + 1 2 3
            [0, 10) early 0/-1 @9 first: 1 2
        + 4 5
            [0, 10) early 1/-1 @9: 3 4
        end
            [0, 10) on time 2/0 @9 last: 5
    "#]],
    );
}

#[test]
fn element_count_by_bundle() {
    let strategy = WindowingStrategy {
        trigger: repeat(count(2)),
        ..fixed(10)
    };
    let mut world = World::new(strategy, GroupingOptions::default());
    expect![[r#"
        + 1 2 3
            [0, 10) early 0/-1 @9 first: 1 2 3
        + 4
        + 5
            [0, 10) early 1/-1 @9: 4 5
        end
            [0, 10) on time 2/0 @9 last:
    "#]]
    .assert_eq(&trace(&mut world, "+ 1 2 3; + 4; + 5; end"));
}

#[test]
fn processing_time() {
    check(
        delay(5),
        "clock 100; + 1; clock 3; + 2; clock 1; clock 1; + 3; end",
        expect![[r#"
        clock 100
        + 1
        clock 3
        + 2
        clock 1
        clock 1
            [0, 10) early 0/-1 @9 first last: 1 2
        + 3
        end
        dropped: 0 late, 1 closed
    "#]],
    );
    check(
        repeat(delay(5)),
        "+ 1; clock 4; + 2; clock 1; + 3; clock 9; + 4; end",
        expect![[r#"
        + 1
        clock 4
        + 2
        clock 1
            [0, 10) early 0/-1 @9 first: 1 2
        + 3
        clock 9
            [0, 10) early 1/-1 @9: 3
        + 4
        end
            [0, 10) on time 2/0 @9 last: 4
    "#]],
    );
}

#[test]
fn aligned_processing_time() {
    let aligned = Trigger::AfterProcessingTime(vec![
        TimestampTransform::Delay { delay_ms: 1 },
        TimestampTransform::AlignTo {
            period_ms: 10,
            offset_ms: 3,
        },
    ]);
    check(
        repeat(aligned),
        "+ 1; clock 2; clock 1; clock 9; + 2; clock 1; end",
        expect![[r#"
        + 1
        clock 2
        clock 1
            [0, 10) early 0/-1 @9 first: 1
        clock 9
        + 2
        clock 1
            [0, 10) early 1/-1 @9: 2
        end
            [0, 10) on time 2/0 @9 last:
    "#]],
    );
}

#[test]
fn synchronized_processing_time() {
    check(
        repeat(Trigger::AfterSynchronizedProcessingTime),
        "+ 1 2; clock 1; + 3; end",
        expect![[r#"
        + 1 2
        clock 1
            [0, 10) early 0/-1 @9 first: 1 2
        + 3
        end
            [0, 10) on time 1/0 @9 last: 3
    "#]],
    );
}

#[test]
fn always_and_never() {
    check(
        Trigger::Always,
        "+ 1 2; + 3; end",
        expect![[r#"
        + 1 2
            [0, 10) early 0/-1 @9 first: 1
            [0, 10) early 1/-1 @9: 2
        + 3
            [0, 10) early 2/-1 @9: 3
        end
            [0, 10) on time 3/0 @9 last:
    "#]],
    );
    check(
        Trigger::Never,
        "+ 1 2; + 3; watermark 9; end",
        expect![[r#"
        + 1 2
        + 3
        watermark 9
        end
            [0, 10) on time 0/0 @9 first last: 1 2 3
    "#]],
    );
}

#[test]
fn after_end_of_window() {
    check(
        end_of_window(None, None),
        "+ 1 2; watermark 10; end",
        expect![[r#"
        + 1 2
        watermark 10
            [0, 10) on time 0/0 @9 first last: 1 2
        end
    "#]],
    );
    let late = WindowingStrategy {
        allowed_lateness_ms: 100,
        trigger: end_of_window(Some(count(2)), Some(count(2))),
        ..fixed(10)
    };
    check_strategy(
        late,
        "+ 1 2 3; watermark 10; + 4; + 5 6; + 7; watermark 110; + 8; end",
        expect![[r#"
        + 1 2 3
            [0, 10) early 0/-1 @9 first: 1 2
        watermark 10
            [0, 10) on time 1/0 @9: 3
        + 4
        + 5 6
            [0, 10) late 2/1 @9: 4 5
        + 7
            [0, 10) late 3/2 @9: 6 7
        watermark 110
        + 8
        end
        dropped: 1 late, 0 closed
    "#]],
    );
    let once = WindowingStrategy {
        allowed_lateness_ms: 100,
        trigger: end_of_window(None, None),
        ..fixed(10)
    };
    check_strategy(
        once,
        "+ 1; watermark 10; + 2; end",
        expect![[r#"
        + 1
        watermark 10
            [0, 10) on time 0/0 @9 first last: 1
        + 2
        end
        dropped: 0 late, 1 closed
    "#]],
    );
}

#[test]
fn after_each() {
    let each = Trigger::AfterEach(vec![count(3), Trigger::Always]);
    check(
        each,
        "+ 1 2 3 4 5; end",
        expect![[r#"
        + 1 2 3 4 5
            [0, 10) early 0/-1 @9 first: 1 2 3
            [0, 10) early 1/-1 @9: 4
            [0, 10) early 2/-1 @9: 5
        end
            [0, 10) on time 3/0 @9 last:
    "#]],
    );
    let finite = Trigger::AfterEach(vec![count(1), count(2)]);
    check(
        finite.clone(),
        "+ 1 2; + 3; + 4; end",
        expect![[r#"
        + 1 2
            [0, 10) early 0/-1 @9 first: 1
        + 3
            [0, 10) early 1/-1 @9 last: 2 3
        + 4
        end
        dropped: 0 late, 1 closed
    "#]],
    );
    check(
        repeat(finite),
        "+ 1 2 3 4 5; end",
        expect![[r#"
        + 1 2 3 4 5
            [0, 10) early 0/-1 @9 first: 1
            [0, 10) early 1/-1 @9: 2 3
            [0, 10) early 2/-1 @9: 4
        end
            [0, 10) on time 3/0 @9 last: 5
    "#]],
    );
}

#[test]
fn after_all() {
    let all = Trigger::AfterAll(vec![count(2), delay(5)]);
    check(
        repeat(all.clone()),
        "+ 1; clock 5; + 2; + 3 4; clock 5; end",
        expect![[r#"
        + 1
        clock 5
        + 2
            [0, 10) early 0/-1 @9 first: 1 2
        + 3 4
        clock 5
            [0, 10) early 1/-1 @9: 3 4
        end
            [0, 10) on time 2/0 @9 last:
    "#]],
    );
    check(
        all,
        "+ 1 2; clock 5; + 3; end",
        expect![[r#"
        + 1 2
        clock 5
            [0, 10) early 0/-1 @9 first last: 1 2
        + 3
        end
        dropped: 0 late, 1 closed
    "#]],
    );
}

#[test]
fn after_any() {
    let any = Trigger::AfterAny(vec![count(3), delay(5)]);
    check(
        repeat(any.clone()),
        "+ 1 2; clock 5; + 3 4 5; clock 5; + 6; end",
        expect![[r#"
        + 1 2
        clock 5
            [0, 10) early 0/-1 @9 first: 1 2
        + 3 4 5
            [0, 10) early 1/-1 @9: 3 4 5
        clock 5
        + 6
        end
            [0, 10) on time 2/0 @9 last: 6
    "#]],
    );
    check(
        any,
        "+ 1 2 3; clock 5; + 4; end",
        expect![[r#"
        + 1 2 3
            [0, 10) early 0/-1 @9 first last: 1 2 3
        clock 5
        + 4
        end
        dropped: 0 late, 1 closed
    "#]],
    );
}

#[test]
fn or_finally() {
    let or_finally = Trigger::OrFinally {
        main: Box::new(Trigger::Always),
        finally: Box::new(count(3)),
    };
    check(
        or_finally,
        "+ 1 2; + 3; + 4; end",
        expect![[r#"
        + 1 2
            [0, 10) early 0/-1 @9 first: 1
            [0, 10) early 1/-1 @9: 2
        + 3
            [0, 10) early 2/-1 @9 last: 3
        + 4
        end
        dropped: 0 late, 1 closed
    "#]],
    );
    let main_ends = Trigger::OrFinally {
        main: Box::new(count(2)),
        finally: Box::new(count(5)),
    };
    check(
        main_ends,
        "+ 1 2; + 3; end",
        expect![[r#"
        + 1 2
            [0, 10) early 0/-1 @9 first last: 1 2
        + 3
        end
        dropped: 0 late, 1 closed
    "#]],
    );
}
