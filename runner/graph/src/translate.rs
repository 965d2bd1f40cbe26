//! The way from a pipeline to a plan.

use std::collections::BTreeMap;

use dataflume_proto::pipeline::{self, Pipeline};

use crate::components::Components;
use crate::node::Node;
use crate::plan::Plan;
use crate::refusal::{Problems, Refusal};
use crate::{build, expand, fuse, leaves, validate};

/// Choices that change how a pipeline is run, never what it computes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TranslateOptions {
    /// Combine before the shuffle where the trigger allows it.
    pub lift_combiners: bool,
    /// Run consecutive transforms of one environment in one bundle. Without it, every transform is
    /// a stage: slow, and good for finding out which one is at fault.
    pub fuse: bool,
}

impl Default for TranslateOptions {
    fn default() -> Self {
        Self {
            lift_combiners: true,
            fuse: true,
        }
    }
}

/// Makes a plan of a pipeline, or says everything that is in the way.
///
/// ```
/// use dataflume_graph::{TranslateOptions, translate};
/// use dataflume_proto::pipeline::{Components, FunctionSpec, PTransform, Pipeline};
/// let transform = PTransform {
///     unique_name: "Read/From/Nowhere".into(),
///     spec: Some(FunctionSpec { urn: "acme:read:v1".into(), ..Default::default() }),
///     outputs: [("out".to_owned(), "records".to_owned())].into(),
///     ..Default::default()
/// };
/// let transforms = [("read".to_owned(), transform)].into();
/// let components = Some(Components { transforms, ..Default::default() });
/// let pipeline = Pipeline { components, ..Default::default() };
/// let refusal = translate(&pipeline, &TranslateOptions::default()).unwrap_err();
/// assert!(refusal.to_string().contains("acme:read:v1"));
/// ```
pub fn translate(pipeline: &Pipeline, options: &TranslateOptions) -> Result<Plan, Refusal> {
    let mut problems = Problems::default();
    let protos = pipeline.components.clone().unwrap_or_default();
    validate::requirements(pipeline, &mut problems);
    validate::coders(&protos, &mut problems);
    // A coder that contains itself would never end.
    if problems.any_malformed() {
        return Err(refused(problems));
    }
    let mut components = Components::new(&protos);
    let nodes = leaves::collect(pipeline, &mut components, options, &mut problems);
    let nodes = validate::references(nodes, &mut components, &mut problems);
    if problems.any_malformed() {
        return Err(refused(problems));
    }
    validate::semantics(&nodes, &mut components, &mut problems);
    problems.into_result()?;

    let nodes = expand::splittable::expand(nodes, &mut components);
    let nodes = expand::test_stream::transcode(nodes, &mut components);
    expand::runner::settle_coders(&nodes, &mut components);
    let nodes = expand::flatten::transcode(nodes, &mut components);
    let names = names(&protos, &nodes);
    let fused = fuse::fuse(nodes, options.fuse, &components);
    Ok(build::plan(fused, &mut components, names))
}

fn refused(problems: Problems) -> Refusal {
    match problems.into_result() {
        Err(refusal) => refusal,
        Ok(()) => Refusal {
            problems: Vec::new(),
        },
    }
}

/// The user's names, also of the parts that user transforms were taken into.
fn names(protos: &pipeline::Components, nodes: &[Node]) -> BTreeMap<String, String> {
    let declared = protos
        .transforms
        .iter()
        .map(|(id, t)| (id.clone(), t.unique_name.clone()));
    let mut names: BTreeMap<String, String> = declared.collect();
    for node in nodes {
        names
            .entry(node.id.clone())
            .or_insert_with(|| node.name.clone());
    }
    names
}
