//! Bundles: what each executor does with one, and what it leaves to be committed.

pub(crate) mod elements;
mod grouping;
mod late;
pub(crate) mod operators;
mod progress;
pub(crate) mod sdk;
mod split;
mod state;
mod truncate;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dataflume_engine::store::{MemoryStore, Store, WriteBatch};
use dataflume_engine::{BundleFailure, DataHandle, DataId, Effects};
use dataflume_graph::plan::{ExecutableStage, Plan, Stage, StageKind};
use dataflume_harness::Worker;
use dataflume_model::ids::{BundleId, PCollectionId};
use dataflume_model::windowed::WindowedCodec;

pub(crate) use self::split::SplitWish;
use crate::clock::SharedClock;
use crate::data::cut::{CutOutput, CutSpec, OutputCutter};
use crate::data::{DataError, DataOptions, DataStore};
use crate::job::DriverOptions;
use crate::metrics::JobMetrics;
use crate::side_input::{SideInputDelta, SideInputStore};
use crate::state::StateTokens;
use crate::window_fn::WorkerDirectory;

/// The part of a job's memory budget that one grouping may take.
const GROUPING_SHARE: u64 = 8;

/// The part of it that all side inputs together may take. They are not spilled.
const SIDE_INPUT_SHARE: u64 = 2;

/// How many jobs there have been.
static JOBS: AtomicU64 = AtomicU64::new(0);

/// What all bundles of a job share.
pub(crate) struct BundleContext {
    pub(crate) plan: Arc<Plan>,
    pub(crate) data: Arc<DataStore>,
    /// By PCollection.
    pub(crate) cut: Vec<Arc<CutSpec>>,
    pub(crate) side_inputs: Arc<SideInputStore>,
    /// User state, timers, and the state of streaming groupings.
    pub(crate) store: Arc<dyn Store>,
    pub(crate) state_tokens: StateTokens,
    pub(crate) metrics: Arc<JobMetrics>,
    /// Who can be asked about windows.
    pub(crate) workers: Arc<WorkerDirectory>,
    /// What timers follow where no TestStream says what time it is.
    pub(crate) clock: Arc<SharedClock>,
    /// Of every keyed stage.
    pub(crate) key_groups: u32,
    /// What a grouping at the end of its input may hold in memory.
    pub(crate) grouping_bytes: usize,
    /// How much of a group's values travels with its key.
    pub(crate) inline_group_bytes: usize,
    /// Different for every job of this process.
    number: u64,
}

impl BundleContext {
    /// How a bundle is called on its worker. No two jobs' are called the same: some workers don't say who they are.
    pub(crate) fn instruction_id(&self, bundle: BundleId) -> String {
        format!("bundle-{}-{}", self.number, bundle.0)
    }

    pub(crate) fn new(
        plan: &Arc<Plan>,
        options: &DriverOptions,
        data: DataOptions,
        metrics: Arc<JobMetrics>,
    ) -> Result<Self, DataError> {
        let cut = plan
            .pcollections
            .iter()
            .map(|p| Arc::new(CutSpec::of(plan, p.id, &options.cut)));
        let data = Arc::new(DataStore::open(data)?);
        Ok(Self {
            cut: cut.collect(),
            side_inputs: Arc::new(SideInputStore::new(
                plan,
                options.memory_budget_bytes / SIDE_INPUT_SHARE,
            )),
            data,
            plan: plan.clone(),
            store: Arc::new(MemoryStore::default()),
            state_tokens: StateTokens::default(),
            metrics,
            workers: Arc::default(),
            clock: options.clock.clone(),
            key_groups: options.cut.key_groups,
            inline_group_bytes: options.inline_group_bytes,
            number: JOBS.fetch_add(1, Ordering::Relaxed),
            grouping_bytes: usize::try_from(options.memory_budget_bytes / GROUPING_SHARE)
                .unwrap_or(usize::MAX),
        })
    }

    pub(crate) fn codec(&self, pcollection: PCollectionId) -> WindowedCodec {
        let pcollection = self.plan.pcollection(pcollection);
        WindowedCodec::new(
            pcollection.coder.clone(),
            pcollection.windowing.kind.clone(),
        )
    }

