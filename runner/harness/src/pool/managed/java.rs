//! Java: a class path of the staged jars, and the harness in front of it.

use std::ffi::OsString;
use std::io::Read;
use std::path::{Path, PathBuf};

use async_trait::async_trait;

use super::super::staging::Staged;
use super::super::{PoolError, WorkerSpec, boot};
use super::identify::Sdk;
use super::tools::find_program;
use super::{Job, Prepared, Runtime};

const HARNESS_CLASS: &str = "org.apache.beam.fn.harness.FnHarness";
const HARNESS_ENTRY: &[u8] = b"org/apache/beam/fn/harness/FnHarness.class";
const HARNESS_JAR: &str = "beam-sdks-java-harness";
const HARNESS_VARIABLE: &str = "DATAFLUME_JAVA_HARNESS";

/// A longer class path goes into a file: one argument is limited to 128 KiB.
const ARGUMENT_LIMIT_BYTES: usize = 100 << 10;

/// The classes that Beam lets Avro deserialize unless the pipeline says otherwise.
const AVRO_CLASSES: &str = "java.math.BigDecimal,java.math.BigInteger,java.net.URI,java.net.URL,java.io.File,java.lang.Integer";

pub(crate) struct Java {
    pub(crate) sdk: Sdk,
}

#[async_trait]
impl Runtime for Java {
    async fn prepare(&self, job: &Job<'_>) -> Result<Prepared, PoolError> {
        let program = launcher(job.context.java.as_deref())?;
        let class_path = self.class_path(job).await?;
        let mut arguments: Vec<OsString> = vec![
            "-XX:+UseParallelGC".into(),
            "-XX:-OmitStackTraceInFastThrow".into(),
        ];
        arguments.extend(option_arguments(job.spec).into_iter().map(Into::into));
        arguments.extend(class_path_arguments(job.folder, &class_path).await?);
        arguments.push(HARNESS_CLASS.into());
        Ok(Prepared {
            program,
            arguments,
            variables: Vec::new(),
        })
    }

    fn worker_arguments(&self, _: &WorkerSpec) -> Vec<OsString> {
        Vec::new()
    }

    fn worker_variables(&self, spec: &WorkerSpec) -> Vec<(String, String)> {
        let mut variables = boot::harness_variables(&spec.endpoint, &spec.provision);
        variables.push(("HARNESS_ID".to_owned(), spec.worker_id.clone()));
        variables
    }
}

impl Java {
    async fn class_path(&self, job: &Job<'_>) -> Result<Vec<PathBuf>, PoolError> {
        let staged = job.staged.iter().map(|artifact| artifact.path.clone());
        if has_harness(job.staged).await? {
            return Ok(staged.collect());
        }
        let version = self.sdk.beam_version.as_deref();
        let (harness, others) = find_harness(job.context.java_harness.as_deref(), version)?;
        Ok(std::iter::once(harness)
            .chain(staged)
            .chain(others)
            .collect())
    }
}

/// What the pipeline's options ask of the virtual machine.
fn option_arguments(spec: &WorkerSpec) -> Vec<String> {
    let info = &spec.provision;
    let opens = boot::string_list(info, "jdkAddOpenModules");
    let roots = boot::string_list(info, "jdkAddRootModules");
    let classes = match boot::option(info, "avroSerializableClasses") {
        None => AVRO_CLASSES.to_owned(),
        Some(_) => boot::string_list(info, "avroSerializableClasses").join(","),
    };
    let opens = opens.iter().map(|module| format!("--add-opens={module}"));
    let roots = roots.iter().map(|module| format!("--add-modules={module}"));
    let classes =
        (!classes.is_empty()).then(|| format!("-Dorg.apache.avro.SERIALIZABLE_CLASSES={classes}"));
    opens.chain(roots).chain(classes).collect()
}

fn launcher(configured: Option<&Path>) -> Result<PathBuf, PoolError> {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let candidate = configured
        .map(Path::to_owned)
        .or_else(|| variable("DATAFLUME_JAVA").map(PathBuf::from))
        .or_else(|| variable("JAVA_HOME").map(|home| Path::new(&home).join("bin").join("java")))
        .unwrap_or_else(|| "java".into());
    find_program(&candidate).ok_or_else(|| PoolError::MissingTool {
        what: "Java".to_owned(),
        reason: format!(
            "{} is not an executable. Install a JDK, or set DATAFLUME_JAVA or JAVA_HOME",
            candidate.display()
        ),
    })
}

async fn class_path_arguments(
    folder: &Path,
    class_path: &[PathBuf],
) -> Result<Vec<OsString>, PoolError> {
    let joined = std::env::join_paths(class_path).map_err(|error| PoolError::Artifact {
        name: "class path".to_owned(),
        reason: error.to_string(),
    })?;
    if joined.len() <= ARGUMENT_LIMIT_BYTES {
        return Ok(vec!["-cp".into(), joined]);
    }
    let file = folder.join("class_path");
    let quoted = joined
        .to_string_lossy()
        .replace('\\', "\\\\")
        .replace('"', "\\\"");
    tokio::fs::write(&file, format!("-cp \"{quoted}\"\n"))
        .await
        .map_err(PoolError::io(&file))?;
    let mut argument = OsString::from("@");
    argument.push(file);
    Ok(vec![argument])
}

