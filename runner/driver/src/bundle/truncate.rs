//! Truncating restrictions while a job drains: a bundle of its own, whose output is what the
//! splittable stage still has to process.

use std::sync::Arc;

use async_trait::async_trait;
use dataflume_engine::{BundleFailure, PendingData};
use dataflume_graph::plan::{ExecutableStage, Splittable, Stage, Truncation};
use dataflume_harness::{
    BundleInputs, BundleOutput, BundleOutputs, BundleRequest, InputChunk, StateHandler,
};
use dataflume_proto::fn_execution::state_key::Type;
use dataflume_proto::fn_execution::{StateRequest, state_request, state_response};

use super::sdk::{Live, failure};
use super::{BundleContext, Staged, broken, data_failure, elements};
use crate::side_input::BundleSideInputs;

impl Live {
    /// Has the SDK truncate these restrictions; each that is left becomes a residual.
    pub(super) async fn truncate(
        &self,
        context: &Arc<BundleContext>,
        stage: &Stage,
        executable: &ExecutableStage,
        restrictions: &[PendingData],
    ) -> Result<Box<Staged>, BundleFailure> {
        let splittable = executable.splittable.as_ref();
        let (Some(splittable), Some(like)) = (splittable, restrictions.first()) else {
            return Err(broken(stage, "has no restrictions to truncate"));
        };
        let Some(truncation) = &splittable.truncate else {
            return Err(broken(stage, "can't truncate restrictions"));
        };
        self.worker
            .register(&truncation.descriptor)
            .map_err(|error| failure(error.into()))?;
        let inputs = self.chunks(context).map(|chunk| {
            let source = truncation.source.as_str();
            chunk.map(|chunk| InputChunk::data(source, chunk))
        });
        let inputs = inputs.collect::<Result<_, _>>()?;
        let running = self
            .worker
            .process_bundle(BundleRequest {
                instruction_id: context.instruction_id(self.bundle.id),
                descriptor_id: truncation.descriptor.id.clone(),
                inputs: BundleInputs::Complete(inputs),
                cache_tokens: Vec::new(),
                has_no_state: false,
                only_bundle_for_keys: false,
                state: Arc::new(SideInputs::new(context, stage, splittable)),
            })
            .map_err(failure)?;
        let handle = self.handle.get_or_init(|| running.handle);
        let chunks = truncated(truncation, running.outputs).await?;
        let response = handle.finish().await.map_err(failure)?;
        let mut staged = Box::new(Staged::new(context));
        let codec = context.input_codec(stage)?;
        for chunk in chunks {
            for element in codec.iter(&chunk) {
                let range = element.map_err(data_failure)?.range();
                let chunk = vec![chunk.slice(range)];
                let piece = elements::piece(&context.data, &codec, chunk, &like.handle);
                staged
                    .effects
                    .residuals
                    .push(piece.map_err(BundleFailure::Failed)?);
            }
        }
        context
            .metrics
            .update(self.bundle.id, response.monitoring_infos);
        staged.effects.finalize = response.requires_finalization;
        staged.ran_on = Some((self.worker.clone(), context.instruction_id(self.bundle.id)));
        Ok(staged)
    }
}

/// What the SDK writes, until it has ended its stream.
async fn truncated(
    truncation: &Truncation,
    mut outputs: BundleOutputs,
) -> Result<Vec<bytes::Bytes>, BundleFailure> {
    let mut chunks = Vec::new();
    while let Some(output) = outputs.recv().await {
        match output {
            BundleOutput::Data { transform, bytes } if *transform == *truncation.sink => {
                chunks.push(bytes);
            }
            BundleOutput::Data { transform, .. } | BundleOutput::Timers { transform, .. } => {
                return Err(BundleFailure::Failed(format!(
                    "the SDK wrote to {transform:?} while it truncated restrictions"
                )));
            }
        }
    }
    Ok(chunks)
}

/// Side inputs of the splittable transform, asked for by the one that truncates.
struct SideInputs {
    side_inputs: BundleSideInputs,
    reader: String,
}

impl SideInputs {
    fn new(context: &Arc<BundleContext>, stage: &Stage, splittable: &Splittable) -> Self {
        Self {
            side_inputs: BundleSideInputs::new(context.side_inputs.clone(), stage.id),
            reader: splittable.process_transform.clone(),
        }
    }
}

#[async_trait]
impl StateHandler for SideInputs {
    async fn handle(&self, request: StateRequest) -> Result<state_response::Response, String> {
        let asked = format!("{:?}", request.state_key);
        let (Some(mut key), Some(state_request::Request::Get(get))) =
            (request.state_key, request.request)
        else {
            return Err("restrictions are truncated without any state to write".to_owned());
        };
        match &mut key.r#type {
            Some(Type::IterableSideInput(key)) => key.transform_id.clone_from(&self.reader),
            Some(Type::MultimapSideInput(key)) => key.transform_id.clone_from(&self.reader),
            Some(Type::MultimapKeysSideInput(key)) => key.transform_id.clone_from(&self.reader),
            Some(Type::MultimapKeysValuesSideInput(key)) => {
                key.transform_id.clone_from(&self.reader);
            }
            _ => {}
        }
        self.side_inputs
            .get(&key, &get.continuation_token)
            .map(|answer| answer.map(state_response::Response::Get))
            .unwrap_or_else(|| {
                Err(format!(
                    "no such side input while restrictions are truncated: {asked}"
                ))
            })
    }
}
