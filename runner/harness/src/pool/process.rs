//! `PROCESS` environments: a command of the user's that follows the container contract.

use std::path::PathBuf;

use async_trait::async_trait;
use dataflume_proto::pipeline::{Environment, ProcessPayload};

use super::launch::{Launch, lines_of, make_scratch};
use super::started::Started;
use super::{PoolContext, PoolError, StartedWorker, WorkerPool, WorkerSpec, boot, decode};

/// Runs the environment's command once per worker, each in a folder of its own.
pub(crate) struct ProcessPool {
    payload: ProcessPayload,
    context: PoolContext,
    started: Started,
}

impl ProcessPool {
    pub(crate) fn new(environment: &Environment, context: PoolContext) -> Result<Self, PoolError> {
        let payload: ProcessPayload = decode(environment)?;
        let invalid = |reason: String| {
            Err(PoolError::InvalidPayload {
                urn: environment.urn.clone(),
                reason,
            })
        };
        if payload.command.is_empty() {
            return invalid("it has no command".to_owned());
        }
        if !is_this_os(&payload.os) {
            return invalid(format!(
                "the command is for operating system {:?}, this machine has {:?}",
                payload.os,
                std::env::consts::OS
            ));
        }
        if !is_this_arch(&payload.arch) {
            return invalid(format!(
                "the command is for architecture {:?}, this machine has {:?}",
                payload.arch,
                std::env::consts::ARCH
            ));
        }
        Ok(Self {
            payload,
            context,
            started: Started::default(),
        })
    }

    fn variables(&self, spec: &WorkerSpec) -> Vec<(String, String)> {
        let mut variables = boot::machine_variables();
        variables.extend(boot::folder_variables(&spec.scratch));
        variables.extend(self.context.environment_variables.iter().cloned());
        variables.extend(
            self.payload
                .env
                .iter()
                .map(|(name, value)| (name.clone(), value.clone())),
        );
        variables
    }
}

#[async_trait]
impl WorkerPool for ProcessPool {
    async fn start_worker(&self, spec: WorkerSpec) -> Result<Box<dyn StartedWorker>, PoolError> {
        let _entered = self.started.enter().await?;
        make_scratch(&spec.scratch).await?;
        let launch = Launch {
            program: PathBuf::from(&self.payload.command),
            arguments: boot::arguments(&spec.worker_id, &spec.endpoint)
                .into_iter()
                .map(Into::into)
                .collect(),
            variables: self.variables(&spec),
            folder: spec.scratch.clone(),
            lines: lines_of(&spec),
            reads_input: false,
        };
        self.started.start(&self.context, &spec, launch).await
    }

    async fn shutdown(&self) {
        self.started.shutdown(&self.context, None).await;
    }
}

/// SDKs say it in Go's, Java's or the kernel's words, or not at all.
fn is_this_os(os: &str) -> bool {
    let os = os.to_ascii_lowercase();
    match std::env::consts::OS {
        "macos" => matches!(os.as_str(), "" | "macos" | "darwin" | "mac os x"),
        this => os.is_empty() || os == this,
    }
}

fn is_this_arch(arch: &str) -> bool {
    let arch = arch.to_ascii_lowercase();
    match std::env::consts::ARCH {
        "x86_64" => matches!(arch.as_str(), "" | "x86_64" | "amd64" | "x64"),
        "aarch64" => matches!(arch.as_str(), "" | "aarch64" | "arm64"),
        this => arch.is_empty() || arch == this,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn platforms_are_compared_by_any_of_their_names() {
        assert!(is_this_os("") && is_this_os(std::env::consts::OS));
        assert!(is_this_arch("") && is_this_arch(&std::env::consts::ARCH.to_uppercase()));
        assert!(!is_this_os("plan9") && !is_this_arch("s390"));
    }
}
