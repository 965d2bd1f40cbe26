//! What `start` prints first: where it listens and how to get there.

use std::fmt::Write;

use serde_json::json;

use super::arguments::DEFAULT_PORT;
use crate::server::DataLocation;

/// What there is to say.
pub(super) struct Banner<'a> {
    pub(super) endpoint: &'a str,
    pub(super) port: u16,
    /// The port was not given: whoever started it has to learn it.
    pub(super) chosen: bool,
    pub(super) data: &'a DataLocation,
}

impl Banner<'_> {
    /// All lines. A chosen port comes first, for programs to read.
    pub(super) fn text(&self) -> String {
        let Self { endpoint, port, .. } = self;
        let mut text = String::new();
        if self.chosen {
            // Writing to a string can't fail.
            let _ = writeln!(text, "{}", json!({"endpoint": endpoint, "port": port}));
        }
        let data = match self.data {
            DataLocation::Folder(folder) => folder.display().to_string(),
            DataLocation::Ephemeral => "temporary, gone at the end".to_owned(),
        };
        let lines = [
            (
                "Python",
                format!("--runner=PortableRunner --job_endpoint={endpoint}"),
            ),
            (
                "Java",
                format!("--runner=PortableRunner --jobEndpoint={endpoint}"),
            ),
            ("Go", format!("--runner=universal --endpoint={endpoint}")),
            ("Clients", self.environment()),
            ("Health", format!("http://{endpoint}/healthz")),
            ("Data", data),
        ];
        let _ = writeln!(
            text,
            "Dataflume {} listens on {endpoint}",
            env!("CARGO_PKG_VERSION")
        );
        for (name, value) in lines {
            let _ = writeln!(text, "  {name:<8}{value}");
        }
        text
    }

    /// What to evaluate so that DataflowRunner and Google's clients find the emulator.
    fn environment(&self) -> String {
        let port = match self.port {
            DEFAULT_PORT => String::new(),
            port => format!(" --port {port}"),
        };
        format!("eval \"$(dataflume env{port})\"")
    }
}
