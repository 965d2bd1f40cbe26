//! Logs: to standard error, since standard output belongs to the banner or to the command.

use std::io::{self, IsTerminal};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt;
use tracing_subscriber::prelude::*;

use super::arguments::{LogFormat, Options};
use crate::jobs::MESSAGES_TARGET;
use crate::runner::WORKER_LOGS_TARGET;

/// What `start` logs unless told otherwise.
pub(super) fn lasting() -> Targets {
    Targets::new().with_default(LevelFilter::INFO)
}

/// What `exec` logs unless told otherwise: its output is the command's, which shows the messages of
/// the jobs that it runs itself; of what their workers log, errors.
pub(super) fn passing() -> Targets {
    let targets = Targets::new().with_default(LevelFilter::WARN);
    targets
        .with_target(MESSAGES_TARGET, LevelFilter::OFF)
        .with_target(WORKER_LOGS_TARGET, LevelFilter::ERROR)
}

/// Starts logging. `default` holds where the options say nothing.
pub(super) fn start(options: &Options, default: Targets) {
    let targets = options.log_level.clone().unwrap_or(default);
    let layer = fmt::layer().with_writer(io::stderr);
    let layer = match options.log_format {
        LogFormat::Json => layer.json().flatten_event(true).boxed(),
        LogFormat::Text => layer.with_ansi(io::stderr().is_terminal()).boxed(),
    };
    tracing_subscriber::registry()
        .with(layer.with_filter(targets))
        .init();
}
