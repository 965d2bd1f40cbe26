//! `cargo xtask bench`: the same jobs on Dataflume and on its peers, in turn, on this machine.
//!
//! What counts is the ratio within one run: the machine's own speed cancels out.

mod cases;
mod measure;
mod processes;
mod profile;
mod report;
mod runners;

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;

use self::cases::{CASES, Case};
use self::measure::{Programs, Sample, measure};
use self::report::Row;
use self::runners::{Binaries, Kind};
use crate::{python, workspace};

/// What to measure.
#[derive(Debug, Args)]
pub(crate) struct BenchArgs {
    /// Only cases whose names contain one of these: go-gbk, python, processes. Without any, all.
    cases: Vec<String>,
    /// How often each case runs on each runner.
    #[arg(long, default_value_t = 3)]
    runs: u32,
    /// Of the cases' full sizes.
    #[arg(long, default_value_t = 1.0)]
    scale: f64,
    /// Leave peers out.
    #[arg(long)]
    alone: bool,
    /// Run the case once on each runner before it is measured there: what a fresh process takes the first time is left out.
    #[arg(long)]
    second: bool,
    /// Instead of measuring, sample Dataflume once on each case with `perf`, and write flame graphs into this folder.
    #[arg(long, value_name = "FOLDER")]
    profile: Option<PathBuf>,
}

/// How often a case is tried again that a peer has failed.
const PEER_RETRIES: u32 = 2;

/// Measures, prints a table, and writes `target/bench.json`.
pub(crate) fn run(args: &BenchArgs) -> Result<bool> {
    let chosen: Vec<&Case> = CASES.iter().filter(|case| args.wants(case)).collect();
    if chosen.is_empty() {
        let names: Vec<&str> = CASES.iter().map(|case| case.name).collect();
        bail!("there are these cases: {}", names.join(", "));
    }
    let beam = python::Beam::ensure()?;
    let programs = Programs::ensure(&beam, &chosen)?;
    if let Some(folder) = &args.profile {
        let binaries = Binaries::ensure_with_frames(&beam)?;
        profile::run(&programs, &binaries, &chosen, args.scale, folder)?;
        return Ok(true);
    }
    let binaries = Binaries::ensure(&beam)?;
    let mut rows = Vec::new();
    for case in chosen {
        let mut samples: BTreeMap<Kind, Vec<Sample>> = BTreeMap::new();
        let runners = &case.runners[..if args.alone { 1 } else { case.runners.len() }];
        for _ in 0..args.runs {
            for kind in runners {
                let once = || measure(&programs, &binaries, case, args, *kind);
                let sample = match kind {
                    Kind::Prism | Kind::FnApiRunner | Kind::DirectRunner => {
                        patiently(case, *kind, once)?
                    }
                    _ => once()?,
                };
                let seconds = sample.seconds;
                println!("{:<22} {:<13} {seconds:>8.3} s", case.name, kind.name());
                samples.entry(*kind).or_default().push(sample);
            }
        }
        rows.push(Row {
            case: case.name,
            scale: args.scale,
            samples,
        });
    }
    report::print(&rows);
    let file = workspace::target()?.join("bench.json");
    std::fs::write(&file, serde_json::to_vec_pretty(&rows)?)?;
    println!("written to {}", file.display());
    Ok(true)
}

/// Once more where a peer has failed, as Prism now and then does with many jobs at once. Every failure is shown.
fn patiently(case: &Case, kind: Kind, once: impl Fn() -> Result<Sample>) -> Result<Sample> {
    for _ in 0..PEER_RETRIES {
        match once() {
            Ok(sample) => return Ok(sample),
            Err(error) => println!("{:<22} {:<13}   failed: {error:#}", case.name, kind.name()),
        }
    }
    once()
}

impl BenchArgs {
    fn wants(&self, case: &Case) -> bool {
        self.cases.is_empty() || self.cases.iter().any(|part| case.name.contains(part))
    }
}
