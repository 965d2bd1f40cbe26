//! Transforms that become several: lifted combiners, splittable DoFns, flattens that transcode.

pub(crate) mod combine;
pub(crate) mod flatten;
pub(crate) mod runner;
pub(crate) mod splittable;
