//! Each metric type, as SDKs encode it, and the books over several bundles.

use std::collections::HashMap;

use dataflume_proto::pipeline::histogram_value::BucketOptions;
use dataflume_proto::pipeline::histogram_value::bucket_options::{BucketType, Linear};
use dataflume_proto::pipeline::{BoundedTrie, BoundedTrieNode, HistogramValue};
use dataflume_proto::urn::monitoring_info_type_urns as types;
use proptest::prelude::*;
use prost::Message;

use super::*;

fn merged(r#type: &str, first: &[u8], second: &[u8]) -> Vec<u8> {
    let decode = |payload: &[u8]| Cell::decode(r#type, &payload.to_vec().into()).unwrap();
    let mut cell = decode(first);
    cell.merge(&decode(second));
    cell.encode().to_vec()
}

/// Type, two payloads, and what they come to.
type Case = (&'static str, Vec<u8>, Vec<u8>, Vec<u8>);

fn double(value: f64) -> Vec<u8> {
    value.to_be_bytes().to_vec()
}

#[test]
fn each_type_is_read_merged_and_written() {
    // -1 as a varint.
    let minus_one = [[0xff; 9].as_slice(), &[1]].concat();
    let cases: Vec<Case> = vec![
        (types::SUM_INT64_TYPE, vec![0xac, 2], vec![5], vec![0xb1, 2]),
        (types::SUM_INT64_TYPE, vec![3], minus_one.clone(), vec![2]),
        (
            types::SUM_DOUBLE_TYPE,
            double(1.5),
            double(-0.25),
            double(1.25),
        ),
        (
            types::DISTRIBUTION_INT64_TYPE,
            vec![2, 9, 4, 5],
            vec![1, 3, 3, 3],
            vec![3, 12, 3, 5],
        ),
        // An empty distribution may leave out the rest, and says nothing of extremes.
        (
            types::DISTRIBUTION_INT64_TYPE,
            vec![0],
            vec![1, 7, 7, 7],
            vec![1, 7, 7, 7],
        ),
        (
            types::DISTRIBUTION_INT64_TYPE,
            vec![1, 7, 7, 7],
            vec![0, 0, 9, 1],
            vec![1, 7, 7, 7],
        ),
        (
            types::DISTRIBUTION_INT64_TYPE,
            vec![0],
            vec![0],
            vec![0, 0, 0, 0],
        ),
        (
            types::DISTRIBUTION_DOUBLE_TYPE,
            [vec![1], double(2.0), double(2.0), double(2.0)].concat(),
            [vec![1], double(1.0), double(1.0), double(1.0)].concat(),
            [vec![2], double(3.0), double(1.0), double(2.0)].concat(),
        ),
        (
            types::LATEST_INT64_TYPE,
            vec![10, 1],
            vec![11, 2],
            vec![11, 2],
        ),
        (
            types::LATEST_INT64_TYPE,
            vec![11, 2],
            vec![10, 1],
            vec![11, 2],
        ),
        (
            types::LATEST_DOUBLE_TYPE,
            [vec![1], double(0.5)].concat(),
            [vec![2], double(1.5)].concat(),
            [vec![2], double(1.5)].concat(),
        ),
        (
            types::TOP_N_INT64_TYPE,
            vec![0, 0, 0, 2, 9, 5],
            vec![0, 0, 0, 2, 7, 6],
            vec![0, 0, 0, 2, 9, 7],
        ),
        (
            types::BOTTOM_N_INT64_TYPE,
            vec![0, 0, 0, 2, 5, 9],
            vec![0, 0, 0, 1, 6],
            vec![0, 0, 0, 2, 5, 6],
        ),
        (
            types::TOP_N_DOUBLE_TYPE,
            [vec![0, 0, 0, 1], double(0.5)].concat(),
            [vec![0, 0, 0, 1], double(1.5)].concat(),
            [vec![0, 0, 0, 1], double(1.5)].concat(),
        ),
        (
            types::PROGRESS_TYPE,
            [vec![0, 0, 0, 2], double(0.5), double(1.0)].concat(),
            [vec![0, 0, 0, 1], double(2.0)].concat(),
            [vec![0, 0, 0, 1], double(3.5)].concat(),
        ),
        // The second is written in blocks, as an iterable of unknown length.
        (
            types::SET_STRING_TYPE,
            vec![0, 0, 0, 2, 1, b'b', 1, b'a'],
            vec![0xff, 0xff, 0xff, 0xff, 2, 1, b'a', 0, 1, 1, b'c', 0],
            vec![0, 0, 0, 4, 0, 1, b'a', 1, b'b', 1, b'c'],
        ),
        (
            "beam:metrics:of_tomorrow:v1",
            vec![1],
            vec![2, 3],
            vec![2, 3],
        ),
    ];
    for (r#type, first, second, expected) in cases {
        assert_eq!(
            merged(r#type, &first, &second),
            expected,
            "{} {first:?} {second:?}",
            r#type
        );
    }
}

#[test]
fn payloads_of_another_type_are_errors() {
    for (r#type, payload) in [
        (types::SUM_INT64_TYPE, &[][..]),
        (types::SUM_DOUBLE_TYPE, &[1, 2]),
        (types::DISTRIBUTION_INT64_TYPE, &[1, 2]),
        (types::SET_STRING_TYPE, &[0, 0, 0, 1, 1, 0xff]),
        (types::SET_STRING_TYPE, &[0xff, 0xff, 0xff, 0xfe]),
        (types::HISTOGRAM, &[0xff]),
    ] {
        assert!(
            Cell::decode(r#type, &payload.to_vec().into()).is_err(),
            "{} {payload:?}",
            r#type
        );
    }
}

#[test]
fn histograms_add_up_bucket_by_bucket() {
    let histogram = |width: f64, counts: &[i64]| {
        let linear = Linear {
            number_of_buckets: Some(3),
            width: Some(width),
            start: Some(0.0),
        };
        HistogramValue {
            count: Some(counts.iter().sum()),
            bucket_options: Some(BucketOptions {
                bucket_type: Some(BucketType::Linear(linear)),
            }),
            bucket_counts: counts.to_vec(),
        }
        .encode_to_vec()
    };
    let (few, many) = (histogram(1.0, &[1, 2]), histogram(1.0, &[0, 1, 5]));
    assert_eq!(
        merged(types::HISTOGRAM, &few, &many),
        histogram(1.0, &[1, 3, 5])
    );
    let other = histogram(2.0, &[4]);
    assert_eq!(
        merged(types::HISTOGRAM, &few, &other),
        other,
        "buckets defined anew"
    );
}

fn trie(bound: i32, paths: &[&str]) -> BoundedTrie {
    let mut root = BoundedTrieNode::default();
    for path in paths {
        let mut node = &mut root;
        for segment in path.split('/') {
            match segment {
                "*" => node.truncated = true,
                _ => node = node.children.entry(segment.to_owned()).or_default(),
            }
        }
    }
    BoundedTrie {
        bound,
        root: Some(root),
        singleton: Vec::new(),
    }
}

#[test]
fn a_long_path_is_cut_short_where_it_meets_another() {
    let single = |segments: usize| BoundedTrie {
        singleton: (0..segments).map(|n| n.to_string()).collect(),
        ..BoundedTrie::default()
    };
    let (one, other) = (single(100_000), trie(100, &["a"]));
    let bytes = merged(
        types::BOUNDED_TRIE_TYPE,
        &one.encode_to_vec(),
        &other.encode_to_vec(),
    );
    // Readers take no deeper messages.
    let both = BoundedTrie::decode(&bytes[..]).unwrap().root.unwrap();
    assert_eq!(both.children.len(), 2);
    assert!(both.children["0"].children["1"].children.contains_key("2"));
    let mut node = &both;
    let mut depth = 0;
    while let Some(child) = node.children.get(&depth.to_string()) {
        (node, depth) = (child, depth + 1);
    }
    assert!(node.truncated && depth > 10, "{depth}");
}

#[test]
fn tries_are_cut_where_most_paths_go() {
    let single = BoundedTrie {
        bound: 100,
        root: None,
        singleton: vec!["a".to_owned(), "b".to_owned()],
    };
    let cases = [
        (
            trie(10, &["a/b"]),
            trie(10, &["a/c", "d"]),
            trie(10, &["a/b", "a/c", "d"]),
        ),
        (single.clone(), BoundedTrie::default(), single.clone()),
        (BoundedTrie::default(), single.clone(), single.clone()),
        (
            single.clone(),
            trie(100, &["a/c"]),
            trie(100, &["a/b", "a/c"]),
        ),
        (trie(10, &["a/*"]), trie(10, &["a/b/c"]), trie(10, &["a/*"])),
        (trie(10, &["a/b/c"]), trie(10, &["a/*"]), trie(10, &["a/*"])),
        (
            trie(2, &["a/b"]),
            trie(9, &["a/c", "d"]),
            trie(2, &["a/*", "d"]),
        ),
        (trie(2, &["a", "b"]), trie(2, &["c"]), trie(2, &["*"])),
    ];
    for (first, second, expected) in cases {
        let bytes = merged(
            types::BOUNDED_TRIE_TYPE,
            &first.encode_to_vec(),
            &second.encode_to_vec(),
        );
        assert_eq!(
            BoundedTrie::decode(&bytes[..]).unwrap(),
            expected,
            "{first:?} {second:?}"
        );
    }
}

fn info(name: &str, r#type: &str, payload: &[u8]) -> MonitoringInfo {
    MonitoringInfo {
        urn: "beam:metric:user:sum_int64:v1".to_owned(),
        r#type: r#type.to_owned(),
        payload: payload.to_vec().into(),
        labels: HashMap::from([("NAME".to_owned(), name.to_owned())]),
        start_time: None,
    }
}

fn count(name: &str, count: u8) -> MonitoringInfo {
    info(name, types::SUM_INT64_TYPE, &[count])
}

#[test]
fn a_report_may_leave_out_what_has_not_changed() {
    let metrics = JobMetrics::default();
    metrics.update(BundleId(1), vec![count("a", 1), count("b", 1)]);
    metrics.update(BundleId(1), vec![count("b", 2)]);
    assert_eq!(
        metrics.query(),
        (vec![count("a", 1), count("b", 2)], vec![])
    );
    metrics.commit(BundleId(1));
    let both = vec![count("a", 1), count("b", 2)];
    assert_eq!(metrics.query(), (both.clone(), both));
}

#[test]
fn what_cannot_be_read_costs_only_itself() {
    let metrics = JobMetrics::default();
    let bad = info("bad", types::SUM_INT64_TYPE, &[]);
    metrics.update(BundleId(1), vec![bad, count("good", 1)]);
    assert_eq!(metrics.query().0, [count("good", 1)]);
}

#[test]
fn metrics_of_different_types_or_labels_are_different_metrics() {
    let metrics = JobMetrics::default();
    let latest = info("a", types::LATEST_INT64_TYPE, &[1, 7]);
    metrics.update(
        BundleId(1),
        vec![count("a", 1), latest.clone(), count("b", 2)],
    );
    metrics.commit(BundleId(1));
    metrics.update(BundleId(2), vec![count("a", 3)]);
    metrics.commit(BundleId(2));
    assert_eq!(metrics.query().1, [latest, count("a", 4), count("b", 2)]);
}

#[test]
fn what_a_bundle_says_while_it_runs_is_seen_until_its_end() {
    let metrics = JobMetrics::default();
    metrics.begin(BundleId(1), None);
    let remaining = MonitoringInfo {
        urn: monitoring_info_specs::WORK_REMAINING.to_owned(),
        ..info("w", types::PROGRESS_TYPE, &[])
    };
    metrics.progress(BundleId(1), vec![count("n", 3), remaining]);
    assert_eq!(metrics.query(), (vec![count("n", 3)], vec![]));
    metrics.progress(BundleId(1), vec![count("n", 5)]);
    assert_eq!(metrics.query().0, [count("n", 5)]);
    metrics.update(BundleId(1), vec![count("n", 6)]);
    metrics.progress(BundleId(1), vec![count("n", 5)]);
    assert_eq!(metrics.query().0, [count("n", 6)], "that came late");
    metrics.commit(BundleId(1));
    metrics.progress(BundleId(1), vec![count("n", 5)]);
    assert_eq!(metrics.query(), (vec![count("n", 6)], vec![count("n", 6)]));
}

#[test]
fn what_another_bundle_counts_does_not_count_again() {
    let metrics = JobMetrics::default();
    let of = |urn: &str, pcollection: &str| MonitoringInfo {
        urn: urn.to_owned(),
        labels: HashMap::from([("PCOLLECTION".to_owned(), pcollection.to_owned())]),
        ..count("", 3)
    };
    let elements = |pcollection| of(monitoring_info_specs::ELEMENT_COUNT, pcollection);
    metrics.begin(BundleId(1), None);
    metrics.update(BundleId(1), vec![elements("read"), elements("written")]);
    metrics.begin(BundleId(2), Some("written".to_owned()));
    let user = of(monitoring_info_specs::USER_SUM_INT64, "written");
    metrics.progress(BundleId(2), vec![elements("written")]);
    metrics.update(
        BundleId(2),
        vec![elements("written"), elements("last"), user.clone()],
    );
    let counted = ["last", "read", "written"].map(elements);
    assert_eq!(metrics.query().0, [counted.as_slice(), &[user]].concat());
}

#[test]
fn what_a_failed_bundle_had_said_was_attempted() {
    let metrics = JobMetrics::default();
    metrics.begin(BundleId(1), None);
    metrics.progress(BundleId(1), vec![count("n", 3)]);
    metrics.discard(BundleId(1));
    assert_eq!(metrics.query(), (vec![count("n", 3)], vec![]));
}

proptest! {
    /// Attempted is the sum of the last reports of all bundles, committed of those that count.
    #[test]
    fn books_balance(
        bundles in prop::collection::vec((prop::collection::vec(0u8..3, 1..4), 0u8..3), 0..12),
    ) {
        let metrics = JobMetrics::default();
        let (mut attempted, mut committed, mut any_committed) = (0, 0, false);
        for (id, (reports, end)) in bundles.iter().enumerate() {
            let id = BundleId(id as u64);
            for report in reports {
                metrics.update(id, vec![count("n", *report)]);
            }
            let last = reports.last().copied().unwrap_or_default();
            attempted += last;
            match end {
                0 => metrics.discard(id),
                1 => {
                    metrics.commit(id);
                    committed += last;
                    any_committed = true;
                }
                _ => {}
            }
        }
        let (all, good) = metrics.query();
        prop_assert_eq!(all, Vec::from_iter((!bundles.is_empty()).then(|| count("n", attempted))));
        prop_assert_eq!(good, Vec::from_iter(any_committed.then(|| count("n", committed))));
        // A bundle that is over is over.
        metrics.commit(BundleId(0));
        let then = metrics.query();
        metrics.commit(BundleId(0));
        metrics.discard(BundleId(0));
        prop_assert_eq!(metrics.query(), then);
    }
}
