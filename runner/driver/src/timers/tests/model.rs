//! Random bundles against a model that keeps all timers in one map.

use proptest::prelude::*;

use super::*;

/// Family, key, window, tag -> fire and hold.
type Model = BTreeMap<(&'static str, &'static str, i64, &'static str), (EventTime, EventTime)>;

#[derive(Debug, Clone)]
enum Op {
    Set {
        family: &'static str,
        key: &'static str,
        window: i64,
        tag: &'static str,
        fire: i64,
        hold: i64,
    },
    Clear {
        family: &'static str,
        key: &'static str,
        window: i64,
        tag: &'static str,
    },
    /// Ends the bundle: it counts, or it failed.
    End(bool),
    /// Ends the bundle, then begins one that fires what is due.
    Fire { watermark: i64, now: i64 },
}

fn op() -> impl Strategy<Value = Op> {
    let family = || prop::sample::select(vec!["event", "processing"]);
    let key = || prop::sample::select(vec!["a", "b", "c"]);
    let tag = || prop::sample::select(vec!["", "t", "t\0"]);
    prop_oneof![
        6 => (family(), key(), 0i64..2, tag(), 0i64..20, -5i64..20).prop_map(
            |(family, key, window, tag, fire, hold)| Op::Set { family, key, window, tag, fire, hold }
        ),
        2 => (family(), key(), 0i64..2, tag())
            .prop_map(|(family, key, window, tag)| Op::Clear { family, key, window, tag }),
        2 => any::<bool>().prop_map(Op::End),
        3 => (0i64..22, 0i64..22).prop_map(|(watermark, now)| Op::Fire { watermark, now }),
    ]
}

/// Every group's summary and every window's waiting timers are as the model says.
fn compare(bundle: &BundleTimers, model: &Model) {
    for number in 0..KEY_GROUPS {
        let summary = bundle.summary(KeyGroup(number)).unwrap();
        let of = |family: &'static str| {
            let timers = model
                .iter()
                .filter(move |((_, key, ..), _)| group(key) == KeyGroup(number));
            timers.filter(move |((f, ..), _)| family.is_empty() || *f == family)
        };
        let first = |family| of(family).map(|(_, (fire, _))| *fire).min();
        assert_eq!(summary.next_event_timer, first("event"));
        assert_eq!(
            summary.next_processing_timer.map(|t| EventTime(t.0)),
            first("processing")
        );
        assert_eq!(summary.hold, of("").map(|(_, (_, hold))| *hold).min());
        for w in 0..2 {
            let waits = bundle
                .waits_in(KeyGroup(number), &encoded(&window(w)))
                .unwrap();
            assert_eq!(waits, of("").any(|((_, _, of, _), _)| *of == w));
        }
    }
}

fn due_in(model: &Model, watermark: i64, now: i64) -> Vec<(&'static str, EventTime)> {
    let mut due: Vec<_> = model
        .iter()
        .filter(|((family, ..), (fire, _))| match *family {
            "event" => fire.0 < watermark,
            _ => fire.0 <= now,
        })
        .map(|((family, ..), (fire, _))| (*family, *fire))
        .collect();
    due.sort();
    due
}

proptest! {
    #[test]
    fn timers_are_what_the_model_says(ops in prop::collection::vec(op(), 0..60)) {
        let world = World::new();
        let groups: Vec<_> = (0..KEY_GROUPS).map(KeyGroup).collect();
        let mut committed = Model::new();
        let mut model = Model::new();
        let mut bundle = world.timers.bundle();
        for op in ops {
            match op {
                Op::Set { family, key, window, tag, fire, hold } => {
                    bundle.absorb(family, &set(key, tag, window, fire, hold)).unwrap();
                    model.insert((family, key, window, tag), (EventTime(fire), EventTime(hold)));
                }
                Op::Clear { family, key, window, tag } => {
                    bundle.absorb(family, &clear(key, tag, window)).unwrap();
                    model.remove(&(family, key, window, tag));
                }
                Op::End(good) => {
                    compare(&bundle, &model);
                    if good {
                        world.commit(&bundle);
                        committed = model.clone();
                    } else {
                        model = committed.clone();
                    }
                    bundle = world.timers.bundle();
                }
                Op::Fire { watermark, now } => {
                    world.commit(&bundle);
                    committed = model.clone();
                    let due = world
                        .timers
                        .due(&groups, EventTime(watermark), ProcessingTime(now))
                        .unwrap();
                    let fired: Vec<_> =
                        due.iter().map(|t| (t.family.as_str(), t.fire_timestamp)).collect();
                    prop_assert_eq!(fired, due_in(&model, watermark, now));
                    model.retain(|(family, ..), (fire, _)| match *family {
                        "event" => fire.0 >= watermark,
                        _ => fire.0 > now,
                    });
                    bundle = world.timers.bundle();
                    bundle.fired(&due);
                }
            }
            compare(&bundle, &model);
        }
        world.commit(&bundle);
        // A timer is three entries; nothing else is left.
        prop_assert_eq!(world.entries(), 3 * model.len());
    }
}
