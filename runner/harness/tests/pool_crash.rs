//! What becomes of workers when the emulator is killed.
//!
//! The emulator is this same executable, started with an argument: it starts a worker, prints the
//! pids of the worker's processes, and waits to be killed.
#![allow(clippy::unwrap_used, reason = "tests")]

mod pool_common;

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use dataflume_harness::pool::{Instance, OutputStream, Swept, WorkerLogSink, sweep};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use pool_common::*;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// The promise: within this time after the emulator's death its workers are gone.
const LIMIT: Duration = Duration::from_secs(5);

const EMULATOR: &str = "--as-emulator";

const WORKER: &str = "trap '' TERM
setsid sh -c 'echo session $$; while :; do sleep 1002; done' &
echo worker $$
while :; do sleep 1001; done";

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [role, root] = arguments.as_slice()
        && role == EMULATOR
    {
        emulator(Path::new(root)).await;
        return;
    }
    workers_die_with_the_emulator().await;
    println!("workers_die_with_the_emulator: ok");
    the_next_start_sweeps_the_rest().await;
    println!("the_next_start_sweeps_the_rest: ok");
}

async fn workers_die_with_the_emulator() {
    let root = tempfile::tempdir().unwrap();
    let mut emulator = Emulator::start(root.path()).await;
    emulator.kill().await;
    all_gone(&emulator.pids, LIMIT).await;

    let next = Instance::create(root.path()).unwrap();
    let swept = sweep(root.path(), &next).await;
    let expected = Swept {
        processes: 0,
        containers: 0,
        folders: 1,
    };
    assert_eq!(swept, expected);
    // The folder and the lock of the running instance, and the worker's script.
    assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 3);
}

async fn the_next_start_sweeps_the_rest() {
    let root = tempfile::tempdir().unwrap();
    let mut living = Emulator::start(root.path()).await;
    let mut emulator = Emulator::start(root.path()).await;
    // With the supervisor gone as well nobody is left to end what has left the worker's group.
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", emulator.pids[0])).unwrap();
    let supervisor = stat.split_whitespace().nth(3).unwrap().parse().unwrap();
    kill(
        Pid::from_raw(emulator.child.id().unwrap().cast_signed()),
        Signal::SIGSTOP,
    )
    .unwrap();
    kill(Pid::from_raw(supervisor), Signal::SIGKILL).unwrap();
    emulator.kill().await;
    all_gone(&emulator.pids[..1], LIMIT).await;
    assert!(is_alive(&emulator.pids[1]));

    let next = Instance::create(root.path()).unwrap();
    let swept = sweep(root.path(), &next).await;
    assert_eq!((swept.folders, swept.containers), (1, 0));
    assert!(swept.processes >= 1);
    all_gone(&emulator.pids, Duration::ZERO).await;
    // An emulator that still runs keeps what it has.
    assert!(living.pids.iter().all(|pid| is_alive(pid)));
    assert_eq!(sweep(root.path(), &next).await, Swept::default());
    living.kill().await;
    all_gone(&living.pids, LIMIT).await;
}

struct Emulator {
    child: Child,
    pids: Vec<String>,
}

impl Emulator {
    async fn start(root: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .arg(EMULATOR)
            .arg(root)
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut pids = vec![String::new(); 2];
        while pids.iter().any(String::is_empty) {
            let line = step("a pid", lines.next_line()).await.unwrap().unwrap();
            let (name, pid) = line.split_once(' ').unwrap();
            pids[usize::from(name == "session")] = pid.to_owned();
        }
        assert!(pids.iter().all(|pid| is_alive(pid)));
        Self { child, pids }
    }

    async fn kill(&mut self) {
        step("kill", self.child.kill()).await.unwrap();
    }
}

struct Echo;

impl WorkerLogSink for Echo {
    fn line(&self, _: &str, _: OutputStream, line: &str) {
        println!("{line}");
    }
}

async fn emulator(root: &Path) {
    let world = World::within(root);
    let environment = world.script_environment(WORKER);
    let pool = world.pool(&environment);
    let mut spec = world.spec(&environment, "worker-1");
    spec.log = Arc::new(Echo);
    let mut worker = start(pool.as_ref(), spec).await.unwrap();
    worker.exited().await;
}
