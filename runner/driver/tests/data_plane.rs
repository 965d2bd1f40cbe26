//! Cutting, grouping and side inputs against naive models.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use dataflume_driver::data::cut::{ConsumerRule, CutSpec, OutputCutter};
use dataflume_driver::data::hash::key_group;
use dataflume_driver::data::{DataError, DataOptions, DataStore};
use dataflume_driver::shuffle::{GroupSpec, group_at_end};
use dataflume_engine::grouping::{Merge, WindowMerger};
use dataflume_model::coder::Coder;
use dataflume_model::ids::StageId;
use dataflume_model::pane::PaneInfo;
use dataflume_model::time::EventTime;
use dataflume_model::window::{MergeStatus, Window, WindowFn, WindowKind, WindowingStrategy};
use dataflume_model::windowed::WindowedCodec;
use proptest::prelude::*;

const KEY_GROUPS: u32 = 8;

/// Key, value, timestamp, and the starts of the windows of 10 ms that it is in.
type Element = (u8, Vec<u8>, i64, Vec<i64>);

fn codec() -> WindowedCodec {
    WindowedCodec::new(Coder::kv(Coder::Bytes, Coder::Bytes), WindowKind::Interval)
}

fn window(start: i64) -> Window {
    Window::Interval {
        start: EventTime(start),
        end: EventTime(start + 10),
    }
}

fn encode(elements: &[Element]) -> Bytes {
    let mut bytes = Vec::new();
    for (key, value, timestamp, starts) in elements {
        let windows: Vec<Window> = starts.iter().copied().map(window).collect();
        codec()
            .encode_header(
                EventTime(*timestamp),
                &windows,
                &PaneInfo::NO_FIRING,
                &mut bytes,
            )
            .unwrap();
        bytes.extend_from_slice(&[1, *key, value.len() as u8]);
        bytes.extend_from_slice(value);
    }
    bytes.into()
}

/// Every element once for each of its windows, sorted.
fn exploded(elements: &[Element]) -> Vec<(u8, Vec<u8>, i64, i64)> {
    let each = elements.iter().flat_map(|(key, value, timestamp, starts)| {
        starts
            .iter()
            .map(|start| (*key, value.clone(), *timestamp, *start))
    });
    let mut all: Vec<_> = each.collect();
    all.sort();
    all
}

fn decode(chunk: &Bytes) -> Vec<Element> {
    let codec = codec();
    let elements = codec.iter(chunk).map(|element| {
        let element = element.unwrap();
        let starts = element.windows().map(|window| match window.unwrap() {
            Window::Interval { start, .. } => start.0,
            other => panic!("{other}"),
        });
        let value = element.value_of_key()[1..].to_vec();
        (
            element.key()[1],
            value,
            element.timestamp.0,
            starts.collect(),
        )
    });
    elements.collect()
}

fn store(memory_budget_bytes: u64) -> (tempfile::TempDir, Arc<DataStore>) {
    let folder = tempfile::tempdir().unwrap();
    let mut options = DataOptions::new(folder.path());
    options.memory_budget_bytes = memory_budget_bytes;
    (folder, Arc::new(DataStore::open(options).unwrap()))
}

fn spec(rule: ConsumerRule) -> Arc<CutSpec> {
    Arc::new(CutSpec {
        name: "pcollection".into(),
        coder: codec().value,
        window: WindowKind::Interval,
        consumers: vec![rule],
        feeds: Vec::new(),
    })
}

fn rule() -> ConsumerRule {
    ConsumerRule {
        waits: false,
        stage: StageId(1),
        key_groups: None,
        side_inputs: Vec::new(),
        max_elements_per_handle: None,
        target_bytes_per_handle: 1 << 20,
    }
}

fn elements() -> impl Strategy<Value = Vec<Element>> {
    let windows = prop::collection::btree_set(0..5i64, 1..4)
        .prop_map(|starts| starts.into_iter().map(|start| start * 10).collect());
    let value = prop::collection::vec(any::<u8>(), 0..20);
    prop::collection::vec((0..6u8, value, 0..50i64, windows), 0..60)
}

