//! `cargo xtask bench`: the same jobs on Dataflume and on its peers, in turn, on this machine.
//!
//! What counts is the ratio within one run: the machine's own speed cancels out.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;
use serde::Serialize;

use crate::conformance::emulator::Emulator;
use crate::{cargo, python, workspace};

const PRISM: &str = "github.com/apache/beam/sdks/v2/go/cmd/prism@v2.77.0";
const CASES: [&str; 5] = ["tiny", "wordcount", "group_by_key", "combine", "side_input"];
/// How long a peer has to listen.
const START_UP: Duration = Duration::from_secs(20);

/// What to measure.
#[derive(Debug, Args)]
pub(crate) struct BenchArgs {
    /// These cases only: tiny, wordcount, group_by_key, combine, side_input.
    cases: Vec<String>,
    /// How often each case runs on each runner.
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// Of the cases' full sizes.
    #[arg(long, default_value_t = 1.0)]
    scale: f64,
}

/// A runner under measurement.
struct Runner {
    name: &'static str,
    arguments: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Row {
    case: String,
    /// Seconds of each round, by runner.
    seconds: BTreeMap<&'static str, Vec<f64>>,
}

/// A server that ends with this value.
struct Peer(Child);

impl Drop for Peer {
    fn drop(&mut self) {
        // It may have ended by itself.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// Measures, prints a table, and writes `target/bench.json`.
pub(crate) fn run(args: &BenchArgs) -> Result<bool> {
    if let Some(unknown) = args
        .cases
        .iter()
        .find(|case| !CASES.contains(&case.as_str()))
    {
        bail!(
            "no case is called {unknown:?}; there are: {}",
            CASES.join(", ")
        );
    }
    workspace::must(cargo::cargo().args(["build", "--release", "--package", "dataflume"]))?;
    let beam = python::Beam::ensure()?;
    let binary = workspace::target()?.join("release/dataflume");
    let emulator = Emulator::start_binary(workspace::root(), "bench", &binary)?;
    let (_prism, prism) = start_prism()?;
    let endpoint = |at: &str| vec!["--endpoint".to_owned(), at.to_owned()];
    let runners = [
        Runner {
            name: "dataflume",
            arguments: endpoint(emulator.endpoint()),
        },
        Runner {
            name: "prism",
            arguments: endpoint(&prism),
        },
        Runner {
            name: "FnApiRunner",
            arguments: vec!["--fn-api-runner".to_owned()],
        },
    ];
    let mut rows = Vec::new();
    for case in CASES
        .iter()
        .filter(|case| args.cases.is_empty() || args.cases.iter().any(|c| c == *case))
    {
        let mut seconds: BTreeMap<&'static str, Vec<f64>> = BTreeMap::new();
        for _ in 0..args.rounds {
            for runner in &runners {
                let took = measure(&beam, case, args.scale, runner)?;
                println!("{case:<14} {:<12} {took:>8.2} s", runner.name);
                seconds.entry(runner.name).or_default().push(took);
            }
        }
        rows.push(Row {
            case: (*case).to_owned(),
            seconds,
        });
    }
    print_table(&rows);
    let file = workspace::target()?.join("bench.json");
    std::fs::write(&file, serde_json::to_vec_pretty(&rows)?)?;
    println!("written to {}", file.display());
    Ok(true)
}

fn measure(beam: &python::Beam, case: &str, scale: f64, runner: &Runner) -> Result<f64> {
    let script = workspace::root().join("xtask/bench/cases.py");
    let mut command = Command::new(&beam.python);
    command
        .arg(script)
        .arg(case)
        .args(&runner.arguments)
        .arg("--scale")
        .arg(scale.to_string());
    let output = command
        .stderr(Stdio::piped())
        .output()
        .context("can't run Python")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let result = text
        .lines()
        .rev()
        .find_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    match result.and_then(|value| value["seconds"].as_f64()) {
        Some(seconds) if output.status.success() => Ok(seconds),
        _ => bail!(
            "{case} failed on {}:\n{}",
            runner.name,
            String::from_utf8_lossy(&output.stderr)
        ),
    }
}

fn start_prism() -> Result<(Peer, String)> {
    let home = std::env::home_dir().context("there is no home folder")?;
    let binary = home.join("go/bin/prism");
    if !binary.is_file() {
        workspace::must(Command::new("go").args(["install", PRISM]))?;
    }
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let mut command = Command::new(&binary);
    command.args([
        format!("--job_port={port}"),
        "--serve_http=false".to_owned(),
    ]);
    let child = command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let peer = Peer(child);
    let deadline = Instant::now() + START_UP;
    while std::net::TcpStream::connect(("localhost", port)).is_err() {
        if Instant::now() > deadline {
            bail!("prism does not listen on port {port} after {START_UP:?}");
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok((peer, format!("localhost:{port}")))
}

fn print_table(rows: &[Row]) {
    println!(
        "\n{:<14} {:>12} {:>12} {:>12}   (median seconds; ratio of dataflume to the peer)",
        "case", "dataflume", "prism", "FnApiRunner"
    );
    for row in rows {
        let ours = median(&row.seconds["dataflume"]);
        print!("{:<14} {ours:>12.2}", row.case);
        for peer in ["prism", "FnApiRunner"] {
            let theirs = median(&row.seconds[peer]);
            print!(" {theirs:>6.2} ({:.2})", ours / theirs);
        }
        println!();
    }
}

fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
