//! The `dataflume` command.

use std::process::ExitCode;

/// A job's data comes in buffers of all sizes from many threads: this allocator gives the memory back.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Before there is a second thread: workers' processes are started through this executable.
    dataflume::supervise::run_supervisor().unwrap_or_else(dataflume::cli::main)
}
