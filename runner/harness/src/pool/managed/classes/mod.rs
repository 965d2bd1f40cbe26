//! Archives of the classes that Java workers load, made after a first job and used by the next ones.
//!
//! A new virtual machine takes most of its first seconds to find, check and link some seven thousand classes, the same for
//! every job with the same jars. It can do that once and keep the result in a file ("class-data sharing"). So the first
//! job with a class path notes which classes its workers load; once it has ended, a process of its own writes them
//! to an archive; later jobs' virtual machines map that. One that doesn't like its archive ignores it.

mod contents;
mod dump;
mod key;
mod store;

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Mutex as AsyncMutex;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, info, warn};

use self::key::{Entry, Machine};
use self::store::Shelf;
use super::super::launch::remove_folder;
use super::super::staging::Staged;
use super::super::{PoolContext, PoolError};

/// Stands for the job in the paths and markers of the processes that make archives.
const FOLDER: &str = ".java-classes";

/// Makes and keeps archives of classes. One serves all jobs of an emulator.
pub struct JavaClasses {
    context: PoolContext,
    root: PathBuf,
    most: usize,
    state: Mutex<State>,
    /// Held while jars are put where they are kept, or removed.
    putting: Mutex<()>,
    /// Held while an archive is made.
    making: AsyncMutex<()>,
    tasks: TaskTracker,
    closed: CancellationToken,
}

#[derive(Default)]
struct State {
    /// How many leases there are, by key.
    in_use: HashMap<String, usize>,
    /// What is being recorded or made.
    recording: HashSet<String>,
    /// What could not be made isn't tried again.
    failed: HashSet<String>,
}

/// What is different about a worker's virtual machine.
pub(super) struct Shared {
    /// The class path, entry by entry.
    pub(super) class_path: Vec<PathBuf>,
    pub(super) argument: OsString,
    pub(super) lease: Arc<Lease>,
}

impl JavaClasses {
    /// Keeps at most this many archives, in the given folder or else in the instance's. Makes nothing yet: jobs do that.
    pub fn new(context: &PoolContext, folder: Option<&Path>, most: usize) -> Arc<Self> {
        let root = match folder {
            Some(folder) => folder.to_owned(),
            None => context.instance.job_scratch(FOLDER).join("archives"),
        };
        Arc::new(Self {
            context: context.of_no_job(FOLDER),
            root,
            most,
            state: Mutex::default(),
            putting: Mutex::default(),
            making: AsyncMutex::default(),
            tasks: TaskTracker::new(),
            closed: CancellationToken::new(),
        })
    }

    /// Removes in the background what earlier runs have left half made, or more than is to be kept. Needs a runtime.
    pub fn begin(self: &Arc<Self>) {
        let this = self.clone();
        self.tasks.spawn_blocking(move || this.tidy());
    }

    /// Gives up what is being made, and lets no more begin.
    pub fn close(&self) {
        self.closed.cancel();
        self.tasks.close();
    }

    /// Closes, waits until what was being made is gone, and removes what is half made.
    pub async fn shutdown(self: &Arc<Self>) {
        self.close();
        self.tasks.wait().await;
        let this = self.clone();
        // It can't panic.
        let _ = tokio::task::spawn_blocking(move || this.tidy()).await;
        remove_folder(&self.context.instance.job_scratch(FOLDER)).await;
    }

    /// What to start a job's workers with, if there is something to win. Where anything goes wrong there isn't.
    pub(super) async fn share(
        self: &Arc<Self>,
        launcher: &Path,
        class_path: &[PathBuf],
        staged: &[Staged],
    ) -> Option<Shared> {
        if self.most == 0 || self.closed.is_cancelled() {
            return None;
        }
        let this = self.clone();
        let (launcher, class_path) = (launcher.to_owned(), class_path.to_owned());
        let staged = staged.to_owned();
        let find = move || this.find(&launcher, &class_path, &staged);
        match tokio::task::spawn_blocking(find).await {
            Ok(Ok(shared)) => shared,
            Ok(Err(error)) => {
                debug!(%error, "no archive of classes can be used");
                None
            }
            Err(error) => {
                debug!(%error, "no archive of classes can be used");
                None
            }
        }
    }

