//! Where the wheel of Beam's Python SDK has the tests of each suite.

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::python::Beam;

/// Where the wheel has tests of Java transforms that need nothing outside this machine.
pub(super) const CROSS_LANGUAGE: [&str; 2] = [
    "io/external/generate_sequence_test.py",
    "transforms/sql_test.py",
];

/// Where the wheel has tests of Beam YAML that run pipelines. Those with Java transforms are last: the SDK keeps the connection to
/// the service that expanded them where later pipelines' functions refer to it, and then can't pickle those.
pub(super) const YAML: [&str; 9] = [
    "yaml/programming_guide_test.py",
    "yaml/yaml_combine_test.py",
    "yaml/yaml_io_test.py",
    "yaml/yaml_mapping_test.py",
    "yaml/yaml_transform_scope_test.py",
    "yaml/yaml_transform_test.py",
    "yaml/yaml_udf_test.py",
    "yaml/yaml_testing_test.py",
    "yaml/yaml_join_test.py",
];

/// Where the wheel has tests that are marked. Others that are need a service outside this machine, or look at no result of a runner.
pub(super) const MARKED: [&str; 10] = [
    "metrics/metric_test.py",
    "pipeline_test.py",
    "transforms/combinefn_lifecycle_test.py",
    "transforms/combiners_test.py",
    "transforms/deduplicate_test.py",
    "transforms/dofn_lifecycle_test.py",
    "transforms/ptransform_test.py",
    "transforms/sideinputs_test.py",
    "transforms/util_test.py",
    "runners/portability/fn_api_runner/translations_test.py",
];

/// Files of the installed SDK.
pub(super) fn files(beam: &Beam, files: &[&str]) -> Vec<OsString> {
    let files = files.iter();
    files.map(|file| beam.package.join(file).into()).collect()
}

/// Those that a list names, one a line; other lines are remarks.
pub(super) fn listed_files(beam: &Beam, list: &Path) -> Result<Vec<OsString>> {
    let list = fs::read_to_string(list).with_context(|| format!("reading {}", list.display()))?;
    let named: Vec<&str> = list
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .collect();
    Ok(files(beam, &named))
}
