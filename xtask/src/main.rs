//! Every script of the project: `cargo xtask TASK`.
//!
//! Start at [`Task`]; a task is a list of named [`stage::Stage`]s, run one after the other, of
//! which a failing one doesn't hide what the others say.

mod bench;
mod cargo;
mod clients;
mod conformance;
mod demo;
mod differential;
mod examples;
mod prism;
mod python;
mod sdk_images;
mod stage;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::stage::Stage;

/// Every script of the project.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

/// What can be done.
#[derive(Debug, Subcommand)]
enum Task {
    /// Builds everything and runs a real pipeline on workers made for it.
    Demo,
    /// Lints and all tests; installs the Python SDK that they need first.
    Test {
        /// Run these stages only (their names are printed at the start).
        #[arg(long, value_name = "STAGE")]
        only: Vec<String>,
    },
    /// What `test` does, and the format of the code.
    Ci,
    /// Beam's own suites against the emulator; writes docs/conformance.md.
    Conformance(conformance::ConformanceArgs),
    /// Random pipelines on the emulator and on Beam's runners for Python; fails if a result differs without an explanation.
    Differential(differential::DifferentialArgs),
    /// Clients that others wrote, against the emulator.
    Clients {
        /// Which.
        #[arg(default_value = "gcsfs")]
        client: clients::Client,
    },
    /// Prepares what the examples and the whole-system tests need.
    Examples,
    /// Makes a container image of an SDK's harness out of what this machine has, with `docker`.
    SdkImage {
        /// Whose harness.
        sdk: sdk_images::Sdk,
    },
    /// Measures the speed against other runners.
    Bench(bench::BenchArgs),
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().task {
        Task::Demo => demo::run(),
        Task::Test { only } => stage::run(&tests(), &only),
        Task::Ci => {
            let mut stages = vec![Stage::new("format", cargo::format)];
            stages.extend(tests());
            stage::run(&stages, &[])
        }
        Task::Conformance(args) => conformance::run(&args),
        Task::Differential(args) => differential::run(&args),
        Task::Clients { client } => clients::run(client),
        Task::Examples => stage::run(&[Stage::new("examples", examples::stage)], &[]),
        Task::SdkImage { sdk } => sdk_images::make(sdk),
        Task::Bench(args) => bench::run(&args),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn tests() -> Vec<Stage> {
    vec![
        Stage::new("python", python::check),
        Stage::new("clippy", cargo::clippy),
        Stage::new("examples", examples::stage),
        Stage::new("container images", sdk_images::stage),
        Stage::new("storage clients", clients::stage),
        Stage::new("rust tests", cargo::test),
        Stage::new("conformance", conformance::stage),
        Stage::new("differential", differential::stage),
    ]
}
