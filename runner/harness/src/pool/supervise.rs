//! The supervisor: a small process between the emulator and each worker process.
//!
//! It reads from the emulator through its standard input: when that
//! ends, because the emulator let the worker go or was itself killed in whatever way, the worker
//! and all its descendants are ended, first politely, a second later by force. What is sent on it
//! goes to workers that were started to read it, and is dropped otherwise. Descendants that
//! leave the process group or the session are found as well, since the supervisor adopts orphans.
//! When the supervisor itself is killed, the kernel kills the worker.
//!
//! The emulator's executable calls [`run_if_asked`] first thing in `main`.

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{self, ChildStdin, Command, ExitCode, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{SigSet, Signal, killpg, raise};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, getppid, setsid};

/// The argument after which an executable acts as a supervisor.
pub const COMMAND: &str = "supervise";

/// Before the command: it reads what the emulator sends.
const INPUT: &str = "--input";

/// Internal: become the worker, as a child of the supervisor whose pid follows.
const EXEC: &str = "--exec";

/// Internal: stand by for the containers of the pool whose label follows.
const CONTAINERS: &str = "--containers";

/// How long a worker may take to end by itself after `SIGTERM`.
const GRACE: Duration = Duration::from_secs(1);

/// How long descendants are searched for and killed before giving up.
const FORCE: Duration = Duration::from_secs(3);

/// The exit code for a command that can't be started, as shells have it.
const NOT_STARTED: u8 = 127;

/// Runs the supervisor if the process's arguments are `supervise ..`. Must be called before any
/// other thread exists.
///
/// ```no_run
/// fn main() -> std::process::ExitCode {
///     if let Some(code) = dataflume_harness::pool::supervise::run_if_asked() {
///         return code;
///     }
///     // the program itself
///     std::process::ExitCode::SUCCESS
/// }
/// ```
pub fn run_if_asked() -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    (arguments.next()? == COMMAND).then(|| run(arguments.collect()))
}

/// The arguments that make an executable supervise a command.
pub(crate) fn arguments(
    command: impl IntoIterator<Item = OsString>,
    reads_input: bool,
) -> Vec<OsString> {
    let input = reads_input.then(|| INPUT.into());
    let fixed = std::iter::once(COMMAND.into())
        .chain(input)
        .chain(std::iter::once("--".into()));
    fixed.chain(command).collect()
}

/// The arguments that make an executable stand by for a pool's containers.
pub(crate) fn container_arguments(pool: &str) -> [OsString; 3] {
    [COMMAND.into(), CONTAINERS.into(), pool.into()]
}

fn run(arguments: Vec<OsString>) -> ExitCode {
    let texts: Vec<&str> = arguments.iter().filter_map(|a| a.to_str()).collect();
    match texts.as_slice() {
        ["--", _, ..] => supervise(&arguments[1..], false),
        [INPUT, "--", _, ..] => supervise(&arguments[2..], true),
        [EXEC, parent, "--", _, ..] => become_worker(parent, &arguments[3..]),
        [CONTAINERS, pool] => stand_by(pool),
        _ => {
            eprintln!("usage: {COMMAND} -- COMMAND [ARGUMENT...]");
            ExitCode::from(2)
        }
    }
}

/// What the supervisor waits for.
enum Event {
    /// The emulator closed the pipe, or the supervisor was asked to end.
    End,
    /// A child changed its state.
    Child,
}

fn supervise(command: &[OsString], reads_input: bool) -> ExitCode {
    // A session of its own keeps the terminal's Ctrl-C away: the emulator decides.
    let _ = setsid();
    adopt_orphans();
    let (events, inbox) = mpsc::channel();
    if let Err(error) = watch_signals(events.clone()) {
        eprintln!("dataflume supervisor: can't watch signals: {error}");
        return ExitCode::from(NOT_STARTED);
    }
    match start(command, reads_input) {
        Ok((worker, input)) => {
            thread::spawn(move || watch_stdin(input, &events));
            attend(worker, &inbox)
        }
        Err(error) => {
            eprintln!("dataflume supervisor: can't start itself again: {error}");
            ExitCode::from(NOT_STARTED)
        }
    }
}

fn start(command: &[OsString], reads_input: bool) -> io::Result<(Pid, Option<ChildStdin>)> {
    let mut child = Command::new(std::env::current_exe()?)
        .arg(COMMAND)
        .arg(EXEC)
        .arg(process::id().to_string())
        .arg("--")
        .args(command)
        .stdin(match reads_input {
            true => Stdio::piped(),
            false => Stdio::null(),
        })
        .process_group(0)
        .spawn()?;
    let input = child.stdin.take();
    Ok((Pid::from_raw(child.id().cast_signed()), input))
}

/// Waits for the worker's end or the order to end it.
fn attend(worker: Pid, inbox: &Receiver<Event>) -> ExitCode {
    let mut code = None;
    while code.is_none() {
        match inbox.recv() {
            Ok(Event::Child) => code = reap(worker),
            Ok(Event::End) | Err(_) => {
                code = ask_to_end(worker, inbox);
                break;
            }
        }
    }
    let code = end_by_force(worker, inbox).or(code);
    ExitCode::from(code.unwrap_or(128 + Signal::SIGKILL as u8))
}

