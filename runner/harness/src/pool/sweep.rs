//! Removing what instances left behind that ended without cleaning up.

use std::collections::HashSet;
use std::fs::{self, OpenOptions};
use std::io;
use std::path::Path;

use tracing::{info, warn};

use super::docker;
use super::instance::{Instance, is_dead, lock_path, remove};
use super::process_table::kill_marked;

/// What a [`sweep`] removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// Worker processes, with their descendants.
    pub processes: usize,
    /// Worker containers.
    pub containers: usize,
    /// Scratch folders of instances.
    pub folders: usize,
}

/// Ends the worker processes and containers of instances that are gone, and removes the scratch
/// folders they left below `scratch_root`. To be called once at start; what the running instance,
/// or any other that runs, has made is not touched, so jobs need not wait for it.
///
/// What can't be removed is logged and left for the next time.
pub async fn sweep(scratch_root: &Path, instance: &Instance) -> Swept {
    let root = scratch_root.to_owned();
    let own = instance.id().to_owned();
    let local = tokio::task::spawn_blocking(move || sweep_local(&root, &own));
    let containers = docker::remove_containers_of(is_dead).await;
    let mut swept = local.await.unwrap_or_default();
    swept.containers = containers;
    if swept != Swept::default() {
        info!(
            processes = swept.processes,
            containers = swept.containers,
            folders = swept.folders,
            "removed what earlier runs left behind"
        );
    }
    swept
}

fn sweep_local(scratch_root: &Path, own: &str) -> Swept {
    let abandoned = abandoned(scratch_root, own).unwrap_or_else(|error| {
        warn!(path = %scratch_root.display(), %error, "can't look for abandoned scratch folders");
        HashSet::new()
    });
    let processes = kill_marked(|marker| {
        let id = marker.split('/').next().unwrap_or_default();
        id != own && (abandoned.contains(id) || is_dead(id))
    });
    let mut folders = 0;
    for id in &abandoned {
        match remove(&scratch_root.join(id), &lock_path(scratch_root, id)) {
            Ok(()) => folders += 1,
            Err(error) => warn!(instance = id, %error, "can't remove an abandoned scratch folder"),
        }
    }
    Swept {
        processes,
        containers: 0,
        folders,
    }
}

/// The instances with a folder here whose lock nobody holds.
fn abandoned(scratch_root: &Path, own: &str) -> io::Result<HashSet<String>> {
    let mut ids = HashSet::new();
    for entry in fs::read_dir(scratch_root)? {
        let name = entry?.file_name();
        let Some(id) = name.to_str().and_then(|name| name.strip_suffix(".lock")) else {
            continue;
        };
        if id == own {
            continue;
        }
        let file = OpenOptions::new()
            .write(true)
            .open(lock_path(scratch_root, id))?;
        if file.try_lock().is_ok() {
            ids.insert(id.to_owned());
        }
    }
    Ok(ids)
}
