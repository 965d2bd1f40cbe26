//! Files of the submitter's machine, which Dataflow's workers never see.
//!
//! Workers that are processes of this machine would see them: the pipeline would run here and fail in
//! the cloud. Sources say in their display data what they read.

use dataflume_proto::pipeline::labelled_payload::Value;
use dataflume_proto::pipeline::{
    DisplayData, DockerPayload, Environment, LabelledPayload, Pipeline,
};
use dataflume_proto::urn::display_data::LABELLED;
use dataflume_proto::urn::environments;
use prost::Message;

use super::errors::{ApiError, Code};

/// What the sources of the Python and Java SDKs call it.
const FILE_PATTERNS: [&str; 2] = ["file_pattern", "filePattern"];

/// Where the images come from that have only an SDK in them.
const STOCK_IMAGES: [&str; 2] = ["apache/beam_", "gcr.io/cloud-dataflow/"];

/// Makes sure that no source reads a file of this machine. An image of the user's may have its own
/// files at any path.
///
/// # Errors
/// Names the first one that does.
pub(super) fn check(pipeline: &Pipeline) -> Result<(), ApiError> {
    let Some(components) = &pipeline.components else {
        return Ok(());
    };
    if !components.environments.values().all(is_stock) {
        return Ok(());
    }
    for transform in components.transforms.values() {
        if let Some(path) = transform.display_data.iter().find_map(local_file) {
            return Err(ApiError::not_created(
                Code::InvalidArgument,
                format!(
                    "{} reads {path}, which is a file of the machine that the job was submitted \
                     from: workers on Dataflow are other machines, and find nothing there. Copy it \
                     to a bucket and read it as gs://BUCKET/NAME",
                    transform.unique_name
                ),
            ));
        }
    }
    Ok(())
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
            let local = path.starts_with('/') || path.starts_with("file://");
            local.then_some(path)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use dataflume_proto::pipeline::{Components, PTransform};

    use super::*;

    fn reading(path: &str, image: &str) -> Pipeline {
        let payload = LabelledPayload {
            key: "file_pattern".to_owned(),
            value: Some(Value::StringValue(path.to_owned())),
            ..LabelledPayload::default()
        };
        let transform = PTransform {
            unique_name: "Read".to_owned(),
            display_data: vec![DisplayData {
                urn: LABELLED.to_owned(),
                payload: payload.encode_to_vec().into(),
            }],
            ..PTransform::default()
        };
        let docker = DockerPayload {
            container_image: image.to_owned(),
        };
        let environment = Environment {
            urn: environments::DOCKER.to_owned(),
            payload: docker.encode_to_vec().into(),
            ..Environment::default()
        };
        Pipeline {
            components: Some(Components {
                transforms: [("t".to_owned(), transform)].into(),
                environments: [("e".to_owned(), environment)].into(),
                ..Components::default()
            }),
            ..Pipeline::default()
        }
    }

    #[test]
    fn only_files_of_this_machine_are_refused() {
        let stock = "apache/beam_python3.11_sdk:2.77.0";
        for path in ["gs://b/x", "s3://b/x", ""] {
            check(&reading(path, stock)).unwrap();
        }
        check(&reading("/data/x", "example.com/mine:1")).unwrap();
        for path in ["/tmp/x", "file:///tmp/x"] {
            let error = check(&reading(path, stock)).unwrap_err();
            assert!(error.message.contains(path), "{error}");
        }
    }
}
