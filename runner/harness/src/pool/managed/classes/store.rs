//! Where archives are, with the jars that they belong to.
//!
//! The virtual machine takes an archive only for a class path of the very paths, sizes and times for which it was made.
//! So the jars that jobs stage are linked to where they can be found again: `<root>/<key>/jars`.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// All archives together, with their jars.
const LIMIT_BYTES: u64 = 2 << 30;

const ARCHIVE: &str = "classes.jsa";
/// Says how long the archive is.
const LENGTH: &str = "length";
const JARS: &str = "jars";
const LISTS: &str = "lists";

/// The time of every jar: the first second of 2000.
const JAR_TIME: Duration = Duration::from_secs(946_684_800);

/// A class that a worker which has processed a bundle has loaded. Lists without it are not worth an archive.
const AT_WORK: &str = "org/apache/beam/fn/harness/control/ProcessBundleHandler$BundleProcessor";

/// The folder of one archive.
#[derive(Debug, Clone)]
pub(super) struct Shelf(PathBuf);

impl Shelf {
    pub(super) fn new(root: &Path, key: &str) -> Self {
        Self(root.join(key))
    }

    pub(super) fn folder(&self) -> &Path {
        &self.0
    }

    pub(super) fn archive(&self) -> PathBuf {
        self.0.join(ARCHIVE)
    }

    /// Where it is made.
    pub(super) fn unfinished(&self) -> PathBuf {
        self.0.join("unfinished.jsa")
    }

    /// What the classes to archive are read from.
    pub(super) fn list(&self) -> PathBuf {
        self.0.join("classes.list")
    }

    /// Where workers write which classes they load: the virtual machine puts its process id there.
    pub(super) fn worker_lists(&self) -> PathBuf {
        self.0.join(LISTS).join("%p")
    }

