//! What differs between SDKs and is told nowhere else.

use dataflume_proto::pipeline::Environment;

/// An SDK names itself so among its environment's capabilities.
const GO: &str = "beam:version:sdk_base:go:";

/// Whether the workers of an environment are Go's harness.
pub(crate) fn is_go(environment: &Environment) -> bool {
    let mut capabilities = environment.capabilities.iter();
    capabilities.any(|capability| capability.starts_with(GO))
}
