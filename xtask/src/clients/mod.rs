//! Clients of Cloud Storage that nobody here wrote, against our own emulator.
//!
//! Google's client libraries for Python and Go, with tests of ours (a stage of `cargo xtask test`), and gcsfs with its own suite
//! (`cargo xtask clients`), whose failures are compared with `tests/clients/gcsfs/known-failures.toml`.

mod environment;
mod gcsfs;
mod outcomes;

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use crate::conformance::emulator::Emulator;
use crate::stage::Counts;
use crate::workspace;

pub(crate) use self::gcsfs::run as gcsfs;

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
    let mut command = Command::new(environment::python()?);
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
