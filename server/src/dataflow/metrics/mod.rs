//! `projects.locations.jobs.getMetrics`.
//!
//! Every metric is given twice: marked as tentative with what all attempts came to, and without the
//! mark with what was committed. SDKs fail on, or drop, one that has only one of them.

mod field;
mod resources;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::time::SystemTime;

use dataflume_driver::metrics::Cell;
use dataflume_proto::pipeline::{MonitoringInfo, Pipeline};
use dataflume_proto::urn::monitoring_info_specs as specs;
use serde_json::{Map, Value, json};

use super::body::Query;
use super::errors::ApiError;
use super::{times, view};
use crate::jobs::{Job, JobMetrics};
use field::{Field, field, mean};

/// The origin of what Dataflow itself measures.
const SERVICE: &str = "dataflow/v1b3";

/// How many elements a PCollection has.
const ELEMENT_COUNT: &str = "ElementCount";

/// How large they are.
const MEAN_BYTE_COUNT: &str = "MeanByteCount";

/// A metric, apart from its value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Name {
    origin: &'static str,
    name: String,
    context: BTreeMap<&'static str, String>,
}

impl Name {
    /// One that Dataflow itself measures.
    fn of_service(name: impl Into<String>, context: BTreeMap<&'static str, String>) -> Self {
        Self {
            origin: SERVICE,
            name: name.into(),
            context,
        }
    }

    /// The value of a metric of this name; `None` if this API has no form for it.
    fn field(&self, cell: &Cell) -> Option<Field> {
        match self.origin == SERVICE && self.name == MEAN_BYTE_COUNT {
            true => Some(Field::new("scalar", mean(cell)?, 0.into())),
            false => field(cell),
        }
    }
}

/// What is known of a metric.
#[derive(Default)]
struct Values {
    attempted: Option<Field>,
    committed: Option<Field>,
}

/// The job's metrics.
pub(super) async fn list(job: &Job, query: &Query) -> Result<Value, ApiError> {
    let start = query.get("startTime");
    let start = start
        .map(|text| times::parse("startTime", text))
        .transpose()?;
    let last = job.state_event();
    let time = match last.state.is_terminal() {
        true => last.time,
        false => SystemTime::now(),
    };
    let metrics = match start.is_none_or(|start| time >= start) {
        true => {
            let mut all = collect(&job.metrics(), job.pipeline());
            all.extend(resources::used(job));
            if view::is_streaming(job) {
                all.extend(resources::watermarks(&job.stages().await));
            }
            all
        }
        // Nothing has changed since.
        false => BTreeMap::new(),
    };
    let time = times::text(time);
    let updates: Vec<_> = metrics
        .into_iter()
        .flat_map(|(name, values)| updates(&name, values, &time))
        .collect();
    Ok(json!({"metricTime": time, "metrics": updates}))
}

fn collect(metrics: &JobMetrics, pipeline: &Pipeline) -> BTreeMap<Name, Values> {
    let outputs = outputs(pipeline);
    let mut collected: BTreeMap<Name, Values> = BTreeMap::new();
    for (name, cell) in cells(&metrics.attempted, pipeline, &outputs) {
        let field = name.field(&cell);
        collected.entry(name).or_default().attempted = field;
    }
    for (name, cell) in cells(&metrics.committed, pipeline, &outputs) {
        let field = name.field(&cell);
        collected.entry(name).or_default().committed = field;
    }
    collected
}

/// What was reported of each metric, by several transforms that are one to the user.
fn cells(
    infos: &[MonitoringInfo],
    pipeline: &Pipeline,
    outputs: &BTreeMap<&str, Output<'_>>,
) -> BTreeMap<Name, Cell> {
    let mut cells: BTreeMap<Name, Cell> = BTreeMap::new();
    for (name, cell) in infos
        .iter()
        .filter_map(|info| translate(info, pipeline, outputs))
    {
        match cells.entry(name) {
            Entry::Vacant(entry) => {
                entry.insert(cell);
            }
            Entry::Occupied(mut entry) => entry.get_mut().merge(&cell),
        }
    }
    cells
}

fn updates(name: &Name, values: Values, time: &str) -> Vec<Value> {
    let (attempted, committed) = match (values.attempted, values.committed) {
        (Some(attempted), Some(committed)) => (attempted, committed),
        // Nothing is committed yet.
        (Some(attempted), None) => {
            let committed = attempted.before();
            (attempted, committed)
        }
        (None, Some(committed)) => (committed.before(), committed),
        (None, None) => return Vec::new(),
    };
    [(attempted, true), (committed, false)]
        .map(|(field, tentative)| {
            let mut context: Map<String, Value> = name
                .context
                .iter()
                .map(|(key, value)| ((*key).to_owned(), value.as_str().into()))
                .collect();
            if tentative {
                context.insert("tentative".to_owned(), "true".into());
            }
            let mut update = json!({
                "name": {"origin": name.origin, "name": name.name, "context": context},
                "updateTime": time,
            });
            update[field.name] = field.value;
            update
        })
        .into()
}

