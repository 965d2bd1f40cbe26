//! Compiles the `.proto` files under `beam/` with protox: no `protoc` is needed.

use std::{env, fs, path::PathBuf};

const ROOT: &str = "beam";
const FILES: &[&str] = &[
    "org/apache/beam/model/pipeline/v1/beam_runner_api.proto",
    "org/apache/beam/model/pipeline/v1/endpoints.proto",
    "org/apache/beam/model/pipeline/v1/external_transforms.proto",
    "org/apache/beam/model/pipeline/v1/metrics.proto",
    "org/apache/beam/model/pipeline/v1/schema.proto",
    "org/apache/beam/model/pipeline/v1/standard_window_fns.proto",
    "org/apache/beam/model/fn_execution/v1/beam_fn_api.proto",
    "org/apache/beam/model/fn_execution/v1/beam_provision_api.proto",
    "org/apache/beam/model/job_management/v1/beam_artifact_api.proto",
    "org/apache/beam/model/job_management/v1/beam_expansion_api.proto",
    "org/apache/beam/model/job_management/v1/beam_job_api.proto",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed={ROOT}");
    let mut compiler = protox::Compiler::new([ROOT])?;
    compiler.include_imports(true).open_files(FILES)?;
    fs::write(
        PathBuf::from(env::var("OUT_DIR")?).join("beam_descriptors.bin"),
        compiler.encode_file_descriptor_set(),
    )?;
    tonic_prost_build::configure()
        .bytes(".")
        .codec_path("crate::codec::MessageCodec")
        .compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}
