//! GroupByKey on the runner: at the end of a bounded input, or by the trigger machine.

use std::collections::BTreeMap;

use bytes::Bytes;
use dataflume_engine::grouping::{Grouper, GroupingOptions, GroupingWork, WindowMerger};
use dataflume_engine::{Bundle, BundleFailure, Work};
use dataflume_graph::plan::{GroupByKey, Stage};
use dataflume_model::ids::KeyGroup;

use super::late::dropped_due_to_lateness;
use super::operators::{chunks, finish, output};
use super::{BundleContext, Staged, broken, data_failure};
use crate::shuffle::{GroupSpec, group_at_end};
use crate::window_fn::SdkMerger;

/// All values of a key group at once: each key and window is emitted once and for good.
pub(super) fn at_end(
    context: &BundleContext,
    stage: &Stage,
    group: &GroupByKey,
    bundle: &Bundle,
) -> Result<Box<Staged>, BundleFailure> {
    let codec = context.input_codec(stage)?;
    let output = output(stage)?;
    let coder = &context.plan.pcollection(output).coder;
    let spec = GroupSpec::new(&stage.name, codec, group.windowing.clone(), coder)
        .limited_to(context.grouping_bytes, context.inline_group_bytes);
    let mut cutter = context.cutter(output);
    let (input_bytes, input) = (bytes(bundle), chunks(context, bundle));
    let rests = with_merger(context, group, |merger| {
        let emit = &mut |chunk| cutter.push(chunk);
        group_at_end(&spec, &context.data, merger, input_bytes, input, emit).map_err(data_failure)
    })?;
    let mut staged = finish(context, [cutter])?;
    staged.rests = rests;
    Ok(staged)
}

fn bytes(bundle: &Bundle) -> u64 {
    match &bundle.work {
        Work::Elements(pieces) => pieces.iter().map(|piece| piece.handle.bytes).sum(),
        _ => 0,
    }
}

/// A step of the trigger machine.
pub(super) fn streaming(
    context: &BundleContext,
    stage: &Stage,
    group: &GroupByKey,
    bundle: &Bundle,
) -> Result<Box<Staged>, BundleFailure> {
    let codec = context.input_codec(stage)?;
    // A trigger may fire at any element, and users of count triggers expect it to.
    let options = GroupingOptions {
        fire_at_every_element: true,
    };
    let grouper = Grouper::new(stage.id, group.windowing.clone(), codec, options);
    let grouper = grouper.map_err(data_failure)?;
    let work = GroupingWork {
        elements: elements(context, stage, bundle)?,
        timers: match &bundle.work {
            Work::Timers(groups) => groups.clone(),
            _ => Vec::new(),
        },
        input_watermark: bundle.input_watermark,
        processing_time: bundle.processing_time,
    };
    let effects = with_merger(context, group, |merger| {
        let store = context.store.as_ref();
        grouper.run_with(store, &work, merger).map_err(data_failure)
    })?;
    let mut cutter = context.cutter(output(stage)?);
    for chunk in effects.output {
        cutter.push(chunk).map_err(data_failure)?;
    }
    let mut staged = finish(context, [cutter])?;
    staged.writes = effects.batch;
    staged.effects.key_groups = effects.key_groups;
    let dropped = effects.dropped_late + effects.dropped_closed;
    if dropped > 0 {
        tracing::debug!(stage = %stage.name, dropped, "late elements were dropped");
        let counted = dropped_due_to_lateness(&group.transform, dropped);
        context.metrics.update(bundle.id, vec![counted]);
    }
    Ok(staged)
}

/// Runs with whoever knows how the grouping's windows merge.
fn with_merger<T>(
    context: &BundleContext,
    group: &GroupByKey,
    run: impl FnOnce(&dyn WindowMerger) -> T,
) -> T {
    match &group.merging {
        Some(call) => run(&SdkMerger {
            workers: context.workers.clone(),
            call,
            window: &group.windowing.kind,
        }),
        None => run(&group.windowing.window_fn),
    }
}

fn elements(
    context: &BundleContext,
    stage: &Stage,
    bundle: &Bundle,
) -> Result<Vec<(KeyGroup, Vec<Bytes>)>, BundleFailure> {
    let mut groups: BTreeMap<KeyGroup, Vec<Bytes>> = BTreeMap::new();
    if let Work::Elements(pieces) = &bundle.work {
        for piece in pieces {
            let group = piece
                .handle
                .key_group
                .ok_or_else(|| broken(stage, "got data without key group"))?;
            let chunks = groups.entry(group).or_default();
            for chunk in context.data.read(piece.handle.id).map_err(data_failure)? {
                chunks.push(chunk.map_err(data_failure)?);
            }
        }
    }
    Ok(groups.into_iter().collect())
}
