//! The files of a server: its bucket, and the folders of its workers.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use dataflume_harness::pool::{self, Instance};
use dataflume_storage::{Staging, Store};
use nix::unistd::Uid;
use tokio::task::JoinSet;
use tracing::warn;

use super::{DataLocation, ServerError, ServerOptions};

/// The bucket that jobs' artifacts are staged into.
pub(super) const STAGING_BUCKET: &str = "dataflume-staging";

/// How long the end of a server waits for its sweeps.
const SWEEP_TIMEOUT: Duration = Duration::from_secs(5);

/// What a server has open.
pub(super) struct Data {
    pub(super) staging: Staging,
    pub(super) instance: Arc<Instance>,
    scratch_root: PathBuf,
    sweeps: JoinSet<()>,
    /// Keeps other servers out of the folder.
    _lock: Option<File>,
}

impl Data {
    pub(super) async fn open(options: &ServerOptions) -> Result<Self, ServerError> {
        let (scratch_root, lock) = match &options.data {
            DataLocation::Folder(folder) => (folder.join("scratch"), Some(lock(folder)?)),
            DataLocation::Ephemeral => (shared_scratch_root(), None),
        };
        let failed = |source| ServerError::Data {
            folder: scratch_root.clone(),
            source,
        };
        let instance = Instance::create(&scratch_root).map_err(failed)?;
        let location = match (&options.bucket, &options.data) {
            (Some(location), _) => location.clone(),
            (None, DataLocation::Folder(folder)) => text(&folder.join("bucket")),
            // Gone with the instance; no job's id begins like this.
            (None, DataLocation::Ephemeral) => text(&instance.job_scratch(".bucket")),
        };
        let opened = async {
            let store = Store::open(&location)?;
            Staging::open(store, STAGING_BUCKET).await
        };
        let staging = opened.await.map_err(|source| ServerError::Bucket {
            location: location.clone(),
            source,
        })?;
        Ok(Self {
            staging,
            instance: Arc::new(instance),
            scratch_root,
            sweeps: JoinSet::new(),
            _lock: lock,
        })
    }

    /// Removes, while the server is in use already, what servers left that were killed.
    pub(super) fn sweep(&mut self) {
        let (scratch_root, instance) = (self.scratch_root.clone(), self.instance.clone());
        self.sweeps.spawn(async move {
            pool::sweep(&scratch_root, &instance).await;
        });
        let store = self.staging.store().clone();
        self.sweeps.spawn(async move {
            if let Err(error) = store.sweep().await {
                warn!(%error, "the bucket could not be swept");
            }
        });
    }

    /// Removes what is temporary. Whatever else still knows the folders has ended or is about to.
    pub(super) async fn close(mut self) {
        // However short a server lives, the files of those before it go.
        let sweeps = async { while self.sweeps.join_next().await.is_some() {} };
        // What is left then is for the next one.
        let _ = tokio::time::timeout(SWEEP_TIMEOUT, sweeps).await;
        self.sweeps.shutdown().await;
        let instance = self.instance.clone();
        match tokio::task::spawn_blocking(move || instance.remove()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                warn!(%error, "temporary files are left, which the next start removes");
            }
            Err(error) => warn!(%error, "temporary files could not be removed"),
        }
    }
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// Where ephemeral servers of a user have their files, so that each can sweep after the others.
fn shared_scratch_root() -> PathBuf {
    std::env::temp_dir().join(format!("dataflume-{}", Uid::current()))
}

/// Takes the folder for this process.
fn lock(folder: &Path) -> Result<File, ServerError> {
    let failed = |source| ServerError::Data {
        folder: folder.to_owned(),
        source,
    };
    fs::create_dir_all(folder).map_err(failed)?;
    let open = OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(folder.join("lock"));
    let mut file = open.map_err(failed)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(fs::TryLockError::WouldBlock) => {
            return Err(ServerError::DataInUse {
                folder: folder.to_owned(),
                process: owner(&mut file),
            });
        }
        Err(fs::TryLockError::Error(source)) => return Err(failed(source)),
    }
    note_owner(&mut file).map_err(failed)?;
    Ok(file)
}

/// For whoever finds the folder locked.
fn note_owner(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}

fn owner(file: &mut File) -> String {
    let mut text = String::new();
    match file.read_to_string(&mut text) {
        Ok(_) if !text.trim().is_empty() => format!(" (process {})", text.trim()),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_one_owner_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let first = lock(folder.path()).unwrap();
        let error = lock(folder.path()).unwrap_err().to_string();
        let process = format!("(process {})", std::process::id());
        assert!(error.contains(&process), "{error}");
        drop(first);
        lock(folder.path()).unwrap();
    }
}
