//! Where things are, and how commands are run.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, anyhow, bail};

/// The workspace's root folder.
pub(crate) fn root() -> &'static Path {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own)
}

/// What is downloaded once and used by every run: `DATAFLUME_CACHE`, or `~/.cache/dataflume`.
pub(crate) fn cache() -> anyhow::Result<PathBuf> {
    if let Some(folder) = std::env::var_os("DATAFLUME_CACHE") {
        return Ok(folder.into());
    }
    let home = std::env::home_dir()
        .context("there is no home folder: say with DATAFLUME_CACHE where to keep downloads")?;
    Ok(home.join(".cache/dataflume"))
}

/// Keeps other runs of these commands from making the same folder of the cache, until it is dropped.
pub(crate) fn lock(folder: &Path) -> anyhow::Result<File> {
    let path = folder.with_extension("lock");
    let locked = || {
        path.parent().map_or(Ok(()), fs::create_dir_all)?;
        let file = File::create(&path)?;
        file.lock()?;
        Ok(file)
    };
    locked().map_err(|error: io::Error| anyhow!("can't lock {}: {error}", path.display()))
}

/// Runs a command to its end; true if it succeeded.
pub(crate) fn succeeds(command: &mut Command) -> anyhow::Result<bool> {
    let status = command
        .status()
        .with_context(|| format!("can't run {}", command.get_program().display()))?;
    Ok(status.success())
}

/// Runs a command that has to succeed.
pub(crate) fn must(command: &mut Command) -> anyhow::Result<()> {
    if !succeeds(command)? {
        bail!("this failed: {command:?}");
    }
    Ok(())
}

/// Where cargo puts what it builds.
pub(crate) fn target() -> anyhow::Result<PathBuf> {
    let output = crate::cargo::cargo()
        .args(["metadata", "--format-version=1", "--no-deps", "--offline"])
        .output()
        .context("can't run cargo metadata")?;
    let metadata: serde_json::Value =
        serde_json::from_slice(&output.stdout).context("can't read cargo's metadata")?;
    let target = metadata["target_directory"].as_str();
    Ok(target.context("cargo names no target directory")?.into())
}
