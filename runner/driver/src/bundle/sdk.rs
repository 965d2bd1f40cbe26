//! A bundle on an SDK worker: input goes in, outputs are cut as they come, effects are staged.

use std::sync::{Arc, OnceLock};
use std::time::{SystemTime, UNIX_EPOCH};

use dataflume_engine::{Bundle, BundleFailure, Executor, Work};
use dataflume_graph::plan::{ExecutableStage, Stage};
use dataflume_harness::{
    BundleError, BundleHandle, BundleInputs, BundleOutput, BundleOutputs, BundleRequest,
    InputChunk, Worker,
};
use dataflume_model::ids::{BundleId, PCollectionId, WorkerId};
use dataflume_model::time::ProcessingTime;
use dataflume_proto::fn_execution::ProcessBundleResponse;
use dataflume_proto::fn_execution::process_bundle_request::{CacheToken, cache_token};
use rustc_hash::FxHashMap;
use tokio::sync::{Mutex, mpsc};

use super::late::Lateness;
use super::split::{Input, reported_watermark};
use super::state::Keyed;
use super::{BundleContext, Staged, broken, data_failure, elements, executable};
use crate::data::cut::OutputCutter;
use crate::job::Report;

/// Input up to this size is handed over at once; more is streamed, so that it need not all be in
/// memory.
const COMPLETE_BYTES: u64 = 4 << 20;

/// A bundle in flight on a worker.
pub(crate) struct Live {
    pub(super) bundle: Bundle,
    pub(super) worker: Worker,
    pub(super) handle: OnceLock<BundleHandle>,
    /// What the bundle answers for. Locked while a split is under way and while the end is
    /// reported.
    pub(super) input: Mutex<Input>,
    broken_off: OnceLock<String>,
}

impl Live {
    pub(crate) fn new(bundle: Bundle, worker: Worker) -> Self {
        let pieces = match &bundle.work {
            Work::Elements(pieces) => pieces.clone(),
            _ => Vec::new(),
        };
        Self {
            bundle,
            worker,
            handle: OnceLock::new(),
            input: Mutex::new(Input {
                pieces,
                roots: Vec::new(),
            }),
            broken_off: OnceLock::new(),
        }
    }

    /// What it does.
    pub(crate) fn bundle(&self) -> &Bundle {
        &self.bundle
    }

    /// Where it runs.
    pub(crate) fn worker_id(&self) -> Option<WorkerId> {
        match self.bundle.executor {
            Executor::Worker(worker) => Some(worker),
            Executor::Runner => None,
        }
    }

    /// Executes the bundle and reports how it ended.
    pub(crate) async fn run(
        self: Arc<Self>,
        context: Arc<BundleContext>,
        reports: mpsc::UnboundedSender<Report>,
    ) {
        let result = tokio::select! {
            result = self.execute(&context, &reports) => result,
            never = self.watch_progress(&context, &reports) => match never {},
        };
        let _input = self.input.lock().await;
        let result = match (self.broken_off.get(), result) {
            (Some(reason), Ok(_)) => Err(BundleFailure::Failed(reason.clone())),
            (_, result) => result,
        };
        reports
            .send(Report::BundleEnded {
                bundle: self.bundle.id,
                result,
            })
            .ok();
    }

    /// The bundle's result will not count.
    pub(super) fn break_off(&self, reason: String) {
        // A second reason adds nothing.
        self.broken_off.set(reason).ok();
        if let Some(handle) = self.handle.get() {
            handle.abort();
        }
    }