fn translate(
    info: &MonitoringInfo,
    pipeline: &Pipeline,
    outputs: &BTreeMap<&str, Output<'_>>,
) -> Option<(Name, Cell)> {
    let cell = Cell::decode(&info.r#type, &info.payload).ok()?;
    let name = match info.urn.as_str() {
        specs::ELEMENT_COUNT => service(ELEMENT_COUNT, info, outputs)?,
        specs::SAMPLED_BYTE_SIZE => service(MEAN_BYTE_COUNT, info, outputs)?,
        urn if urn.starts_with("beam:metric:user:") => user(info, pipeline)?,
        _ => return None,
    };
    Some((name, cell))
}

fn user(info: &MonitoringInfo, pipeline: &Pipeline) -> Option<Name> {
    let label = |name: &str| info.labels.get(name);
    let mut context = BTreeMap::from([("namespace", label("NAMESPACE")?.clone())]);
    // Transforms are known by their ids, which SDKs turn into the user's names.
    let step = label("PTRANSFORM").map(|id| users_transform(id, pipeline).to_owned());
    context.extend(step.map(|step| ("step", step)));
    Some(Name {
        origin: "user",
        name: label("NAME")?.clone(),
        context,
    })
}

/// The transform of the user's that this one is, or is a part of: a part that the runner made has a longer id.
fn users_transform<'a>(id: &'a str, pipeline: &Pipeline) -> &'a str {
    let known = |id: &str| {
        let components = pipeline.components.as_ref();
        components.is_some_and(|all| all.transforms.contains_key(id))
    };
    let wholes = std::iter::successors(Some(id), |part| {
        part.rsplit_once('/').map(|(whole, _)| whole)
    });
    wholes.into_iter().find(|id| known(id)).unwrap_or(id)
}

fn service(
    name: &str,
    info: &MonitoringInfo,
    outputs: &BTreeMap<&str, Output<'_>>,
) -> Option<Name> {
    let output = outputs.get(info.labels.get("PCOLLECTION")?.as_str())?;
    let Output {
        transform,
        user_name,
        index,
    } = output;
    let context = BTreeMap::from([
        ("original_name", format!("{transform}-out{index}")),
        ("output_user_name", format!("{user_name}-out{index}")),
    ]);
    Some(Name::of_service(name, context))
}

/// Which transform writes a PCollection, and as the how manieth of its outputs.
struct Output<'a> {
    transform: &'a str,
    user_name: &'a str,
    index: usize,
}

