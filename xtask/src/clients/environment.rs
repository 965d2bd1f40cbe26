//! The Python environments of the clients: pinned versions, installed once.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::folder;
use crate::python::make_environment;
use crate::workspace::{self, must};

/// The interpreter with clients of Cloud Storage: what `tests/clients/requirements.txt` lists.
pub(super) fn of_storage() -> Result<PathBuf> {
    python("storage-clients", &folder().join("requirements.txt"))
}

/// The interpreter of an environment of this name that has what the file lists.
pub(super) fn python(name: &str, requirements: &Path) -> Result<PathBuf> {
    let wanted = fs::read_to_string(requirements)
        .with_context(|| format!("reading {}", requirements.display()))?;
    let environment = workspace::cache()?.join(name);
    let python = environment.join("bin/python");
    // Written when all is installed.
    let installed = environment.join("installed.txt");
    if fs::read_to_string(&installed).is_ok_and(|found| found == wanted) {
        return Ok(python);
    }
    println!(
        "installing {} into {}",
        requirements.display(),
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
            .arg(requirements),
    )?;
    fs::write(&installed, wanted)?;
    Ok(python)
}
