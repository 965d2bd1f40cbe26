//! The command line.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::Context;
use bytesize::ByteSize;
use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use dataflume_driver::job::DriverOptions;
use dataflume_driver::machine::processors;
use dataflume_harness::pool::WorkerChoice;
use tracing_subscriber::filter::{LevelFilter, ParseError, Targets};

use super::expansion::ExpansionOptions;
use crate::server::{DataLocation, ServerOptions};

/// Where `start` listens unless told otherwise.
pub(super) const DEFAULT_PORT: u16 = 8077;

/// Google Cloud Dataflow on your own machine: runs Apache Beam pipelines for real.
#[derive(Debug, Parser)]
#[command(name = "dataflume", version, max_term_width = 100)]
pub(super) struct Arguments {
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Start the emulator and keep it running until it is ended with Ctrl-C.
    Start(Options),
    /// Print the environment that points clients at a running emulator, for a shell to evaluate.
    Env {
        /// The port that the emulator listens on.
        #[arg(long, value_name = "PORT", default_value_t = DEFAULT_PORT)]
        port: u16,
        /// The emulator's data folder [default: ~/.local/share/dataflume].
        #[arg(long, value_name = "DIR")]
        data_dir: Option<PathBuf>,
    },
    /// Start the emulator, run a command that uses it, and end both; the exit code is the command's.
    ///
    /// In the command's arguments, {endpoint} becomes the emulator's `host:port`, {port} its port
    /// and {url} its URL; {dataflow-options} becomes the flags by which the DataflowRunner of the
    /// command's SDK finds the emulator ({dataflow-options:java}, :python and :go where the command's
    /// name does not tell). The environment says the same to SDKs, client libraries, gcloud and
    /// Terraform: see `dataflume env`.
    Exec {
        #[command(flatten)]
        options: Options,
        /// The command and its arguments.
        #[arg(
            required = true,
            trailing_var_arg = true,
            allow_hyphen_values = true,
            value_name = "COMMAND"
        )]
        command: Vec<OsString>,
    },
    /// Start Beam's own service that expands transforms of one SDK for pipelines of another.
    ///
    /// It prints where it listens and runs until Ctrl-C. The transforms run in workers of their SDK,
    /// beside the pipeline's own.
    ExpansionService(ExpansionOptions),
}

