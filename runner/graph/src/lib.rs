//! From a pipeline proto to a validated, expanded and fused plan. Pure.

pub mod plan;