/// `SIGTERM` to the worker's group, and time to act on it.
fn ask_to_end(worker: Pid, inbox: &Receiver<Event>) -> Option<u8> {
    let _ = killpg(worker, Signal::SIGTERM);
    let deadline = Instant::now() + GRACE;
    let mut code = None;
    while code.is_none() {
        match inbox.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(Event::Child) => code = reap(worker),
            Ok(Event::End) => {}
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
        }
    }
    code
}

/// `SIGKILL` to all that is left, until nothing is. If that takes too long the supervisor ends by a signal: who waits for
/// it knows by that to look further.
fn end_by_force(worker: Pid, inbox: &Receiver<Event>) -> Option<u8> {
    let deadline = Instant::now() + FORCE;
    let mut code = None;
    loop {
        let _ = killpg(worker, Signal::SIGKILL);
        kill_descendants();
        code = reap(worker).or(code);
        if !has_children() {
            return code;
        }
        if Instant::now() > deadline {
            let _ = raise(Signal::SIGKILL);
        }
        let _ = inbox.recv_timeout(Duration::from_millis(10));
    }
}

/// Takes note of all children that ended. Returns the worker's exit code if it is among them.
fn reap(worker: Pid) -> Option<u8> {
    let mut code = None;
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(pid, status)) if pid == worker => {
                code = Some(u8::try_from(status).unwrap_or(1));
            }
            Ok(WaitStatus::Signaled(pid, signal, _)) if pid == worker => {
                code = Some(128 + signal as u8);
            }
            Ok(WaitStatus::StillAlive) => return code,
            Err(error) if error != Errno::EINTR => return code,
            _ => {}
        }
    }
}

fn has_children() -> bool {
    // ECHILD is the only way of having none.
    waitpid(None, Some(WaitPidFlag::WNOHANG)) != Err(Errno::ECHILD)
}

#[cfg(target_os = "linux")]
fn adopt_orphans() {
    let _ = nix::sys::prctl::set_child_subreaper(true);
}

#[cfg(not(target_os = "linux"))]
fn adopt_orphans() {}

#[cfg(target_os = "linux")]
fn kill_descendants() {
    super::memory::end_descendants(Pid::this());
}

#[cfg(not(target_os = "linux"))]
fn kill_descendants() {}

/// Turns signals into events. They are blocked in every thread, and taken by one that waits.
fn watch_signals(events: Sender<Event>) -> nix::Result<()> {
    let mut signals = SigSet::empty();
    for signal in [
        Signal::SIGTERM,
        Signal::SIGINT,
        Signal::SIGHUP,
        Signal::SIGCHLD,
    ] {
        signals.add(signal);
    }
    signals.thread_block()?;
    thread::spawn(move || {
        while let Ok(signal) = signals.wait() {
            let event = match signal {
                Signal::SIGCHLD => Event::Child,
                _ => Event::End,
            };
            if events.send(event).is_err() {
                break;
            }
        }
    });
    Ok(())
}

fn watch_stdin(input: Option<ChildStdin>, events: &Sender<Event>) {
    pass_on_stdin(input);
    // The receiver is gone only when the process is ending anyway.
    let _ = events.send(Event::End);
}

/// Passes on what comes on the standard input, until that ends. What is sent always fits into the
/// pipe, so that a worker that doesn't read can't keep the end from being seen.
fn pass_on_stdin(mut input: Option<ChildStdin>) {
    let mut buffer = [0; 4096];
    loop {
        match io::stdin().read(&mut buffer) {
            Ok(0) => return,
            Ok(length) => {
                // A worker that has closed it wants no more.
                let written = input
                    .as_mut()
                    .map(|input| input.write_all(&buffer[..length]));
                if matches!(written, Some(Err(_))) {
                    input = None;
                }
            }
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return,
            Err(_) => {}
        }
    }
}

/// Replaces this process by the worker, bound to the supervisor's life.
fn become_worker(parent: &str, command: &[OsString]) -> ExitCode {
    if bind_to_parent(parent).is_err() {
        return ExitCode::from(NOT_STARTED);
    }
    let _ = SigSet::empty().thread_set_mask();
    let error = exec(command);
    eprintln!("can't start {}: {error}", command[0].display());
    ExitCode::from(NOT_STARTED)
}

/// Replaces this process, unless that fails.
///
/// A file that was just written can't be executed as long as any process has it open, which for a
/// moment may be a child that the emulator has forked but that does not run its own program yet.
fn exec(command: &[OsString]) -> io::Error {
    let deadline = Instant::now() + GRACE;
    loop {
        let error = Command::new(&command[0]).args(&command[1..]).exec();
        if error.kind() != io::ErrorKind::ExecutableFileBusy || Instant::now() > deadline {
            return error;
        }
        thread::sleep(Duration::from_millis(5));
    }
}

fn bind_to_parent(parent: &str) -> nix::Result<()> {
    #[cfg(target_os = "linux")]
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?;
    // It may have died before the line above.
    match parent.parse() == Ok(getppid().as_raw()) {
        true => Ok(()),
        false => Err(Errno::ESRCH),
    }
}

/// Removes a pool's containers when the emulator is gone: no process here is their parent.
fn stand_by(pool: &str) -> ExitCode {
    let _ = setsid();
    pass_on_stdin(None);
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("dataflume supervisor: {error}");
            return ExitCode::FAILURE;
        }
    };
    runtime.block_on(super::docker::remove_containers_of_pool(pool));
    ExitCode::SUCCESS
}
