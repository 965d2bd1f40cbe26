//! Runs Beam's own suites, unmodified, against an emulator, and writes `docs/conformance.md`.
//!
//! Every suite is a [`suite::Suite`]: it lists its tests and runs some of them, telling what happens test by test. What is
//! common to all (choosing tests, sharing them out to several processes, restarting after a hang, comparing with the known
//! failures, the report) is here and knows no SDK.

mod dataflow;
mod drain;
pub(crate) mod emulator;
mod go;
mod go_packages;
mod java;
pub(crate) mod java_project;
pub(crate) mod known;
pub(crate) mod nexmark;
pub(crate) mod outcome;
pub(crate) mod process;
mod python;
mod report;
pub(crate) mod setting;
mod shard;
mod suite;
mod timing;
mod typescript;
mod wheel;

use std::path::Path;

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};

use self::known::{KnownFailures, Verdict};
use self::report::SuiteReport;
use self::setting::{Setting, Workers};
use self::suite::Suite;
use crate::stage::Counts;
use crate::{sdk_images, workspace};

/// Which tests to run, and against what.
#[derive(Debug, Args)]
pub(crate) struct ConformanceArgs {
    /// The SDK whose suite to run; all of them if absent.
    suite: Option<SuiteName>,

    /// Run only the tests whose name contains this.
    filter: Option<String>,

    /// Use this job endpoint (HOST:PORT) instead of starting our own emulator.
    #[arg(long)]
    endpoint: Option<String>,

    /// How many test processes run at the same time.
    #[arg(long, default_value_t = 1)]
    jobs: usize,

    /// Seconds that one test may take.
    #[arg(long)]
    limit: Option<u64>,

    /// Compare how long each test takes here and on Prism instead.
    #[arg(long, conflicts_with = "endpoint")]
    time_against_prism: bool,

    /// Run nothing: judge the results of the last whole run by the known failures as they are now.
    #[arg(long, conflicts_with_all = ["endpoint", "filter", "time_against_prism"])]
    judge_again: bool,

    /// Leave docs/conformance.md as it is.
    #[arg(long)]
    keep_page: bool,

    #[command(flatten)]
    setting: Setting,
}

/// A suite of Beam's.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum SuiteName {
    /// `PortableRunnerTest` of the wheel.
    Python,
    /// The wheel's `FnApiRunnerTest`, with what it skips; only if asked for.
    PythonFnRunner,
    /// The wheel's tests that are marked `it_validatesrunner`; only if asked for.
    PythonValidatesRunner,
    /// The same tests, as the Python SDK's runner for Dataflow submits them; only if asked for.
    PythonDataflow,
    /// All the wheel's tests whose pipelines any runner can run, marked or not; only if asked for.
    PythonPipelines,
    /// The wheel's tests of Java transforms and Beam SQL in Python pipelines; only if asked for.
    PythonCrossLanguage,
    /// The wheel's tests of Beam YAML; only if asked for.
    PythonYaml,
    /// The ValidatesRunner tests of the Java SDK.
    Java,
    /// The same tests, as the Java SDK's runner for Dataflow submits them; only if asked for.
    JavaDataflow,
    /// The Java SDK's other tests that run pipelines; only if asked for.
    JavaNeedsRunner,
    /// The tests of Java extensions that run pipelines; only if asked for.
    JavaExtensions,
    /// The tests of Beam SQL for Java that run pipelines; only if asked for.
    JavaSql,
    /// The tests of connectors for Java that run pipelines; only if asked for.
    JavaIo,
    /// The queries of Nexmark, Beam's benchmark of streaming systems, with what their models say; only if asked for.
    JavaNexmark,
    /// The Go SDK's integration and regression tests.
    Go,
    /// The same tests, as the Go SDK's runner for Dataflow submits them; only if asked for.
    GoDataflow,
    /// The tests of the Go SDK's packages that run pipelines, and Prism's own; only if asked for.
    GoSdk,
    /// The TypeScript package's tests that run pipelines; only if asked for.
    #[value(name = "typescript")]
    TypeScript,
}

