//! One run of the emulator: its identity, and the scratch folders that belong to it.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

use super::process_table::{pid_namespace, start_time};

/// Distinguishes instances within one process, as tests have them.
static NEXT: AtomicU32 = AtomicU32::new(0);

/// A running emulator, as its workers' files, processes and containers name it.
///
/// Everything that the workers write is below `<scratch_root>/<id>/<job>/<worker>`. A locked file
/// beside that folder shows that the instance lives; [`sweep`](super::sweep) removes what belongs to
/// instances that don't. [`Instance::remove`] removes the folder, as does dropping the instance: a
/// process that is about to exit calls the first, for the last user may be a task that it doesn't
/// wait for.
#[derive(Debug)]
pub struct Instance {
    id: String,
    folder: PathBuf,
    lock_path: PathBuf,
    _lock: File,
}

impl Instance {
    /// Makes the instance's folder below the scratch root, which is made as well if need be.
    ///
    /// # Errors
    /// When the folder or its lock can't be made.
    pub fn create(scratch_root: &Path) -> io::Result<Self> {
        fs::create_dir_all(scratch_root)?;
        // Workers run elsewhere than in the emulator's current folder.
        let scratch_root = scratch_root.canonicalize()?;
        let pid = process::id().cast_signed();
        let id = format!(
            "{pid}-{}-{}-{}",
            start_time(pid).unwrap_or(0),
            pid_namespace("self").unwrap_or(0),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let lock_path = lock_path(&scratch_root, &id);
        let lock = lock(&lock_path)?;
        let folder = scratch_root.join(&id);
        fs::create_dir_all(&folder)?;
        Ok(Self {
            id,
            folder,
            lock_path,
            _lock: lock,
        })
    }

    /// The name in markers and labels: unlike a pid it is never used again.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The folder below which all of a job's files are.
    pub fn job_scratch(&self, job_id: &str) -> PathBuf {
        self.folder.join(component(job_id))
    }

    /// The folder of one worker, for [`WorkerSpec::scratch`](super::WorkerSpec::scratch).
    pub fn worker_scratch(&self, job_id: &str, worker_id: &str) -> PathBuf {
        self.job_scratch(job_id).join(component(worker_id))
    }

    /// Removes the folder with all that is in it, and the lock. Nothing may be put there afterwards.
    ///
    /// # Errors
    /// When something can't be removed: the next start's sweep finds it then.
    pub fn remove(&self) -> io::Result<()> {
        match remove(&self.folder, &self.lock_path) {
            // The lock goes last: all was removed before.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }

    /// The value of the marker variable in the environment of a worker's processes.
    pub(crate) fn marker(&self, job_id: &str, worker_id: &str) -> String {
        format!("{}/{}/{}", self.id, component(job_id), component(worker_id))
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        let _ = self.remove();
    }
}

/// Removes an instance's folder, if it is there, and then its lock: as long as something is left, a sweep finds it
/// by the lock.
pub(crate) fn remove(folder: &Path, lock_path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    fs::remove_file(lock_path)
}

/// The lock file of an instance.
pub(crate) fn lock_path(scratch_root: &Path, id: &str) -> PathBuf {
    scratch_root.join(format!("{id}.lock"))
}

/// Whether the process that an instance id names is gone. Not known, and so `false`, for ids from
/// another pid namespace.
pub(crate) fn is_dead(id: &str) -> bool {
    let mut parts = id.split('-').map(str::parse::<u64>);
    let (Some(Ok(pid)), Some(Ok(start)), Some(Ok(namespace))) =
        (parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    let Ok(pid) = i32::try_from(pid) else {
        return false;
    };
    pid_namespace("self") == Some(namespace) && start_time(pid) != Some(start)
}

/// Creates and locks the file, again if a sweep removed it in between.
fn lock(path: &Path) -> io::Result<File> {
    loop {
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path)?;
        file.lock()?;
        match fs::metadata(path) {
            Ok(now) if now.ino() == file.metadata()?.ino() => return Ok(file),
            _ => {}
        }
    }
}

/// An id as one component of a path.
pub(crate) fn component(id: &str) -> String {
    let safe = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let name: String = id.chars().map(|c| if safe(c) { c } else { '_' }).collect();
    match name.as_str() {
        "" | "." | ".." => "_".to_owned(),
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_stay_below_the_root() {
        let root = tempfile::tempdir().unwrap();
        let instance = Instance::create(root.path()).unwrap();
        let root = root.path().canonicalize().unwrap();
        let scratch = instance.worker_scratch("../job", "..");
        assert_eq!(scratch, root.join(instance.id()).join(".._job").join("_"));
    }

    #[test]
    fn two_instances_differ_and_vanish_on_drop() {
        let root = tempfile::tempdir().unwrap();
        let (a, b) = (
            Instance::create(root.path()).unwrap(),
            Instance::create(root.path()).unwrap(),
        );
        assert_ne!(a.id(), b.id());
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 4);
        drop(a);
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 2);
        b.remove().unwrap();
        b.remove().unwrap();
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
    }

    #[test]
    fn the_lock_stays_with_what_can_not_be_removed() {
        let root = tempfile::tempdir().unwrap();
        let instance = Instance::create(root.path()).unwrap();
        fs::remove_dir(&instance.folder).unwrap();
        fs::write(&instance.folder, "no folder").unwrap();
        instance.remove().unwrap_err();
        assert!(instance.lock_path.exists());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn only_a_process_that_is_gone_is_dead() {
        let root = tempfile::tempdir().unwrap();
        let instance = Instance::create(root.path()).unwrap();
        assert!(!is_dead(instance.id()));
        let namespace = pid_namespace("self").unwrap();
        let pid = process::id();
        assert!(is_dead(&format!("{pid}-1-{namespace}-0")));
        assert!(!is_dead(&format!("{pid}-1-{}-0", namespace + 1)));
        assert!(!is_dead("no instance"));
    }
}
