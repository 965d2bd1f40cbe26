//! `projects.locations.jobs.getMetrics`.
//!
//! Every metric is given twice: marked as tentative with what all attempts came to, and without the
//! mark with what was committed. SDKs fail on, or drop, one that has only one of them.

mod field;
mod resources;

use std::collections::BTreeMap;
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
    for info in &metrics.attempted {
        if let Some((name, field)) = translate(info, &outputs) {
            collected.entry(name).or_default().attempted = Some(field);
        }
    }
    for info in &metrics.committed {
        if let Some((name, field)) = translate(info, &outputs) {
            collected.entry(name).or_default().committed = Some(field);
        }
    }
    collected
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

fn translate(info: &MonitoringInfo, outputs: &BTreeMap<&str, Output<'_>>) -> Option<(Name, Field)> {
    let cell = Cell::decode(&info.r#type, &info.payload).ok()?;
    let name = match info.urn.as_str() {
        specs::ELEMENT_COUNT => service("ElementCount", info, outputs)?,
        specs::SAMPLED_BYTE_SIZE => {
            let mean = mean(&cell)?;
            let name = service("MeanByteCount", info, outputs)?;
            return Some((name, Field::new("scalar", mean, 0.into())));
        }
        urn if urn.starts_with("beam:metric:user:") => user(info)?,
        _ => return None,
    };
    Some((name, field(&cell)?))
}

fn user(info: &MonitoringInfo) -> Option<Name> {
    let label = |name: &str| info.labels.get(name).cloned();
    let mut context = BTreeMap::from([("namespace", label("NAMESPACE")?)]);
    // Transforms are known by their ids, which SDKs turn into the user's names.
    context.extend(label("PTRANSFORM").map(|step| ("step", step)));
    Some(Name {
        origin: "user",
        name: label("NAME")?,
        context,
    })
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
    use dataflume_proto::pipeline::{Components, PTransform};
    use dataflume_proto::urn::monitoring_info_type_urns as types;

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
