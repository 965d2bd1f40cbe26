//! Clients that nobody here wrote, against our own emulator.
//!
//! Google's client libraries of Cloud Storage for Python and Go, with tests of ours (a stage of `cargo xtask test`). On demand, since
//! it takes minutes: gcsfs with its own suite (`cargo xtask clients gcsfs`), whose failures are compared with
//! `tests/clients/gcsfs/known-failures.toml`, and Airflow's hook for Dataflow, with tests of ours (`cargo xtask clients airflow`).

mod airflow;
mod environment;
mod gcsfs;
mod outcomes;

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;
use clap::ValueEnum;

use crate::conformance::emulator::Emulator;
use crate::stage::Counts;
use crate::workspace;

/// A client that is run on demand.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Client {
    /// The file system over Cloud Storage, with its own suite.
    Gcsfs,
    /// The hook and the operator for Dataflow; their installation has 2 GB.
    Airflow,
}

/// Runs one client's tests; true if nothing failed that was not known to.
pub(crate) fn run(client: Client) -> Result<bool> {
    match client {
        Client::Gcsfs => gcsfs::run(),
        Client::Airflow => airflow::run(),
    }
}

/// The variable that clients of Cloud Storage look at.
const STORAGE_VARIABLE: &str = "STORAGE_EMULATOR_HOST";

/// The stage of `cargo xtask test`: Google's libraries for Python and Go.
pub(crate) fn stage() -> Result<Counts> {
    let emulator = Emulator::start(workspace::root(), "clients")?;
    let url = format!("http://{}", emulator.endpoint());
    let mut counts = python(&url)?;
    counts += go(&url)?;
    Ok(counts)
}

fn python(url: &str) -> Result<Counts> {
    let mut command = Command::new(environment::of_storage()?);
    command
        .args(["-m", "pytest", "-q", "-p", "outcomes"])
        .args(["-p", "no:cacheprovider", "--timeout=60"])
        .arg(folder().join("python/storage_test.py"))
        .env("PYTHONPATH", folder())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env(STORAGE_VARIABLE, url);
    let results = outcomes::of_pytest(&mut command)?;
    Ok(outcomes::count(&results))
}

fn go(url: &str) -> Result<Counts> {
    let mut command = Command::new("go");
    command
        .args(["test", "-json", "-count=1", "-timeout=100s", "./..."])
        .current_dir(folder().join("go"))
        .env(STORAGE_VARIABLE, url);
    let results = outcomes::of_go(&mut command)?;
    Ok(outcomes::count(&results))
}

/// Where the tests are.
fn folder() -> PathBuf {
    workspace::root().join("tests/clients")
}
