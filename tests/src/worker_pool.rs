//! Beam's own worker pool service, as users start it beside a runner.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Result, ensure};

use crate::command::Group;
use crate::{Prepared, wait_until};

/// Python imports all of Beam first.
const STARTS: Duration = Duration::from_secs(60);

/// The Python SDK's worker pool, which starts a process for each worker. It and they are killed when this is dropped.
#[derive(Debug)]
pub struct WorkerPool {
    endpoint: String,
    _group: Group,
}

impl WorkerPool {
    /// Starts it. Its workers are bare harnesses, or started by this program as containers are.
    ///
    /// # Errors
    /// If it doesn't listen in time.
    pub fn start(boot: Option<&Path>) -> Result<Self> {
        let python = &Prepared::get().python;
        let programs = python.parent().unwrap_or(Path::new("/"));
        let path = std::env::var("PATH").unwrap_or_default();
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
            .local_addr()?
            .port();
        let mut command = Command::new(python);
        command
            .args(["-m", "apache_beam.runners.worker.worker_pool_main"])
            .arg(format!("--service_port={port}"))
            // It starts whatever is called python.
            .env("PATH", format!("{}:{path}", programs.display()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        if let Some(boot) = boot {
            command.arg(format!("--container_executable={}", boot.display()));
        }
        let group = Group::spawn(&mut command)?;
        let listens = || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok();
        ensure!(
            wait_until(STARTS, listens),
            "the worker pool doesn't listen"
        );
        Ok(Self {
            endpoint: format!("localhost:{port}"),
            _group: group,
        })
    }

    /// HOST:PORT.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }
}
