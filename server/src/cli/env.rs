//! `dataflume env`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;

use super::arguments::default_data_dir;
use crate::clients::{self, ClientFiles};

/// Prints what to set and unset, as commands of a shell.
pub(super) fn env(port: u16, data_dir: Option<PathBuf>) -> anyhow::Result<ExitCode> {
    let data = match data_dir {
        Some(folder) => folder,
        None => default_data_dir()?,
    };
    let folder = std::path::absolute(data.join("clients"))?;
    let files = ClientFiles::write(&folder)
        .with_context(|| format!("{} can't be written", folder.display()))?;
    for name in clients::REMOVED {
        println!("unset {name}");
    }
    for (name, value) in clients::variables(&format!("localhost:{port}"), port, &files) {
        println!("export {name}={}", quoted(&value));
    }
    Ok(ExitCode::SUCCESS)
}

/// One word of a POSIX shell.
fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn values_are_single_words() {
        assert_eq!(quoted("a b"), "'a b'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
    }
}
