//! One measurement: a program against a runner.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use super::BenchArgs;
use super::cases::{Case, Program};
use super::runners::{Address, Binaries, Kind, Runner, Usage};
use crate::conformance::java_project::JavaProject;
use crate::conformance::nexmark;
use crate::{examples, python, workspace};

/// What one run gave.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Sample {
    /// The whole job as the SDK sees it; for many jobs, from before the first until the last has ended.
    pub(super) seconds: f64,
    /// From the request to run the job to its end, where the program can tell.
    pub(super) run_seconds: Option<f64>,
    /// How long after its window's end a pane was there, in seconds: the median and the 99th percentile.
    pub(super) latencies: Option<[f64; 2]>,
    pub(super) usage: Option<Usage>,
}

/// What a program prints when its jobs are done.
#[derive(Debug, Deserialize)]
struct Printed {
    seconds: f64,
    run_seconds: Option<f64>,
    latencies: Option<[f64; 2]>,
}

impl Printed {
    fn of_whole(seconds: f64) -> Self {
        Self {
            seconds,
            run_seconds: None,
            latencies: None,
        }
    }
}

/// The programs that submit jobs.
#[derive(Debug)]
pub(super) struct Programs {
    python: PathBuf,
    go: PathBuf,
    java_class_path: String,
    nexmark: JavaProject,
}

impl Programs {
    /// Builds what is to be built for the cases.
    pub(super) fn ensure(beam: &python::Beam, cases: &[&Case]) -> Result<Self> {
        let nexmark = nexmark::project(workspace::root());
        if cases.iter().any(|case| case.program == Program::Nexmark) {
            nexmark.prepare()?;
        }
        let go = workspace::target()?.join("bench/go");
        let mut build = Command::new("go");
        build.args(["build", "-o"]).arg(&go).arg(".");
        workspace::must(build.current_dir(workspace::root().join("xtask/bench/go")))?;
        Ok(Self {
            python: beam.python.clone(),
            go,
            java_class_path: examples::java_class_path(
                &workspace::root().join("xtask/bench/java"),
                "dataflume-bench",
            )?,
            nexmark,
        })
    }

    /// Runs a case on a runner.
    pub(super) fn command(
        &self,
        case: &Case,
        scale: f64,
        runner: &Runner,
        folder: &Path,
    ) -> Result<Command> {
        let size = (case.size as f64 * scale).max(1.0) as u64;
        let mut command = match case.program {
            Program::Python => {
                let mut command = Command::new(&self.python);
                command.arg(workspace::root().join("xtask/bench/python/run.py"));
                command
            }
            Program::Go => {
                let mut command = Command::new(&self.go);
                command.arg("--runner=universal");
                command
            }
            Program::Java => {
                let mut command = Command::new("java");
                command.args(["-cp", &self.java_class_path, "dataflume.bench.Bench"]);
                command
            }
            Program::Nexmark => nexmark::command(&self.nexmark, case.pipeline, true, size)?,
        };
        if case.program != Program::Nexmark {
            command
                .arg(format!("--case={}", case.pipeline))
                .arg(format!("--size={size}"))
                .arg(format!("--folder={}", folder.display()))
                .args((case.jobs > 1).then(|| format!("--jobs={}", case.jobs)));
        }
        command
            .args(arguments(case.program, &runner.address))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Ok(command)
    }
}

/// What a program must be told to use a runner.
fn arguments(program: Program, address: &Address) -> Vec<String> {
    match (address, program) {
        (Address::Within(runner), Program::Nexmark) => vec![
            format!("--runner={runner}"),
            // What it checks beside, at a price.
            "--enforceEncodability=false".to_owned(),
            "--enforceImmutability=false".to_owned(),
        ],
        (Address::Within(runner), _) => vec![format!("--runner={runner}")],
        (
            Address::Portable {
                endpoint,
                environment,
            },
            Program::Java | Program::Nexmark,
        ) => {
            let experiment = (program == Program::Nexmark).then_some("--experiments=beam_fn_api");
            let mut told = vec![
                "--runner=PortableRunner".to_owned(),
                format!("--jobEndpoint={endpoint}"),
                format!("--defaultEnvironmentType={environment}"),
            ];
            told.extend(experiment.map(str::to_owned));
            told
        }
        (
            Address::Portable {
                endpoint,
                environment,
            },
            Program::Python | Program::Go,
        ) => vec![
            format!("--endpoint={endpoint}"),
            format!("--environment_type={environment}"),
        ],
    }
}

/// Runs a case once, or twice and measures the second.
pub(super) fn measure(
    programs: &Programs,
    binaries: &Binaries,
    case: &Case,
    args: &BenchArgs,
    kind: Kind,
) -> Result<Sample> {
    let runner = Runner::start(kind, binaries)?;
    let target = workspace::target()?.join("bench");
    let folder = target.join(format!("{}-{}", case.name, std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let mut command = programs.command(case, args.scale, &runner, &folder)?;
    let mut spawn = || {
        command
            .spawn()
            .with_context(|| format!("can't run the program of {}", case.name))
    };
    if args.second {
        result(case, kind, spawn()?)?;
        runner.settle()?;
    }
    let cpu_before = runner.cpu_seconds();
    let child = spawn()?;
    let printed = result(case, kind, child)?;
    let usage = runner.usage(cpu_before);
    std::fs::remove_dir_all(&folder)?;
    Ok(Sample {
        seconds: printed.seconds,
        run_seconds: printed.run_seconds,
        latencies: printed.latencies,
        usage,
    })
}

/// What the program printed last.
fn result(case: &Case, kind: Kind, child: Child) -> Result<Printed> {
    let output = child.wait_with_output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let printed = text.lines().rev().find_map(|line| match case.program {
        Program::Nexmark => nexmark::seconds(line).map(Printed::of_whole),
        _ => serde_json::from_str(line).ok(),
    });
    match printed {
        Some(printed) if output.status.success() => Ok(printed),
        _ => bail!(
            "{} failed on {}:\n{}",
            case.name,
            kind.name(),
            String::from_utf8_lossy(&output.stderr)
        ),
    }
}
