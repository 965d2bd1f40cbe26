//! Random strategies and scripts. Whatever they are: no element is lost or emitted twice, panes are
//! numbered without gaps, the watermark is held, and nothing is left in the end.

use std::collections::BTreeMap;

use dataflume_engine::grouping::GroupingOptions;
use dataflume_model::pane::PaneTiming;
use dataflume_model::time::EventTime;
use dataflume_model::trigger::{TimestampTransform, Trigger};
use dataflume_model::window::{
    AccumulationMode, ClosingBehavior, OnTimeBehavior, OutputTime, Window, WindowFn,
    WindowingStrategy,
};
use proptest::prelude::*;

use crate::world::{Pane, World, fixed, sessions};

#[derive(Debug, Clone)]
enum Step {
    Elements(Vec<(bool, i64)>),
    Watermark(i64),
    Clock(i64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let element = (any::<bool>(), 0..80_i64);
    let step = prop_oneof![
        3 => prop::collection::vec(element, 1..6).prop_map(Step::Elements),
        1 => (0..25_i64).prop_map(Step::Watermark),
        1 => (0..8_i64).prop_map(Step::Clock),
    ];
    prop::collection::vec(step, 0..25)
}

fn trigger() -> impl Strategy<Value = Trigger> {
    let leaf = prop_oneof![
        Just(Trigger::Default),
        Just(Trigger::Never),
        Just(Trigger::Always),
        Just(Trigger::AfterSynchronizedProcessingTime),
        (1..5_u32).prop_map(Trigger::ElementCount),
        (0..9_i64).prop_map(|delay_ms| {
            Trigger::AfterProcessingTime(vec![TimestampTransform::Delay { delay_ms }])
        }),
        Just(Trigger::AfterEndOfWindow {
            early: None,
            late: None
        }),
    ];
    leaf.prop_recursive(3, 10, 3, |inner| {
        let boxed = inner.clone().prop_map(Box::new);
        let optional = prop::option::of(boxed.clone());
        let several = prop::collection::vec(inner, 1..4);
        prop_oneof![
            boxed.clone().prop_map(Trigger::Repeat),
            (optional.clone(), optional)
                .prop_map(|(early, late)| Trigger::AfterEndOfWindow { early, late }),
            several.clone().prop_map(Trigger::AfterEach),
            several.clone().prop_map(Trigger::AfterAll),
            several.prop_map(Trigger::AfterAny),
            (boxed.clone(), boxed).prop_map(|(main, finally)| Trigger::OrFinally { main, finally }),
        ]
    })
}

fn strategy() -> impl Strategy<Value = WindowingStrategy> {
    let windowing = prop_oneof![
        Just(WindowingStrategy::default()),
        Just(fixed(10)),
        Just(sessions(4)),
        Just(WindowingStrategy {
            window_fn: WindowFn::Sliding {
                size_ms: 10,
                period_ms: 4,
                offset_ms: 1
            },
            ..fixed(10)
        }),
    ];
    let output_time = prop_oneof![
        Just(OutputTime::EndOfWindow),
        Just(OutputTime::EarliestInPane),
        Just(OutputTime::LatestInPane),
    ];
    let choices = (
        any::<bool>(),
        any::<bool>(),
        any::<bool>(),
        prop_oneof![Just(0), Just(7), Just(50)],
    );
    (windowing, trigger(), output_time, choices).prop_map(
        |(windowing, trigger, output_time, choices)| {
            let (accumulating, emit_always, fire_always, allowed_lateness_ms) = choices;
            WindowingStrategy {
                trigger,
                output_time,
                allowed_lateness_ms,
                accumulation: match accumulating {
                    true => AccumulationMode::Accumulating,
                    false => AccumulationMode::Discarding,
                },
                closing: match emit_always {
                    true => ClosingBehavior::EmitAlways,
                    false => ClosingBehavior::EmitIfNonempty,
                },
                on_time: match fire_always {
                    true => OnTimeBehavior::FireAlways,
                    false => OnTimeBehavior::FireIfNonempty,
                },
                ..windowing
            }
        },
    )
}

fn play(world: &mut World, steps: &[Step]) -> (u64, Vec<Pane>) {
    let (mut added, mut panes) = (0, Vec::new());
    for (number, step) in steps.iter().enumerate() {
        panes.extend(match step {
            Step::Elements(elements) => {
                let bundle: Vec<(&str, i64, i64)> = elements
                    .iter()
                    .zip(0..)
                    .map(|((other, at), i)| {
                        (if *other { "a" } else { "b" }, *at, number as i64 * 10 + i)
                    })
                    .collect();
                let windows = |at: i64| {
                    world
                        .strategy
                        .window_fn
                        .assign(EventTime(at))
                        .map_or(0, |w| w.len())
                };
                added += bundle
                    .iter()
                    .map(|element| windows(element.1) as u64)
                    .sum::<u64>();
                world.bundle(&bundle)
            }
            Step::Watermark(by) => {
                let from = world.watermark.max(EventTime(0));
                world.advance_watermark(from.plus_ms(*by))
            }
            Step::Clock(by) => world.advance_clock(*by),
        });
    }
    panes.extend(world.advance_watermark(EventTime::MAX));
    (added, panes)
}

fn check_numbering(panes: &[&Pane]) {
    let mut nonspeculative = 0;
    for (index, pane) in panes.iter().enumerate() {
        let info = pane.info;
        assert_eq!(info.index, index as i64, "{pane}");
        assert_eq!(info.is_first, index == 0, "{pane}");
        assert!(
            !info.is_last || index + 1 == panes.len(),
            "not the last: {pane}"
        );
        if info.timing == PaneTiming::Early {
            assert_eq!(
                (info.nonspeculative_index, nonspeculative),
                (-1, 0),
                "{pane}"
            );
        } else {
            assert_eq!(info.nonspeculative_index, nonspeculative, "{pane}");
            assert!(
                info.timing == PaneTiming::Late || nonspeculative == 0,
                "{pane}"
            );
            nonspeculative += 1;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_lost(strategy in strategy(), every in any::<bool>(), steps in steps()) {
        let options = GroupingOptions { fire_at_every_element: every };
        let mut world = World::new(strategy.clone(), options);
        let (added, panes) = play(&mut world, &steps);
        prop_assert_eq!(world.stored(), 0);
        let dropped = world.dropped_late + world.dropped_closed;
        if strategy.accumulation == AccumulationMode::Discarding {
            let emitted: u64 = panes.iter().map(|pane| pane.values.len() as u64).sum();
            prop_assert_eq!(emitted + dropped, added);
        }
        // A session that is merged away begins anew, with all its numbers.
        if !strategy.window_fn.is_merging() {
            let mut by_window: BTreeMap<(&str, &Window), Vec<&Pane>> = BTreeMap::new();
            for pane in &panes {
                by_window.entry((&pane.key, &pane.window)).or_default().push(pane);
            }
            by_window.values().for_each(|panes| check_numbering(panes));
        }
    }
}
