//! The `dataflume` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    // Before there is a second thread: workers' processes are started through this executable.
    dataflume::supervise::run_supervisor().unwrap_or_else(dataflume::cli::main)
}
