//! The `dataflume` command.

mod arguments;
mod banner;
mod child;
mod env;
mod exec;
mod expansion;
mod logging;
mod run;
mod signals;
mod start;
mod terminal;

use std::process::ExitCode;

use clap::Parser;

use crate::causes::with_causes;
use arguments::{Arguments, Command};

/// The exit code of a command line that can't be carried out.
const FAILED: u8 = 1;

/// Does what the command line says.
#[must_use]
pub fn main() -> ExitCode {
    let command = Arguments::parse().command;
    match &command {
        Command::Start(options) => logging::start(options, logging::lasting()),
        Command::Exec { options, .. } => logging::start(options, logging::passing()),
        // Their output is for a shell, or their child's.
        Command::Env { .. } | Command::ExpansionService(_) => {}
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("dataflume")
        .build();
    let outcome = match runtime {
        Ok(runtime) => {
            let outcome = runtime.block_on(carry_out(command));
            // A task that never ends doesn't keep the process.
            runtime.shutdown_background();
            outcome
        }
        Err(error) => Err(anyhow::Error::new(error).context("the runtime can't be started")),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("error: {}", with_causes(error.as_ref()));
        ExitCode::from(FAILED)
    })
}

async fn carry_out(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Start(options) => start::start(&options).await,
        Command::Env { port, data_dir } => env::env(port, data_dir),
        Command::Exec { options, command } => exec::exec(&options, &command).await,
        Command::ExpansionService(options) => expansion::serve(&options).await,
    }
}
