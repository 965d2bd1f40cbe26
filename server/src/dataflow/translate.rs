//! From a job of this API to what the job service runs: the pipeline out of the bucket, its options
//! in the form that SDK harnesses read, its images, its workers.

use dataflume_proto::pipeline::{DockerPayload, Environment, Pipeline};
use dataflume_proto::sdk_base;
use dataflume_proto::urn::environments;
use dataflume_storage::{ReadOptions, Sha256, Store};
use prost::Message;
use prost_types::value::Kind;
use prost_types::{ListValue, Struct, Value as ProtoValue};
use serde_json::{Map, Value};

use super::errors::{ApiError, Code};
use super::machine_type::MachineType;
use super::request::{JobRequest, WorkerPool};
use crate::buckets::object_at;
use crate::jobs::{Scaling, WorkerWishes};

/// The largest pipeline, unless the job says `upload_graph`: that is what the experiment is for.
const MAX_GRAPH_BYTES: u64 = 10 << 20;

/// The largest one in any case: it is held in memory.
const MAX_UPLOADED_GRAPH_BYTES: u64 = 256 << 20;

/// Where Dataflow keeps its copies of Beam's images.
const DATAFLOW_IMAGES: &str = "gcr.io/cloud-dataflow/v1beta3/";

/// Where Beam publishes them.
const BEAM_IMAGES: &str = "apache/";

/// The pipeline that the job's SDK has staged.
///
/// # Errors
/// If it is not there, too large, not what its hash says, or no pipeline.
pub(super) async fn pipeline(store: &Store, job: &JobRequest) -> Result<Pipeline, ApiError> {
    let invalid = |text: String| ApiError::not_created(Code::InvalidArgument, text);
    let options = &job.environment.sdk_pipeline_options;
    let Some(url) = option(options, "pipelineUrl").and_then(Value::as_str) else {
        return Err(invalid(
            "the job names no staged pipeline (environment.sdkPipelineOptions.options.pipelineUrl). \
             Jobs that have only steps are those of SDKs before 2.21, which can't run here"
                .to_owned(),
        ));
    };
    let id = object_at(url).map_err(|error| invalid(error.to_string()))?;
    let missing = |error: dataflume_storage::Error| {
        invalid(format!("the pipeline at {url} can't be read: {error}"))
    };
    let reader = store.get(&id, ReadOptions::default()).await;
    let reader = reader.map_err(missing)?;
    let size = reader.metadata().size;
    check_size(size, job)?;
    let bytes = reader.bytes().await.map_err(missing)?;
    if let Some(expected) = option(options, "pipelineProtoHash").and_then(Value::as_str) {
        let actual = Sha256::of(&bytes).to_string();
        if !expected.eq_ignore_ascii_case(&actual) {
            return Err(invalid(format!(
                "the pipeline at {url} has the SHA-256 {actual}, but the job says {expected}: it \
                 was replaced since"
            )));
        }
    }
    let mut pipeline = Pipeline::decode(bytes)
        .map_err(|error| invalid(format!("what is at {url} is no pipeline: {error}")))?;
    if let Some(components) = &mut pipeline.components {
        components
            .environments
            .values_mut()
            .for_each(substitute_image);
    }
    Ok(pipeline)
}

fn check_size(size: u64, job: &JobRequest) -> Result<(), ApiError> {
    let uploads = has_experiment(&job.environment.sdk_pipeline_options, "upload_graph");
    let limit = match uploads || job.steps_location.is_some() {
        true => MAX_UPLOADED_GRAPH_BYTES,
        false => MAX_GRAPH_BYTES,
    };
    if size <= limit {
        return Ok(());
    }
    Err(ApiError::not_created(
        Code::InvalidArgument,
        format!(
            "The job graph is too large: it has {size} bytes, of at most {limit}. Please try again \
             with a smaller job graph, or split your job into two or more smaller jobs. Constants \
             that are pickled into the pipeline (beam.Create of much data, large closures) are the \
             usual reason: read them from a file instead."
        ),
    ))
}

/// Replaces images that exist in Dataflow only by those of Beam that they are made of. In its default
/// mode Java sends such an image: one of the service's own workers, which speaks another protocol.
fn substitute_image(environment: &mut Environment) {
    if environment.urn != environments::DOCKER {
        return;
    }
    let Ok(mut payload) = DockerPayload::decode(environment.payload.clone()) else {
        // The pool says what is wrong with it.
        return;
    };
    let Some(name) = payload.container_image.strip_prefix(DATAFLOW_IMAGES) else {
        return;
    };
    let mut capabilities = environment.capabilities.iter();
    let base = capabilities.find_map(|urn| urn.strip_prefix(sdk_base::ANY));
    let legacy = name.split(':').next().is_some_and(|name| {
        name.starts_with("beam-java") && (name.ends_with("-batch") || name.ends_with("-streaming"))
    });
    payload.container_image = match base {
        Some(base) if legacy => base.to_owned(),
        _ => format!("{BEAM_IMAGES}{name}"),
    };
    environment.payload = payload.encode_to_vec().into();
}

/// The options in the form of Beam's Job API, `beam:option:NAME:v1`, which harnesses of every SDK
/// read: jobs of this API have them below `options`, in the SDK's own spelling.
pub(super) fn options(sdk: &Map<String, Value>) -> Struct {
    let mut fields = std::collections::BTreeMap::new();
    for (name, value) in sdk {
        if name.starts_with("beam:option:") {
            fields.insert(name.clone(), proto(value));
        }
    }
    for (name, value) in nested(sdk).into_iter().flatten() {
        let urn = format!("beam:option:{}:v1", snake_case(name));
        fields.entry(urn).or_insert_with(|| proto(value));
    }
    Struct { fields }
}

