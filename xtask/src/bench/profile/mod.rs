//! `cargo xtask bench --profile`: where the processors' time goes while a case runs, as a flame graph and in three parts.
//!
//! `perf` samples the emulator, its workers and the submitting program, 499 times per second of processor time of each.
//! Time in which all of them wait is not seen.

mod stacks;

use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use inferno::flamegraph::{self, Options};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use self::stacks::Stacks;
use super::cases::Case;
use super::measure::Programs;
use super::runners::{Binaries, Runner};
use crate::workspace;

/// Per second; no divisor of what timers use.
const FREQUENCY: &str = "499";

/// `perf` does not say when it has attached itself.
const ATTACHED: Duration = Duration::from_secs(1);

/// Runs each case once on Dataflume. Writes a graph for each, and a table of their parts.
pub(super) fn run(
    programs: &Programs,
    binaries: &Binaries,
    cases: &[&Case],
    scale: f64,
    folder: &Path,
) -> Result<()> {
    let there = Command::new("perf").arg("--version").output();
    ensure!(
        there.is_ok_and(|output| output.status.success()),
        "there is no `perf` here: it comes with the package linux-perf"
    );
    std::fs::create_dir_all(folder)?;
    let mut table =
        "| case | CPU seconds | SDK | wire | runner |\n|---|---|---|---|---|\n".to_owned();
    for case in cases {
        let stacks = record(programs, binaries, case, scale)?;
        let graph = folder.join(format!("{}.svg", case.name));
        draw(&stacks, case.name, &graph)?;
        let row = stacks.row(case.name);
        print!("{row}");
        table += &row;
    }
    let file = folder.join("parts.md");
    std::fs::write(&file, &table)?;
    println!("written to {}", folder.display());
    Ok(())
}

fn record(programs: &Programs, binaries: &Binaries, case: &Case, scale: f64) -> Result<Stacks> {
    let runner = Runner::start(case.runners[0], binaries)?;
    let target = workspace::target()?.join("bench");
    let folder = target.join(format!("{}-{}", case.name, std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let samples = folder.join("perf.data");
    let mut processes = runner.processes();
    let Some(emulator) = processes.first().copied() else {
        bail!("the emulator has no process");
    };
    let mut child = held_back(&programs.command(case, scale, &runner, &folder)?)
        .spawn()
        .context("can't run a shell")?;
    processes.push(child.id());
    let perf = attach(&processes, &samples)?;
    sleep(ATTACHED);
    // The program starts when this is closed.
    drop(child.stdin.take());
    let output = child.wait_with_output()?;
    kill(Pid::from_raw(perf.id().cast_signed()), Signal::SIGINT)?;
    let perf = perf.wait_with_output()?;
    drop(runner);
    ensure!(
        output.status.success(),
        "{} failed:\n{}",
        case.name,
        String::from_utf8_lossy(&output.stderr)
    );
    let stacks = read(&samples, emulator).with_context(|| {
        let said = String::from_utf8_lossy(&perf.stderr);
        format!("perf gave nothing to read: {said}")
    })?;
    std::fs::remove_dir_all(&folder)?;
    Ok(stacks)
}

/// A process that becomes this program when its input is closed.
fn held_back(command: &Command) -> Command {
    let mut shell = Command::new("sh");
    shell
        .args(["-c", "read -r _; exec \"$@\"", "sh"])
        .arg(command.get_program())
        .args(command.get_args())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    shell
}

fn attach(processes: &[u32], samples: &Path) -> Result<Child> {
    let list: Vec<String> = processes.iter().map(u32::to_string).collect();
    let mut perf = Command::new("perf");
    perf.args(["record", "--freq", FREQUENCY, "--call-graph", "fp", "--pid"])
        .arg(list.join(","))
        .arg("--output")
        .arg(samples)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    perf.spawn().context("can't run perf")
}

fn read(samples: &Path, emulator: u32) -> Result<Stacks> {
    let mut perf = Command::new("perf");
    perf.args([
        "script",
        "--no-inline",
        "--fields",
        "comm,pid,time,ip,sym,dso",
    ])
    .arg("--input")
    .arg(samples)
    .stdin(Stdio::null())
    .stdout(Stdio::piped())
    .stderr(Stdio::null());
    let mut script = perf.spawn().context("can't run perf")?;
    let output = script.stdout.take().context("perf has no output")?;
    let stacks = Stacks::read(BufReader::new(output), emulator)?;
    ensure!(script.wait()?.success(), "perf script failed");
    ensure!(!stacks.is_empty(), "there are no samples");
    Ok(stacks)
}

fn draw(stacks: &Stacks, name: &str, file: &Path) -> Result<()> {
    let mut options = Options::default();
    options.title = name.to_owned();
    options.count_name = "samples".to_owned();
    options.min_width = 0.5;
    let lines = stacks.folded();
    let lines = lines.iter().map(String::as_str);
    flamegraph::from_lines(&mut options, lines, File::create(file)?)?;
    Ok(())
}
