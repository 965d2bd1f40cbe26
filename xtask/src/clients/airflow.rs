//! Airflow's hook and operator for Dataflow, beside an emulator of their own: `dataflume exec` is what points them there.

use std::process::Command;

use anyhow::Result;

use super::{environment, folder, outcomes};
use crate::conformance::emulator::program;
use crate::python::Beam;
use crate::workspace;

/// Runs the tests; true if all passed.
pub(crate) fn run() -> Result<bool> {
    let requirements = folder().join("airflow/requirements.txt");
    let python = environment::python("airflow", &requirements)?;
    let home = workspace::target()?.join("clients/airflow");
    let mut command = Command::new(program(workspace::root())?);
    command
        .args(["exec", "--workers", "process", "--"])
        .arg(python)
        .args(["-m", "pytest", "-q", "-p", "outcomes"])
        .args(["-p", "no:cacheprovider", "--timeout=120"])
        .arg(folder().join("airflow/dataflow_test.py"))
        .env("PYTHONPATH", folder())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("DATAFLUME_PYTHON", Beam::ensure_for_dataflow()?.python)
        .env("AIRFLOW_HOME", home)
        // The hook takes its credentials from the environment, as it does on a machine of Google's.
        .env(
            "AIRFLOW_CONN_GOOGLE_CLOUD_DEFAULT",
            "google-cloud-platform://",
        );
    let counts = outcomes::count(&outcomes::of_pytest(&mut command)?);
    println!("{} passed, {} failed", counts.passed, counts.failed);
    Ok(counts.failed == 0)
}
