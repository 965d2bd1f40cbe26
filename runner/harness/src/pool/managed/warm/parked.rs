//! One interpreter that waits.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use serde_json::json;

use super::super::super::launch::{Launch, Supervised};
use super::super::super::output::{Lines, Tail};
use super::super::super::{PoolContext, PoolError, WorkerSpec, boot};
use super::super::interpreter::Interpreter;
use super::super::probes::stamp;
use super::super::python::{HARNESS_MODULE, JobPython, interpreter_variables};
use super::super::venv::VirtualEnvironment;
use super::output::Output;

/// What it runs.
pub(super) const PROGRAM_FILE: &str = "park.py";

/// In the worker's folder, until it is read.
const ASSIGNMENT_FILE: &str = ".worker.json";

/// An interpreter that has imported the SDK harness, or is about to.
pub(crate) struct Parked {
    interpreter: Interpreter,
    /// The interpreter's packages, as they were when it was started.
    packages: Vec<(PathBuf, Option<SystemTime>)>,
    process: Supervised,
    output: Arc<Output>,
}

impl Parked {
    /// Starts it in the folder where all of them wait.
    pub(super) fn start(
        context: &PoolContext,
        folder: &Path,
        interpreter: &Interpreter,
        environment: &VirtualEnvironment,
        number: u64,
    ) -> Result<Self, PoolError> {
        let output = Arc::new(Output::default());
        let packages = packages_of(interpreter);
        let process = Supervised::start(
            context,
            Launch {
                program: environment.python(),
                arguments: vec![
                    folder.join(PROGRAM_FILE).into(),
                    HARNESS_MODULE.into(),
                    environment.packages().into(),
                ],
                variables: variables(context, folder, environment),
                folder: folder.to_owned(),
                lines: Lines {
                    worker_id: format!("python-{number}"),
                    sink: output.clone(),
                    tail: Tail::default(),
                },
                reads_input: true,
            },
        )?;
        Ok(Self {
            interpreter: interpreter.clone(),
            packages,
            process,
            output,
        })
    }

    /// Whether it waits, and is what a new process of this interpreter would be.
    pub(super) fn is_like(&self, interpreter: &Interpreter) -> bool {
        !self.process.has_exited()
            && self.interpreter == *interpreter
            && self.packages == packages_of(interpreter)
    }

    /// Resolves when its process is gone, whatever has become of it.
    pub(super) fn ended(&self) -> impl Future<Output = ()> + use<> {
        self.process.ended()
    }

    /// Ends it.
    pub(super) async fn stop(&self) {
        self.process.stop().await;
    }

    /// Makes a worker of it: its process is the worker's from now on.
    pub(crate) async fn become_worker(
        self,
        spec: &WorkerSpec,
        job: &JobPython,
        variables: Vec<(String, String)>,
    ) -> Result<Supervised, PoolError> {
        let mut variables: serde_json::Map<_, _> = variables
            .into_iter()
            .map(|(name, value)| (name, value.into()))
            .collect();
        // The process is known by this one, and so are its children.
        let (name, value) = self.process.marker();
        variables.insert(name.to_owned(), value.into());
        let assignment = json!({
            "folder": spec.scratch,
            "variables": variables,
            "environment": job.environment.folder(),
            "python": job.environment.python(),
            "packages": job.environment.packages(),
            "staged": job.staged,
        });
        let path = spec.scratch.join(ASSIGNMENT_FILE);
        tokio::fs::write(&path, assignment.to_string())
            .await
            .map_err(PoolError::io(&path))?;
        self.output.belongs_to(&spec.worker_id, spec.log.clone());
        self.process
            .send(&path.display().to_string())
            .map_err(PoolError::io(&path))?;
        Ok(self.process)
    }
}

fn packages_of(interpreter: &Interpreter) -> Vec<(PathBuf, Option<SystemTime>)> {
    stamp(interpreter.packages.iter().map(PathBuf::as_path))
}

/// What it imports may look at its environment, and finds there what workers have.
fn variables(
    context: &PoolContext,
    folder: &Path,
    environment: &VirtualEnvironment,
) -> Vec<(String, String)> {
    let mut variables = boot::machine_variables();
    variables.extend(boot::folder_variables(folder));
    variables.extend(context.environment_variables.iter().cloned());
    variables.extend(environment.variables());
    variables.extend(interpreter_variables());
    variables
}
