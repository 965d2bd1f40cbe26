//! Beam's suites through Dataflow's API: the options by which the SDKs' runners for Dataflow find the emulator.

use std::process::Command;

/// The project that pipelines are of, where they have to be of one.
pub(super) const PROJECT: &str = "conformance";

/// Where they run.
const REGION: &str = "us-central1";

/// Code that is the same is staged once, not anew by every test.
fn staging() -> String {
    format!("gs://{PROJECT}/staging")
}

/// For what tests leave.
pub(super) fn temporary() -> String {
    format!("gs://{PROJECT}/temp")
}

/// For a test's pipeline in Java.
pub(super) fn java_options(endpoint: &str) -> Vec<String> {
    vec![
        "--runner=dataflume.conformance.LocalDataflowRunner".to_owned(),
        format!("--dataflowEndpoint=http://{endpoint}/"),
        "--credentialFactoryClass=org.apache.beam.sdk.extensions.gcp.auth.NoopCredentialFactory"
            .to_owned(),
        format!("--tempRoot={}", temporary()),
        format!("--stagingLocation={}", staging()),
        format!("--project={PROJECT}"),
        format!("--region={REGION}"),
        // Another takes longer to start than a test to end.
        "--maxNumWorkers=1".to_owned(),
    ]
}

/// For a test's pipeline in Python, and for a test program in Go: they call the options the same.
pub(super) fn options(runner: &str, endpoint: &str) -> Vec<String> {
    vec![
        format!("--runner={runner}"),
        format!("--dataflow_endpoint=http://{endpoint}"),
        format!("--temp_location={}", temporary()),
        format!("--staging_location={}", staging()),
        format!("--project={PROJECT}"),
        format!("--region={REGION}"),
    ]
}

/// The variables by which Google's clients for Python and Go find Cloud Storage and credentials.
pub(super) fn lead_clients(command: &mut Command, endpoint: &str) {
    command
        .env("STORAGE_EMULATOR_HOST", format!("http://{endpoint}"))
        .env("GCE_METADATA_HOST", endpoint)
        .env("GCE_METADATA_IP", endpoint)
        .env_remove("GOOGLE_APPLICATION_CREDENTIALS");
}
