//! The workers' supervisor as a program of its own, for tests and for programs that use the pools
//! without being the emulator.

use std::process::ExitCode;

use dataflume_harness::pool::supervise;

fn main() -> ExitCode {
    supervise::run_if_asked().unwrap_or_else(|| {
        eprintln!(
            "usage: dataflume-supervise {} -- COMMAND [ARGUMENT...]",
            supervise::COMMAND
        );
        ExitCode::from(2)
    })
}