    async fn execute(
        &self,
        context: &Arc<BundleContext>,
        reports: &mpsc::UnboundedSender<Report>,
    ) -> Result<Box<Staged>, BundleFailure> {
        let stage = context.plan.stage(self.bundle.stage);
        let executable = executable(stage)?;
        if let Work::Truncate(restrictions) = &self.bundle.work {
            return self
                .truncate(context, stage, executable, restrictions)
                .await;
        }
        self.worker
            .register(&executable.descriptor)
            .map_err(|error| failure(error.into()))?;
        let keyed = Keyed::new(context, stage, executable, &self.bundle)?;
        let timers = keyed.timer_inputs();
        let bytes: u64 = self.pieces().map(|piece| piece.handle.bytes).sum();
        let sorted = executable.requires_time_sorted_input;
        let complete = bytes <= COMPLETE_BYTES || sorted;
        let lateness = Lateness::of(context, stage, executable, &self.bundle)?;
        let mut early = Vec::new();
        let inputs = if complete {
            let input = self.chunks(context).map(|chunk| lateness.keep(chunk?));
            let mut input: Vec<bytes::Bytes> = input.collect::<Result<_, _>>()?;
            input.retain(|chunk| !chunk.is_empty());
            if sorted {
                let codec = context.input_codec(stage)?;
                let by_time = lateness.sort(&codec, &input, &self.bundle)?;
                (input, early) = (by_time.due, by_time.early);
            }
            let source = executable.source.as_str();
            let mut chunks = timers;
            chunks.extend(
                input
                    .into_iter()
                    .map(|chunk| InputChunk::data(source, chunk)),
            );
            BundleInputs::Complete(chunks)
        } else {
            BundleInputs::Streamed
        };
        let running = self
            .worker
            .process_bundle(BundleRequest {
                instruction_id: context.instruction_id(self.bundle.id),
                descriptor_id: executable.descriptor.id.clone(),
                inputs,
                cache_tokens: self.cache_tokens(context, stage, &keyed),
                has_no_state: false,
                only_bundle_for_keys: executable.keyed.is_some(),
                state: keyed.handler(),
            })
            .map_err(failure)?;
        let handle = self.handle.get_or_init(|| running.handle);
        let feed = async {
            if complete {
                Ok(())
            } else {
                self.feed(context, executable, handle, &lateness).await
            }
        };
        let collect = collect(context, executable, &keyed, running.outputs);
        let end = async {
            let ((), outputs) = tokio::try_join!(feed, collect)?;
            let response = handle.finish().await.map_err(failure)?;
            Ok((outputs, response))
        };
        let (outputs, mut response) = tokio::select! {
            end = end => end?,
            never = self.watch_end(handle, reports) => match never {},
        };
        lateness.report(&mut response.monitoring_infos);
        let mut staged = self.stage(context, stage, keyed, outputs, response)?;
        if let Some(like) = self.pieces().next() {
            let codec = context.input_codec(stage)?;
            for chunk in early {
                let piece = elements::piece(&context.data, &codec, vec![chunk], &like.handle);
                staged
                    .effects
                    .residuals
                    .push(piece.map_err(BundleFailure::Failed)?);
            }
        }
        Ok(staged)
    }

    /// What the worker may keep for bundles to come: state of keys that are its own, and side inputs that do not change.
    fn cache_tokens(
        &self,
        context: &BundleContext,
        stage: &Stage,
        keyed: &Keyed,
    ) -> Vec<CacheToken> {
        let mut tokens = context.side_inputs.cache_tokens(stage.id);
        if let (Some(worker), Some(groups)) = (self.worker_id(), keyed.groups_with_state()) {
            let token = context.state_tokens.begin(worker, stage.id, groups);
            tokens.push(CacheToken {
                r#type: Some(cache_token::Type::UserState(cache_token::UserState {})),
                token: token.to_vec().into(),
            });
        }
        tokens
    }

    fn pieces(&self) -> impl Iterator<Item = &dataflume_engine::PendingData> {
        let pieces = match &self.bundle.work {
            Work::Elements(pieces) | Work::Truncate(pieces) => pieces.as_slice(),
            _ => &[],
        };
        pieces.iter()
    }

    /// The input's chunks, read as they are needed.
    pub(super) fn chunks(
        &self,
        context: &BundleContext,
    ) -> impl Iterator<Item = Result<bytes::Bytes, BundleFailure>> {
        self.pieces()
            .flat_map(|piece| match context.data.read(piece.handle.id) {
                Ok(chunks) => {
                    Box::new(chunks.map(|chunk| chunk.map_err(data_failure))) as ChunkIter
                }
                Err(error) => Box::new(std::iter::once(Err(data_failure(error)))),
            })
    }

