//! From a pipeline proto to a validated, expanded and fused plan. Pure.
//!
//! [`translate()`] takes what an SDK submitted and gives a [`plan::Plan`], or a
//! [`refusal::Refusal`] that names everything in the pipeline that can't be run. Nothing here runs
//! a pipeline, knows a clock or reads a file: the same pipeline always gives the same plan.
//!
//! The way of a pipeline, one module a step: [`mod@translate`] calls them in order. Composites give
//! way to their leaves (`leaves`), which are checked (`validate`); combiners are lifted and
//! splittable DoFns taken apart (`expand`); transforms are fused into stages (`fuse`); each stage
//! gets its PCollections (`build`) and what its SDK harness is told (`descriptor`). `coders` and
//! `windowing` say how elements look on the wire. [`plan::Plan::explain`] shows the result.

mod build;
mod coders;
mod components;
mod descriptor;
mod expand;
mod explain;
mod fuse;
mod leaves;
mod node;
pub mod plan;
pub mod refusal;
pub mod translate;
mod validate;
mod windowing;

pub use refusal::{Problem, ProblemKind, Refusal};
pub use translate::{TranslateOptions, translate};

/// The structure of one of a descriptor's coders, as far as the runner knows it.
pub fn coder_of(
    coders: &std::collections::HashMap<String, dataflume_proto::pipeline::Coder>,
    id: &str,
) -> dataflume_model::coder::Coder {
    coders::CoderTable::new(coders).model(id)
}
