//! Files of the submitter's machine, which Dataflow's workers never see.
//!
//! Workers that are processes of this machine would see them: the pipeline would run here and fail in
//! the cloud, or write to where nobody finds it. Sources and sinks say in their display data what they read and write.

use std::collections::BTreeMap;

use dataflume_proto::pipeline::labelled_payload::Value;
use dataflume_proto::pipeline::{
    DisplayData, DockerPayload, Environment, LabelledPayload, PTransform, Pipeline,
};
use dataflume_proto::urn::display_data::LABELLED;
use dataflume_proto::urn::environments;
use prost::Message;

use super::errors::{ApiError, Code};

/// What the sources and sinks of the Python and Java SDKs call it.
const FILE_PATTERNS: [&str; 4] = [
    "file_pattern",
    "filePattern",
    "filePrefix",
    "filenamePattern",
];

/// How patterns are shown that the submitter doesn't know yet.
const UNKNOWN_YET: [&str; 2] = ["RuntimeValueProvider", "NestedValueProvider"];

/// Where the images come from that have only an SDK in them.
const STOCK_IMAGES: [&str; 2] = ["apache/beam_", "gcr.io/cloud-dataflow/"];

/// Makes sure that no source reads a file of this machine, and says what the user should know of sinks that write to one.
/// An image of the user's may have its own files at any path.
///
/// # Errors
/// Names the first source that does.
pub(super) fn check(pipeline: &Pipeline) -> Result<Vec<String>, ApiError> {
    let Some(components) = &pipeline.components else {
        return Ok(Vec::new());
    };
    if !components.environments.values().all(is_stock) {
        return Ok(Vec::new());
    }
    let mut written = BTreeMap::new();
    for transform in components.transforms.values() {
        let Some(path) = transform.display_data.iter().find_map(local_file) else {
            continue;
        };
        let name = &transform.unique_name;
        if is_source(transform) {
            return Err(ApiError::not_created(
                Code::InvalidArgument,
                format!(
                    "{name} reads {path}, which is a file of the machine that the job was submitted \
                     from: workers on Dataflow are other machines, and find nothing there. Copy it \
                     to a bucket and read it as gs://BUCKET/NAME"
                ),
            ));
        }
        // Its parts say so too, and have longer names.
        let writer = written.entry(path).or_insert(name);
        if name.len() < writer.len() {
            *writer = name;
        }
    }
    let warning = |(path, name): (String, &String)| {
        format!(
            "{name} writes to {path}, a file of the worker: on Dataflow it is gone with the worker. Write to \
             gs://BUCKET/NAME to keep it"
        )
    };
    Ok(written.into_iter().map(warning).collect())
}

/// What reads and has no input; that a part of it has some says nothing.
fn is_source(transform: &PTransform) -> bool {
    transform.inputs.is_empty()
}

fn is_stock(environment: &Environment) -> bool {
    let payload = DockerPayload::decode(environment.payload.clone()).unwrap_or_default();
    let image = payload.container_image;
    environment.urn == environments::DOCKER
        && STOCK_IMAGES.iter().any(|prefix| image.starts_with(prefix))
}

fn local_file(data: &DisplayData) -> Option<String> {
    if data.urn != LABELLED {
        return None;
    }
    let payload = LabelledPayload::decode(data.payload.clone()).ok()?;
    match payload.value {
        Some(Value::StringValue(path)) if FILE_PATTERNS.contains(&payload.key.as_str()) => {
            is_local(&path).then_some(path)
        }
        _ => None,
    }
}

/// As Beam's file systems read it: without a scheme it is a path, maybe from the working folder.
fn is_local(path: &str) -> bool {
    let is_known = !UNKNOWN_YET.iter().any(|shown| path.starts_with(shown));
    let is_path = !path.is_empty() && !path.contains("://") && is_known;
    is_path || path.starts_with("file://")
}

#[cfg(test)]
mod tests {
    use dataflume_proto::pipeline::Components;

    use super::*;

    const STOCK: &str = "apache/beam_python3.11_sdk:2.77.0";

    fn naming(name: &str, path: &str) -> PTransform {
        let payload = LabelledPayload {
            key: "file_pattern".to_owned(),
            value: Some(Value::StringValue(path.to_owned())),
            ..LabelledPayload::default()
        };
        PTransform {
            unique_name: name.to_owned(),
            display_data: vec![DisplayData {
                urn: LABELLED.to_owned(),
                payload: payload.encode_to_vec().into(),
            }],
            ..PTransform::default()
        }
    }

    fn writing(name: &str, path: &str) -> PTransform {
        PTransform {
            inputs: [("0".to_owned(), "p".to_owned())].into(),
            ..naming(name, path)
        }
    }

    fn pipeline(transforms: Vec<PTransform>, image: &str) -> Pipeline {
        let docker = DockerPayload {
            container_image: image.to_owned(),
        };
        let environment = Environment {
            urn: environments::DOCKER.to_owned(),
            payload: docker.encode_to_vec().into(),
            ..Environment::default()
        };
        let named = transforms
            .into_iter()
            .map(|transform| (transform.unique_name.clone(), transform));
        Pipeline {
            components: Some(Components {
                transforms: named.collect(),
                environments: [("e".to_owned(), environment)].into(),
                ..Components::default()
            }),
            ..Pipeline::default()
        }
    }

    #[test]
    fn only_files_of_this_machine_are_refused() {
        let read = |path, image| check(&pipeline(vec![naming("Read", path)], image));
        let unknown = "RuntimeValueProvider(option: input, type: str, default_value: None)";
        for path in ["gs://b/x", "s3://b/x", "", unknown] {
            assert_eq!(read(path, STOCK).unwrap(), [""; 0]);
        }
        read("/data/x", "example.com/mine:1").unwrap();
        for path in ["/tmp/x", "file:///tmp/x", "./x", "data/x-*.csv"] {
            let error = read(path, STOCK).unwrap_err();
            assert!(error.message.contains(path), "{error}");
        }
    }

    #[test]
    fn files_that_are_lost_with_the_worker_are_told_once() {
        let writer = vec![
            writing("Write/WriteImpl/Bundles", "/tmp/x"),
            writing("Write", "/tmp/x"),
            writing("Keep", "gs://b/x"),
        ];
        let warnings = check(&pipeline(writer, STOCK)).unwrap();
        assert_eq!(warnings.len(), 1);
        assert!(warnings[0].starts_with("Write writes to /tmp/x, "));
    }
}