#[derive(Debug, Args)]
pub(super) struct Options {
    /// The port for everything; 0 is any free one [default: 8077, for `exec` any free one].
    #[arg(long, value_name = "PORT")]
    pub(super) port: Option<u16>,
    /// The address to listen on. Whoever can reach it can run code here: there is no login.
    #[arg(long, value_name = "HOST", default_value = "localhost")]
    host: String,
    /// Where to keep the bucket and all else [default: ~/.local/share/dataflume, for `exec` a
    /// temporary folder].
    #[arg(long, value_name = "DIR", conflicts_with = "ephemeral")]
    data_dir: Option<PathBuf>,
    /// Keep nothing after the end.
    #[arg(long)]
    ephemeral: bool,
    /// Where the bucket is: a folder, memory:, or a gs://, s3:// or az:// URL [default: in the data
    /// folder].
    #[arg(long, value_name = "URL")]
    bucket: Option<String>,
    /// Whether a bucket is made when a client first uses it.
    #[arg(long, value_name = "BOOL", default_value_t = true, action = ArgAction::Set)]
    auto_create_buckets: bool,
    /// Makes a bucket of each folder in this one, with its files as objects; what is there already
    /// stays.
    #[arg(long, value_name = "DIR")]
    seed_buckets: Option<PathBuf>,
    /// At the end, writes every bucket that clients have used as a folder into this one.
    #[arg(long, value_name = "DIR")]
    export_buckets: Option<PathBuf>,
    /// What the container images that jobs name are made of: containers (docker), processes set up
    /// the same way (process), or containers where there is a Docker daemon (auto).
    #[arg(long, value_enum, default_value_t = Workers::Auto)]
    workers: Workers,
    /// How many workers a job has for each of its environments.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(super) num_workers: u32,
    /// The most workers that a job gets for each of its environments, however many it asks for
    /// [default: as many as there are processors].
    #[arg(long, value_name = "N", default_value_t = processors(), hide_default_value = true, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(super) max_workers: u32,
    /// How much memory a worker may take, with all its processes, such as 2GiB; one that takes more is ended. Dataflow
    /// jobs that name a machine type have that one's [default: no limit].
    #[arg(long, value_name = "SIZE", value_parser = worker_memory)]
    pub(super) worker_memory: Option<ByteSize>,
    /// How many Python interpreters wait, with the SDK imported, to become workers of jobs; 0 for none
    /// [default: as many workers as a job has, at most 4].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(..=100))]
    warm_python_workers: Option<u32>,
    /// How many class paths of Java jobs are remembered, each with an archive of the classes that workers load: the next
    /// job with the same jars starts sooner; 0 for none.
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u32).range(..=100))]
    pub(super) java_class_archives: u32,
    /// How many jobs run at once; those beyond are queued.
    #[arg(long, value_name = "N", default_value_t = 25, value_parser = clap::value_parser!(u32).range(1..))]
    max_running_jobs: u32,
    /// How much memory the elements of a job may take in the emulator, such as 256MiB or 2GB; what is
    /// more goes to disk, compressed. State and side inputs are in memory, and not counted.
    #[arg(long, value_name = "SIZE", default_value = "512MiB", value_parser = memory_budget)]
    memory_budget: ByteSize,
    /// A folder of this machine that workers in containers see, as absolute paths. May be repeated.
    #[arg(long, value_name = "HOST:CONTAINER[:ro]", value_parser = docker_volume)]
    pub(super) docker_volume: Vec<String>,
    /// For tests of the emulator: no bundle takes more elements than this, unless they belong
    /// together.
    #[arg(long, value_name = "N", hide = true, value_parser = clap::value_parser!(u64).range(1..))]
    max_bundle_elements: Option<u64>,
    /// For tests of the emulator: the first attempt of every Nth bundle of a job fails.
    #[arg(long, value_name = "N", hide = true, value_parser = clap::value_parser!(u64).range(1..))]
    fail_every_nth_bundle: Option<u64>,
    /// For tests of the emulator: how much of a group's values travels with its key, if the SDK can
    /// ask for the rest.
    #[arg(long, value_name = "SIZE", hide = true, default_value = "4MiB")]
    inline_group_size: ByteSize,
    /// How log lines look.
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    pub(super) log_format: LogFormat,
    /// What is logged: a level (error, warn, info, debug, trace), or levels by module
    /// (`info,dataflume_driver=debug`) [default: info, for `exec` warn].
    #[arg(long, value_name = "LEVEL", env = "DATAFLUME_LOG", value_parser = log_level)]
    pub(super) log_level: Option<Targets>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Workers {
    Auto,
    Process,
    Docker,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum LogFormat {
    Text,
    Json,
}

impl Options {
    pub(super) fn workers(&self) -> WorkerChoice {
        match self.workers {
            Workers::Auto => WorkerChoice::Auto,
            Workers::Process => WorkerChoice::Managed,
            Workers::Docker => WorkerChoice::AsSent,
        }
    }

    /// Each of them has about 100 MiB.
    pub(super) fn warm_python_workers(&self) -> u32 {
        const MOST_BY_DEFAULT: u32 = 4;
        self.warm_python_workers
            .unwrap_or(self.num_workers.min(MOST_BY_DEFAULT))
    }

    /// The limits of a job.
    pub(super) fn driver(&self) -> DriverOptions {
        let mut driver = DriverOptions {
            fail_every_nth_bundle: self.fail_every_nth_bundle,
            memory_budget_bytes: self.memory_budget.as_u64(),
            inline_group_bytes: usize::try_from(self.inline_group_size.as_u64())
                .unwrap_or(usize::MAX),
            ..DriverOptions::default()
        };
        if let Some(elements) = self.max_bundle_elements {
            driver.engine.max_bundle_elements = elements;
            driver.cut.max_elements_per_handle = Some(elements);
        }
        driver
    }

    /// For `start`, which stays.
    pub(super) fn lasting(&self) -> anyhow::Result<ServerOptions> {
        let data = match (&self.data_dir, self.ephemeral) {
            (_, true) => DataLocation::Ephemeral,
            (Some(folder), false) => DataLocation::Folder(folder.clone()),
            (None, false) => DataLocation::Folder(default_data_dir()?),
        };
        Ok(self.server(self.port.unwrap_or(DEFAULT_PORT), data))
    }

    /// For `exec`, of which many may run at once.
    pub(super) fn passing(&self) -> ServerOptions {
        let data = match &self.data_dir {
            Some(folder) => DataLocation::Folder(folder.clone()),
            None => DataLocation::Ephemeral,
        };
        self.server(self.port.unwrap_or(0), data)
    }

    fn server(&self, port: u16, data: DataLocation) -> ServerOptions {
        let mut options = ServerOptions::new(port, data);
        options.host.clone_from(&self.host);
        options.bucket.clone_from(&self.bucket);
        options.auto_create_buckets = self.auto_create_buckets;
        options.seed_buckets.clone_from(&self.seed_buckets);
        options.export_buckets.clone_from(&self.export_buckets);
        options.max_running_jobs = self.max_running_jobs as usize;
        options
    }
}

/// A level, or levels by module. A module without a level would be taken for one that logs
/// everything, and so would be every misspelt level.
fn log_level(text: &str) -> Result<Targets, String> {
    let is_clear = |part: &str| part.contains('=') || part.trim().parse::<LevelFilter>().is_ok();
    match text.split(',').find(|part| !is_clear(part)) {
        Some(unclear) => Err(format!("{unclear:?} is neither a level nor MODULE=LEVEL")),
        None => text.parse().map_err(|error: ParseError| error.to_string()),
    }
}

/// What is on its way between disk, workers and bundles needs some room.
fn memory_budget(text: &str) -> Result<ByteSize, String> {
    at_least(ByteSize::mib(16), text)
}

/// No SDK's worker starts in less.
fn worker_memory(text: &str) -> Result<ByteSize, String> {
    at_least(ByteSize::mib(32), text)
}

fn at_least(least: ByteSize, text: &str) -> Result<ByteSize, String> {
    let size: ByteSize = text.parse()?;
    if size < least {
        return Err(format!("it has to be at least {least}"));
    }
    Ok(size)
}

/// Docker would make a folder of a name without a slash up, and hide a misspelt one.
fn docker_volume(text: &str) -> Result<String, String> {
    let parts: Vec<_> = text.split(':').collect();
    let (host, container) = match parts[..] {
        [host, container] | [host, container, "ro" | "rw"] => (host, container),
        _ => return Err("it is not HOST:CONTAINER or HOST:CONTAINER:ro".to_owned()),
    };
    if !Path::new(host).is_absolute() || !Path::new(container).is_absolute() {
        return Err("both paths have to be absolute".to_owned());
    }
    match Path::new(host).exists() {
        true => Ok(text.to_owned()),
        false => Err(format!("there is no {host}")),
    }
}

/// As the XDG base directory specification has it.
pub(super) fn default_data_dir() -> anyhow::Result<PathBuf> {
    let xdg = std::env::var_os("XDG_DATA_HOME").map(PathBuf::from);
    if let Some(folder) = xdg.filter(|folder| folder.is_absolute()) {
        return Ok(folder.join("dataflume"));
    }
    let home = std::env::home_dir().filter(|home| home.is_absolute());
    let home = home.context("there is no home folder: use --data-dir or --ephemeral")?;
    Ok(home.join(".local/share/dataflume"))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn options_end_where_the_command_begins() {
        let line = ["dataflume", "exec", "--port", "1", "--", "x", "--port", "2"];
        let Command::Exec { options, command } = Arguments::try_parse_from(line).unwrap().command
        else {
            panic!("not exec");
        };
        assert_eq!(options.port, Some(1));
        assert_eq!(command, ["x", "--port", "2"]);
        assert_eq!(options.passing().data, DataLocation::Ephemeral);
    }

    #[test]
    fn bad_command_lines_are_refused() {
        for line in [
            "start --port 65536",
            "start --port x",
            "start --log-level loud",
            "start --workers magic",
            "start --num-workers 0",
            "start --worker-memory 0",
            "start --memory-budget 15MiB",
            "start --memory-budget much",
            "start --warm-python-workers 101",
            "start --java-class-archives 101",
            "start --max-bundle-elements 0",
            "start --fail-every-nth-bundle 0",
            "start --docker-volume /tmp",
            "start --docker-volume tmp:/tmp",
            "start --docker-volume /no/such/folder:/tmp",
            "start --docker-volume /tmp:/tmp:x",
            "start --data-dir a --ephemeral",
            "start extra",
            "exec",
            "exec --",
            "",
        ] {
            let words = std::iter::once("dataflume").chain(line.split_whitespace());
            assert!(
                Arguments::try_parse_from(words).is_err(),
                "{line:?} was accepted"
            );
        }
    }
}
