//! gcsfs's own suite, as its source archive has it.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use super::{STORAGE_VARIABLE, environment, folder, outcomes};
use crate::conformance::emulator::Emulator;
use crate::conformance::known::{KnownFailures, Verdict};
use crate::conformance::setting::Workers;
use crate::workspace::{self, must};

/// The newest version whose source archive has its tests.
const VERSION: &str = "2026.2.0";

/// Runs the suite; true if nothing failed but what is known to.
pub(crate) fn run() -> Result<bool> {
    let known = KnownFailures::read_file(
        &folder().join("gcsfs/known-failures.toml"),
        Workers::default(),
    )?;
    let python = environment::of_storage()?;
    let sources = sources()?;
    // The suite wants to see buckets that don't exist.
    let options = ["--auto-create-buckets", "false"];
    let emulator = Emulator::start_with(workspace::root(), "gcsfs", &options)?;
    let plugins = [folder(), folder().join("gcsfs")];
    let mut command = Command::new(python);
    command
        .args(["-m", "pytest", "gcsfs/tests", "--ignore=gcsfs/tests/perf"])
        .args(["-q", "-o", "addopts=", "--timeout=60", "--show-capture=no"])
        .args([
            "-p",
            "no:cacheprovider",
            "-p",
            "outcomes",
            "-p",
            "empty_versions",
        ])
        .current_dir(sources)
        .env("PYTHONPATH", std::env::join_paths(plugins)?)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        // These kinds of buckets speak gRPC.
        .env("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
        .env(STORAGE_VARIABLE, format!("http://{}", emulator.endpoint()));
    let results = outcomes::of_pytest(&mut command)?;
    println!("\n== gcsfs {VERSION}");
    let mut holds = true;
    for result in &results {
        let reason = known.reason(&result.test).unwrap_or_default();
        match known.verdict(result) {
            Verdict::Fine => {}
            Verdict::Known => println!("known failure: {}: {reason}", result.test),
            Verdict::Surprise => println!("passes by now: {}", result.test),
            Verdict::Unexpected => {
                println!("FAILED: {}", result.test);
                holds = false;
            }
        }
    }
    let counts = outcomes::count(&results);
    let skipped = results.len() as u64 - counts.passed - counts.failed;
    println!(
        "{} passed, {} failed, {skipped} skipped by the suite",
        counts.passed, counts.failed
    );
    Ok(holds)
}

/// The unpacked source archive.
fn sources() -> Result<PathBuf> {
    let cache = workspace::cache()?;
    let sources = cache.join(format!("gcsfs-{VERSION}"));
    if sources.join("gcsfs/tests/test_core.py").is_file() {
        return Ok(sources);
    }
    fs::create_dir_all(&cache)?;
    must(
        Command::new(environment::of_storage()?)
            .args(["-m", "pip", "download", "--quiet", "--no-deps"])
            .args(["--disable-pip-version-check", "--no-binary=gcsfs", "--dest"])
            .arg(&cache)
            .arg(format!("gcsfs=={VERSION}")),
    )?;
    let archive = cache.join(format!("gcsfs-{VERSION}.tar.gz"));
    must(
        Command::new("tar")
            .arg("-xzf")
            .arg(&archive)
            .arg("-C")
            .arg(&cache),
    )
    .with_context(|| format!("unpacking {}", archive.display()))?;
    Ok(sources)
}