    async fn feed(
        &self,
        context: &BundleContext,
        executable: &ExecutableStage,
        handle: &BundleHandle,
        lateness: &Lateness,
    ) -> Result<(), BundleFailure> {
        for chunk in self.chunks(context) {
            let chunk = lateness.keep(chunk?)?;
            if chunk.is_empty() {
                continue;
            }
            if handle.send_data(&executable.source, chunk).await.is_err() {
                // The bundle is over: its result says why.
                return Ok(());
            }
        }
        handle.end_inputs().await.ok();
        Ok(())
    }

    fn stage(
        &self,
        context: &BundleContext,
        stage: &Stage,
        keyed: Keyed,
        outputs: Vec<OutputCutter>,
        response: ProcessBundleResponse,
    ) -> Result<Box<Staged>, BundleFailure> {
        let mut staged = Box::new(Staged::new(context));
        let id: BundleId = self.bundle.id;
        context.metrics.update(id, response.monitoring_infos);
        for output in outputs {
            staged.add(output.finish().map_err(data_failure)?);
        }
        staged.effects.finalize = response.requires_finalization;
        staged.ran_on = Some((self.worker.clone(), context.instruction_id(id)));
        for root in response.residual_roots {
            let application = root.application.unwrap_or_default();
            let like = self
                .pieces()
                .next()
                .ok_or_else(|| broken(stage, "left a residual of nothing"))?;
            let codec = context.input_codec(stage)?;
            let reported = reported_watermark(&application);
            let not_before = delay(root.requested_time_delay.as_ref());
            let data = &context.data;
            let element = application.element;
            let residual =
                elements::residual(data, &codec, element, &like.handle, reported, not_before);
            staged
                .effects
                .residuals
                .push(residual.map_err(BundleFailure::Failed)?);
        }
        keyed.finish(&mut staged)?;
        Ok(staged)
    }
}

type ChunkIter = Box<dyn Iterator<Item = Result<bytes::Bytes, BundleFailure>> + Send>;

/// Cuts outputs and takes timers, until the SDK has ended all its streams.
async fn collect(
    context: &BundleContext,
    executable: &ExecutableStage,
    keyed: &Keyed,
    mut outputs: BundleOutputs,
) -> Result<Vec<OutputCutter>, BundleFailure> {
    let mut cutters: FxHashMap<PCollectionId, OutputCutter> = FxHashMap::default();
    while let Some(output) = outputs.recv().await {
        match output {
            BundleOutput::Data { transform, bytes } => {
                let sink = executable.sinks.get(&*transform).ok_or_else(|| {
                    BundleFailure::Failed(format!(
                        "the SDK wrote to {transform:?}, which is no sink of its stage"
                    ))
                })?;
                let cutter = cutters
                    .entry(*sink)
                    .or_insert_with(|| context.cutter(*sink));
                cutter.push(bytes).map_err(data_failure)?;
            }
            BundleOutput::Timers {
                transform,
                family,
                bytes,
            } => {
                keyed.absorb(&transform, &family, &bytes)?;
            }
        }
    }
    Ok(cutters.into_values().collect())
}

/// A requested delay, as a point on the real clock.
pub(super) fn delay(duration: Option<&prost_types::Duration>) -> Option<ProcessingTime> {
    let duration = duration?;
    let ms = duration.seconds.saturating_mul(1000) + i64::from(duration.nanos / 1_000_000);
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_millis();
    (ms > 0).then(|| ProcessingTime(i64::try_from(now).unwrap_or(i64::MAX).saturating_add(ms)))
}

pub(super) fn failure(error: BundleError) -> BundleFailure {
    match error {
        BundleError::Sdk(text) => BundleFailure::Failed(text),
        BundleError::WorkerLost(reason) => BundleFailure::WorkerLost(reason),
        other => BundleFailure::Failed(other.to_string()),
    }
}
