//! `dataflume exec`.

use std::ffi::OsString;
use std::process::ExitCode;

use super::arguments::Options;
use super::child::Running;
use super::run;
use super::signals::Signals;
use crate::server::Server;

/// Runs the command beside a server of its own. Gives the command's exit code.
pub(super) async fn exec(options: &Options, command: &[OsString]) -> anyhow::Result<ExitCode> {
    let mut signals = Signals::watch()?;
    let server = run::server(options, options.passing()).await?;
    let code = match Running::start(&expanded(command, &server), &variables(&server)) {
        Ok(running) => running.finish(&mut signals).await,
        Err(not_started) => {
            eprintln!("error: {:#}", not_started.error);
            Ok(not_started.exit_code)
        }
    };
    server.shutdown().await;
    code.map(ExitCode::from)
}

/// What the command finds in its environment.
fn variables(server: &Server) -> [(&'static str, String); 4] {
    let endpoint = server.endpoint().to_owned();
    [
        ("DATAFLUME_URL", format!("http://{endpoint}")),
        ("DATAFLUME_PORT", server.port().to_string()),
        ("JOB_ENDPOINT", endpoint.clone()),
        ("DATAFLUME_ENDPOINT", endpoint),
    ]
}

/// The command, with where the server is put in.
fn expanded(command: &[OsString], server: &Server) -> Vec<OsString> {
    let endpoint = server.endpoint();
    let values = [
        ("{endpoint}", endpoint.to_owned()),
        ("{port}", server.port().to_string()),
        ("{url}", format!("http://{endpoint}")),
    ];
    command
        .iter()
        .map(|argument| expand(argument, &values))
        .collect()
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
}