impl SuiteName {
    const ALL: [Self; 3] = [Self::Python, Self::Go, Self::Java];

    fn suite(self, workspace: &Path) -> Box<dyn Suite> {
        let java =
            |category| -> Box<dyn Suite> { Box::new(java::JavaSuite::new(workspace, category)) };
        let python =
            |tests| -> Box<dyn Suite> { Box::new(python::PythonSuite::new(workspace, tests)) };
        let go = |tests| -> Box<dyn Suite> { Box::new(go::GoSuite::new(workspace, tests)) };
        match self {
            Self::Python => python(python::Tests::Portable),
            Self::PythonFnRunner => python(python::Tests::FnApi),
            Self::PythonValidatesRunner => python(python::Tests::Marked),
            Self::PythonDataflow => python(python::Tests::Dataflow),
            Self::PythonPipelines => python(python::Tests::Pipelines),
            Self::PythonCrossLanguage => python(python::Tests::CrossLanguage),
            Self::PythonYaml => python(python::Tests::Yaml),
            Self::Java => java(java::Category::ValidatesRunner),
            Self::JavaDataflow => java(java::Category::Dataflow),
            Self::JavaNeedsRunner => java(java::Category::NeedsRunner),
            Self::JavaExtensions => java(java::Category::Extensions),
            Self::JavaSql => java(java::Category::Sql),
            Self::JavaIo => java(java::Category::Io),
            Self::JavaNexmark => Box::new(nexmark::NexmarkSuite::new(workspace)),
            Self::Go => go(go_packages::Tests::Integration),
            Self::GoDataflow => go(go_packages::Tests::Dataflow),
            Self::GoSdk => go(go_packages::Tests::Sdk),
            Self::TypeScript => Box::new(typescript::TypeScriptSuite::new(workspace)),
        }
    }
}

/// The suites that are quick enough to be run on every change, as a stage of the tests. One that waits for its
/// turn on a busy machine is no failure of ours, so a test is given longer than by default.
pub(crate) fn stage() -> Result<Counts> {
    let mut counts = Counts::default();
    for suite in [SuiteName::Python, SuiteName::Go, SuiteName::GoDataflow] {
        counts += Counts::check(run(&ConformanceArgs {
            suite: Some(suite),
            filter: None,
            endpoint: None,
            jobs: 1,
            limit: Some(120),
            time_against_prism: false,
            judge_again: false,
            keep_page: true,
            setting: Setting::default(),
        })?);
    }
    Ok(counts)
}

/// Runs the chosen suites. True if no test failed but those that are known to.
///
/// # Errors
/// If a suite could not be prepared or run at all.
pub(crate) fn run(args: &ConformanceArgs) -> Result<bool> {
    let workspace = workspace::root();
    let names = match args.suite {
        Some(name) => vec![name],
        None => SuiteName::ALL.to_vec(),
    };
    let mut unexpected = 0;
    for name in names {
        unexpected += run_suite(args, workspace, name)?;
    }
    Ok(unexpected == 0)
}

