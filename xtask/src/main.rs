//! Every script of the project.

use std::process::{Command, ExitCode};

use clap::Parser;

/// What can be done.
#[derive(Debug, Parser)]
enum Task {
    /// All tests, as CI runs them.
    Test,
}

fn main() -> ExitCode {
    match Task::parse() {
        Task::Test => match Command::new("cargo").args(["test", "--workspace"]).status() {
            Ok(status) if status.success() => ExitCode::SUCCESS,
            Ok(_) => ExitCode::FAILURE,
            Err(error) => {
                eprintln!("cargo could not be run: {error}");
                ExitCode::FAILURE
            }
        },
    }
}