/// Whether the harness is among the staged jars, under its own name or within a larger jar.
async fn has_harness(staged: &[Staged]) -> Result<bool, PoolError> {
    if staged.iter().any(|jar| jar.name.starts_with(HARNESS_JAR)) {
        return Ok(true);
    }
    let jars: Vec<PathBuf> = staged.iter().map(|jar| jar.path.clone()).collect();
    let search = move || -> Result<bool, PoolError> {
        for jar in jars {
            if contains(&jar, HARNESS_ENTRY).map_err(PoolError::io(&jar))? {
                return Ok(true);
            }
        }
        Ok(false)
    };
    tokio::task::spawn_blocking(search)
        .await
        .unwrap_or(Ok(false))
}

/// A jar's table of contents has the entries' names in the clear.
fn contains(path: &Path, wanted: &[u8]) -> std::io::Result<bool> {
    let mut file = std::fs::File::open(path)?;
    let mut buffer = Vec::new();
    loop {
        let read = file.by_ref().take(1 << 20).read_to_end(&mut buffer)?;
        if buffer.windows(wanted.len()).any(|window| window == wanted) {
            return Ok(true);
        }
        if read == 0 {
            return Ok(false);
        }
        let keep = buffer.len().min(wanted.len() - 1);
        buffer.drain(..buffer.len() - keep);
    }
}

/// The harness's jar for jobs that don't stage it, and the jars that came beside it.
fn find_harness(
    configured: Option<&Path>,
    version: Option<&str>,
) -> Result<(PathBuf, Vec<PathBuf>), PoolError> {
    let places = harness_places(configured, version);
    for place in &places {
        if place.is_file() {
            return Ok((place.clone(), Vec::new()));
        }
        let (harness, others): (Vec<_>, Vec<_>) = jars(place)
            .into_iter()
            .partition(|jar| is_harness(jar, version));
        if let Some(harness) = harness.into_iter().next_back() {
            let others = match configured_folder(configured).as_deref() == Some(place) {
                true => others,
                false => Vec::new(),
            };
            return Ok((harness, others));
        }
    }
    let tried: Vec<String> = places.iter().map(|p| p.display().to_string()).collect();
    Err(PoolError::MissingTool {
        what: format!(
            "{HARNESS_JAR} {}",
            version.unwrap_or("of the SDK's version")
        ),
        reason: format!(
            "the job does not stage it, and it is not in {}. Add it to the pipeline's dependencies, or set {HARNESS_VARIABLE} to the jar or its folder",
            if tried.is_empty() {
                "any known place".to_owned()
            } else {
                tried.join(" nor ")
            }
        ),
    })
}

fn configured_folder(configured: Option<&Path>) -> Option<PathBuf> {
    configured
        .map(Path::to_owned)
        .or_else(|| std::env::var_os(HARNESS_VARIABLE).map(PathBuf::from))
}

fn harness_places(configured: Option<&Path>, version: Option<&str>) -> Vec<PathBuf> {
    let maven = std::env::var_os("HOME")
        .zip(version)
        .map(|(home, version)| {
            Path::new(&home)
                .join(".m2/repository/org/apache/beam")
                .join(HARNESS_JAR)
                .join(version)
        });
    configured_folder(configured)
        .into_iter()
        .chain(maven)
        .collect()
}

fn jars(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut jars: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "jar"))
        .collect();
    jars.sort();
    jars
}

/// `beam-sdks-java-harness.jar`, as in Beam's images, or with the wanted version in its name.
fn is_harness(jar: &Path, version: Option<&str>) -> bool {
    let name = jar.file_stem().and_then(|name| name.to_str());
    let Some(rest) = name.and_then(|name| name.strip_prefix(HARNESS_JAR)) else {
        return false;
    };
    match (rest.strip_prefix('-'), version) {
        (None, _) => rest.is_empty(),
        (Some(found), Some(wanted)) => found == wanted,
        (Some(found), None) => found.starts_with(|c: char| c.is_ascii_digit()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_harness_is_found_within_a_larger_jar() {
        let folder = tempfile::tempdir().unwrap();
        let jar = folder.path().join("app.jar");
        // Across the boundary of two reads.
        let mut bytes = vec![b'x'; (1 << 20) - 7];
        bytes.extend_from_slice(HARNESS_ENTRY);
        std::fs::write(&jar, &bytes).unwrap();
        assert!(contains(&jar, HARNESS_ENTRY).unwrap());
        std::fs::write(&jar, &bytes[..bytes.len() - 1]).unwrap();
        assert!(!contains(&jar, HARNESS_ENTRY).unwrap());
    }

    #[test]
    fn a_folder_gives_the_harness_of_the_version_and_what_is_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let jar = |name: &str| folder.path().join(name);
        for name in [
            "beam-sdks-java-harness-2.65.0.jar",
            "beam-sdks-java-harness-2.65.0-sources.txt",
            "slf4j.jar",
        ] {
            std::fs::write(jar(name), "").unwrap();
        }
        let found = find_harness(Some(folder.path()), Some("2.65.0")).unwrap();
        let expected = jar("beam-sdks-java-harness-2.65.0.jar");
        assert_eq!(found, (expected, vec![jar("slf4j.jar")]));
        let error = find_harness(Some(folder.path()), Some("0.0.1")).unwrap_err();
        assert!(error.to_string().contains("beam-sdks-java-harness 0.0.1"));
    }
}
