//! The runners under measurement: each started afresh for every measurement, so that its peak memory is that
//! measurement's own.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use serde::Serialize;

use super::processes::{cpu_seconds, descendants, peak_bytes, program};
use crate::conformance::emulator::Emulator;
use crate::prism::Prism;
use crate::{python, workspace};

/// Workers that Dataflume starts where it starts them.
const WORKERS: usize = 2;
/// How long interpreters may take until they wait.
const WARM_UP: Duration = Duration::from_secs(30);
/// An interpreter that has taken no processor time for so long waits.
const QUIET: Duration = Duration::from_millis(500);

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
    /// Beam's runner in Java, within the submitting program.
    #[serde(rename = "DirectRunner")]
    DirectRunner,
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
            Self::DirectRunner => "DirectRunner",
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
    /// Builds what is missing.
    pub(super) fn ensure(beam: &python::Beam) -> Result<Self> {
        let binary = workspace::target()?.join("release/dataflume");
        Self::build(beam, &binary, &[])
    }

    /// The same with frame pointers, by which a sample's callers are found. In a folder of its own: another flag
    /// would have everything built anew each time.
    pub(super) fn ensure_with_frames(beam: &python::Beam) -> Result<Self> {
        let target = workspace::target()?.join("frames");
        let variables = [
            ("RUSTFLAGS", "-C force-frame-pointers=yes".as_ref()),
            ("CARGO_TARGET_DIR", target.as_os_str()),
        ];
        Self::build(beam, &target.join("release/dataflume"), &variables)
    }

    fn build(beam: &python::Beam, binary: &Path, variables: &[(&str, &OsStr)]) -> Result<Self> {
        let dataflume = match std::env::var_os("DATAFLUME_BIN") {
            Some(binary) => binary.into(),
            None => {
                let mut build = crate::cargo::cargo();
                build.args(["build", "--release", "--package", "dataflume"]);
                workspace::must(build.envs(variables.iter().copied()))?;
                binary.to_owned()
            }
        };
        Ok(Self {
            dataflume,
            python: beam.python.clone(),
        })
    }
}

/// How a program uses a runner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Address {
    /// By the Job API.
    Portable {
        endpoint: String,
        /// Whose workers it is to use, as pipeline options say it.
        environment: &'static str,
    },
    /// It is the SDK's own, of this name.
    Within(&'static str),
}

/// A runner that runs; it ends with this value.
pub(super) struct Runner {
    pub(super) address: Address,
    pid: Option<u32>,
    /// How many interpreters wait in it for workers to become; `None` where none is waited for.
    interpreters: Option<usize>,
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
    /// Since it was ready for the job.
    pub(super) cpu_seconds: f64,
}

impl Runner {
    pub(super) fn start(kind: Kind, binaries: &Binaries) -> Result<Self> {
        let runner = match kind {
            Kind::Dataflume => ours(binaries, &[], "LOOPBACK", Some(1))?,
            Kind::DataflumeProcesses => {
                let workers = WORKERS.to_string();
                let arguments = ["--workers", "process", "--num-workers", &workers];
                ours(binaries, &arguments, "DOCKER", Some(WORKERS))?
            }
            Kind::DataflumeWarm => ours(binaries, &["--workers", "process"], "DOCKER", Some(1))?,
            Kind::DataflumeCold => {
                let arguments = ["--workers", "process", "--warm-python-workers", "0"];
                ours(binaries, &arguments, "DOCKER", None)?
            }
            Kind::Prism => prism()?,
            Kind::FnApiRunner | Kind::DirectRunner => Self {
                address: Address::Within(kind.name()),
                pid: None,
                interpreters: None,
                _process: Process::Within,
            },
        };
        runner.settle()?;
        Ok(runner)
    }

    /// The processor time that it has taken so far; `None` as for [`Runner::usage`].
    pub(super) fn cpu_seconds(&self) -> Option<f64> {
        cpu_seconds(self.pid?)
    }

    /// What it has used after it had taken so much processor time; `None` for one without a process of its own,
    /// or where the kernel doesn't tell.
    pub(super) fn usage(&self, cpu_seconds_before: Option<f64>) -> Option<Usage> {
        Some(Usage {
            peak_bytes: peak_bytes(self.pid?)?,
            cpu_seconds: self.cpu_seconds()? - cpu_seconds_before?,
        })
    }

    /// The runner's own process, if it has one, and whatever it has started.
    pub(super) fn processes(&self) -> Vec<u32> {
        let own = self.pid.into_iter();
        own.flat_map(|pid| std::iter::once(pid).chain(descendants(pid)))
            .collect()
    }

    /// Waits until its interpreters wait: a user's emulator has been there for a while.
    pub(super) fn settle(&self) -> Result<()> {
        let (Some(pid), Some(interpreters)) = (self.pid, self.interpreters) else {
            return Ok(());
        };
        let deadline = Instant::now() + WARM_UP;
        let mut before = None;
        while Instant::now() < deadline {
            sleep(QUIET);
            let own = program(pid);
            let mut others = descendants(pid);
            others.retain(|other| program(*other) != own);
            let times: Vec<_> = others.iter().map(|other| cpu_seconds(*other)).collect();
            if times.len() == interpreters && before.as_ref() == Some(&times) {
                return Ok(());
            }
            before = Some(times);
        }
        bail!("{interpreters} interpreters do not wait within {WARM_UP:?}");
    }
}

fn ours(
    binaries: &Binaries,
    arguments: &[&str],
    environment: &'static str,
    interpreters: Option<usize>,
) -> Result<Runner> {
    let variables = [("DATAFLUME_PYTHON", binaries.python.as_os_str())];
    let root = workspace::root();
    let emulator = Emulator::spawn(root, "bench", &binaries.dataflume, arguments, &variables)?;
    Ok(Runner {
        address: Address::Portable {
            endpoint: emulator.endpoint().to_owned(),
            environment,
        },
        pid: Some(emulator.pid()),
        interpreters,
        _process: Process::Ours(emulator),
    })
}

fn prism() -> Result<Runner> {
    let prism = Prism::start()?;
    Ok(Runner {
        address: Address::Portable {
            endpoint: prism.endpoint().to_owned(),
            environment: "LOOPBACK",
        },
        pid: Some(prism.pid()),
        interpreters: None,
        _process: Process::Peer(prism),
    })
}
