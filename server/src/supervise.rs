//! `dataflume supervise -- COMMAND`: what stands between the emulator and each worker process.
//!
//! Not for users. Worker pools start their processes through the emulator's own executable, so that
//! a process and its descendants end with the emulator, however that ends.

use std::process::ExitCode;

use dataflume_harness::pool::supervise;

/// Acts as a supervisor if the arguments ask for it; to be called first thing in `main`, before
/// there is a runtime or any other thread. `None` means that this is an ordinary run.
pub fn run_supervisor() -> Option<ExitCode> {
    supervise::run_if_asked()
}
