//! Which elements a window shows, and how they are read.

use std::sync::Arc;

use bytes::Bytes;
use dataflume_model::pane::{PaneInfo, PaneTiming};

use super::contents::{Contents, Entry, Rule, Snapshot, fired};
use super::*;

/// `key=value` of a pane.
fn entry(text: &'static str, pane: Option<i64>) -> Entry {
    Entry {
        value: Bytes::from_static(text.as_bytes()),
        key_end: text.find('=').unwrap_or(0),
        pane,
    }
}

const SIMPLE: Rule = Rule {
    by_key: false,
    bundles_replace: false,
};

fn shown(contents: &Contents) -> Vec<String> {
    let snapshot = Snapshot::new(vec![Arc::new(contents.clone())]);
    let texts = snapshot.values(0);
    texts
        .map(|text| String::from_utf8_lossy(&text).into_owned())
        .collect()
}

fn after(rule: Rule, bundles: &[&[(&'static str, Option<i64>)]]) -> Vec<String> {
    let mut contents = Contents::default();
    for bundle in bundles {
        let entries = bundle.iter().map(|(text, pane)| entry(text, *pane));
        contents.add(entries.collect(), rule);
    }
    shown(&contents)
}

#[test]
fn elements_that_no_grouping_fired_add_up() {
    let bundles: [&[_]; 2] = [&[("a", None)], &[("b", None), ("a", None)]];
    assert_eq!(after(SIMPLE, &bundles), ["a", "b", "a"]);
}

#[test]
fn a_later_pane_replaces_and_an_earlier_one_comes_too_late() {
    let bundles: [&[_]; 4] = [
        &[("a", Some(0)), ("b", Some(0))],
        &[("c", Some(2))],
        &[("d", Some(1))],
        &[("e", Some(2))],
    ];
    assert_eq!(after(SIMPLE, &bundles), ["c", "e"]);
    let at_once: [&[_]; 1] = [&[("a", Some(0)), ("b", Some(1)), ("c", Some(0))]];
    assert_eq!(after(SIMPLE, &at_once), ["b"]);
}

#[test]
fn readers_by_key_see_each_keys_last_pane() {
    let rule = Rule {
        by_key: true,
        ..SIMPLE
    };
    let bundles: [&[_]; 3] = [
        &[("x=1", Some(0)), ("y=1", Some(0))],
        &[("x=2", Some(1))],
        &[("x=3", Some(2)), ("z=1", Some(0))],
    ];
    assert_eq!(after(rule, &bundles), ["y=1", "x=3", "z=1"]);
}

#[test]
fn where_panes_are_discarded_and_nothing_is_grouped_bundles_replace() {
    let rule = Rule {
        bundles_replace: true,
        ..SIMPLE
    };
    let bundles: [&[_]; 2] = [&[("a", None), ("b", None)], &[("c", None)]];
    assert_eq!(after(rule, &bundles), ["c"]);
}

#[test]
fn a_pane_counts_if_a_grouping_fired_it() {
    let early = PaneInfo {
        is_first: false,
        is_last: false,
        timing: PaneTiming::Early,
        index: 3,
        nonspeculative_index: -1,
    };
    assert_eq!(fired(&early), Some(3));
    assert_eq!(fired(&PaneInfo::NO_FIRING), None);
}

#[test]
fn a_snapshot_stays_and_is_read_from_anywhere() {
    let mut first = Contents::default();
    first.add(vec![entry("x=1", None), entry("y=2", None)], SIMPLE);
    let mut second = Contents::default();
    second.add(vec![entry("x=3", None)], SIMPLE);
    let mut first = Arc::new(first);
    let snapshot = Snapshot::new(vec![first.clone(), Arc::new(second)]);
    Arc::make_mut(&mut first).add(vec![entry("x=4", None)], SIMPLE);
    let texts = |values: Vec<Bytes>| -> Vec<String> {
        let texts = values.iter();
        texts
            .map(|text| String::from_utf8_lossy(text).into_owned())
            .collect()
    };
    assert_eq!(texts(snapshot.values(1).collect()), ["y=2", "x=3"]);
    assert_eq!(texts(snapshot.values(2).collect()), ["x=3"]);
    assert_eq!(texts(snapshot.values(9).collect()), [""; 0]);
    assert_eq!(texts(snapshot.values_of(b"x", 0).collect()), ["=1", "=3"]);
    assert_eq!(texts(snapshot.values_of(b"x", 1).collect()), ["=3"]);
    assert_eq!(texts(snapshot.keys(0).collect()), ["x", "y"]);
    assert_eq!(texts(snapshot.keys(1).collect()), ["y"]);
}

#[test]
fn more_than_may_be_held_is_refused() {
    let store = SideInputStore {
        readers: FxHashMap::default(),
        cache_tokens: FxHashMap::default(),
        windows: RwLock::default(),
        expiries: Mutex::default(),
        limit_bytes: 3 << 20,
    };
    let write = |megabytes: usize| {
        let value = Bytes::from(vec![0; megabytes << 20]);
        let entry = Entry {
            value,
            key_end: 0,
            pane: None,
        };
        store.commit(SideInputDelta {
            rule: FeedRule {
                pcollection: PCollectionId(0),
                rule: SIMPLE,
                window: WindowKind::Global,
                early: false,
            },
            windows: [(Bytes::new(), vec![entry])].into_iter().collect(),
        })
    };
    assert!(write(1).is_ok());
    let error = write(2).expect_err("3 MiB and what it takes to find them");
    assert!(
        error.to_string().contains("hold 3 MiB, and may hold 3 MiB"),
        "{error}"
    );
}
