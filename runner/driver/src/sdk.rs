//! What differs between SDKs and is told nowhere else.

use dataflume_proto::pipeline::Environment;
use dataflume_proto::sdk_base;

/// Whether the workers of an environment are Go's harness.
pub(crate) fn is_go(environment: &Environment) -> bool {
    has_base(environment, sdk_base::GO)
}

/// Whether they are Java's.
pub(crate) fn is_java(environment: &Environment) -> bool {
    has_base(environment, sdk_base::JAVA)
}

fn has_base(environment: &Environment, base: &str) -> bool {
    let mut capabilities = environment.capabilities.iter();
    capabilities.any(|capability| capability.starts_with(base))
}
