//! What differs between SDKs and is told nowhere else.

use dataflume_proto::pipeline::Environment;
use dataflume_proto::sdk_base;

/// Whether the workers of an environment are Go's harness.
pub(crate) fn is_go(environment: &Environment) -> bool {
    let mut capabilities = environment.capabilities.iter();
    capabilities.any(|capability| capability.starts_with(sdk_base::GO))
}
