//! `cargo xtask differential`: random pipelines on the emulator and on Beam's own runners for Python.
//!
//! `tests/differential` makes the pipelines and compares what comes out. A seed names a pipeline; the same seeds are run each time, so
//! that a difference is found again.

use std::process::Command;

use anyhow::Result;
use clap::Args;

use crate::conformance::emulator::Emulator;
use crate::python::Beam;
use crate::stage::Counts;
use crate::workspace;

/// As many as a run on every change can afford.
const ON_EVERY_CHANGE: u32 = 25;

/// Which pipelines.
#[derive(Debug, Args)]
pub(crate) struct DifferentialArgs {
    /// How many pipelines.
    #[arg(long, default_value_t = 2000)]
    count: u32,
    /// The seed of the first.
    #[arg(long, default_value_t = 0)]
    first: u32,
    /// A job service that runs already, instead of an emulator of its own.
    #[arg(long, value_name = "HOST:PORT")]
    endpoint: Option<String>,
}

/// The first pipelines, as a stage of the tests.
pub(crate) fn stage() -> Result<Counts> {
    let args = DifferentialArgs {
        count: ON_EVERY_CHANGE,
        first: 0,
        endpoint: None,
    };
    Ok(Counts::check(run(&args)?))
}

/// Whether every result was the same or is explained.
pub(crate) fn run(args: &DifferentialArgs) -> Result<bool> {
    let beam = Beam::ensure()?;
    let emulator = match &args.endpoint {
        Some(_) => None,
        None => Some(Emulator::start(workspace::root(), "differential")?),
    };
    let own = emulator.as_ref().map(Emulator::endpoint);
    let endpoint = args.endpoint.as_deref().or(own).unwrap_or_default();
    let status = Command::new(&beam.python)
        .arg(workspace::root().join("tests/differential/main.py"))
        .args(["--endpoint", endpoint])
        .args(["--count", &args.count.to_string()])
        .args(["--first", &args.first.to_string()])
        .status()?;
    Ok(status.success())
}
