//! `dataflume exec`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;

use super::arguments::Options;
use super::child::Running;
use super::run;
use super::signals::Signals;
use crate::clients::{self, ClientFiles};

/// Runs the command beside a server of its own. Gives the command's exit code.
pub(super) async fn exec(options: &Options, command: &[OsString]) -> anyhow::Result<ExitCode> {
    let mut signals = Signals::watch()?;
    let server = run::server(options, options.passing(), own_python(command)).await?;
    let folder = tempfile::tempdir().context("no folder for the command's clients can be made")?;
    let files = ClientFiles::write(folder.path()).context("the clients' files can't be written")?;
    let variables = clients::variables(server.endpoint(), server.port(), &files);
    let command = expanded(command, server.endpoint(), server.port());
    let code = match Running::start(&command, &variables, clients::REMOVED) {
        Ok(running) => running.finish(&mut signals).await,
        Err(not_started) => {
            eprintln!("error: {:#}", not_started.error);
            Ok(not_started.exit_code)
        }
    };
    server.shutdown().await;
    code.map(ExitCode::from)
}

/// The placeholder of the flags by which a DataflowRunner finds the emulator.
const DATAFLOW_OPTIONS: &str = "{dataflow-options}";

/// The command, with where the server is put in.
fn expanded(command: &[OsString], endpoint: &str, port: u16) -> Vec<OsString> {
    let values = [
        ("{endpoint}", endpoint.to_owned()),
        ("{port}", port.to_string()),
        ("{url}", format!("http://{endpoint}")),
    ];
    let languages =
        ["python", "java", "go"].map(|name| (name, format!("{{dataflow-options:{name}}}")));
    let mut placeholders = vec![(language(command), DATAFLOW_OPTIONS.to_owned())];
    placeholders.extend(languages);
    let mut all = Vec::new();
    for argument in command {
        let found = placeholders.iter().find_map(|(language, placeholder)| {
            let text = argument.to_str()?;
            let flags = clients::dataflow_options(language, endpoint)?;
            text.contains(placeholder).then_some((placeholder, flags))
        });
        match found {
            // By itself it stands for as many arguments as there are flags.
            Some((placeholder, flags)) if argument == placeholder.as_str() => {
                all.extend(flags.into_iter().map(OsString::from));
            }
            // Within another, such as Maven's -Dexec.args, for words.
            Some((placeholder, flags)) => {
                let values = [(placeholder.as_str(), flags.join(" "))];
                all.push(expand(argument, &values));
            }
            None => all.push(expand(argument, &values)),
        }
    }
    all
}

/// The command's Python, unless the environment names one for workers: what a job was submitted with
/// has what its workers need.
fn own_python(command: &[OsString]) -> Vec<PathBuf> {
    if std::env::var_os("DATAFLUME_PYTHON").is_some_and(|set| !set.is_empty()) {
        return Vec::new();
    }
    let Some(program) = command.first().map(PathBuf::from) else {
        return Vec::new();
    };
    let name = program.file_name().unwrap_or_default().to_string_lossy();
    match name.starts_with("python") {
        true => vec![program],
        false => Vec::new(),
    }
}

/// The language of the program, by its name: what is not known is taken for a Go binary.
fn language(command: &[OsString]) -> &'static str {
    let program = command.first().map(Path::new).and_then(Path::file_name);
    let name = program
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    match name.as_str() {
        "java" | "mvn" | "mvnw" | "gradle" | "gradlew" => "java",
        name if name.starts_with("python") || name.ends_with(".py") => "python",
        _ => "go",
    }
}

fn expand(argument: &OsString, values: &[(&str, String)]) -> OsString {
    // What isn't text can't contain a placeholder that anybody wrote.
    let Some(text) = argument.to_str() else {
        return argument.clone();
    };
    let put_in = |text: String, (name, value): &(&str, String)| text.replace(name, value);
    values.iter().fold(text.to_owned(), put_in).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_put_in_and_all_else_is_left() {
        let values = [
            ("{endpoint}", "localhost:1".to_owned()),
            ("{port}", "1".to_owned()),
        ];
        let expand = |text: &str| expand(&OsString::from(text), &values);
        assert_eq!(
            expand("--job_endpoint={endpoint}"),
            "--job_endpoint=localhost:1"
        );
        assert_eq!(expand("{port}{port}{other}"), "11{other}");
    }

    fn run(command: &[&str]) -> Vec<String> {
        let command: Vec<OsString> = command.iter().map(OsString::from).collect();
        let expanded = expanded(&command, "localhost:1", 1).into_iter();
        expanded.map(|word| word.into_string().unwrap()).collect()
    }

    #[test]
    fn dataflow_options_fit_the_language() {
        let java = run(&["/usr/bin/java", "-jar", "x.jar", "{dataflow-options}"]);
        assert!(
            java.contains(&"--dataflowEndpoint=http://localhost:1/".to_owned()),
            "{java:?}"
        );
        let go = run(&["./wordcount", "{dataflow-options}"]);
        assert!(
            go.contains(&"--dataflow_endpoint=http://localhost:1".to_owned()),
            "{go:?}"
        );
        let given = run(&["./run.sh", "{dataflow-options:python}"]);
        assert!(
            given.contains(&"--runner=DataflowRunner".to_owned()),
            "{given:?}"
        );
    }

    #[test]
    fn within_an_argument_dataflow_options_are_words() {
        let maven = run(&["mvn", "-Dexec.args=--input=x {dataflow-options}"]);
        assert_eq!(maven.len(), 2);
        assert!(
            maven[1].starts_with("-Dexec.args=--input=x --runner=DataflowRunner --"),
            "{maven:?}"
        );
    }
}
