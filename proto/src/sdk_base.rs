//! How the capability of an environment begins that names its SDK.

/// Whatever the SDK.
pub const ANY: &str = "beam:version:sdk_base:";
/// The Go SDK.
pub const GO: &str = "beam:version:sdk_base:go:";
/// The Python SDK.
pub const PYTHON: &str = "beam:version:sdk_base:apache/beam_python";
/// The Java SDK.
pub const JAVA: &str = "beam:version:sdk_base:apache/beam_java";

/// Whether an environment's capabilities name this SDK.
pub fn is_named(capabilities: &[String], sdk: &str) -> bool {
    let mut capabilities = capabilities.iter();
    capabilities.any(|capability| capability.starts_with(sdk))
}