proptest! {
    #[test]
    fn keyed_cutting_keeps_every_element_in_its_group(elements in elements(), budget in 0..2000u64) {
        let (_folder, store) = store(budget);
        let spec = spec(ConsumerRule { key_groups: Some(KEY_GROUPS), ..rule() });
        let mut cutter = OutputCutter::new(spec, store.clone());
        for chunk in elements.chunks(7) {
            cutter.push(encode(chunk)).unwrap();
        }
        let mut output = cutter.finish().unwrap();
        let mut found = Vec::new();
        for (stage, handles) in output.take_deliveries() {
            prop_assert_eq!(stage, StageId(1));
            for handle in handles {
                let mut count = 0;
                for chunk in store.read(handle.id).unwrap() {
                    for element in decode(&chunk.unwrap()) {
                        prop_assert_eq!(element.3.len(), 1, "one window each");
                        prop_assert_eq!(Some(key_group(&[1, element.0], KEY_GROUPS)), handle.key_group);
                        prop_assert!(EventTime(element.2) >= handle.min_timestamp);
                        count += 1;
                        found.push(element);
                    }
                }
                prop_assert_eq!(count, handle.elements);
                store.release([handle.id]);
            }
        }
        prop_assert_eq!(exploded(&found), exploded(&elements));
        prop_assert_eq!(store.stats().ids, 0);
    }

    #[test]
    fn a_grouping_is_what_a_map_would_be(elements in elements()) {
        let windowing = WindowingStrategy {
            window_fn: WindowFn::Fixed { size_ms: 10, offset_ms: 0 },
            kind: WindowKind::Interval,
            ..WindowingStrategy::default()
        };
        let mut expected: BTreeMap<(u8, i64), Vec<Vec<u8>>> = BTreeMap::new();
        for (key, value, _, start) in exploded(&elements) {
            expected.entry((key, start)).or_default().push(value);
        }
        for values in expected.values_mut() {
            values.sort();
        }
        let spec = GroupSpec::new("group", codec(), windowing, &Coder::Bytes);
        let chunks = || elements.chunks(5).map(|chunk| Ok::<_, DataError>(encode(chunk)));
        prop_assert_eq!(&grouped(&spec, 0, chunks()), &expected);
        // Part by part.
        prop_assert_eq!(&grouped(&spec, 4 << 20, chunks()), &expected);
        // With parts or runs on disk.
        let spec = spec.limited_to(400, usize::MAX);
        prop_assert_eq!(&grouped(&spec, 4 << 20, chunks()), &expected);
        prop_assert_eq!(grouped(&spec, 0, chunks()), expected);
    }
}

/// Key and window start -> sorted values.
fn grouped(
    spec: &GroupSpec,
    input_bytes: u64,
    chunks: impl Iterator<Item = Result<Bytes, DataError>>,
) -> BTreeMap<(u8, i64), Vec<Vec<u8>>> {
    grouped_by(
        &WindowFn::Sessions { gap_ms: 10 },
        spec,
        input_bytes,
        chunks,
    )
}

fn grouped_by(
    merger: &dyn WindowMerger,
    spec: &GroupSpec,
    input_bytes: u64,
    chunks: impl Iterator<Item = Result<Bytes, DataError>>,
) -> BTreeMap<(u8, i64), Vec<Vec<u8>>> {
    let output = WindowedCodec::new(
        Coder::kv(Coder::Bytes, Coder::iterable(Coder::Bytes)),
        WindowKind::Interval,
    );
    let mut found = BTreeMap::new();
    let (_folder, store) = store(1 << 20);
    let rests = group_at_end(spec, &store, merger, input_bytes, chunks, &mut |chunk| {
        for element in output.iter(&chunk) {
            let element = element.unwrap();
            let Some(Ok(Window::Interval { start, end })) = element.windows().next() else {
                panic!("no window");
            };
            assert_eq!(element.timestamp, end.minus_ms(1));
            assert_eq!(element.pane().unwrap(), PaneInfo::ON_TIME_AND_ONLY);
            let mut rest = &element.value_of_key()[4..];
            let mut values = Vec::new();
            while let Some((length, tail)) = rest.split_first() {
                let (value, tail) = tail.split_at(usize::from(*length));
                values.push(value.to_vec());
                rest = tail;
            }
            values.sort();
            let twice = found.insert((element.key()[1], start.0), values);
            assert!(twice.is_none(), "one pane per key and window");
        }
        Ok(())
    })
    .unwrap();
    assert!(rests.is_empty(), "everything travels with its group");
    assert_eq!(store.stats().spilled_bytes, 0, "runs are gone");
    found
}

fn sessions() -> WindowingStrategy {
    WindowingStrategy {
        window_fn: WindowFn::Sessions { gap_ms: 10 },
        merge_status: MergeStatus::NeedsMerge,
        kind: WindowKind::Interval,
        ..WindowingStrategy::default()
    }
}

