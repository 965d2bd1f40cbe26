//! What random bundles don't show.

use super::super::TimerError;
use super::super::due::MAX_TIMERS_PER_BUNDLE;
use super::*;

#[test]
fn event_timers_fire_when_the_watermark_has_passed_them() {
    for (watermark, fires) in [
        (EventTime(9), false),
        (EventTime(10), false),
        (EventTime(11), true),
        (EventTime::MAX, true),
    ] {
        let world = World::new();
        let bundle = world.timers.bundle();
        bundle.absorb("event", &set("k", "", 0, 10, 10)).unwrap();
        world.commit(&bundle);
        assert_eq!(
            world.fire(watermark, i64::MIN).len(),
            usize::from(fires),
            "{watermark}"
        );
    }
}

#[test]
fn a_timer_at_the_end_of_time_fires_there() {
    let world = World::new();
    let bundle = world.timers.bundle();
    bundle
        .absorb("event", &set("k", "", 0, EventTime::MAX.0, 0))
        .unwrap();
    world.commit(&bundle);
    assert!(world.fire(EventTime(EventTime::MAX.0 - 1), 0).is_empty());
    assert_eq!(world.fire(EventTime::MAX, 0).len(), 1);
}

#[test]
fn what_is_sent_is_what_was_set() {
    let world = World::new();
    let bundle = world.timers.bundle();
    let (a, b) = (set("k", "one", 0, 3, 2), set("k", "two", 0, 1, 1));
    let chunk = [
        a.clone(),
        set("k", "gone", 0, 2, 2),
        b.clone(),
        clear("k", "gone", 0),
    ]
    .concat();
    bundle.absorb("event", &chunk.into()).unwrap();
    world.commit(&bundle);
    let records: Vec<_> = world
        .fire(EventTime(9), 0)
        .into_iter()
        .map(|t| t.record)
        .collect();
    assert_eq!(records, [b, a], "soonest first");
    assert_eq!(world.entries(), 0);
}

#[test]
fn a_timer_that_its_own_firing_sets_anew_stays_set() {
    let world = World::new();
    let bundle = world.timers.bundle();
    bundle.absorb("event", &set("k", "", 0, 1, 1)).unwrap();
    world.commit(&bundle);
    let due = world
        .timers
        .due(&[group("k")], EventTime(5), ProcessingTime(0))
        .unwrap();
    for again in [false, true] {
        let bundle = world.timers.bundle();
        if again {
            bundle.fired(&due);
        }
        bundle.absorb("event", &set("k", "", 0, 2, 2)).unwrap();
        bundle.fired(&due);
        let summary = bundle.summary(group("k")).unwrap();
        assert_eq!(
            summary.next_event_timer,
            Some(EventTime(2)),
            "due at once, but later"
        );
        assert_eq!(bundle.groups(), [group("k")].into());
    }
}

#[test]
fn a_timer_of_several_windows_is_one_of_each() {
    let world = World::new();
    let bundle = world.timers.bundle();
    let windows = [window(0), window(1)];
    let both = record("k", "", &windows, Some((EventTime(1), EventTime(1))));
    bundle.absorb("event", &both).unwrap();
    bundle.absorb("event", &clear("k", "", 0)).unwrap();
    world.commit(&bundle);
    let due = world.fire(EventTime(5), 0);
    assert_eq!(due.len(), 1);
    assert_eq!(due[0].record, set("k", "", 1, 1, 1));
}

#[test]
fn what_cannot_be_read_is_refused_whole() {
    let world = World::new();
    let bundle = world.timers.bundle();
    let unknown = bundle.absorb("?", &set("k", "", 0, 1, 1)).unwrap_err();
    assert!(unknown.to_string().contains("\"processing\""), "{unknown}");
    let good = set("k", "", 0, 1, 1);
    let torn = [good.clone(), good.slice(..good.len() - 1)].concat();
    assert!(matches!(
        bundle.absorb("event", &torn.into()),
        Err(TimerError::Record { .. })
    ));
    let nowhere = record("k", "", &[], None);
    assert!(matches!(
        bundle.absorb("event", &nowhere),
        Err(TimerError::NoWindow { .. })
    ));
    assert!(bundle.groups().is_empty());
}

