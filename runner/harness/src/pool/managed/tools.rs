//! Finding programs, and running them to their end.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::super::PoolError;
use super::super::launch::Launch;
use super::super::output::Lines;
use super::Job;

/// Finds a program on the `PATH`. One with a folder in its name is taken as it is.
pub(crate) fn find_program(name: &Path) -> Option<PathBuf> {
    if name.components().count() > 1 {
        return is_executable(name).then(|| name.to_owned());
    }
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|program| is_executable(program))
}

fn is_executable(program: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(program)
        .is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}

/// A program that is to succeed before a worker can start.
pub(crate) struct Tool<'a> {
    pub(crate) program: &'a Path,
    pub(crate) arguments: Vec<OsString>,
    pub(crate) variables: Vec<(String, String)>,
    pub(crate) folder: &'a Path,
    pub(crate) lines: Lines,
}

impl Tool<'_> {
    /// Runs it under a supervisor. Fails with its last lines, for what it was to install.
    pub(crate) async fn run(self, job: &Job<'_>, what: &str) -> Result<(), PoolError> {
        let launch = Launch {
            program: self.program.to_owned(),
            arguments: self.arguments,
            variables: self.variables,
            folder: self.folder.to_owned(),
            lines: self.lines,
            reads_input: false,
        };
        let exit = job.started.run(job.context, launch).await?;
        match exit.success {
            true => Ok(()),
            false => Err(PoolError::Install {
                what: what.to_owned(),
                output: exit.reason,
            }),
        }
    }
}
