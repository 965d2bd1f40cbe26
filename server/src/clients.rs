//! What points clients at an emulator: variables of their environment, and a hook for Python.

use std::io;
use std::path::{Path, PathBuf};

use crate::dataflow::DEFAULT_LOCATION;
use crate::identity::DEFAULT_PROJECT;

/// Run by every Python of the environment when it starts.
const HOOK: &str = include_str!("clients/sitecustomize.py");

/// gsutil speaks nothing but TLS, so it is to pass what it is asked for to `gcloud storage`, and to fail where it can't.
const GSUTIL: &str = "[GSUtil]\nuse_gcloud_storage = True\nhidden_shim_mode = no_fallback\n";

/// Variables and their values.
pub type Variables = Vec<(&'static str, String)>;

/// The files that clients need.
#[derive(Debug, Clone)]
pub struct ClientFiles {
    folder: PathBuf,
}

impl ClientFiles {
    /// Writes them below the folder.
    ///
    /// # Errors
    /// Where that can't be done.
    pub fn write(folder: &Path) -> io::Result<Self> {
        let files = Self {
            folder: folder.to_owned(),
        };
        std::fs::create_dir_all(files.python())?;
        std::fs::create_dir_all(files.gcloud())?;
        std::fs::write(files.python().join("sitecustomize.py"), HOOK)?;
        std::fs::write(files.boto(), GSUTIL)?;
        Ok(files)
    }

    fn python(&self) -> PathBuf {
        self.folder.join("python")
    }

    /// What gsutil is told, instead of in the user's own file.
    fn boto(&self) -> PathBuf {
        self.folder.join("boto")
    }

    /// A configuration of gcloud's that is not the user's: where clients look for credentials too.
    fn gcloud(&self) -> PathBuf {
        self.folder.join("gcloud")
    }
}

/// What SDKs, client libraries, gcloud and Terraform have to find in their environment.
///
/// A project and a region that are set already stay.
#[must_use]
pub fn variables(endpoint: &str, port: u16, files: &ClientFiles) -> Variables {
    let url = format!("http://{endpoint}");
    let mut all = emulator(endpoint, port);
    all.extend(services(endpoint));
    for name in [
        "GOOGLE_CLOUD_PROJECT",
        "CLOUDSDK_CORE_PROJECT",
        "GOOGLE_PROJECT",
    ] {
        all.push((name, kept(name, DEFAULT_PROJECT)));
    }
    for name in [
        "CLOUDSDK_COMPUTE_REGION",
        "CLOUDSDK_DATAFLOW_REGION",
        "GOOGLE_REGION",
    ] {
        all.push((name, kept(name, DEFAULT_LOCATION)));
    }
    all.extend([
        ("CLOUDSDK_CONFIG", text(&files.gcloud())),
        ("BOTO_CONFIG", text(&files.boto())),
        ("CLOUDSDK_AUTH_DISABLE_CREDENTIALS", "true".to_owned()),
        (
            "CLOUDSDK_API_ENDPOINT_OVERRIDES_DATAFLOW",
            format!("{url}/"),
        ),
        (
            "CLOUDSDK_API_ENDPOINT_OVERRIDES_STORAGE",
            format!("{url}/storage/v1/"),
        ),
        ("GOOGLE_DATAFLOW_CUSTOM_ENDPOINT", format!("{url}/v1b3/")),
        (
            "GOOGLE_STORAGE_CUSTOM_ENDPOINT",
            format!("{url}/storage/v1/"),
        ),
        ("GOOGLE_OAUTH_ACCESS_TOKEN", "dataflume".to_owned()),
        ("PYTHONPATH", python_path(&files.python())),
    ]);
    all
}

/// Variables that must not be there: they lead to the user's real credentials.
pub const REMOVED: &[&str] = &["GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_CREDENTIALS"];

/// Where the emulator is, in its own words.
fn emulator(endpoint: &str, port: u16) -> Variables {
    vec![
        ("DATAFLUME_URL", format!("http://{endpoint}")),
        ("DATAFLUME_PORT", port.to_string()),
        ("JOB_ENDPOINT", endpoint.to_owned()),
        ("DATAFLUME_ENDPOINT", endpoint.to_owned()),
    ]
}

/// Where the emulated services are, for clients and workers alike.
#[must_use]
pub fn services(endpoint: &str) -> Variables {
    vec![
        ("STORAGE_EMULATOR_HOST", format!("http://{endpoint}")),
        ("GCE_METADATA_HOST", endpoint.to_owned()),
        ("GCE_METADATA_IP", endpoint.to_owned()),
        // What gcloud reads.
        ("GCE_METADATA_ROOT", endpoint.to_owned()),
    ]
}

/// The flags by which an SDK's DataflowRunner finds the emulator: `{dataflow-options}` is replaced by
/// all of them. `None` for another language.
#[must_use]
pub fn dataflow_options(language: &str, endpoint: &str) -> Option<Vec<String>> {
    let url = format!("http://{endpoint}");
    let project = kept("GOOGLE_CLOUD_PROJECT", DEFAULT_PROJECT);
    let region = kept("CLOUDSDK_COMPUTE_REGION", DEFAULT_LOCATION);
    let flags: Vec<String> = match language {
        "python" => vec![
            "--runner=DataflowRunner".to_owned(),
            format!("--dataflow_endpoint={url}"),
            format!("--temp_location=gs://{project}/temp"),
        ],
        "java" => vec![
            "--runner=DataflowRunner".to_owned(),
            format!("--dataflowEndpoint={url}/"),
            format!("--gcsEndpoint={url}/storage/v1/"),
            "--credentialFactoryClass=org.apache.beam.sdk.extensions.gcp.auth.NoopCredentialFactory"
                .to_owned(),
            format!("--tempLocation=gs://{project}/temp"),
        ],
        "go" => vec![
            "--runner=dataflow".to_owned(),
            format!("--dataflow_endpoint={url}"),
            format!("--staging_location=gs://{project}/staging"),
        ],
        _ => return None,
    };
    let place = [format!("--project={project}"), format!("--region={region}")];
    Some(flags.into_iter().chain(place).collect())
}

fn kept(name: &str, default: &str) -> String {
    let set = std::env::var(name).ok().filter(|value| !value.is_empty());
    set.unwrap_or_else(|| default.to_owned())
}

/// The hook's folder in front of what is there.
fn python_path(hook: &Path) -> String {
    match std::env::var("PYTHONPATH") {
        Ok(path) if !path.is_empty() => format!("{}:{path}", hook.display()),
        _ => text(hook),
    }
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
