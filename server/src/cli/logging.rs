//! Logs: to standard error, since standard output belongs to the banner or to the command.

use std::io::{self, IsTerminal};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt;
use tracing_subscriber::prelude::*;

use super::arguments::{LogFormat, Options};

/// Starts logging. `default` holds where the options say nothing.
pub(super) fn start(options: &Options, default: LevelFilter) {
    let targets = options.log_level.clone();
    let targets = targets.unwrap_or_else(|| Targets::new().with_default(default));
    let layer = fmt::layer().with_writer(io::stderr);
    let layer = match options.log_format {
        LogFormat::Json => layer.json().flatten_event(true).boxed(),
        LogFormat::Text => layer.with_ansi(io::stderr().is_terminal()).boxed(),
    };
    tracing_subscriber::registry().with(layer.with_filter(targets)).init();
}
