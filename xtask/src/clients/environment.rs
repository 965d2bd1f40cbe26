//! The Python environment of the clients: pinned versions, installed once.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use super::folder;
use crate::python::make_environment;
use crate::workspace::{self, must};

/// The interpreter of an environment that has what `tests/clients/requirements.txt` lists.
pub(super) fn python() -> Result<PathBuf> {
    let requirements = folder().join("requirements.txt");
    let wanted = fs::read_to_string(&requirements)
        .with_context(|| format!("reading {}", requirements.display()))?;
    let environment = workspace::cache()?.join("storage-clients");
    let python = environment.join("bin/python");
    // Written when all is installed.
    let installed = environment.join("installed.txt");
    if fs::read_to_string(&installed).is_ok_and(|found| found == wanted) {
        return Ok(python);
    }
    println!(
        "installing clients of Cloud Storage into {}",
        environment.display()
    );
    make_environment(&environment)?;
    must(
        Command::new(&python)
            .args([
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
            ])
            .arg("-r")
            .arg(&requirements),
    )?;
    fs::write(&installed, wanted)?;
    Ok(python)
}