    /// How the elements of a stage's main input are encoded: all of the union alike.
    pub(crate) fn input_codec(&self, stage: &Stage) -> Result<WindowedCodec, BundleFailure> {
        input(stage).map(|input| self.codec(input))
    }

    /// Whether a TestStream says what time it is.
    pub(crate) fn has_script(&self) -> bool {
        let is_script = |stage: &Stage| matches!(stage.kind, StageKind::TestStream(_));
        self.plan.stages.iter().any(is_script)
    }

    pub(crate) fn cutter(&self, pcollection: PCollectionId) -> OutputCutter {
        OutputCutter::new(self.cut[pcollection.index()].clone(), self.data.clone())
    }
}

/// A finished bundle's effects, invisible until they are committed. Dropped before that, its data is
/// released.
pub(crate) struct Staged {
    pub(crate) effects: Effects,
    pub(crate) writes: WriteBatch,
    pub(crate) feeds: Vec<SideInputDelta>,
    /// The worker and the instruction's id there.
    pub(crate) ran_on: Option<(Worker, String)>,
    /// Data that outputs refer to by state tokens. Once committed it stays for as long as the job: only
    /// SDKs know who still holds a token.
    pub(crate) rests: Vec<DataId>,
    data: Arc<DataStore>,
    committed: bool,
}

impl Staged {
    pub(crate) fn new(context: &BundleContext) -> Self {
        Self {
            effects: Effects::default(),
            writes: WriteBatch::default(),
            feeds: Vec::new(),
            ran_on: None,
            rests: Vec::new(),
            data: context.data.clone(),
            committed: false,
        }
    }

    /// Adds what was cut from one output.
    pub(crate) fn add(&mut self, mut output: CutOutput) {
        self.effects
            .deliveries
            .append(&mut output.take_deliveries());
        for feed in output.take_feeds() {
            self.effects.fired_side_inputs.extend(feed.fired());
            self.feeds.push(feed);
        }
    }

    /// Makes everything but the engine's part durable and visible.
    pub(crate) fn commit(mut self, context: &BundleContext) -> Result<(), String> {
        self.committed = true;
        let writes = std::mem::take(&mut self.writes);
        if !writes.writes.is_empty() {
            context
                .store
                .commit(writes)
                .map_err(|error| error.to_string())?;
        }
        for feed in std::mem::take(&mut self.feeds) {
            context
                .side_inputs
                .commit(feed)
                .map_err(|error| error.to_string())?;
        }
        Ok(())
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if self.committed {
            return;
        }
        let effects = &self.effects;
        let delivered = effects.deliveries.iter().flat_map(|(_, handles)| handles);
        let residuals = effects.residuals.iter().map(|data| &data.handle);
        let handles = delivered.chain(residuals);
        let ids: Vec<DataId> = handles
            .map(|handle: &DataHandle| handle.id)
            .chain(std::mem::take(&mut self.rests))
            .collect();
        self.data.release(ids);
    }
}

/// A PCollection of the stage's main input: all of the union are encoded and windowed alike.
pub(crate) fn input(stage: &Stage) -> Result<PCollectionId, BundleFailure> {
    stage
        .inputs
        .first()
        .copied()
        .ok_or_else(|| broken(stage, "has no input"))
}

/// The stage as one that runs in an SDK.
pub(crate) fn executable(stage: &Stage) -> Result<&ExecutableStage, BundleFailure> {
    match &stage.kind {
        StageKind::Executable(executable) => Ok(executable),
        _ => Err(broken(stage, "does not run in an SDK")),
    }
}

/// The plan contradicts itself: retrying won't help, and the text says where.
pub(crate) fn broken(stage: &Stage, what: &str) -> BundleFailure {
    BundleFailure::Failed(format!(
        "internal error: stage {} ({}) {what}",
        stage.id, stage.name
    ))
}

/// Data could not be stored, read or understood.
pub(crate) fn data_failure(error: impl std::fmt::Display) -> BundleFailure {
    BundleFailure::Failed(error.to_string())
}