    fn find(
        self: &Arc<Self>,
        launcher: &Path,
        class_path: &[PathBuf],
        staged: &[Staged],
    ) -> io::Result<Option<Shared>> {
        let Some(machine) = Machine::of(launcher) else {
            return Ok(None);
        };
        let of_job = |path: &Path| staged.iter().find(|jar| jar.path == path);
        let entries: io::Result<Vec<Entry>> = class_path
            .iter()
            .map(|path| match of_job(path) {
                Some(jar) => Ok(Entry::Staged(contents::fingerprint(path, &jar.sha256)?)),
                None => Ok(Entry::Found(path.clone())),
            })
            .collect();
        let key = key::key(&machine, &entries?);
        let shelf = Shelf::new(&self.root, &key);
        if self.state().failed.contains(&key) {
            return Ok(None);
        }
        let mut lease = Lease::new(self, key, shelf);
        let jars = class_path.iter().filter(|path| of_job(path).is_some());
        let kept = {
            let _putting = lock(&self.putting);
            lease.shelf.put(jars.map(PathBuf::as_path))?
        };
        let mut kept = kept.into_iter();
        let class_path: Vec<PathBuf> = class_path
            .iter()
            .map(|path| match of_job(path) {
                Some(_) => kept.next().unwrap_or_else(|| path.clone()),
                None => path.clone(),
            })
            .collect();
        let argument = if lease.shelf.take_archive()? {
            info!(key = lease.key, "workers start with an archive of classes");
            argument("-XX:SharedArchiveFile=", &lease.shelf.archive())
        } else if self.state().recording.insert(lease.key.clone()) {
            debug!(key = lease.key, "workers note the classes that they load");
            let argument = argument("-XX:DumpLoadedClassList=", &lease.shelf.worker_lists());
            lease.recording = Some(Recording {
                launcher: launcher.to_owned(),
                class_path: class_path.clone(),
            });
            argument
        } else {
            return Ok(None);
        };
        Ok(Some(Shared {
            class_path,
            argument,
            lease: Arc::new(lease),
        }))
    }

    /// Makes the archive of what was recorded.
    async fn make(&self, lease: &Lease, recording: &Recording) {
        let _one_at_a_time = self.making.lock().await;
        if self.closed.is_cancelled() {
            return;
        }
        match dump::make(self, &lease.shelf, recording).await {
            Ok(true) => info!(key = lease.key, "made an archive of classes"),
            Ok(false) => debug!(
                key = lease.key,
                "no worker has got far enough for an archive"
            ),
            Err(PoolError::ShutDown) => {}
            Err(error) => {
                warn!(%error, key = lease.key, "no archive of classes could be made");
                self.state().failed.insert(lease.key.clone());
            }
        }
    }

    fn tidy(&self) {
        // Nobody takes a lease and finds less than was there.
        let _putting = lock(&self.putting);
        let in_use = self.state().in_use.keys().cloned().collect();
        if let Err(error) = store::tidy(&self.root, self.most, &in_use) {
            warn!(path = %self.root.display(), %error, "archives of classes can't be removed");
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn argument(name: &str, path: &Path) -> OsString {
    let mut argument = OsString::from(name);
    argument.push(path);
    argument
}

impl fmt::Debug for JavaClasses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JavaClasses")
            .field("root", &self.root)
            .field("most", &self.most)
            .finish_non_exhaustive()
    }
}

/// What an archive is made of.
#[derive(Debug)]
struct Recording {
    launcher: PathBuf,
    class_path: Vec<PathBuf>,
}

/// Keeps an archive and its jars where they are, as long as workers use them.
#[derive(Debug)]
pub(super) struct Lease {
    classes: Arc<JavaClasses>,
    key: String,
    shelf: Shelf,
    recording: Option<Recording>,
    ended: AtomicBool,
}

impl Lease {
    fn new(classes: &Arc<JavaClasses>, key: String, shelf: Shelf) -> Self {
        *classes.state().in_use.entry(key.clone()).or_default() += 1;
        Self {
            classes: classes.clone(),
            key,
            shelf,
            recording: None,
            ended: AtomicBool::new(false),
        }
    }

    /// The job's workers are gone: if they were the first, an archive is made in the background.
    pub(super) fn end(self: &Arc<Self>) {
        if self.recording.is_none() || self.ended.swap(true, Ordering::AcqRel) {
            return;
        }
        let this = self.clone();
        self.classes.tasks.spawn(async move {
            if let Some(recording) = &this.recording {
                this.classes.make(&this, recording).await;
            }
        });
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut state = self.classes.state();
        if self.recording.is_some() {
            state.recording.remove(&self.key);
        }
        if let Some(count) = state.in_use.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                state.in_use.remove(&self.key);
            }
        }
    }
}
