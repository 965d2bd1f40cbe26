//! The jars that Beam's Java images bring besides what a job stages.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::super::PoolError;
use super::super::staging::Staged;

const HARNESS_VARIABLE: &str = "DATAFLUME_JAVA_HARNESS";

/// A library, as it can be told among jars.
pub(crate) struct Library {
    /// How its jar's name begins.
    name: &'static str,
    /// A class of it, as an entry of a jar.
    entry: &'static [u8],
    /// Its folder within a Maven repository.
    maven: &'static str,
}

/// The SDK harness.
pub(crate) const HARNESS: Library = Library {
    name: "beam-sdks-java-harness",
    entry: b"org/apache/beam/fn/harness/FnHarness.class",
    maven: "org/apache/beam/beam-sdks-java-harness",
};

/// The harness measures its caches with it.
pub(crate) const JAMM: Library = Library {
    name: "jamm",
    entry: b"org/github/jamm/MemoryMeter.class",
    maven: "com/github/jbellis/jamm",
};

impl Library {
    /// Whether a jar's name is the library's, with or without a version.
    pub(crate) fn is_named(&self, jar: &Path) -> bool {
        self.version_in(jar).is_some()
    }

    /// What follows the library's name in the jar's.
    fn version_in<'a>(&self, jar: &'a Path) -> Option<&'a str> {
        let rest = jar.file_stem()?.to_str()?.strip_prefix(self.name)?;
        match rest.strip_prefix('-') {
            Some(version) if version.starts_with(|c: char| c.is_ascii_digit()) => Some(version),
            None if rest.is_empty() => Some(""),
            _ => None,
        }
    }
}

/// Whether a library is among the staged jars, under its own name or within a larger jar.
pub(crate) async fn is_staged(library: &Library, staged: &[Staged]) -> Result<bool, PoolError> {
    if staged.iter().any(|jar| library.is_named(&jar.path)) {
        return Ok(true);
    }
    let jars: Vec<PathBuf> = staged.iter().map(|jar| jar.path.clone()).collect();
    let entry = library.entry;
    let search = move || -> Result<bool, PoolError> {
        for jar in jars {
            if contains(&jar, entry).map_err(PoolError::io(&jar))? {
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
fn contains(path: &Path, wanted: &[u8]) -> io::Result<bool> {
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

/// Where jars are looked for that a job does not stage.
pub(crate) struct Places {
    /// A jar, or a folder of jars.
    configured: Option<PathBuf>,
    repository: Option<PathBuf>,
}

impl Places {
    /// The given place, or else the one that the variable names; then the local Maven repository.
    pub(crate) fn new(configured: Option<&Path>) -> Self {
        let variable = || std::env::var_os(HARNESS_VARIABLE).map(PathBuf::from);
        Self {
            configured: configured.map(Path::to_owned).or_else(variable),
            repository: std::env::var_os("HOME")
                .map(|home| Path::new(&home).join(".m2").join("repository")),
        }
    }

    /// The harness of a version, and the other jars of a configured folder: its dependencies.
    pub(crate) fn harness(
        &self,
        version: Option<&str>,
    ) -> Result<(PathBuf, Vec<PathBuf>), PoolError> {
        if let Some(jar) = self.configured.as_ref().filter(|place| place.is_file()) {
            return Ok((jar.clone(), Vec::new()));
        }
        if let Some(folder) = &self.configured {
            let (mut harness, others): (Vec<_>, Vec<_>) = jars(folder)
                .into_iter()
                .partition(|jar| is_harness(jar, version));
            if let Some(harness) = harness.pop() {
                return Ok((harness, others));
            }
        }
        let installed = self
            .repository
            .as_ref()
            .zip(version)
            .and_then(|(root, version)| {
                let folder = root.join(HARNESS.maven).join(version);
                jars(&folder)
                    .into_iter()
                    .find(|jar| is_harness(jar, Some(version)))
            });
        match installed {
            Some(jar) => Ok((jar, Vec::new())),
            None => Err(self.missing(version)),
        }
    }

    /// The newest jamm of the local Maven repository.
    pub(crate) fn jamm(&self) -> Option<PathBuf> {
        let root = self.repository.as_ref()?.join(JAMM.maven);
        let versions = std::fs::read_dir(root).ok()?.flatten();
        versions
            .flat_map(|version| jars(&version.path()))
            .filter(|jar| JAMM.is_named(jar))
            .max()
    }

    fn missing(&self, version: Option<&str>) -> PoolError {
        let configured = match &self.configured {
            Some(place) => format!("{}, nor ", place.display()),
            None => String::new(),
        };
        PoolError::MissingTool {
            what: format!(
                "{} {}",
                HARNESS.name,
                version.unwrap_or("of the SDK's version")
            ),
            reason: format!(
                "the job does not stage it, and it is not in {configured}the local Maven repository. Add it to the pipeline's dependencies, or set {HARNESS_VARIABLE} to the jar or a folder with it"
            ),
        }
    }
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

/// A harness without a version in its name, as in Beam's images, is taken to be the right one.
fn is_harness(jar: &Path, version: Option<&str>) -> bool {
    match (HARNESS.version_in(jar), version) {
        (Some(""), _) | (Some(_), None) => true,
        (Some(found), Some(wanted)) => found == wanted,
        (None, _) => false,
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
        bytes.extend_from_slice(HARNESS.entry);
        std::fs::write(&jar, &bytes).unwrap();
        assert!(contains(&jar, HARNESS.entry).unwrap());
        std::fs::write(&jar, &bytes[..bytes.len() - 1]).unwrap();
        assert!(!contains(&jar, HARNESS.entry).unwrap());
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
        let found = Places::new(Some(folder.path()))
            .harness(Some("2.65.0"))
            .unwrap();
        let expected = jar("beam-sdks-java-harness-2.65.0.jar");
        assert_eq!(found, (expected, vec![jar("slf4j.jar")]));
        let error = Places::new(Some(folder.path()))
            .harness(Some("0.0.1"))
            .unwrap_err();
        assert!(error.to_string().contains("beam-sdks-java-harness 0.0.1"));
    }
}