#[test]
fn sessions_are_merged_key_by_key() {
    let element = |key: u8, value: u8, at: i64| (key, vec![value], at, vec![at]);
    let elements = [
        element(1, 1, 0),
        element(1, 2, 5),
        element(1, 3, 50),
        element(2, 4, 7),
    ];
    let spec = GroupSpec::new("group", codec(), sessions(), &Coder::Bytes);
    let chunks = || elements.chunks(1).map(|chunk| Ok(encode(chunk)));
    let found = grouped(&spec, 0, chunks());
    let expected = BTreeMap::from([
        ((1, 0), vec![vec![1], vec![2]]),
        ((1, 50), vec![vec![3]]),
        ((2, 7), vec![vec![4]]),
    ]);
    assert_eq!(found, expected);
    // With a run on disk for each element.
    assert_eq!(
        grouped(&spec.limited_to(0, usize::MAX), 0, chunks()),
        expected
    );
}

/// Merges windows whose starts are even tens, and those whose starts are odd: those between them belong to the others.
struct ByParity;

impl WindowMerger for ByParity {
    fn merge(&self, sets: &[Vec<Window>]) -> Result<Vec<Vec<Merge>>, String> {
        let parity = |window: &Window| match window {
            Window::Interval { start, .. } => start.0 / 10 % 2,
            other => panic!("{other}"),
        };
        let merged = |set: &Vec<Window>, wanted: i64| Merge {
            result: Window::Interval {
                start: EventTime(wanted * 10),
                end: EventTime(1_000_000),
            },
            sources: set
                .iter()
                .filter(|window| parity(window) == wanted)
                .cloned()
                .collect(),
        };
        let sets = sets.iter();
        Ok(sets
            .map(|set| vec![merged(set, 0), merged(set, 1)])
            .collect())
    }
}

/// Values of one key, more than a grouping may hold, in many windows that become two.
#[test]
fn a_large_key_of_merging_windows_waits_on_disk() {
    let limit = 2_000;
    let spec = GroupSpec::new("group", codec(), sessions(), &Coder::Bytes);
    let value = |n: i64| [n.to_be_bytes().as_slice(), &[0; 100]].concat();
    let elements: Vec<Element> = (0..1_000)
        .map(|n| {
            (
                1,
                value(n),
                n * 5 + n / 500 * 1_000,
                vec![n * 5 + n / 500 * 1_000],
            )
        })
        .collect();
    let chunks = || elements.chunks(7).map(|chunk| Ok(encode(chunk)));
    let halves: [Vec<Vec<u8>>; 2] = [(0..500), (500..1_000)].map(|half| half.map(value).collect());
    let expected = BTreeMap::from([((1, 0), halves[0].clone()), ((1, 3_500), halves[1].clone())]);
    assert_eq!(grouped(&spec, 0, chunks()), expected);
    let limited = spec.clone().limited_to(limit, usize::MAX);
    assert_eq!(grouped(&limited, 0, chunks()), expected);

    let elements: Vec<Element> = (0..1_000)
        .map(|n| (1, value(n), n * 10, vec![n * 10]))
        .collect();
    let chunks = || elements.chunks(7).map(|chunk| Ok(encode(chunk)));
    let of = |parity: i64| (0..1_000).filter(move |n| n % 2 == parity).map(value);
    let expected = BTreeMap::from([((1, 0), of(0).collect()), ((1, 10), of(1).collect())]);
    assert_eq!(grouped_by(&ByParity, &spec, 0, chunks()), expected);
    assert_eq!(grouped_by(&ByParity, &limited, 0, chunks()), expected);
}

