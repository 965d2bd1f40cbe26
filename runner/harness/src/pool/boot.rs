//! What Beam's container contract says about starting an SDK harness: arguments, variables, and
//! the pipeline options as JSON.

use std::path::Path;

use dataflume_proto::fn_execution::ProvisionInfo;
use prost_types::value::Kind;
use prost_types::{Struct, Value as ProtoValue};
use serde_json::{Map, Number, Value};

use super::PoolError;

/// Variables of the emulator's own environment that describe the machine rather than the user's
/// session. Nothing else of it reaches a worker.
const MACHINE_VARIABLES: &[&str] = &[
    "PATH",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "TZ",
    "LD_LIBRARY_PATH",
    "JAVA_HOME",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
];

/// Beam's boot programs and all that follow their contract take these.
pub(crate) fn arguments(worker_id: &str, endpoint: &str) -> Vec<String> {
    vec![
        format!("--id={worker_id}"),
        format!("--logging_endpoint={endpoint}"),
        format!("--artifact_endpoint={endpoint}"),
        format!("--provision_endpoint={endpoint}"),
        format!("--control_endpoint={endpoint}"),
    ]
}

/// The variables that describe this machine.
pub(crate) fn machine_variables() -> Vec<(String, String)> {
    MACHINE_VARIABLES
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), std::env::var(name).ok()?)))
        .collect()
}

/// Variables that keep a process's files within its own folder.
pub(crate) fn folder_variables(scratch: &Path) -> Vec<(String, String)> {
    let path = |name: &str| scratch.join(name).display().to_string();
    vec![
        ("HOME".to_owned(), path("home")),
        ("TMPDIR".to_owned(), path("tmp")),
    ]
}

/// An `ApiServiceDescriptor` in protobuf's text format, which is how SDK harnesses take one from
/// their environment.
pub(crate) fn service_descriptor(endpoint: &str) -> String {
    let escaped = endpoint.replace('\\', "\\\\").replace('"', "\\\"");
    format!("url: \"{escaped}\"")
}

/// The variables common to the SDK harnesses of Python and Java.
pub(crate) fn harness_variables(endpoint: &str, info: &ProvisionInfo) -> Vec<(String, String)> {
    let service = service_descriptor(endpoint);
    let mut variables = vec![
        ("LOGGING_API_SERVICE_DESCRIPTOR".to_owned(), service.clone()),
        ("CONTROL_API_SERVICE_DESCRIPTOR".to_owned(), service.clone()),
        ("STATUS_API_SERVICE_DESCRIPTOR".to_owned(), service),
        (
            "RUNNER_CAPABILITIES".to_owned(),
            info.runner_capabilities.join(" "),
        ),
    ];
    for (key, name) in [("job_name", "JOB_NAME"), ("job_id", "JOB_ID")] {
        if let Some(value) = info.metadata.get(key) {
            variables.push((name.to_owned(), value.clone()));
        }
    }
    variables
}

/// Writes the pipeline options to `pipeline_options.json` in the folder, and returns the variable
/// that names the file: they can be too long for an argument or a variable.
pub(crate) async fn write_options(
    folder: &Path,
    info: &ProvisionInfo,
) -> Result<(String, String), PoolError> {
    let path = folder.join("pipeline_options.json");
    let options = info.pipeline_options.clone().unwrap_or_default();
    tokio::fs::write(&path, options_json(&options).to_string())
        .await
        .map_err(PoolError::io(&path))?;
    Ok((
        "PIPELINE_OPTIONS_FILE".to_owned(),
        path.display().to_string(),
    ))
}

/// An option of a pipeline, looked up under the names that SDKs use: `beam:option:NAME:v1`, or
/// plainly below `options`.
pub(crate) fn option<'a>(info: &'a ProvisionInfo, name: &str) -> Option<&'a Kind> {
    let fields = &info.pipeline_options.as_ref()?.fields;
    let plain = || match fields.get("options")?.kind.as_ref()? {
        Kind::StructValue(options) => options.fields.get(name),
        _ => None,
    };
    fields
        .get(&format!("beam:option:{name}:v1"))
        .or_else(plain)?
        .kind
        .as_ref()
}

