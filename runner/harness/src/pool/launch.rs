//! Starting a process under a supervisor.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tracing::{debug, warn};

use super::output::{Lines, OutputStream, Tail};
use super::process_table::{MARKER, kill_marked};
use super::{PoolContext, PoolError, WorkerSpec, memory, supervise};

/// How long the supervisor may take to end its worker; a little more than its own limits.
const STOP_LIMIT: Duration = Duration::from_secs(5);

/// How long output is still read after the process has ended.
const DRAIN_LIMIT: Duration = Duration::from_millis(500);

/// A process to start.
pub(crate) struct Launch {
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<OsString>,
    /// All of its environment, but for the marker.
    pub(crate) variables: Vec<(String, String)>,
    /// Its working directory.
    pub(crate) folder: PathBuf,
    pub(crate) lines: Lines,
    /// Whether it reads what [`Supervised::send`] sends.
    pub(crate) reads_input: bool,
}

/// How a process ended.
#[derive(Debug, Clone)]
pub(crate) struct Exit {
    pub(crate) success: bool,
    /// The supervisor ended by itself, which it does when nothing is left of its worker.
    nothing_left: bool,
    /// It took more memory than it may, its native code failed, or it left by itself.
    pub(crate) self_inflicted: bool,
    pub(crate) reason: String,
}

/// A process under a supervisor.
pub(crate) struct Supervised {
    /// The supervisor ends its worker when this is closed.
    lifeline: Mutex<Option<File>>,
    exit: watch::Receiver<Option<Exit>>,
    supervisor: Option<Pid>,
    marker: String,
    ended_by: Arc<watch::Sender<Option<Exit>>>,
}

impl Supervised {
    pub(crate) fn start(context: &PoolContext, launch: Launch) -> Result<Self, PoolError> {
        let marker = context
            .instance
            .marker(&context.job_id, &launch.lines.worker_id);
        let program = launch.program.clone().into_os_string();
        let command = std::iter::once(program).chain(launch.arguments);
        let mut child = Command::new(&context.supervisor_exe)
            .args(supervise::arguments(command, launch.reads_input))
            .env_clear()
            .envs(launch.variables)
            .env(MARKER, &marker)
            .current_dir(&launch.folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|source| PoolError::Start {
                command: context.supervisor_exe.display().to_string(),
                source,
            })?;
        let lifeline = child
            .stdin
            .take()
            .and_then(|stdin| stdin.into_owned_fd().ok())
            .map(File::from);
        let supervisor = child
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .map(Pid::from_raw);
        let (sender, exit) = watch::channel(None);
        let sender = Arc::new(sender);
        let attending = sender.clone();
        tokio::spawn(async move {
            let mut exit = attend(child, launch.lines).await;
            attending.send_modify(|known: &mut Option<Exit>| {
                // If it was ended from here, that is why.
                if let Some(known) = known.take() {
                    exit.reason = known.reason;
                    exit.self_inflicted = known.self_inflicted;
                }
                *known = Some(exit);
            });
        });
        Ok(Self {
            lifeline: Mutex::new(lifeline),
            exit,
            supervisor,
            marker,
            ended_by: sender,
        })
    }

