//! `dataflume start`.

use std::io::{self, Write};
use std::process::ExitCode;

use tracing::info;

use super::arguments::Options;
use super::banner::Banner;
use super::run;
use super::signals::{self, Signals};

/// Serves until it is asked to end; asked twice, it ends without waiting for anything.
pub(super) async fn start(options: &Options) -> anyhow::Result<ExitCode> {
    let mut signals = Signals::watch()?;
    let server_options = options.lasting()?;
    let server = run::server(options, server_options.clone(), Vec::new()).await?;
    let banner = Banner {
        endpoint: server.endpoint(),
        port: server.port(),
        chosen: server_options.port == 0,
        data: &server_options.data,
    };
    print(&banner.text());
    let signal = signals.next().await;
    info!(%signal, "ending; once more ends at once");
    tokio::select! {
        () = server.shutdown() => Ok(ExitCode::SUCCESS),
        again = signals.next() => Ok(ExitCode::from(signals::exit_code(again as i32))),
    }
}

/// Nobody has to be listening.
fn print(text: &str) {
    let mut output = io::stdout().lock();
    let _ = output
        .write_all(text.as_bytes())
        .and_then(|()| output.flush());
}
