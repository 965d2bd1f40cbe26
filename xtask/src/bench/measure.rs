//! One measurement: a program against a runner.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};
use serde::Serialize;

use super::cases::{Case, Program};
use super::runners::{Binaries, Kind, Runner, Usage};
use crate::{python, workspace};

/// What one run gave.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Sample {
    /// The whole job as the SDK sees it; for many jobs, from before the first until the last has ended.
    pub(super) seconds: f64,
    /// From the request to run the job to its end, where the program can tell.
    pub(super) run_seconds: Option<f64>,
    pub(super) usage: Option<Usage>,
}

/// The programs that submit jobs.
#[derive(Debug)]
pub(super) struct Programs {
    python: PathBuf,
    go: PathBuf,
}

impl Programs {
    /// Builds what is to be built.
    pub(super) fn ensure(beam: &python::Beam) -> Result<Self> {
        let go = workspace::target()?.join("bench/go");
        let mut build = Command::new("go");
        build.args(["build", "-o"]).arg(&go).arg(".");
        workspace::must(build.current_dir(workspace::root().join("xtask/bench/go")))?;
        Ok(Self {
            python: beam.python.clone(),
            go,
        })
    }

    fn command(&self, case: &Case, scale: f64, runner: &Runner, folder: &Path) -> Command {
        let mut command = match case.program {
            Program::Python => {
                let mut command = Command::new(&self.python);
                command.arg(workspace::root().join("xtask/bench/cases.py"));
                command
            }
            Program::Go => {
                let mut command = Command::new(&self.go);
                command.arg("--runner=universal");
                command
            }
        };
        let size = (case.size as f64 * scale).max(1.0) as u64;
        command
            .arg(format!("--case={}", case.pipeline))
            .arg(format!("--size={size}"))
            .arg(format!("--folder={}", folder.display()))
            .args((case.jobs > 1).then(|| format!("--jobs={}", case.jobs)))
            .args(&runner.arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }
}

/// Runs a case once.
pub(super) fn measure(
    programs: &Programs,
    binaries: &Binaries,
    case: &Case,
    scale: f64,
    kind: Kind,
) -> Result<Sample> {
    let runner = Runner::start(kind, binaries)?;
    let target = workspace::target()?.join("bench");
    let folder = target.join(format!("{}-{}", case.name, std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let mut command = programs.command(case, scale, &runner, &folder);
    let child = command
        .spawn()
        .with_context(|| format!("can't run {command:?}"))?;
    let (seconds, run_seconds) = result(case, kind, child)?;
    let usage = runner.usage();
    std::fs::remove_dir_all(&folder)?;
    Ok(Sample {
        seconds,
        run_seconds,
        usage,
    })
}

/// Seconds as the program printed them.
fn result(case: &Case, kind: Kind, child: Child) -> Result<(f64, Option<f64>)> {
    let output = child.wait_with_output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let result = text
        .lines()
        .rev()
        .find_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let seconds = result.as_ref().and_then(|value| value["seconds"].as_f64());
    match (seconds, result) {
        (Some(seconds), Some(value)) if output.status.success() => {
            Ok((seconds, value["run_seconds"].as_f64()))
        }
        _ => bail!(
            "{} failed on {}:\n{}",
            case.name,
            kind.name(),
            String::from_utf8_lossy(&output.stderr)
        ),
    }
}