/// `maxNumWorkers` as `max_num_workers`; what is in that form already stays.
fn snake_case(name: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 8);
    for c in name.chars() {
        if c.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(c.to_ascii_lowercase());
    }
    snake
}

fn nested(sdk: &Map<String, Value>) -> Option<&Map<String, Value>> {
    sdk.get("options")?.as_object()
}

/// An option, where any SDK has it.
fn option<'a>(sdk: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    let plain = || sdk.get(name);
    nested(sdk)
        .and_then(|options| options.get(name))
        .or_else(plain)
}

fn has_experiment(sdk: &Map<String, Value>, experiment: &str) -> bool {
    let experiments = option(sdk, "experiments").and_then(Value::as_array);
    experiments.is_some_and(|all| all.iter().any(|each| each == experiment))
}

fn proto(value: &Value) -> ProtoValue {
    let kind = match value {
        Value::Null => Kind::NullValue(0),
        Value::Bool(flag) => Kind::BoolValue(*flag),
        Value::Number(number) => Kind::NumberValue(number.as_f64().unwrap_or(f64::NAN)),
        Value::String(text) => Kind::StringValue(text.clone()),
        Value::Array(all) => Kind::ListValue(ListValue {
            values: all.iter().map(proto).collect(),
        }),
        Value::Object(fields) => Kind::StructValue(Struct {
            fields: fields
                .iter()
                .map(|(name, value)| (name.clone(), proto(value)))
                .collect(),
        }),
    };
    ProtoValue { kind: Some(kind) }
}

/// What workers the job's first pool asks for: the others are of a kind that does not exist here.
pub(super) fn workers(pools: &[WorkerPool]) -> WorkerWishes {
    let Some(pool) = pools.first() else {
        return WorkerWishes::default();
    };
    let settings = pool.autoscaling_settings.as_ref();
    let most = settings.and_then(|settings| settings.max_num_workers);
    let algorithm = settings.and_then(|settings| settings.algorithm.as_deref());
    let count = match (pool.num_workers, most) {
        (Some(count), Some(most)) => Some(count.min(most)),
        (count, _) => count,
    };
    let machine = pool.machine_type.as_deref().and_then(MachineType::named);
    WorkerWishes {
        count,
        max_count: most,
        scaling: match algorithm {
            Some("AUTOSCALING_ALGORITHM_NONE") => Scaling::Fixed,
            // Dataflow's default.
            _ => Scaling::ThroughputBased,
        },
        threads: pool.num_threads_per_worker,
        cores: machine.map(|machine| machine.vcpus),
        memory_bytes: machine.map(|machine| machine.memory_mb << 20),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn options_get_the_names_that_harnesses_know() {
        let sdk = json!({
            "options": {"jobName": "x", "num_workers": 3.0, "experiments": ["a"]},
            "beam:option:go_options:v1": {"options": {}},
            "display_data": [],
        });
        let found = options(sdk.as_object().unwrap());
        let names: Vec<_> = found.fields.keys().map(String::as_str).collect();
        assert_eq!(
            names,
            [
                "beam:option:experiments:v1",
                "beam:option:go_options:v1",
                "beam:option:job_name:v1",
                "beam:option:num_workers:v1",
            ]
        );
    }

    fn image_of(image: &str, capabilities: &[&str]) -> String {
        let payload = DockerPayload {
            container_image: image.to_owned(),
        };
        let mut environment = Environment {
            urn: environments::DOCKER.to_owned(),
            payload: payload.encode_to_vec().into(),
            capabilities: capabilities.iter().map(|urn| (*urn).to_owned()).collect(),
            ..Environment::default()
        };
        substitute_image(&mut environment);
        DockerPayload::decode(environment.payload)
            .unwrap()
            .container_image
    }

    #[test]
    fn images_of_the_service_become_those_of_beam() {
        let base = "beam:version:sdk_base:apache/beam_java17_sdk:2.73.0";
        for (image, expected) in [
            (
                "gcr.io/cloud-dataflow/v1beta3/beam_python3.11_sdk:2.77.0",
                "apache/beam_python3.11_sdk:2.77.0",
            ),
            (
                "gcr.io/cloud-dataflow/v1beta3/beam-java17-batch:2.73.0",
                "apache/beam_java17_sdk:2.73.0",
            ),
            ("example.com/mine:1", "example.com/mine:1"),
        ] {
            assert_eq!(image_of(image, &[base]), expected);
        }
    }

    #[test]
    fn workers_are_at_most_as_many_as_there_may_be() {
        let pools: Vec<WorkerPool> = serde_json::from_value(json!([
            {"numWorkers": 5, "autoscalingSettings": {"maxNumWorkers": 2}},
            {"numWorkers": 9},
        ]))
        .unwrap();
        let wishes = workers(&pools);
        assert_eq!((wishes.count, wishes.max_count), (Some(2), Some(2)));
        assert_eq!(wishes.scaling, Scaling::ThroughputBased);
        let none = json!([{"autoscalingSettings": {"algorithm": "AUTOSCALING_ALGORITHM_NONE"}}]);
        let pools: Vec<WorkerPool> = serde_json::from_value(none).unwrap();
        assert_eq!(workers(&pools).scaling, Scaling::Fixed);
        assert_eq!(workers(&[]), WorkerWishes::default());
    }
}
