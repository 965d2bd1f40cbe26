//! State of windows that are over.

use std::collections::BTreeMap;

use dataflume_graph::plan::{TimeDomain, TimerFamily};
use dataflume_model::ids::KeyGroup;

use super::*;
use crate::data::hash::key_group;
use crate::timers::KeyedTimers;

fn group(key: &str) -> KeyGroup {
    key_group(&text(key), KEY_GROUPS)
}

#[test]
fn state_goes_when_the_watermark_has_passed_window_and_lateness() {
    // The first window ends at 9; with lateness, its last moment is 14.
    for (watermark, gone) in [
        (EventTime(14), false),
        (EventTime(15), true),
        (EventTime::MAX, true),
    ] {
        let mut world = World::new();
        let bundle = world.bundle();
        let at_first = at(0, "k");
        append(&bundle, &at_first.bag("bag"), text("v"));
        append(&bundle, &at_first.map(&text("a")), text("v"));
        append(&bundle, &at_first.list(None), entry(1, "v"));
        append(&bundle, &at(9, "k").bag("bag"), text("later"));
        world.commit(bundle);
        let bundle = world.bundle();
        bundle
            .collect_expired(&[group("k")], watermark, None)
            .unwrap();
        world.commit(bundle);
        let bundle = world.bundle();
        assert_eq!(
            get(&bundle, &at_first.bag("bag")).is_empty(),
            gone,
            "{watermark}"
        );
        assert_eq!(get(&bundle, &at_first.map_keys()).is_empty(), gone);
        assert_eq!(get(&bundle, &at_first.list(None)).is_empty(), gone);
        let all = watermark == EventTime::MAX;
        assert_eq!(get(&bundle, &at(9, "k").bag("bag")).is_empty(), all);
        assert_eq!(
            world.entries() == 0,
            all,
            "no entry is left of the windows that are gone"
        );
    }
}

#[test]
fn only_the_groups_of_the_bundle_are_collected() {
    let mut world = World::new();
    let other = ["b", "c", "d", "e", "f"]
        .into_iter()
        .find(|key| group(key) != group("a"))
        .unwrap();
    let bundle = world.bundle();
    append(&bundle, &at(0, "a").bag("bag"), text("v"));
    append(&bundle, &at(0, other).bag("bag"), text("v"));
    world.commit(bundle);
    let bundle = world.bundle();
    bundle
        .collect_expired(&[group("a")], EventTime::MAX, None)
        .unwrap();
    world.commit(bundle);
    let bundle = world.bundle();
    assert_eq!(get(&bundle, &at(0, "a").bag("bag")), [0; 0]);
    assert_eq!(get(&bundle, &at(0, other).bag("bag")), text("v"));
}

#[test]
fn what_the_bundle_itself_wrote_in_an_expired_window_goes_too() {
    let mut world = World::new();
    let bundle = world.bundle();
    append(&bundle, &at(0, "k").bag("bag"), text("v"));
    bundle
        .collect_expired(&[group("k")], EventTime(15), None)
        .unwrap();
    world.commit(bundle);
    assert_eq!(world.entries(), 0);
}

#[test]
fn a_waiting_timer_keeps_its_windows_state() {
    let mut world = World::new();
    let windowing = WindowingStrategy {
        kind: WindowKind::Interval,
        ..WindowingStrategy::default()
    };
    let family = TimerFamily {
        domain: TimeDomain::ProcessingTime,
        key_coder: Coder::StringUtf8,
    };
    let families: BTreeMap<_, _> = [("f".to_owned(), family)].into();
    let timers = KeyedTimers::new(
        world.store.clone(),
        StageId(3),
        KEY_GROUPS,
        &families,
        &windowing,
        None,
    );
    let bundle = world.bundle();
    append(&bundle, &at(0, "k").bag("bag"), text("kept"));
    append(&bundle, &at(1, "k").bag("bag"), text("gone"));
    world.commit(bundle);
    let set = timers.bundle();
    set.absorb("f", &crate::timers::record_for_tests("k", 0, 1000))
        .unwrap();
    let bundle = world.bundle();
    bundle
        .collect_expired(&[group("k")], EventTime::MAX, Some(&set))
        .unwrap();
    world.commit(bundle);
    let bundle = world.bundle();
    assert_eq!(get(&bundle, &at(0, "k").bag("bag")), text("kept"));
    assert_eq!(get(&bundle, &at(1, "k").bag("bag")), [0; 0]);
}
