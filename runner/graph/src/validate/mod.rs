//! What must hold before a pipeline is taken apart. Everything that doesn't is collected.
//!
//! First the proto's own consistency (`references`), then whether what it says can be run
//! (`semantics`).

mod coders;
mod references;
mod semantics;

use dataflume_proto::pipeline::Pipeline;
use dataflume_proto::urn::standard_requirements as urns;

pub(crate) use coders::coders;
pub(crate) use references::references;
pub(crate) use semantics::semantics;

use crate::refusal::{At, ProblemKind, Problems};

const REQUIREMENTS: [&str; 6] = [
    urns::REQUIRES_STATEFUL_PROCESSING,
    urns::REQUIRES_BUNDLE_FINALIZATION,
    urns::REQUIRES_STABLE_INPUT,
    urns::REQUIRES_TIME_SORTED_INPUT,
    urns::REQUIRES_SPLITTABLE_DOFN,
    urns::REQUIRES_ON_WINDOW_EXPIRATION,
];

/// A requirement that is not known must not be ignored: that is what requirements are for.
pub(crate) fn requirements(pipeline: &Pipeline, problems: &mut Problems) {
    for requirement in &pipeline.requirements {
        if !REQUIREMENTS.contains(&requirement.as_str()) {
            let reason = "the pipeline requires what is not known here; running it without could give \
                          wrong results";
            problems.add(
                ProblemKind::UnknownRequirement,
                At::PIPELINE,
                requirement,
                reason,
            );
        }
    }
}