fn outputs(pipeline: &Pipeline) -> BTreeMap<&str, Output<'_>> {
    let transforms = pipeline.components.iter().flat_map(|all| &all.transforms);
    let mut found = BTreeMap::new();
    for (id, transform) in transforms.filter(|(_, each)| each.subtransforms.is_empty()) {
        let mut named: Vec<_> = transform.outputs.iter().collect();
        named.sort_unstable();
        for (index, (_, collection)) in named.into_iter().enumerate() {
            let output = Output {
                transform: id,
                user_name: &transform.unique_name,
                index,
            };
            found.insert(collection.as_str(), output);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use dataflume_proto::pipeline::{BoundedTrie, BoundedTrieNode, Components, PTransform};
    use dataflume_proto::urn::monitoring_info_type_urns as types;
    use prost::Message;

    use super::*;

    fn info(urn: &str, kind: &str, labels: &[(&str, &str)], payload: &[u8]) -> MonitoringInfo {
        MonitoringInfo {
            urn: urn.to_owned(),
            r#type: kind.to_owned(),
            payload: payload.to_vec().into(),
            labels: labels
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            ..MonitoringInfo::default()
        }
    }

    const STEP: &[(&str, &str)] = &[("NAMESPACE", "n"), ("NAME", "words"), ("PTRANSFORM", "t1")];

    fn pipeline() -> Pipeline {
        let transform = PTransform {
            unique_name: "Read/Split".to_owned(),
            outputs: [("out".to_owned(), "p1".to_owned())].into(),
            ..PTransform::default()
        };
        Pipeline {
            components: Some(Components {
                transforms: [("t1".to_owned(), transform)].into(),
                ..Components::default()
            }),
            ..Pipeline::default()
        }
    }

    fn told(attempted: Vec<MonitoringInfo>, committed: Vec<MonitoringInfo>) -> Vec<Value> {
        let metrics = JobMetrics {
            attempted,
            committed,
        };
        let collected = collect(&metrics, &pipeline()).into_iter();
        collected
            .flat_map(|(name, values)| updates(&name, values, "now"))
            .collect()
    }

    #[test]
    fn every_metric_is_told_twice() {
        let words = |count: u8| info(specs::USER_SUM_INT64, types::SUM_INT64_TYPE, STEP, &[count]);
        let context = json!({"namespace": "n", "step": "t1"});
        let tentative = json!({"namespace": "n", "step": "t1", "tentative": "true"});
        let update = |context: &Value, count: u8| {
            json!({
                "name": {"origin": "user", "name": "words", "context": context},
                "scalar": count,
                "updateTime": "now",
            })
        };
        assert_eq!(
            told(vec![words(7)], vec![words(5)]),
            [update(&tentative, 7), update(&context, 5)]
        );
        // Before anything is committed, nothing is.
        assert_eq!(
            told(vec![words(7)], Vec::new()),
            [update(&tentative, 7), update(&context, 0)]
        );
    }

    #[test]
    fn what_parts_of_a_transform_count_is_its_own() {
        let words = |transform: &str, count: u8| {
            let labels = [
                ("NAMESPACE", "n"),
                ("NAME", "words"),
                ("PTRANSFORM", transform),
            ];
            info(
                specs::USER_SUM_INT64,
                types::SUM_INT64_TYPE,
                &labels,
                &[count],
            )
        };
        let told = told(
            vec![words("t1", 1), words("t1/split", 2), words("t2", 4)],
            Vec::new(),
        );
        let attempted: Vec<_> = told.iter().step_by(2).collect();
        let counts = |step: &str| {
            let mut of_step = attempted
                .iter()
                .filter(|each| each["name"]["context"]["step"] == step);
            of_step.next().map(|each| each["scalar"].clone())
        };
        assert_eq!(attempted.len(), 2);
        assert_eq!(counts("t1"), Some(3.into()));
        assert_eq!(counts("t2"), Some(4.into()));
    }

    #[test]
    fn distributions_keep_all_their_parts() {
        let lengths = info(
            specs::USER_DISTRIBUTION_INT64,
            types::DISTRIBUTION_INT64_TYPE,
            STEP,
            &[3, 12, 2, 6],
        );
        let told = told(vec![lengths.clone()], vec![lengths]);
        let expected = json!({"count": 3, "sum": 12, "min": 2, "max": 6});
        assert_eq!(told[1]["distribution"], expected);
    }

    #[test]
    fn tries_are_told_whole() {
        let trie = |of: BoundedTrie| {
            let paths = info(
                specs::USER_BOUNDED_TRIE,
                types::BOUNDED_TRIE_TYPE,
                STEP,
                &of.encode_to_vec(),
            );
            told(vec![paths.clone()], vec![paths])[1]["boundedTrie"].clone()
        };
        let single = BoundedTrie {
            bound: 100,
            singleton: vec!["a".to_owned(), "b".to_owned()],
            ..BoundedTrie::default()
        };
        assert_eq!(trie(single), json!({"bound": 100, "singleton": ["a", "b"]}));
        let cut = BoundedTrieNode {
            truncated: true,
            ..BoundedTrieNode::default()
        };
        let root = BoundedTrieNode {
            children: [("a".to_owned(), cut)].into(),
            ..BoundedTrieNode::default()
        };
        let several = BoundedTrie {
            bound: 100,
            root: Some(root),
            ..BoundedTrie::default()
        };
        let children = json!({"a": {"truncated": true, "children": {}}});
        assert_eq!(
            trie(several),
            json!({"bound": 100, "root": {"truncated": false, "children": children}})
        );
    }

    #[test]
    fn elements_are_counted_by_who_writes_them() {
        let count = |collection: &str| {
            let labels = [("PCOLLECTION", collection)];
            info(specs::ELEMENT_COUNT, types::SUM_INT64_TYPE, &labels, &[4])
        };
        // What fusion made up has no name that a user knows.
        let told = told(vec![count("p1"), count("made up")], Vec::new());
        assert_eq!(told.len(), 2);
        assert_eq!(told[0]["name"]["name"], "ElementCount");
        assert_eq!(
            told[0]["name"]["context"]["output_user_name"],
            "Read/Split-out0"
        );
    }
}
