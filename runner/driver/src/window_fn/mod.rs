//! Window functions that only an SDK knows: the runner asks a worker of their environment, in bundles
//! that are nobody else's.
//!
//! Such a bundle reads and changes nothing, so it belongs to no stage, takes none of the worker's slots,
//! and is simply asked again of another worker where one is lost.

mod codec;
mod merging;
#[cfg(test)]
mod tests;
mod workers;

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use dataflume_graph::plan::WindowFnCall;
use dataflume_harness::state::NoState;
use dataflume_harness::{
    BundleError, BundleInputs, BundleOutput, BundleRequest, InputChunk, Worker,
};

pub(crate) use merging::SdkMerger;
pub(crate) use workers::WorkerDirectory;

/// How many workers may be lost over one question.
const MAX_ATTEMPTS: u32 = 4;

/// Names questions on their workers. Never the same twice.
static NEXT_QUESTION: AtomicU64 = AtomicU64::new(0);

/// Asks a worker of the call's environment: sends encoded windowed values, gives what comes back.
///
/// # Errors
/// What the SDK says is wrong, or that no worker is left to ask.
pub(crate) async fn ask(
    workers: &WorkerDirectory,
    call: &WindowFnCall,
    question: Bytes,
) -> Result<Vec<Bytes>, String> {
    let mut last = String::new();
    for _ in 0..MAX_ATTEMPTS {
        let Some(worker) = workers.any_of(call.environment).await else {
            return Err("the job is over".to_owned());
        };
        match ask_worker(&worker, call, question.clone()).await {
            Err(BundleError::WorkerLost(reason)) => last = reason,
            Err(error) => return Err(error.to_string()),
            Ok(answer) => return Ok(answer),
        }
    }
    Err(format!(
        "{MAX_ATTEMPTS} workers were lost one after the other, the last one because {last}"
    ))
}

async fn ask_worker(
    worker: &Worker,
    call: &WindowFnCall,
    question: Bytes,
) -> Result<Vec<Bytes>, BundleError> {
    worker.register(&call.descriptor)?;
    let number = NEXT_QUESTION.fetch_add(1, Ordering::Relaxed);
    let mut running = worker.process_bundle(BundleRequest {
        instruction_id: format!("windows-{number}"),
        descriptor_id: call.descriptor.id.clone(),
        inputs: BundleInputs::Complete(vec![InputChunk::data(call.source.as_str(), question)]),
        cache_tokens: Vec::new(),
        has_no_state: true,
        only_bundle_for_keys: false,
        state: std::sync::Arc::new(NoState),
    })?;
    let mut answer = Vec::new();
    while let Some(output) = running.outputs.recv().await {
        if let BundleOutput::Data { bytes, .. } = output {
            answer.push(bytes);
        }
    }
    running.handle.finish().await?;
    Ok(answer)
}
