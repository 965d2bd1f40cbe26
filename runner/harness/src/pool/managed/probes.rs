//! What was found out about interpreters, for as long as they stay as they were.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use super::interpreter::{Probed, probe};

/// Files and folders with the time of their last change.
type Stamp = Vec<(PathBuf, Option<SystemTime>)>;

/// Interpreters that were asked about themselves, which takes as long as starting one.
#[derive(Debug, Default)]
pub(crate) struct Probes(Mutex<HashMap<PathBuf, (Probed, Stamp)>>);

impl Probes {
    /// What the program says of itself. It is asked again once a package was installed or removed.
    pub(super) async fn of(&self, program: &Path) -> Result<Probed, String> {
        if let Some((probed, stamp)) = self.known().get(program)
            && *stamp == stamp_of(program, probed)
        {
            return Ok(probed.clone());
        }
        let probed = probe(program).await?;
        let stamp = stamp_of(program, &probed);
        self.known()
            .insert(program.to_owned(), (probed.clone(), stamp));
        Ok(probed)
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<PathBuf, (Probed, Stamp)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn stamp_of(program: &Path, probed: &Probed) -> Stamp {
    stamp(
        [program, &probed.executable]
            .into_iter()
            .chain(probed.packages.iter().map(PathBuf::as_path)),
    )
}

/// Installing or removing a package adds to or removes from its folder, which changes the folder's time.
pub(super) fn stamp<'a>(paths: impl Iterator<Item = &'a Path>) -> Stamp {
    paths
        .map(|path| {
            let changed = std::fs::metadata(path).and_then(|data| data.modified());
            (path.to_owned(), changed.ok())
        })
        .collect()
}