/// Runs one suite and reports it; gives the number of failures that nobody expected.
fn run_suite(args: &ConformanceArgs, workspace: &Path, name: SuiteName) -> Result<usize> {
    let suite = name.suite(workspace);
    println!("# {}", suite.title());
    if args.judge_again {
        return judge_again(args, workspace, suite.as_ref());
    }
    suite
        .prepare()
        .with_context(|| format!("preparing the {} suite", suite.name()))?;
    if args.setting.workers == Workers::Docker {
        let sdk = suite.sdk_image();
        sdk_images::ensure(sdk.context("no image has what the suite's tests need")?)?;
    }
    let tests = choose(suite.as_ref(), args.filter.as_deref())?;
    let known = KnownFailures::read(workspace, suite.name(), args.setting.workers)?;

    // One emulator for each suite: what one leaves behind is not the other's trouble.
    let emulator = match &args.endpoint {
        Some(_) => {
            args.setting.fits_a_foreign_endpoint()?;
            None
        }
        None => Some(start_emulator(args, workspace, suite.as_ref())?),
    };
    let endpoint = match (&args.endpoint, &emulator) {
        (Some(endpoint), _) => endpoint.clone(),
        (None, Some(emulator)) => emulator.endpoint().to_owned(),
        (None, None) => bail!("no endpoint"),
    };
    let limit = args.limit.unwrap_or_else(|| suite.default_limit_seconds());
    let target = shard::Target {
        endpoint: &endpoint,
        workers: args.setting.workers,
        limit_seconds: limit,
    };
    if args.time_against_prism {
        let comparison = timing::Comparison::make(suite.as_ref(), &tests, target)?;
        println!("\n{}", comparison.section());
        if args.filter.is_none() && !args.keep_page {
            report::write_timing(workspace, suite.name(), &comparison.section())?;
        }
        return Ok(0);
    }
    let results = shard::run(suite.as_ref(), &tests, target, args.jobs.max(1))?;

    let report = SuiteReport::new(suite.as_ref(), results, &known);
    report.print();
    let whole = args.filter.is_none() && args.endpoint.is_none();
    match args.setting.describe() {
        None if whole => {
            report::write_results(workspace, &report)?;
            if !args.keep_page {
                report::write_page(workspace, &report)?;
            }
        }
        None => {}
        Some(setting) if whole && !args.keep_page => {
            report::write_variation(workspace, &report, &setting)?;
        }
        // Containers take long: a part is worth a row too.
        Some(setting) if args.setting.workers == Workers::Docker && !args.keep_page => {
            let part = args.filter.as_deref().unwrap_or_default();
            report::write_variation(workspace, &report, &format!("{setting}, only *{part}*"))?;
        }
        Some(_) => {}
    }
    Ok(report.count(Verdict::Unexpected))
}

/// Reports the last results once more.
fn judge_again(args: &ConformanceArgs, workspace: &Path, suite: &dyn Suite) -> Result<usize> {
    let known = KnownFailures::read(workspace, suite.name(), Workers::default())?;
    let results = report::read_results(workspace, suite.name())?;
    let report = SuiteReport::new(suite, results, &known);
    report.print();
    if !args.keep_page {
        report::write_page(workspace, &report)?;
    }
    Ok(report.count(Verdict::Unexpected))
}

/// An emulator for the suite, in the setting.
fn start_emulator(
    args: &ConformanceArgs,
    workspace: &Path,
    suite: &dyn Suite,
) -> Result<emulator::Emulator> {
    let arguments = args.setting.emulator_arguments();
    let arguments = arguments.iter().map(String::as_str);
    let arguments: Vec<_> = arguments
        .chain(suite.emulator_arguments().iter().copied())
        .collect();
    let variables = suite.worker_variables()?;
    let variables: Vec<_> = variables
        .iter()
        .map(|(name, value)| (*name, value.as_os_str()))
        .collect();
    let binary = match args.time_against_prism {
        true => emulator::optimized_program()?,
        false => emulator::program(workspace)?,
    };
    emulator::Emulator::spawn(workspace, suite.name(), &binary, &arguments, &variables)
}

/// The tests of the suite whose name contains the filter.
fn choose(suite: &dyn Suite, filter: Option<&str>) -> Result<Vec<String>> {
    let mut tests = suite.list()?;
    if let Some(filter) = filter {
        tests.retain(|test| test.contains(filter));
    }
    if tests.is_empty() {
        bail!(
            "the {} suite has no test whose name contains {:?}",
            suite.name(),
            filter.unwrap_or_default()
        );
    }
    Ok(tests)
}
