//! What is measured, and against whom.

use super::runners::Kind;

/// The program that builds a case's pipeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Program {
    /// `xtask/bench/python`.
    Python,
    /// `xtask/bench/go`.
    Go,
    /// `xtask/bench/java`.
    Java,
    /// Beam's own benchmark; its pipelines are queries.
    Nexmark,
}

/// One line of the table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Case {
    /// What users of `cargo xtask bench` call it.
    pub(super) name: &'static str,
    pub(super) program: Program,
    /// What the program calls it.
    pub(super) pipeline: &'static str,
    /// Elements, or bytes of text.
    pub(super) size: u64,
    /// Jobs submitted at once.
    pub(super) jobs: u32,
    /// Dataflume first.
    pub(super) runners: &'static [Kind],
}

const PORTABLE: &[Kind] = &[Kind::Dataflume, Kind::Prism];
const ALL: &[Kind] = &[Kind::Dataflume, Kind::Prism, Kind::FnApiRunner];
/// What a worker's start costs: from an interpreter that waits, against none to start, and from scratch.
const STARTS: &[Kind] = &[Kind::DataflumeWarm, Kind::Dataflume, Kind::DataflumeCold];
/// Two workers that Dataflume starts, against an interpreter that is there already.
const PROCESSES: &[Kind] = &[Kind::DataflumeProcesses, Kind::FnApiRunner];
/// No Prism: it refuses half of the queries, and what the others ask for it tells twice.
const JAVA: &[Kind] = &[Kind::Dataflume, Kind::DirectRunner];

/// Every case, in the order in which they run.
pub(super) const CASES: &[Case] = &[
    go("go-tiny", "tiny", 10),
    Case {
        jobs: 50,
        ..go("go-50-tiny", "tiny", 10)
    },
    go("go-wordcount", "wordcount", 20_000_000),
    go("go-gbk", "gbk", 2_000_000),
    go("go-hot-key", "hot-key", 500_000),
    java("java-tiny", "tiny", 10),
    java("java-wordcount", "wordcount", 20_000_000),
    java("java-gbk", "gbk", 1_000_000),
    java("java-combine", "combine", 2_000_000),
    nexmark("nexmark-3", "3"),
    nexmark("nexmark-5", "5"),
    nexmark("nexmark-8", "8"),
    nexmark("nexmark-11", "11"),
    python("python-tiny", "tiny", 10, ALL),
    python("python-wordcount", "wordcount", 4_000_000, ALL),
    python("python-gbk", "group_by_key", 1_000_000, ALL),
    python("python-combine", "combine", 2_000_000, ALL),
    python("python-side-input", "side_input", 1_000_000, ALL),
    python("python-cogbk", "co_group_by_key", 500_000, ALL),
    python("python-many-side-inputs", "many_side_inputs", 100_000, ALL),
    python("python-state-timers", "state_and_timers", 100_000, ALL),
    python("python-deep", "deep", 200, ALL),
    python("python-wide", "wide", 1_000, ALL),
    python("python-streaming", "streaming", 5_000, PORTABLE),
    python("worker-start", "tiny", 10, STARTS),
    python("processes-tiny", "tiny", 10, PROCESSES),
    python("processes-wordcount", "wordcount", 4_000_000, PROCESSES),
    python("processes-gbk", "group_by_key", 1_000_000, PROCESSES),
    python("processes-combine", "combine", 2_000_000, PROCESSES),
    python("processes-side-input", "side_input", 1_000_000, PROCESSES),
];

const fn go(name: &'static str, pipeline: &'static str, size: u64) -> Case {
    Case {
        name,
        program: Program::Go,
        pipeline,
        size,
        jobs: 1,
        runners: PORTABLE,
    }
}

const fn java(name: &'static str, pipeline: &'static str, size: u64) -> Case {
    Case {
        program: Program::Java,
        ..go(name, pipeline, size)
    }
}

const fn nexmark(name: &'static str, query: &'static str) -> Case {
    Case {
        program: Program::Nexmark,
        runners: JAVA,
        ..go(name, query, 100_000)
    }
}

const fn python(
    name: &'static str,
    pipeline: &'static str,
    size: u64,
    runners: &'static [Kind],
) -> Case {
    Case {
        name,
        program: Program::Python,
        pipeline,
        size,
        jobs: 1,
        runners,
    }
}
