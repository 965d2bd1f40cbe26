//! The emulator, as a user starts it.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use nix::sys::signal::Signal;
use tempfile::TempDir;

use crate::command::{Group, wait_until};
use crate::prepared::emulator_program;
use crate::{Prepared, workers};

/// How long it has to say where it listens.
const START_UP: Duration = Duration::from_secs(20);

/// How long it has to end when asked to.
const SHUT_DOWN: Duration = Duration::from_secs(20);

/// How long a job's workers and files may outlive it.
pub const CLEAN_UP: Duration = Duration::from_secs(10);

/// How to start an emulator.
#[derive(Debug, Default)]
pub struct EmulatorOptions<'a> {
    /// The data folder; one of its own if absent.
    pub data: Option<&'a Path>,
    /// What container images are made of: `process` (if absent), `docker` or `auto`.
    pub workers: Option<&'a str>,
    /// Folders that containers see under the same paths.
    pub shared_with_containers: &'a [&'a Path],
    /// Whatever else it is started with.
    pub arguments: &'a [&'a str],
}

/// A running emulator, killed with all its workers if it is dropped before [`Emulator::stop`].
#[derive(Debug)]
pub struct Emulator {
    group: Group,
    endpoint: String,
    data: PathBuf,
    /// Whether its end was wanted.
    ended: bool,
    _own_data: Option<TempDir>,
}

impl Emulator {
    /// Starts it on a free port, with process workers for jobs that name container images.
    ///
    /// # Panics
    /// If it does not start; its log is shown.
    pub fn start() -> Self {
        Self::start_with(&EmulatorOptions::default()).unwrap_or_else(|error| panic!("{error:#}"))
    }

    /// Starts it as the options say.
    ///
    /// # Errors
    /// If it did not say where it listens in time.
    pub fn start_with(options: &EmulatorOptions<'_>) -> Result<Self> {
        let own_data = match options.data {
            Some(_) => None,
            None => Some(tempfile::tempdir()?),
        };
        let data = match (&own_data, options.data) {
            (Some(own), _) => own.path().to_owned(),
            (None, data) => data.unwrap_or(Path::new("")).to_owned(),
        };
        let log = data.join("emulator.log");
        let volumes = options.shared_with_containers.iter();
        let volumes = volumes.map(|folder| format!("--docker-volume={0}:{0}", folder.display()));
        let mut command = Command::new(emulator_program());
        command
            .args([
                "start",
                "--port",
                "0",
                "--workers",
                options.workers.unwrap_or("process"),
            ])
            .arg("--data-dir")
            .arg(&data)
            .args(volumes)
            .args(options.arguments)
            .env("DATAFLUME_PYTHON", &Prepared::get().python)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::options().create(true).append(true).open(&log)?);
        let mut group = Group::spawn(&mut command)?;
        let endpoint = read_endpoint(&mut group)
            .with_context(|| fs::read_to_string(&log).unwrap_or_default())?;
        Ok(Self {
            group,
            endpoint,
            data,
            ended: false,
            _own_data: own_data,
        })
    }

    /// HOST:PORT.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.group.pid()
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.data.join("emulator.log")).unwrap_or_default()
    }

    /// Fails unless, soon, no worker of a job runs and no job's files are left.
    ///
    /// # Errors
    /// Names what is left.
    pub fn check_nothing_left(&self) -> Result<()> {
        let clean = || workers::of_jobs(self.pid()).is_empty() && self.scratch_files().is_empty();
        ensure!(
            wait_until(CLEAN_UP, clean),
            "left after the job: processes {:?}, files {:?}",
            workers::of_jobs(self.pid()),
            self.scratch_files()
        );
        Ok(())
    }

    /// What is in the scratch folders of jobs.
    fn scratch_files(&self) -> Vec<PathBuf> {
        let prefix = format!("{}-", self.pid());
        let instances = entries(&self.data.join("scratch"));
        let own = instances
            .into_iter()
            .filter(|path| path.is_dir() && file_name(path).starts_with(&prefix));
        own.flat_map(|instance| entries(&instance))
            .filter(|path| !file_name(path).starts_with('.'))
            .collect()
    }

    /// Asks it to end, and fails if it does not, or leaves something running.
    ///
    /// # Errors
    /// Says what went wrong, with the log.
    pub fn stop(mut self) -> Result<()> {
        let pid = self.pid();
        nix::sys::signal::kill(
            nix::unistd::Pid::from_raw(pid.cast_signed()),
            Signal::SIGTERM,
        )?;
        let status = self.group.wait_within(SHUT_DOWN)?;
        let status = status
            .ok_or_else(|| anyhow!("still there {SHUT_DOWN:?} after SIGTERM\n{}", self.log()))?;
        ensure!(status.success(), "ended with {status}\n{}", self.log());
        let left = workers::of_emulator(pid);
        ensure!(left.is_empty(), "left after the end: {left:?}");
        self.ended = true;
        Ok(())
    }

    /// Kills it, and it alone, so that it can clean nothing up. Gives its process id.
    pub fn kill(mut self) -> u32 {
        let pid = self.pid();
        // The group is not killed: whether the workers notice is what a test of this looks at.
        let _ = self.group.child().kill();
        let _ = self.group.child().wait();
        self.ended = true;
        pid
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        if !self.ended {
            // The test failed. Its output is shown then.
            println!("log of the emulator:\n{}", self.log());
            self.group.signal(Signal::SIGKILL);
            workers::of_emulator(self.pid())
                .iter()
                .for_each(workers::Worker::kill);
        }
    }
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .collect()
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// Waits for the line that says where it listens, and keeps reading so that the emulator never blocks on its output.
fn read_endpoint(group: &mut Group) -> Result<String> {
    let stdout = group
        .child()
        .stdout
        .take()
        .context("the emulator has no standard output")?;
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            // Only the first line is waited for.
            let _ = sender.send(line);
        }
    });
    let line = receiver
        .recv_timeout(START_UP)
        .context("the emulator did not say where it listens")?;
    let value: serde_json::Value =
        serde_json::from_str(&line).with_context(|| format!("the first line is {line:?}"))?;
    Ok(value["endpoint"]
        .as_str()
        .context("the first line names no endpoint")?
        .to_owned())
}
