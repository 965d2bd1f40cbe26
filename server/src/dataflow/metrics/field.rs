//! Values of metrics, as the fields of `MetricUpdate`.

use std::time::SystemTime;

use dataflume_driver::metrics::Cell;
use dataflume_proto::pipeline::{BoundedTrie, BoundedTrieNode};
use serde_json::{Map, Value, json};

use super::super::times;

/// The field of `MetricUpdate` that a value goes into.
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) value: Value,
    /// What it is before anything was counted.
    nothing: Value,
}

impl Field {
    pub(super) fn new(name: &'static str, value: Value, nothing: Value) -> Self {
        Self {
            name,
            value,
            nothing,
        }
    }

    pub(super) fn before(&self) -> Self {
        Self::new(self.name, self.nothing.clone(), self.nothing.clone())
    }
}

/// The mean of a distribution.
pub(super) fn mean(cell: &Cell) -> Option<Value> {
    match cell {
        Cell::DistributionInt64(distribution) => {
            let sum = distribution.of?.sum;
            (distribution.count > 0).then(|| (sum / distribution.count).into())
        }
        _ => None,
    }
}

/// The value of a cell; `None` if this API has no form for it.
pub(super) fn field(cell: &Cell) -> Option<Field> {
    Some(match cell {
        Cell::SumInt64(sum) => Field::new("scalar", (*sum).into(), 0.into()),
        Cell::SumDouble(sum) => Field::new("scalar", json!(sum), 0.into()),
        Cell::DistributionInt64(distribution) => {
            let of = distribution.of?;
            distribution_field(
                distribution.count,
                of.sum.into(),
                of.min.into(),
                of.max.into(),
            )
        }
        Cell::DistributionDouble(distribution) => {
            let of = distribution.of?;
            distribution_field(
                distribution.count,
                json!(of.sum),
                json!(of.min),
                json!(of.max),
            )
        }
        Cell::LatestInt64(latest) => gauge(latest.timestamp_ms, latest.value.into()),
        Cell::LatestDouble(latest) => gauge(latest.timestamp_ms, json!(latest.value)),
        Cell::SetString(set) => Field::new("set", json!(set), json!([])),
        // `trie` in the first clients that knew of tries, which fail when they find something there.
        Cell::BoundedTrie(of) => Field::new("boundedTrie", trie(of), json!({"bound": of.bound})),
        _ => return None,
    })
}

fn trie(of: &BoundedTrie) -> Value {
    match &of.root {
        Some(root) => json!({"bound": of.bound, "root": node(root)}),
        None => json!({"bound": of.bound, "singleton": of.singleton}),
    }
}

fn node(of: &BoundedTrieNode) -> Value {
    let children = of.children.iter();
    let children: Map<_, _> = children
        .map(|(segment, child)| (segment.clone(), node(child)))
        .collect();
    json!({"truncated": of.truncated, "children": children})
}

fn distribution_field(count: i64, sum: Value, min: Value, max: Value) -> Field {
    Field::new(
        "distribution",
        json!({"count": count, "sum": sum, "min": min, "max": max}),
        json!({"count": 0, "sum": 0, "min": 0, "max": 0}),
    )
}

fn gauge(timestamp_ms: i64, value: Value) -> Field {
    let since = u64::try_from(timestamp_ms).unwrap_or_default();
    let time = SystemTime::UNIX_EPOCH + std::time::Duration::from_millis(since);
    Field::new(
        "gauge",
        json!({"value": value, "timestamp": times::text(time)}),
        json!({}),
    )
}