    /// Makes the folder and links the jars into it. Gives their paths, in order. What is there already stays, if nobody
    /// has touched it.
    pub(super) fn put<'a>(&self, jars: impl Iterator<Item = &'a Path>) -> io::Result<Vec<PathBuf>> {
        fs::create_dir_all(self.0.join(JARS))?;
        fs::create_dir_all(self.0.join(LISTS))?;
        jars.enumerate()
            .map(|(index, jar)| {
                let kept = self.0.join(JARS).join(format!("{index}.jar"));
                self.put_jar(jar, &kept)?;
                Ok(kept)
            })
            .collect()
    }

    fn put_jar(&self, jar: &Path, kept: &Path) -> io::Result<()> {
        let length = fs::metadata(jar)?.len();
        match fs::metadata(kept) {
            Ok(data) if data.len() == length && data.modified()? == jar_time() => return Ok(()),
            Ok(_) => {
                // Somebody has changed it.
                remove_file(&self.archive())?;
                fs::remove_file(kept)?;
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        // The scratch folders may be elsewhere.
        if fs::hard_link(jar, kept).is_err() {
            fs::copy(jar, kept)?;
        }
        File::open(kept)?.set_modified(jar_time())
    }

    /// Takes the longest list of the workers' for the archive. `false` if none has got to work.
    pub(super) fn choose_list(&self) -> io::Result<bool> {
        let mut longest = String::new();
        for entry in fs::read_dir(self.0.join(LISTS))? {
            let list = fs::read(entry?.path())?;
            let list = String::from_utf8_lossy(&list);
            // A worker that was killed leaves half a line.
            let whole = list.rfind('\n').map_or("", |end| &list[..=end]);
            if whole.contains(AT_WORK) && whole.len() > longest.len() {
                whole.clone_into(&mut longest);
            }
        }
        fs::remove_dir_all(self.0.join(LISTS))?;
        fs::write(self.list(), &longest)?;
        Ok(!longest.is_empty())
    }

    /// The archive is made: from now on it is used.
    pub(super) fn finish(&self) -> io::Result<()> {
        remove_file(&self.list())?;
        let length = fs::metadata(self.unfinished())?.len();
        fs::write(self.0.join(LENGTH), length.to_string())?;
        fs::rename(self.unfinished(), self.archive())
    }

    /// Whether there is an archive. Notes that it is used now. One that isn't whole any more is removed: the virtual machine
    /// would ignore it.
    pub(super) fn take_archive(&self) -> io::Result<bool> {
        let archive = match File::open(self.archive()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            archive => archive?,
        };
        let length = fs::read_to_string(self.0.join(LENGTH)).unwrap_or_default();
        if length != archive.metadata()?.len().to_string() {
            remove_file(&self.archive())?;
            return Ok(false);
        }
        archive.set_modified(SystemTime::now())?;
        Ok(true)
    }
}

fn jar_time() -> SystemTime {
    UNIX_EPOCH + JAR_TIME
}

fn remove_file(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// What is kept at a key.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Kept {
    key: String,
    /// When its archive was used last, if it has one.
    used: Option<SystemTime>,
    bytes: u64,
}

/// Removes what is too much, and what was left half made. What is used by a job stays.
pub(super) fn tidy(root: &Path, most: usize, in_use: &HashSet<String>) -> io::Result<()> {
    for key in surplus(kept(root)?, most, LIMIT_BYTES) {
        if !in_use.contains(&key) {
            fs::remove_dir_all(root.join(key))?;
        }
    }
    Ok(())
}

fn kept(root: &Path) -> io::Result<Vec<Kept>> {
    let entries = match fs::read_dir(root) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut kept = Vec::new();
    for entry in entries {
        let entry = entry?;
        let Ok(key) = entry.file_name().into_string() else {
            continue;
        };
        let archive = fs::metadata(Shelf(entry.path()).archive()).ok();
        let jars = fs::read_dir(entry.path().join(JARS)).into_iter().flatten();
        let jars: u64 = jars
            .flatten()
            .flat_map(|jar| jar.metadata())
            .map(|data| data.len())
            .sum();
        kept.push(Kept {
            key,
            bytes: jars + archive.as_ref().map_or(0, fs::Metadata::len),
            used: archive.and_then(|data| data.modified().ok()),
        });
    }
    Ok(kept)
}

/// All but those that were used last.
fn surplus(mut kept: Vec<Kept>, most: usize, limit_bytes: u64) -> Vec<String> {
    kept.sort_by_key(|kept| std::cmp::Reverse(kept.used));
    let mut bytes = 0;
    kept.into_iter()
        .enumerate()
        .filter(|(index, kept)| {
            bytes += kept.bytes;
            *index >= most || bytes > limit_bytes || kept.used.is_none()
        })
        .map(|(_, kept)| kept.key)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(key: &str, used: Option<u64>, bytes: u64) -> Kept {
        Kept {
            key: key.to_owned(),
            used: used.map(|seconds| UNIX_EPOCH + Duration::from_secs(seconds)),
            bytes,
        }
    }

    #[test]
    fn the_last_used_stay_within_both_limits() {
        let all = vec![
            kept("old", Some(1), 10),
            kept("half", None, 10),
            kept("new", Some(3), 10),
            kept("middle", Some(2), 10),
        ];
        assert_eq!(surplus(all.clone(), 8, 100), ["half"]);
        assert_eq!(surplus(all.clone(), 2, 100), ["old", "half"]);
        assert_eq!(surplus(all.clone(), 8, 15), ["middle", "old", "half"]);
        assert_eq!(surplus(all, 0, 100).len(), 4);
    }

    #[test]
    fn what_is_in_use_stays() {
        let root = tempfile::tempdir().unwrap();
        for key in ["used", "idle"] {
            Shelf::new(root.path(), key)
                .put(std::iter::empty())
                .unwrap();
        }
        tidy(root.path(), 8, &HashSet::from(["used".to_owned()])).unwrap();
        assert!(root.path().join("used").exists() && !root.path().join("idle").exists());
        tidy(&root.path().join("absent"), 8, &HashSet::new()).unwrap();
    }

    #[test]
    fn a_jar_that_was_changed_takes_its_archive_with_it() {
        let root = tempfile::tempdir().unwrap();
        let shelf = Shelf::new(root.path(), "key");
        let put = |content: &str| {
            let jar = root.path().join("staged.jar");
            let _ = fs::remove_file(&jar);
            fs::write(&jar, content).unwrap();
            shelf.put([jar.as_path()].into_iter()).unwrap().remove(0)
        };
        let kept = put("one");
        fs::write(shelf.archive(), "archive").unwrap();
        // The same again, an hour later: what is there already stays.
        assert_eq!(put("two"), kept);
        assert_eq!(fs::read(&kept).unwrap(), b"one");
        assert!(shelf.archive().exists());
        fs::write(&kept, "bad").unwrap();
        put("one");
        assert_eq!(fs::read(&kept).unwrap(), b"one");
        assert!(!shelf.archive().exists());
    }

    #[test]
    fn an_archive_is_used_while_it_is_whole() {
        let root = tempfile::tempdir().unwrap();
        let shelf = Shelf::new(root.path(), "key");
        shelf.put(std::iter::empty()).unwrap();
        assert!(!shelf.take_archive().unwrap());
        fs::write(shelf.unfinished(), "archive").unwrap();
        assert!(!shelf.take_archive().unwrap());
        shelf.finish().unwrap();
        assert!(shelf.take_archive().unwrap());
        fs::write(shelf.archive(), "arch").unwrap();
        assert!(!shelf.take_archive().unwrap());
        assert!(!shelf.archive().exists());
    }

    #[test]
    fn the_longest_list_of_a_worker_at_work_is_taken() {
        let root = tempfile::tempdir().unwrap();
        let shelf = Shelf::new(root.path(), "key");
        let choose = |lists: &[&str]| {
            shelf.put(std::iter::empty()).unwrap();
            for (index, list) in lists.iter().enumerate() {
                fs::write(shelf.0.join(LISTS).join(index.to_string()), list).unwrap();
            }
            shelf.choose_list().unwrap()
        };
        let at_work = format!("A\n{AT_WORK}\n");
        assert!(!choose(&[]));
        assert!(!choose(&["A\nB\n", AT_WORK]));
        assert!(choose(&["A\n", &at_work, &format!("{at_work}C\nhal")]));
        assert_eq!(
            fs::read_to_string(shelf.list()).unwrap(),
            format!("{at_work}C\n")
        );
    }
}
