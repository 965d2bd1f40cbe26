//! Why a worker could not be started.

use std::io;
use std::path::PathBuf;

/// Why a pool could not be made, or a worker not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PoolError {
    /// No pool knows this kind of environment.
    #[error(
        "environment {urn:?} is not supported: EXTERNAL, PROCESS and DOCKER environments are, and ANYOF of these"
    )]
    UnsupportedEnvironment {
        /// The environment's URN.
        urn: String,
    },
    /// An ANYOF environment without one that works here.
    #[error("none of the environment's alternatives can be used: {}", reasons.join("; "))]
    NoAlternative {
        /// Why not, one per alternative.
        reasons: Vec<String>,
    },
    /// The environment's payload is not what its URN promises, or asks for the impossible.
    #[error("the payload of environment {urn:?} is invalid: {reason}")]
    InvalidPayload {
        /// The environment's URN.
        urn: String,
        /// What is wrong.
        reason: String,
    },
    /// The SDK of a DOCKER environment could not be told, so no process can stand in for it.
    #[error(
        "the SDK of container image {image:?} is not known, so it can't be run as a process: its name, the environment's capabilities and its artifacts name none of Python, Java and Go. Run it as a container (--workers=docker)"
    )]
    UnknownSdk {
        /// The container image.
        image: String,
    },
    /// An artifact could not be fetched or has an impossible name.
    #[error("artifact {name:?} can't be staged to the worker: {reason}")]
    Artifact {
        /// The name under which it was staged.
        name: String,
        /// What went wrong.
        reason: String,
    },
    /// Something that the worker needs is not installed on this machine.
    #[error("{what} is needed for this job's workers: {reason}")]
    MissingTool {
        /// The program or package.
        what: String,
        /// What was found instead, and how to provide it.
        reason: String,
    },
    /// The job's packages could not be installed.
    #[error("installing {what} into the worker's environment failed: {output}")]
    Install {
        /// The package or file.
        what: String,
        /// The installer's last lines.
        output: String,
    },
    /// The process could not be started.
    #[error("can't start {command:?}: {source}")]
    Start {
        /// The command.
        command: String,
        /// The cause.
        source: io::Error,
    },
    /// A file or folder of the worker could not be made.
    #[error("{}: {source}", path.display())]
    Io {
        /// The path.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The worker pool service of an EXTERNAL environment did not start the worker.
    #[error("the external worker pool at {endpoint} did not start the worker: {reason}")]
    External {
        /// Its address.
        endpoint: String,
        /// What it said.
        reason: String,
    },
    /// The Docker daemon did not start the worker.
    #[error("Docker can't run image {image:?}: {reason}")]
    Docker {
        /// The container image.
        image: String,
        /// What the daemon said, or why it couldn't be asked.
        reason: String,
    },
    /// The pool was shut down.
    #[error("the worker pool has been shut down")]
    ShutDown,
}

impl PoolError {
    /// Attaches the path to a file error.
    pub(crate) fn io(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, source }
    }
}