#[test]
fn the_expiry_timer_comes_when_nothing_else_of_its_key_and_window_is_due() {
    let world = World::new();
    let bundle = world.timers.bundle();
    for key in ["k", "other"] {
        for w in [0, 1] {
            bundle.ensure_expiry_timer(&text(key), &window(w)).unwrap();
            bundle.ensure_expiry_timer(&text(key), &window(w)).unwrap();
        }
    }
    bundle.absorb("event", &set("k", "", 0, 14, 14)).unwrap();
    let summary = bundle.summary(group("k")).unwrap();
    assert_eq!(
        (summary.next_event_timer, summary.hold),
        (Some(EventTime(14)), Some(EventTime(14)))
    );
    world.commit(&bundle);

    let seen_again = world.timers.bundle();
    seen_again
        .ensure_expiry_timer(&text("k"), &window(0))
        .unwrap();
    assert!(seen_again.groups().is_empty(), "it is set already");

    let families = |due: &[DueTimer]| due.iter().map(|t| t.family.clone()).collect::<Vec<_>>();
    assert!(world.fire(EventTime(14), 0).is_empty());
    let first = world.fire(EventTime(15), 0);
    assert_eq!(families(&first), ["event", EXPIRY_FAMILY]);
    let expired = codec().decode(&mut &first[1].record[..]).unwrap();
    assert_eq!(
        (expired.key, &expired.windows[..]),
        (text("other"), &[window(0)][..])
    );
    let firing = expired.firing.unwrap();
    assert_eq!(
        (firing.fire_timestamp, firing.hold_timestamp),
        (EventTime(14), EventTime(9))
    );
    let second = world.fire(EventTime(15), 0);
    assert_eq!(families(&second), [EXPIRY_FAMILY]);
    assert_eq!(
        codec().decode(&mut &second[0].record[..]).unwrap().key,
        text("k")
    );
    assert_eq!(world.fire(EventTime::MAX, 0).len(), 2);
    assert_eq!(world.entries(), 0);
}

#[test]
fn without_an_expiry_family_no_expiry_timer_is_set() {
    let mut world = World::new();
    world.timers.expiry_family = None;
    let bundle = world.timers.bundle();
    bundle.ensure_expiry_timer(&text("k"), &window(0)).unwrap();
    assert!(bundle.groups().is_empty());
}

#[test]
fn processing_time_timers_follow_the_clock_of_a_script() {
    let world = World::new();
    let bundle = world.timers.bundle();
    // Set by a real clock at 1000, where the script is at 70: five later than now.
    bundle
        .absorb_shifted("processing", &set("k", "", 0, 1005, 0), 70 - 1000)
        .unwrap();
    bundle
        .absorb_shifted("event", &set("k", "", 0, 8, 0), 70 - 1000)
        .unwrap();
    let summary = bundle.summary(group("k")).unwrap();
    assert_eq!(summary.next_processing_timer, Some(ProcessingTime(75)));
    assert_eq!(summary.next_event_timer, Some(EventTime(8)));
}

#[test]
fn a_bundle_fires_so_many_timers_and_the_next_one_the_rest() {
    let world = World::new();
    let bundle = world.timers.bundle();
    let many = MAX_TIMERS_PER_BUNDLE + 3;
    for n in 0..many {
        let fire = i64::try_from(n).unwrap();
        let timer = set("k", &n.to_string(), 0, fire, fire);
        bundle.absorb("event", &timer).unwrap();
    }
    world.commit(&bundle);
    let first = world.fire(EventTime::MAX, 0);
    assert_eq!(first.len(), MAX_TIMERS_PER_BUNDLE);
    let second = world.fire(EventTime::MAX, 0);
    let at = |timers: &[DueTimer]| {
        timers
            .iter()
            .map(|t| t.fire_timestamp.0)
            .collect::<Vec<_>>()
    };
    let all = [at(&first), at(&second)].concat();
    assert!(all.is_sorted(), "earliest first");
    assert_eq!(all.len(), many);
    assert!(world.fire(EventTime::MAX, 0).is_empty());
}
