//! What `cargo xtask examples` prepares.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

/// Where everything is that the tests use.
#[derive(Debug, Deserialize)]
pub struct Prepared {
    /// A Python interpreter with apache-beam.
    pub python: PathBuf,
    /// One with the clients of Google's services too. What was prepared by an older version does not say.
    #[serde(default)]
    pub python_for_dataflow: PathBuf,
    /// The folder of the Go examples' programs.
    pub go_programs: PathBuf,
    /// The class path of the Java examples, with everything they depend on.
    pub java_class_path: String,
    /// The class path of the Java examples that are written for Dataflow. What was prepared by an older version does not say.
    #[serde(default)]
    pub java_class_path_for_dataflow: String,
    /// A folder with a wheel and a source archive of `textstats`.
    pub packages: PathBuf,
    /// The text that the word counts count.
    pub text: PathBuf,
    /// The daily weather that `weather` summarizes.
    pub weather: PathBuf,
    /// The folder of Beam's own boot programs: `python`, `java`, `go`.
    pub boot_programs: PathBuf,
}

impl Prepared {
    /// Where everything is; prepared first, once for each test program.
    ///
    /// # Panics
    /// If it could not be prepared: no test makes sense then.
    pub fn get() -> &'static Self {
        static PREPARED: OnceLock<Prepared> = OnceLock::new();
        PREPARED.get_or_init(|| match Self::prepare() {
            Ok(prepared) => prepared,
            Err(error) => panic!("what the tests need could not be prepared: {error:#}"),
        })
    }

    fn prepare() -> Result<Self> {
        if std::env::var_os("DATAFLUME_PREPARED").is_none() {
            cargo(&["xtask", "examples"])?;
        }
        let path = workspace().join("target/examples/prepared.json");
        let text = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
        Ok(serde_json::from_slice(&text)?)
    }
}

/// The emulator's program: `DATAFLUME_BIN`, or built now.
///
/// # Panics
/// If it could not be built.
pub fn emulator_program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        if let Some(program) = std::env::var_os("DATAFLUME_BIN") {
            return program.into();
        }
        if let Err(error) = cargo(&["build", "--package", "dataflume"]) {
            panic!("the emulator could not be built: {error:#}");
        }
        workspace().join("target/debug/dataflume")
    })
}

/// The folder of the workspace.
pub fn workspace() -> &'static Path {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own)
}

fn cargo(arguments: &[&str]) -> Result<()> {
    let output = Command::new(env!("CARGO"))
        .args(arguments)
        .current_dir(workspace())
        .output()
        .context("running cargo")?;
    if !output.status.success() {
        bail!(
            "cargo {arguments:?}: {}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(())
}
