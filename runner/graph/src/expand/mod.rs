//! Transforms that become several: lifted combiners, splittable DoFns, flattens and TestStreams that transcode.

pub(crate) mod combine;
pub(crate) mod flatten;
pub(crate) mod runner;
pub(crate) mod splittable;
pub(crate) mod test_stream;
