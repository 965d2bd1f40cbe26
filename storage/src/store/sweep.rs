//! Removing what a crashed process left.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path as FilePath;

use object_store::ObjectStoreExt;
use object_store::path::Path;
use tracing::warn;
use walkdir::WalkDir;

use super::record::Record;
use super::{Inner, Store};
use crate::error::{Error, Result};
use crate::layout;

/// What a sweep removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SweepReport {
    /// Complete blobs that no object referred to.
    pub blobs: usize,
    /// Files that were being written.
    pub partial_files: usize,
}

impl Store {
    /// Removes what writes left that never ended because their process was killed. Writes of this
    /// store that are under way are not touched, so it may run while the store is in use; but
    /// no other process may be using the location.
    ///
    /// # Errors
    /// Where the backend fails; what could be removed until then is.
    pub async fn sweep(&self) -> Result<SweepReport> {
        let mut report = SweepReport::default();
        let backend = &self.inner.backend;
        let listed = backend
            .list_with_delimiter(Some(&layout::buckets()))
            .await?;
        for folder in listed.common_prefixes {
            if let Some(bucket) = folder.filename() {
                // Nobody writes a record meanwhile: so none changes between being listed and being
                // read, and a half-written one is a dead process's.
                let _guard = self.inner.locks.bucket(bucket).await;
                report.blobs += self.inner.sweep_blobs(bucket).await?;
                report.partial_files += self.inner.sweep_partial_files(bucket).await?;
            }
        }
        Ok(report)
    }
}

impl Inner {
    async fn sweep_blobs(&self, bucket: &str) -> Result<usize> {
        let blobs = self.paths_below(&layout::blobs(bucket)).await?;
        let foreign = |path: &Path| path.filename().is_some_and(|id| !self.is_own_blob(id));
        let mut candidates: Vec<Path> = blobs.into_iter().filter(foreign).collect();
        if candidates.is_empty() {
            return Ok(0);
        }
        let used = self.used_blobs(bucket).await?;
        candidates.retain(|path| path.filename().is_some_and(|id| !used.contains(id)));
        for path in &candidates {
            self.backend.delete(path).await?;
        }
        Ok(candidates.len())
    }

    /// The local backend writes to `NAME#NUMBER` and renames; its listings leave such files out.
    async fn sweep_partial_files(&self, bucket: &str) -> Result<usize> {
        let Some(root) = &self.folder else {
            return Ok(0);
        };
        let folder = root.join(layout::BUCKETS).join(bucket);
        let instance = self.instance.clone();
        tokio::task::spawn_blocking(move || remove_partial_files(&folder, &instance))
            .await
            .map_err(Error::backend)
    }

    async fn used_blobs(&self, bucket: &str) -> Result<BTreeSet<String>> {
        let mut used = BTreeSet::new();
        for records in [layout::objects(bucket), layout::noncurrent(bucket)] {
            for path in self.paths_below(&records).await? {
                if let Some(record) = self.read_json::<Record>(&path).await? {
                    used.insert(record.blob);
                }
            }
        }
        Ok(used)
    }
}

fn remove_partial_files(folder: &FilePath, own_instance: &str) -> usize {
    let mut removed = 0;
    for entry in WalkDir::new(folder).into_iter().filter_map(Result::ok) {
        let name = entry.file_name().to_string_lossy();
        let foreign = !name.starts_with(own_instance);
        if !(foreign && entry.file_type().is_file() && is_partial(&name)) {
            continue;
        }
        match fs::remove_file(entry.path()) {
            Ok(()) => removed += 1,
            Err(error) => {
                warn!(path = %entry.path().display(), %error, "a partial file could not be removed");
            }
        }
    }
    removed
}

fn is_partial(name: &str) -> bool {
    name.rsplit_once('#')
        .is_some_and(|(_, number)| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
}