    /// From now on it has to go when it takes more memory than this.
    pub(crate) fn limit_memory(&self, limit_bytes: u64) {
        let Some(supervisor) = self.supervisor else {
            return;
        };
        let ended = self.ended();
        let end = self.ended_by.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = ended => {}
                used = memory::exceeded(supervisor, limit_bytes) => {
                    // Told first, so that nothing else is taken for the reason.
                    end.send_if_modified(|exit| {
                        let first = exit.is_none();
                        exit.get_or_insert(Exit {
                            success: false,
                            nothing_left: false,
                            self_inflicted: true,
                            reason: memory::explain(used, limit_bytes),
                        });
                        first
                    });
                    memory::end_descendants(supervisor);
                }
            }
        });
    }

    /// Resolves when the process and its descendants are gone, or being killed for what they take.
    pub(crate) async fn exited(&self) -> Exit {
        let mut exit = self.exit.clone();
        let exit = match exit.wait_for(Option::is_some).await {
            Ok(exit) => exit.clone(),
            Err(_) => None,
        };
        exit.unwrap_or_else(|| Exit {
            success: false,
            nothing_left: false,
            self_inflicted: false,
            reason: "the emulator stopped watching the process".to_owned(),
        })
    }

    /// Like [`Supervised::exited`], for those who outlive this value.
    pub(crate) fn ended(&self) -> impl Future<Output = ()> + use<> {
        let mut exit = self.exit.clone();
        async move {
            // An error means that nobody watches any more.
            let _ = exit.wait_for(Option::is_some).await;
        }
    }

    /// The variable by which its processes are found, and its value.
    pub(crate) fn marker(&self) -> (&'static str, &str) {
        (MARKER, &self.marker)
    }

    /// Whether the process and its descendants are gone.
    pub(crate) fn has_exited(&self) -> bool {
        self.exit.borrow().is_some()
    }

    /// Sends it a line, if it was started to read any. Short ones only: they fit into the pipe, so
    /// that nothing is waited for.
    pub(crate) fn send(&self, line: &str) -> io::Result<()> {
        let mut lifeline = self.lifeline.lock().unwrap_or_else(PoisonError::into_inner);
        match lifeline.as_mut() {
            Some(pipe) => writeln!(pipe, "{line}"),
            None => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    /// Begins the end without waiting for it.
    pub(crate) fn let_go(&self) {
        drop(
            self.lifeline
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take(),
        );
    }

    /// Ends the process and its descendants, also those that a killed supervisor has left.
    pub(crate) async fn stop(&self) {
        self.let_go();
        match tokio::time::timeout(STOP_LIMIT, self.exited()).await {
            Ok(exit) if exit.nothing_left => return,
            Ok(_) => {}
            Err(_) => {
                warn!(marker = %self.marker, "the supervisor did not end its worker in time");
                if let Some(pid) = self.supervisor {
                    let _ = kill(pid, Signal::SIGKILL);
                }
                let _ = tokio::time::timeout(STOP_LIMIT, self.exited()).await;
            }
        }
        let marker = self.marker.clone();
        let swept = tokio::task::spawn_blocking(move || kill_marked(|found| found == marker)).await;
        if let Ok(count @ 1..) = swept {
            debug!(marker = %self.marker, count, "killed processes that had left their supervisor");
        }
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        self.let_go();
    }
}

/// Reads the output and waits for the end.
async fn attend(mut child: Child, lines: Lines) -> Exit {
    let tail = lines.tail.clone();
    let stdout = child
        .stdout
        .take()
        .map(|pipe| tokio::spawn(lines.clone().read(OutputStream::Stdout, pipe)));
    let stderr = child
        .stderr
        .take()
        .map(|pipe| tokio::spawn(lines.read(OutputStream::Stderr, pipe)));
    let status = child.wait().await;
    for reader in [stdout, stderr].into_iter().flatten() {
        let stop = reader.abort_handle();
        if tokio::time::timeout(DRAIN_LIMIT, reader).await.is_err() {
            stop.abort();
        }
    }
    match status {
        Ok(status) => Exit {
            success: status.success(),
            nothing_left: status.code().is_some(),
            self_inflicted: is_self_inflicted(status),
            reason: explain(status, &tail),
        },
        Err(error) => Exit {
            success: false,
            nothing_left: false,
            self_inflicted: false,
            reason: tail.explain(format!("the worker process could not be watched: {error}")),
        },
    }
}

/// The supervisor reports a signal as shells do, which is to add 128.
fn signal(status: ExitStatus) -> Option<Signal> {
    Signal::try_from(status.code()? - 128).ok()
}

/// Whether what the process ran has ended it, rather than somebody else.
fn is_self_inflicted(status: ExitStatus) -> bool {
    use Signal::{SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGSYS, SIGTRAP};
    match signal(status) {
        Some(SIGABRT | SIGBUS | SIGFPE | SIGILL | SIGSEGV | SIGSYS | SIGTRAP) => true,
        Some(_) => false,
        None => status.code().is_some_and(|code| code != 0),
    }
}

fn explain(status: ExitStatus, tail: &Tail) -> String {
    tail.explain(match (signal(status), status.code()) {
        (Some(signal), _) => format!("the worker process was ended by {signal}"),
        (None, Some(code)) => format!("the worker process exited with code {code}"),
        (None, None) => format!("the worker's supervisor ended unexpectedly ({status})"),
    })
}

/// Makes a worker's folder, with the folders that its `HOME` and `TMPDIR` name.
pub(crate) async fn make_scratch(scratch: &Path) -> Result<(), PoolError> {
    for folder in [scratch.join("home"), scratch.join("tmp")] {
        tokio::fs::create_dir_all(&folder)
            .await
            .map_err(PoolError::io(folder))?;
    }
    Ok(())
}

/// Removes a folder and all that is in it; its absence is fine.
pub(crate) async fn remove_folder(folder: &Path) {
    match tokio::fs::remove_dir_all(folder).await {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            warn!(path = %folder.display(), %error, "can't remove a scratch folder");
        }
        _ => {}
    }
}

/// The lines of a worker's process, with an empty tail.
pub(crate) fn lines_of(spec: &WorkerSpec) -> Lines {
    Lines {
        worker_id: spec.worker_id.clone(),
        sink: spec.log.clone(),
        tail: Tail::default(),
    }
}
