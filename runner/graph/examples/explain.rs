//! Prints the plan of a pipeline proto, or why there is none:
//! `explain FILE [--no-fusion] [--no-lifting] [--descriptors FOLDER]`. With a folder, what the SDK
//! harnesses would be told is written there, one `ProcessBundleDescriptor` per file.

use std::path::PathBuf;

use anyhow::{Context, bail};
use dataflume_graph::plan::{Plan, StageKind};
use dataflume_graph::{TranslateOptions, translate};
use dataflume_proto::pipeline::Pipeline;
use prost::Message;

fn main() -> anyhow::Result<()> {
    let mut file = None;
    let mut folder = None;
    let mut options = TranslateOptions::default();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--no-fusion" => options.fuse = false,
            "--no-lifting" => options.lift_combiners = false,
            "--descriptors" => folder = arguments.next().map(PathBuf::from),
            _ => file = Some(argument),
        }
    }
    let Some(file) = file else {
        bail!("give the file of a Pipeline proto");
    };
    let bytes = std::fs::read(&file).with_context(|| format!("can't read {file}"))?;
    let pipeline = Pipeline::decode(bytes.as_slice()).context("this is no Pipeline proto")?;
    let plan = translate(&pipeline, &options)?;
    print!("{}", plan.explain());
    match folder {
        Some(folder) => write_descriptors(&plan, &folder),
        None => Ok(()),
    }
}

fn write_descriptors(plan: &Plan, folder: &std::path::Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder)?;
    for stage in &plan.stages {
        let StageKind::Executable(executable) = &stage.kind else {
            continue;
        };
        let truncation = executable
            .splittable
            .as_ref()
            .and_then(|s| s.truncate.as_ref());
        let descriptors = [
            Some(&executable.descriptor),
            truncation.map(|truncation| &truncation.descriptor),
        ];
        for descriptor in descriptors.into_iter().flatten() {
            std::fs::write(folder.join(&descriptor.id), descriptor.encode_to_vec())?;
        }
    }
    Ok(())
}
