//! Virtual environments of jobs, layered on an interpreter.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::super::PoolError;
use super::interpreter::Interpreter;

/// A virtual environment of one job, on top of an interpreter and all packages it has.
///
/// Made by writing three files rather than by the `venv` module, which needs a second, most of it
/// for a pip of its own: the interpreter's pip serves as well.
#[derive(Debug, Clone)]
pub(crate) struct VirtualEnvironment {
    folder: PathBuf,
    packages: PathBuf,
}

impl VirtualEnvironment {
    pub(crate) async fn create(folder: &Path, base: &Interpreter) -> Result<Self, PoolError> {
        let (in_folder, base) = (folder.to_owned(), base.clone());
        // All at once: going to another thread and back takes longer than any of it.
        let written = tokio::task::spawn_blocking(move || Self::write(&in_folder, &base)).await;
        written.unwrap_or_else(|failed| Err(PoolError::io(folder)(failed.into())))
    }

    fn write(folder: &Path, base: &Interpreter) -> Result<Self, PoolError> {
        let name = format!("python{}.{}", base.version.0, base.version.1);
        let binaries = folder.join("bin");
        let packages = folder.join("lib").join(&name).join("site-packages");
        for folder in [&binaries, &packages] {
            fs::create_dir_all(folder).map_err(PoolError::io(folder))?;
        }
        for link in ["python", "python3", name.as_str()] {
            let link = binaries.join(link);
            symlink(&base.executable, &link).map_err(PoolError::io(&link))?;
        }
        write(&folder.join("pyvenv.cfg"), configuration(base))?;
        write(&packages.join("dataflume.pth"), path_file(&base.packages))?;
        Ok(Self {
            folder: folder.to_owned(),
            packages,
        })
    }

    /// Where it is.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where packages are installed.
    pub(crate) fn packages(&self) -> &Path {
        &self.packages
    }

    /// Its interpreter.
    pub(crate) fn python(&self) -> PathBuf {
        self.folder.join("bin").join("python")
    }

    /// What activating it sets.
    pub(crate) fn variables(&self) -> Vec<(String, String)> {
        let binaries = self.folder.join("bin").display().to_string();
        let path = match std::env::var("PATH") {
            Ok(path) => format!("{binaries}:{path}"),
            Err(_) => binaries,
        };
        vec![
            ("VIRTUAL_ENV".to_owned(), self.folder.display().to_string()),
            ("PATH".to_owned(), path),
        ]
    }
}

fn write(path: &Path, text: String) -> Result<(), PoolError> {
    fs::write(path, text).map_err(PoolError::io(path))
}

fn configuration(base: &Interpreter) -> String {
    let home = base.executable.parent().unwrap_or(Path::new("/"));
    format!(
        "home = {}\ninclude-system-site-packages = false\nversion = {}.{}\n",
        home.display(),
        base.version.0,
        base.version.1
    )
}

/// Adds the base's packages behind those of the environment. `addsitedir` also follows the path
/// files among them, which a plain line would not.
fn path_file(packages: &[PathBuf]) -> String {
    packages
        .iter()
        .map(|folder| {
            let quoted = serde_json::Value::String(folder.display().to_string());
            format!("import site; site.addsitedir({quoted})\n")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_quoted_for_python() {
        assert_eq!(
            path_file(&["/a\"b".into()]),
            "import site; site.addsitedir(\"/a\\\"b\")\n"
        );
    }
}
