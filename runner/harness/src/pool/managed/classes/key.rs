//! What an archive is good for: one virtual machine and one class path.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use sha2::{Digest, Sha256};

/// The first version whose archives are made and used here. Earlier ones can't load all that workers need out of one.
const FIRST_VERSION: u32 = 17;

/// Changes with how archives are made, so that older ones are not used any more.
const FORMAT: &str = "1";

/// A Java installation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Machine {
    home: PathBuf,
    /// What it says of itself.
    release: String,
}

impl Machine {
    /// The one that a launcher belongs to, if it is one that makes archives.
    pub(super) fn of(launcher: &Path) -> Option<Self> {
        let launcher = launcher.canonicalize().ok()?;
        let home = launcher.parent()?.parent()?.to_owned();
        let release = fs::read_to_string(home.join("release")).ok()?;
        makes_archives(&release).then_some(Self { home, release })
    }
}

/// HotSpot does, in versions that are new enough.
fn makes_archives(release: &str) -> bool {
    let value = |name: &str| {
        release
            .lines()
            .filter_map(|line| line.split_once('='))
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value.trim_matches('"'))
    };
    let version = value("JAVA_VERSION").and_then(|version| {
        let major = version.split(|c: char| !c.is_ascii_digit()).next()?;
        major.parse::<u32>().ok()
    });
    version >= Some(FIRST_VERSION) && value("JVM_VARIANT").is_none_or(|name| name == "Hotspot")
}

/// An entry of a class path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Entry {
    /// What a job staged, by what is in it.
    Staged(String),
    /// What is on this machine.
    Found(PathBuf),
}

/// The name of an archive's folder.
pub(super) fn key(machine: &Machine, class_path: &[Entry]) -> String {
    let mut hash = Sha256::new();
    let mut part = |bytes: &[u8]| {
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    };
    part(FORMAT.as_bytes());
    part(machine.home.as_os_str().as_encoded_bytes());
    part(machine.release.as_bytes());
    for entry in class_path {
        match entry {
            Entry::Staged(fingerprint) => part(fingerprint.as_bytes()),
            Entry::Found(path) => {
                part(path.as_os_str().as_encoded_bytes());
                part(state_of(path).as_bytes());
            }
        }
    }
    hex::encode(&hash.finalize()[..16])
}

fn state_of(path: &Path) -> String {
    let Ok(data) = fs::metadata(path) else {
        return "absent".to_owned();
    };
    let changed = data.modified().ok();
    let changed = changed.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    let nanos = changed.map_or(0, |since| since.as_nanos());
    format!("{} {nanos}", data.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(release: &str) -> Machine {
        Machine {
            home: "/java".into(),
            release: release.to_owned(),
        }
    }

    #[test]
    fn archives_are_of_one_machine_and_one_ordered_class_path() {
        let folder = tempfile::tempdir().unwrap();
        let found = folder.path().join("harness.jar");
        fs::write(&found, "1").unwrap();
        let staged = |name: &str| Entry::Staged(name.to_owned());
        let entries = [Entry::Found(found.clone()), staged("a"), staged("b")];
        let reversed = [Entry::Found(found.clone()), staged("b"), staged("a")];
        let joined = [Entry::Found(found.clone()), staged("ab")];
        let made = key(&machine("17"), &entries);
        assert_eq!(made, key(&machine("17"), &entries));
        for other in [
            key(&machine("17.0.1"), &entries),
            key(&machine("17"), &reversed),
            key(&machine("17"), &joined),
            key(&machine("17"), &entries[..2]),
        ] {
            assert_ne!(made, other);
        }
        fs::write(&found, "22").unwrap();
        assert_ne!(made, key(&machine("17"), &entries));
    }

    #[test]
    fn only_newer_hotspots_make_archives() {
        for release in [
            "JAVA_VERSION=\"17.0.15\"",
            "A=b\nJAVA_VERSION=\"21\"\nJVM_VARIANT=\"Hotspot\"\n",
            "JAVA_VERSION=\"25-ea\"",
        ] {
            assert!(makes_archives(release), "{release}");
        }
        for release in [
            "",
            "JAVA_VERSION=\"11.0.2\"",
            "JAVA_VERSION=\"1.8.0_392\"",
            "JAVA_VERSION=\"21\"\nJVM_VARIANT=\"Openj9\"",
        ] {
            assert!(!makes_archives(release), "{release}");
        }
    }

    #[test]
    fn a_launcher_by_itself_is_no_machine() {
        let folder = tempfile::tempdir().unwrap();
        let launcher = folder.path().join("bin/java");
        fs::create_dir(folder.path().join("bin")).unwrap();
        fs::write(&launcher, "").unwrap();
        assert_eq!(Machine::of(&launcher), None);
        fs::write(folder.path().join("release"), "JAVA_VERSION=\"17\"").unwrap();
        assert!(Machine::of(&launcher).is_some());
    }
}