/// The strings of an option that is a list of strings.
pub(crate) fn string_list(info: &ProvisionInfo, name: &str) -> Vec<String> {
    let Some(Kind::ListValue(list)) = option(info, name) else {
        return Vec::new();
    };
    list.values
        .iter()
        .filter_map(|value| match &value.kind {
            Some(Kind::StringValue(text)) => Some(text.clone()),
            _ => None,
        })
        .collect()
}

/// Whether an experiment is switched on.
pub(crate) fn has_experiment(info: &ProvisionInfo, experiment: &str) -> bool {
    string_list(info, "experiments")
        .iter()
        .any(|name| name == experiment)
}

/// A `google.protobuf.Struct` as the JSON that protobuf defines for it.
pub(crate) fn options_json(options: &Struct) -> Value {
    let fields: Map<String, Value> = options
        .fields
        .iter()
        .map(|(name, value)| (name.clone(), value_json(value)))
        .collect();
    Value::Object(fields)
}

fn value_json(value: &ProtoValue) -> Value {
    match &value.kind {
        None | Some(Kind::NullValue(_)) => Value::Null,
        Some(Kind::NumberValue(number)) => number_json(*number),
        Some(Kind::StringValue(text)) => Value::String(text.clone()),
        Some(Kind::BoolValue(flag)) => Value::Bool(*flag),
        Some(Kind::StructValue(fields)) => options_json(fields),
        Some(Kind::ListValue(list)) => Value::Array(list.values.iter().map(value_json).collect()),
    }
}

/// Whole numbers are written without a fraction: SDKs parse some options as integers.
fn number_json(number: f64) -> Value {
    const EXACT: f64 = (1_i64 << 53) as f64;
    if number.fract() == 0.0 && number.abs() <= EXACT {
        return Value::Number(Number::from(number as i64));
    }
    Number::from_f64(number).map_or_else(|| Value::String(number.to_string()), Value::Number)
}

#[cfg(test)]
mod tests {
    use prost_types::ListValue;

    use super::*;

    fn value(kind: Kind) -> ProtoValue {
        ProtoValue { kind: Some(kind) }
    }

    fn info(fields: &[(&str, Kind)]) -> ProvisionInfo {
        ProvisionInfo {
            pipeline_options: Some(Struct {
                fields: fields
                    .iter()
                    .map(|(name, kind)| ((*name).to_owned(), value(kind.clone())))
                    .collect(),
            }),
            ..Default::default()
        }
    }

    #[test]
    fn options_are_written_as_protobuf_json() {
        let list = Kind::ListValue(ListValue {
            values: vec![
                value(Kind::NumberValue(3.0)),
                value(Kind::NumberValue(0.5)),
                value(Kind::NullValue(0)),
                value(Kind::BoolValue(true)),
            ],
        });
        let info = info(&[("beam:option:x:v1", list)]);
        assert_eq!(
            options_json(&info.pipeline_options.unwrap()).to_string(),
            r#"{"beam:option:x:v1":[3,0.5,null,true]}"#
        );
    }

    #[test]
    fn experiments_are_found_in_both_forms() {
        let list = Kind::ListValue(ListValue {
            values: vec![value(Kind::StringValue("a".to_owned()))],
        });
        let urn = info(&[("beam:option:experiments:v1", list.clone())]);
        let nested = info(&[(
            "options",
            Kind::StructValue(Struct {
                fields: [("experiments".to_owned(), value(list))].into(),
            }),
        )]);
        for info in [urn, nested] {
            assert!(has_experiment(&info, "a"));
            assert!(!has_experiment(&info, "b"));
        }
    }

    #[test]
    fn a_service_descriptor_is_text_format() {
        assert_eq!(service_descriptor("h:1"), "url: \"h:1\"");
    }
}
