//! Starting a bundle: how its input travels, and the request itself.

use std::sync::Arc;

use dataflume_proto::fn_execution::{
    Elements, InstructionRequest, ProcessBundleRequest, instruction_request,
};

use crate::bundle::handle::Given;
use crate::bundle::input::{InputChunk, Message, end_all};
use crate::bundle::outputs::Queue;
use crate::bundle::shared::Bundle;
use crate::bundle::{BundleHandle, BundleInputs, BundleOutputs, BundleRequest, RunningBundle};
use crate::control::OWN_ID_PREFIX;
use crate::error::BundleError;
use crate::registry::WorkerState;

/// Sends a bundle to a worker.
pub(crate) fn start(
    worker: &Arc<WorkerState>,
    request: BundleRequest,
) -> Result<RunningBundle, BundleError> {
    if request.instruction_id.starts_with(OWN_ID_PREFIX) {
        return Err(BundleError::Refused(format!(
            "instruction id {:?} begins with {OWN_ID_PREFIX:?}, which is reserved",
            request.instruction_id
        )));
    }
    let descriptor = worker.descriptor(&request.descriptor_id).ok_or_else(|| {
        BundleError::Refused(format!(
            "process bundle descriptor {:?} is not registered with worker {:?}",
            request.descriptor_id, worker.id
        ))
    })?;
    let chunks = match request.inputs {
        BundleInputs::Streamed => None,
        BundleInputs::Complete(chunks) => Some(chunks),
    };
    if let Some(chunk) = chunks
        .iter()
        .flatten()
        .find(|chunk| !descriptor.inputs.contains(&chunk.port))
    {
        return Err(BundleError::Refused(format!(
            "{:?} is not among the inputs of descriptor {:?}: {:?}",
            chunk.port, request.descriptor_id, descriptor.inputs
        )));
    }
    let (queue, receiver) = Queue::new(worker.output_budget_bytes);
    let bundle = Arc::new(Bundle::new(
        request.instruction_id,
        descriptor,
        request.state,
        queue,
    ));
    let (to_feed, embedded) = match chunks {
        Some(chunks) if embeddable(worker, &chunks) => (None, Some(embed(chunks, &bundle))),
        chunks => (chunks, None),
    };
    let given = match (&to_feed, &embedded) {
        (_, Some(_)) => Given::Embedded,
        (Some(_), None) => Given::ToFeed,
        (None, None) => Given::None,
    };
    worker.add_bundle(bundle.clone())?;
    let handle = BundleHandle::new(worker.clone(), bundle.clone(), given);
    let outputs = BundleOutputs {
        receiver,
        bundle: bundle.clone(),
    };
    worker.control.send(InstructionRequest {
        instruction_id: bundle.instruction_id.clone(),
        request: Some(instruction_request::Request::ProcessBundle(
            ProcessBundleRequest {
                process_bundle_descriptor_id: bundle.descriptor.proto.id.clone(),
                cache_tokens: request.cache_tokens,
                elements: embedded,
                has_no_state: request.has_no_state,
                only_bundle_for_keys: request.only_bundle_for_keys,
                data_stream_id: String::new(),
            },
        )),
    })?;
    if let Some(chunks) = to_feed {
        handle.feed(chunks);
    }
    Ok(RunningBundle { handle, outputs })
}

fn embeddable(worker: &WorkerState, chunks: &[InputChunk]) -> bool {
    worker.embeds_requests
        && chunks.iter().map(|chunk| chunk.bytes.len()).sum::<usize>() <= worker.embed_limit_bytes
}

fn embed(chunks: Vec<InputChunk>, bundle: &Bundle) -> Elements {
    let mut message = Message::default();
    chunks.into_iter().for_each(|chunk| message.push(chunk));
    let mut elements = message.take(&bundle.instruction_id);
    end_all(
        &mut elements,
        &bundle.instruction_id,
        &bundle.descriptor.inputs,
    );
    elements
}
