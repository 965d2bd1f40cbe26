//! Which packages of Beam's Go module have tests that run pipelines on any runner.

/// A package, and its tests.
#[derive(Debug)]
pub(super) struct Package {
    /// Below the folder `go` of the module.
    pub(super) path: &'static str,
    /// A pattern of its tests that run pipelines; the others never ask a runner.
    pub(super) wanted: &'static str,
}

const fn package(path: &'static str, wanted: &'static str) -> Package {
    Package { path, wanted }
}

/// Tests that are written for any runner.
const INTEGRATION: [Package; 4] = [
    package("test/integration/primitives", "."),
    package("test/integration/synthetic", "."),
    package("test/integration/wordcount", "."),
    package("test/regression", "."),
];

/// Tests of the SDK's own, which Beam runs on Prism. Those of its sinks and sources that bring a service of their own are here too.
/// Not those of packages whose DoFns hold what can't be sent to a worker (`fhirio`, `datastoreio`).
const SDK: [Package; 20] = [
    package("examples/large_wordcount", "."),
    package("examples/snippets", "Test[^S]|TestSide"),
    package("pkg/beam", "^Test(Create|Partition)"),
    package("pkg/beam/io/avroio", "."),
    package("pkg/beam/io/databaseio", "^Test(Read|Query)$"),
    package(
        "pkg/beam/io/fileio",
        "^Test(MatchFiles|MatchAll|ReadMatches)$",
    ),
    package("pkg/beam/io/natsio", "^Test(Read|Write)$"),
    package("pkg/beam/io/parquetio", "."),
    package("pkg/beam/io/spannerio", "^Test(Read|Write)$"),
    package("pkg/beam/io/textio", "."),
    package(
        "pkg/beam/runners/prism/internal",
        "^Test(Runner_|Failure|Separation|Unimpl|Impl|StateAPI|Timers|TestStream)",
    ),
    package(
        "pkg/beam/runners/prism/internal/engine",
        "^Test(StatefulStages|ElementManagerCoverage|TestStream|Triggers|ProcessingTime)$",
    ),
    package("pkg/beam/testing/passert", "."),
    package("pkg/beam/testing/ptest", "."),
    package("pkg/beam/transforms/batch", "^TestGroupIntoBatches"),
    package("pkg/beam/transforms/filter", "."),
    package("pkg/beam/transforms/periodic", "^Test(Sequence|Impulse)$"),
    package(
        "pkg/beam/transforms/stats",
        "^Test(Count|Max|Mean|Min|Sum|Zero|.*Quantiles)",
    ),
    package("pkg/beam/transforms/top", "^Test(Largest|Smallest)"),
    package("pkg/beam/x/debug", "."),
];

/// Which of the module's tests.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Tests {
    /// The integration and regression tests.
    Integration,
    /// The same, but for what they themselves skip on Dataflow.
    Dataflow,
    /// Those of the SDK's packages, and Prism's own.
    Sdk,
}

impl Tests {
    /// The name of the suite.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Integration => "go",
            Self::Dataflow => "go-dataflow",
            Self::Sdk => "go-sdk",
        }
    }

    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Integration => "integration and regression tests",
            Self::Dataflow => "integration and regression tests, through Dataflow's runner,",
            Self::Sdk => "tests of packages, Prism's among them, that run pipelines,",
        }
    }

    pub(super) fn packages(self) -> &'static [Package] {
        match self {
            Self::Integration | Self::Dataflow => &INTEGRATION,
            Self::Sdk => &SDK,
        }
    }

    /// How names of tests begin.
    pub(super) fn name_of(self, package: &Package) -> &'static str {
        match self {
            // The last part of the path is enough.
            Self::Integration | Self::Dataflow => {
                package.path.rsplit('/').next().unwrap_or(package.path)
            }
            Self::Sdk => package.path,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn packages_are_told_apart() {
        for tests in [Tests::Integration, Tests::Dataflow, Tests::Sdk] {
            let all = tests
                .packages()
                .iter()
                .map(|package| tests.name_of(package));
            let names: BTreeSet<_> = all.collect();
            assert_eq!(names.len(), tests.packages().len(), "{tests:?}");
            assert!(names.iter().all(|name| !name.contains('.')));
        }
    }
}
