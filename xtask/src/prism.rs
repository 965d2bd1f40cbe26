//! Prism, Beam's own local runner, to compare with.

use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::conformance::process::Group;
use crate::workspace;

/// The version that is compared with.
pub(crate) const VERSION: &str = "2.77.0";
const MODULE: &str = "github.com/apache/beam/sdks/v2/go/cmd/prism";

/// How long it may take until it listens.
const START_UP: Duration = Duration::from_secs(20);

/// Its program, installed if it isn't there yet.
pub(crate) fn program() -> Result<PathBuf> {
    let home = std::env::home_dir().context("there is no home folder")?;
    let program = home.join("go/bin/prism");
    if !program.is_file() {
        let package = format!("{MODULE}@v{VERSION}");
        workspace::must(Command::new("go").args(["install", &package]))?;
    }
    Ok(program)
}

/// A running Prism. It ends with this.
#[derive(Debug)]
pub(crate) struct Prism {
    group: Group,
    endpoint: String,
}

impl Prism {
    /// Starts it on a free port.
    pub(crate) fn start() -> Result<Self> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut command = Command::new(program()?);
        command
            .arg(format!("--job_port={port}"))
            .arg("--serve_http=false")
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let group = Group::spawn(&mut command)?;
        let deadline = Instant::now() + START_UP;
        while TcpStream::connect(("localhost", port)).is_err() {
            if Instant::now() > deadline {
                bail!("prism does not listen on port {port} after {START_UP:?}");
            }
            Group::pause();
        }
        Ok(Self {
            group,
            endpoint: format!("localhost:{port}"),
        })
    }

    /// HOST:PORT of its job service.
    pub(crate) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.group.id()
    }
}
