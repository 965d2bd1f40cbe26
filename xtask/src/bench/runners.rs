//! The runners under measurement: each started afresh for every measurement, so that its peak memory is that
//! measurement's own.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use serde::Serialize;

use crate::conformance::emulator::Emulator;
use crate::prism::Prism;
use crate::{python, workspace};

/// Workers that Dataflume starts where it starts them.
const WORKERS: &str = "2";
/// Linux counts a process's time in hundredths of a second.
const TICKS_PER_SECOND: f64 = 100.0;

/// Who runs a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(super) enum Kind {
    /// Dataflume, with the submitting program as worker.
    #[serde(rename = "dataflume")]
    Dataflume,
    /// Dataflume with two workers of its own.
    #[serde(rename = "dataflume-processes")]
    DataflumeProcesses,
    /// Dataflume with one worker of its own, for which an interpreter waits.
    #[serde(rename = "dataflume-warm")]
    DataflumeWarm,
    /// Dataflume with one worker of its own, which starts from scratch.
    #[serde(rename = "dataflume-cold")]
    DataflumeCold,
    /// Beam's runner in Go.
    #[serde(rename = "prism")]
    Prism,
    /// Beam's runner in Python, within the submitting program.
    #[serde(rename = "FnApiRunner")]
    FnApiRunner,
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Dataflume => "dataflume",
            Self::DataflumeProcesses => "dataflume x2",
            Self::DataflumeWarm => "warm worker",
            Self::DataflumeCold => "cold worker",
            Self::Prism => "prism",
            Self::FnApiRunner => "FnApiRunner",
        }
    }
}

/// Where the programs of runners are.
#[derive(Debug)]
pub(super) struct Binaries {
    dataflume: PathBuf,
    python: PathBuf,
}

impl Binaries {
    /// Builds and installs what is missing.
    pub(super) fn ensure(beam: &python::Beam) -> Result<Self> {
        let dataflume = match std::env::var_os("DATAFLUME_BIN") {
            Some(binary) => binary.into(),
            None => {
                let mut build = crate::cargo::cargo();
                workspace::must(build.args(["build", "--release", "--package", "dataflume"]))?;
                workspace::target()?.join("release/dataflume")
            }
        };
        Ok(Self {
            dataflume,
            python: beam.python.clone(),
        })
    }
}

/// A runner that runs; it ends with this value.
pub(super) struct Runner {
    /// What a program must be told to use it.
    pub(super) arguments: Vec<String>,
    pid: Option<u32>,
    _process: Process,
}

#[expect(dead_code, reason = "held until the measurement is over")]
enum Process {
    Ours(Emulator),
    Peer(Prism),
    /// It runs within the program.
    Within,
}

/// What a runner used.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Usage {
    /// Its own peak, workers apart.
    pub(super) peak_bytes: u64,
    pub(super) cpu_seconds: f64,
}

impl Runner {
    pub(super) fn start(kind: Kind, binaries: &Binaries) -> Result<Self> {
        match kind {
            Kind::Dataflume => ours(binaries, &[], "LOOPBACK"),
            Kind::DataflumeProcesses => {
                let arguments = ["--workers", "process", "--num-workers", WORKERS];
                ours(binaries, &arguments, "DOCKER")
            }
            Kind::DataflumeWarm => ours(binaries, &["--workers", "process"], "DOCKER"),
            Kind::DataflumeCold => {
                let arguments = ["--workers", "process", "--warm-python-workers", "0"];
                ours(binaries, &arguments, "DOCKER")
            }
            Kind::Prism => prism(),
            Kind::FnApiRunner => Ok(Self {
                arguments: vec!["--runner=FnApiRunner".to_owned()],
                pid: None,
                _process: Process::Within,
            }),
        }
    }

    /// Since its start; `None` for one without a process of its own, or where `/proc` is not to be had.
    pub(super) fn usage(&self) -> Option<Usage> {
        let process = Path::new("/proc").join(self.pid?.to_string());
        let status = fs::read_to_string(process.join("status")).ok()?;
        let stat = fs::read_to_string(process.join("stat")).ok()?;
        Some(Usage {
            peak_bytes: peak_bytes(&status)?,
            cpu_seconds: cpu_seconds(&stat)?,
        })
    }
}

fn ours(binaries: &Binaries, arguments: &[&str], environment: &str) -> Result<Runner> {
    let variables = [("DATAFLUME_PYTHON", binaries.python.as_os_str())];
    let root = workspace::root();
    let emulator = Emulator::spawn(root, "bench", &binaries.dataflume, arguments, &variables)?;
    Ok(Runner {
        arguments: portable(emulator.endpoint(), environment),
        pid: Some(emulator.pid()),
        _process: Process::Ours(emulator),
    })
}

fn prism() -> Result<Runner> {
    let prism = Prism::start()?;
    Ok(Runner {
        arguments: portable(prism.endpoint(), "LOOPBACK"),
        pid: Some(prism.pid()),
        _process: Process::Peer(prism),
    })
}

fn portable(endpoint: &str, environment: &str) -> Vec<String> {
    vec![
        format!("--endpoint={endpoint}"),
        format!("--environment_type={environment}"),
    ]
}

fn peak_bytes(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

/// User and system time: the 14th and 15th field. The second is a name, which may hold blanks.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<f64>().ok();
    Some((ticks()? + ticks()?) / TICKS_PER_SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_is_read() {
        assert_eq!(peak_bytes("Name:\tx\nVmHWM:\t    2048 kB\n"), Some(2 << 20));
        let stat = "7 (a (b) c) S 1 7 7 0 -1 4194560 1 0 0 0 150 50 0 0 20 0 1 0 5 6";
        assert_eq!(cpu_seconds(stat), Some(2.0));
    }
}