/// One key has more values than travel with it, and than its grouping may hold.
#[test]
fn the_rest_of_a_large_group_can_be_asked_for() {
    const VALUES: usize = 60_000;
    let (_folder, store) = store(1 << 20);
    let output = Coder::kv(
        Coder::Bytes,
        Coder::StateBackedIterable(Box::new(Coder::Bytes)),
    );
    let windowing = WindowingStrategy {
        kind: WindowKind::Interval,
        ..WindowingStrategy::default()
    };
    let spec = GroupSpec::new("group", codec(), windowing, &output).limited_to(1 << 20, 1 << 20);
    let value = |n: usize| [(n as u32).to_be_bytes().as_slice(), &[0; 96]].concat();
    let chunks = (0..VALUES / 100).map(|chunk| {
        let elements = (0..100).map(|n| (1, value(chunk * 100 + n), 0, vec![0]));
        Ok::<_, DataError>(encode(&elements.collect::<Vec<Element>>()))
    });
    let mut groups = Vec::new();
    let none = WindowFn::Global;
    let rests = group_at_end(&spec, &store, &none, 0, chunks, &mut |chunk| {
        groups.push(chunk);
        Ok(())
    });
    let rests = rests.unwrap();
    assert_eq!((groups.len(), rests.len()), (1, 1));
    let codec = WindowedCodec::new(output, WindowKind::Interval);
    let elements: Vec<_> = codec.iter(&groups[0]).collect::<Result<_, _>>().unwrap();
    assert_eq!(elements.len(), 1);
    let group = elements[0].value_of_key();
    assert!(group.len() < 3 << 20, "{}", group.len());
    assert!(group.ends_with(&rests[0].0.to_be_bytes()), "the token");
    let mut found = 0;
    for page in store.read(rests[0]).unwrap() {
        let page = page.unwrap();
        assert!(page.len() <= 1 << 20, "a page that an SDK reads at once");
        found += page.len() / 101;
    }
    let travelled = (group.len() - 4) / 101;
    assert_eq!(found + travelled, VALUES);
    assert!(
        store.stats().spilled_bytes > 0,
        "it is more than the budget"
    );
}

#[test]
fn side_windows_say_when_elements_are_ready() {
    let (_folder, store) = store(1 << 20);
    let side = WindowingStrategy {
        window_fn: WindowFn::Fixed {
            size_ms: 20,
            offset_ms: 0,
        },
        kind: WindowKind::Interval,
        ..WindowingStrategy::default()
    };
    let spec = spec(ConsumerRule {
        side_inputs: vec![side, WindowingStrategy::default()],
        ..rule()
    });
    let mut cutter = OutputCutter::new(spec, store);
    let elements = [
        (1, vec![], 0, vec![0]),
        (1, vec![], 12, vec![10]),
        (1, vec![], 31, vec![30]),
    ];
    cutter.push(encode(&elements)).unwrap();
    let mut output = cutter.finish().unwrap();
    let (_, handles) = output.take_deliveries().remove(0);
    let mut ready: Vec<_> = handles
        .iter()
        .map(|handle| (handle.side_inputs_ready_at[0].0, handle.elements))
        .collect();
    ready.sort_unstable();
    assert_eq!(ready, [(19, 2), (39, 1)]);
    let global = EventTime::END_OF_GLOBAL_WINDOW;
    assert!(
        handles
            .iter()
            .all(|handle| handle.side_inputs_ready_at[1] == global)
    );
}

#[test]
fn an_element_behind_the_end_of_its_window_holds_the_watermark_within() {
    let (_folder, store) = store(1 << 20);
    for key_groups in [None, Some(4)] {
        let spec = spec(ConsumerRule {
            key_groups,
            ..rule()
        });
        let mut cutter = OutputCutter::new(spec, store.clone());
        cutter.push(encode(&[(1, vec![], 0, vec![-10])])).unwrap();
        let mut output = cutter.finish().unwrap();
        let (_, handles) = output.take_deliveries().remove(0);
        assert_eq!(handles[0].min_timestamp, EventTime(-1));
    }
}

#[test]
fn an_output_that_is_dropped_releases_its_data() {
    let (_folder, store) = store(1 << 20);
    let mut cutter = OutputCutter::new(spec(rule()), store.clone());
    cutter.push(encode(&[(1, vec![1], 0, vec![0])])).unwrap();
    drop(cutter.finish().unwrap());
    assert_eq!(store.stats().ids, 0);
}

#[test]
fn malformed_output_is_refused_with_its_place() {
    let (_folder, store) = store(1 << 20);
    let mut cutter = OutputCutter::new(spec(rule()), store);
    let good = encode(&[(1, vec![1], 0, vec![0])]);
    let mut bad = good.to_vec();
    bad.extend_from_slice(&good[..good.len() - 1]);
    match cutter.push(bad.into()) {
        Err(DataError::Malformed { offset, .. }) => assert_eq!(offset, good.len() as u64),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_splittable_consumer_gets_one_element_a_piece() {
    let (_folder, store) = store(1 << 20);
    let spec = spec(ConsumerRule {
        max_elements_per_handle: Some(1),
        ..rule()
    });
    let mut cutter = OutputCutter::new(spec, store);
    let elements: Vec<Element> = (0..5).map(|n| (n, vec![n], 0, vec![0])).collect();
    cutter.push(encode(&elements)).unwrap();
    let (_, handles) = cutter.finish().unwrap().take_deliveries().remove(0);
    assert_eq!(handles.len(), 5);
    assert!(handles.iter().all(|handle| handle.elements == 1));
}
