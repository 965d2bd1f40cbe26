//! `dataflume expansion-service`: Beam's own services that expand transforms of one SDK for pipelines of another.
//!
//! What they expand names the SDK's container image as its environment, so its workers are made as those of any
//! other job: a pipeline with transforms of two SDKs has workers of both.

use std::ffi::OsString;
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use serde_json::json;
use tokio::net::TcpStream;

use super::child::Running;
use super::signals::Signals;

/// The interpreters that Python workers are made of, as a list like `PATH`; the first is used.
const PYTHON_VARIABLE: &str = "DATAFLUME_PYTHON";
/// The Java launcher of workers.
const JAVA_VARIABLE: &str = "DATAFLUME_JAVA";

const PYTHON_SERVICE: &str = include_str!("expansion_service.py");
const JAVA_SERVICE: &str = "org.apache.beam.sdk.expansion.service.ExpansionService";

/// How often is looked whether the service listens.
const LOOK_EVERY: Duration = Duration::from_millis(50);

#[derive(Debug, Args)]
pub(super) struct ExpansionOptions {
    /// Where the service listens, on this machine only; 0 is any free port.
    #[arg(long, value_name = "PORT", default_value_t = 0, global = true)]
    port: u16,
    #[command(subcommand)]
    sdk: Sdk,
}

/// Whose transforms are expanded.
#[derive(Debug, Subcommand)]
enum Sdk {
    /// Those of an installed apache-beam, and every other that can be imported.
    Python {
        /// The interpreter [default: the first of DATAFLUME_PYTHON, or python3].
        #[arg(long, value_name = "FILE")]
        python: Option<PathBuf>,
        /// A module whose transforms are registered under names of their own. May be repeated.
        #[arg(long, value_name = "NAME")]
        module: Vec<String>,
    },
    /// Those of the jars on a class path, among them Beam's expansion service. The jars are staged
    /// for the workers.
    Java {
        /// The class path, such as one of Beam's jars `beam-sdks-java-io-expansion-service`.
        #[arg(long, value_name = "PATH")]
        class_path: OsString,
    },
}

impl Sdk {
    fn command(&self, port: u16) -> Vec<OsString> {
        let port = OsString::from(port.to_string());
        match self {
            Self::Python { python, module } => {
                let python = python.clone().or_else(first_python);
                let python = python.unwrap_or_else(|| "python3".into()).into();
                let modules = module.iter().map(OsString::from);
                [python, "-c".into(), PYTHON_SERVICE.into(), port]
                    .into_iter()
                    .chain(modules)
                    .collect()
            }
            Self::Java { class_path } => vec![
                java(),
                "-cp".into(),
                class_path.clone(),
                JAVA_SERVICE.into(),
                port,
                "--javaClassLookupAllowlistFile=*".into(),
            ],
        }
    }
}

fn first_python() -> Option<PathBuf> {
    let list = std::env::var_os(PYTHON_VARIABLE).filter(|list| !list.is_empty())?;
    std::env::split_paths(&list).next()
}

/// As Java workers find theirs.
fn java() -> OsString {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let home = || variable("JAVA_HOME").map(|home| PathBuf::from(home).join("bin/java").into());
    variable(JAVA_VARIABLE)
        .or_else(home)
        .unwrap_or_else(|| "java".into())
}

/// Runs the service until it, or this command, is asked to end. Says where it listens as soon as it does.
pub(super) async fn serve(options: &ExpansionOptions) -> anyhow::Result<ExitCode> {
    let mut signals = Signals::watch()?;
    let port = match options.port {
        0 => free_port().context("there is no free port")?,
        port => port,
    };
    let running = match Running::start(&options.sdk.command(port), &[], &[]) {
        Ok(running) => running,
        Err(failed) => bail!("{:#}", failed.error),
    };
    let announcing = tokio::spawn(announce(port));
    let code = running.finish(&mut signals).await;
    announcing.abort();
    code.map(ExitCode::from)
}

/// One that is free now. The service can't tell which it chose itself.
fn free_port() -> std::io::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(listener.local_addr()?.port())
}

/// Waits until the service listens, which is seconds after its start.
async fn announce(port: u16) {
    while TcpStream::connect(("localhost", port)).await.is_err() {
        tokio::time::sleep(LOOK_EVERY).await;
    }
    let endpoint = format!("localhost:{port}");
    println!("{}", json!({"endpoint": endpoint, "port": port}));
}
