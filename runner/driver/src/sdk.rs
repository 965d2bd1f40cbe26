//! What differs between SDKs and is told nowhere else.

use dataflume_proto::pipeline::Environment;
use dataflume_proto::sdk_base;

/// Whether the workers of an environment are Go's harness.
pub(crate) fn is_go(environment: &Environment) -> bool {
    sdk_base::is_named(&environment.capabilities, sdk_base::GO)
}

/// Whether they are Java's.
pub(crate) fn is_java(environment: &Environment) -> bool {
    sdk_base::is_named(&environment.capabilities, sdk_base::JAVA)
}
