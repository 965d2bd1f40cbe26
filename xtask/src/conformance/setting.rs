//! What a suite's pipelines are run on: which workers, how many, and what makes it harder.

use anyhow::{Result, ensure};
use clap::{Args, ValueEnum};
use serde::Deserialize;

/// The setting of a run. The default is what `docs/conformance.md` shows test by test.
#[derive(Args, Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Setting {
    /// What the tests' code runs in.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) workers: Workers,

    /// How many workers a job has for each of its environments.
    #[arg(long, value_name = "N")]
    worker_count: Option<u32>,

    /// No bundle takes more elements than this, unless they belong together.
    #[arg(long, value_name = "N")]
    max_bundle_elements: Option<u64>,

    /// The first attempt of every Nth bundle of a job fails.
    #[arg(long, value_name = "N")]
    fail_every_nth_bundle: Option<u64>,
}

/// What the tests' code runs in.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Workers {
    /// Threads of the test's own process.
    #[default]
    Loopback,
    /// Processes that the emulator makes of what the client stages, as it does for the images of Dataflow's workers.
    Process,
    /// Containers of an image of the SDK that `cargo xtask sdk-image` makes.
    Docker,
}

impl Workers {
    /// The type of environment that the client is told to ask for.
    pub(crate) fn environment_type(self) -> &'static str {
        match self {
            Self::Loopback => "LOOPBACK",
            Self::Process | Self::Docker => "DOCKER",
        }
    }
}

impl Setting {
    /// What the emulator is started with.
    pub(crate) fn emulator_arguments(&self) -> Vec<String> {
        let workers = match self.workers {
            Workers::Loopback | Workers::Process => "process",
            Workers::Docker => "docker",
        };
        let mut arguments = vec![format!("--workers={workers}")];
        if let Some(count) = self.worker_count {
            arguments.push(format!("--num-workers={count}"));
            arguments.push(format!("--max-workers={count}"));
        }
        if let Some(elements) = self.max_bundle_elements {
            arguments.push(format!("--max-bundle-elements={elements}"));
        }
        if let Some(bundles) = self.fail_every_nth_bundle {
            arguments.push(format!("--fail-every-nth-bundle={bundles}"));
        }
        arguments
    }

    /// An emulator that runs already can't be given other switches.
    pub(crate) fn fits_a_foreign_endpoint(&self) -> Result<()> {
        let own = Self {
            workers: self.workers,
            ..Self::default()
        };
        ensure!(
            *self == own,
            "--worker-count, --max-bundle-elements and --fail-every-nth-bundle are for an emulator that this command starts; \
             start yours with its own switches"
        );
        Ok(())
    }

    /// In words, for the page. Nothing if it is the default.
    pub(crate) fn describe(&self) -> Option<String> {
        let mut parts = Vec::new();
        match self.workers {
            Workers::Loopback => {}
            Workers::Process => parts.push("process workers".to_owned()),
            Workers::Docker => parts.push("containers".to_owned()),
        }
        if let Some(count) = self.worker_count {
            parts.push(format!("{count} workers"));
        }
        if let Some(elements) = self.max_bundle_elements {
            parts.push(format!("bundles of at most {elements} elements"));
        }
        if let Some(bundles) = self.fail_every_nth_bundle {
            parts.push(format!("every {bundles}th bundle fails once"));
        }
        (!parts.is_empty()).then(|| parts.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_default_has_no_name() {
        assert_eq!(Setting::default().describe(), None);
        let setting = Setting {
            workers: Workers::Process,
            worker_count: Some(2),
            max_bundle_elements: Some(3),
            fail_every_nth_bundle: Some(10),
        };
        assert_eq!(
            setting.describe().as_deref(),
            Some(
                "process workers, 2 workers, bundles of at most 3 elements, every 10th bundle fails once"
            )
        );
        assert!(setting.fits_a_foreign_endpoint().is_err());
        assert!(
            Setting {
                workers: Workers::Process,
                ..Setting::default()
            }
            .fits_a_foreign_endpoint()
            .is_ok()
        );
    }
}
