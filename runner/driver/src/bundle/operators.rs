//! Bundles that the runner executes itself.

use std::sync::Arc;

use bytes::Bytes;
use dataflume_engine::{Bundle, BundleFailure, PendingData, Work};
use dataflume_graph::plan::{Stage, StageKind, TestStream};
use dataflume_model::coder::{Coder, CoderError};
use dataflume_model::ids::PCollectionId;
use dataflume_model::pane::PaneInfo;
use dataflume_model::time::EventTime;
use dataflume_model::window::Window;
use dataflume_proto::pipeline::test_stream_payload::event::Event;

use super::{BundleContext, Staged, broken, data_failure, elements};
use crate::data::DataError;
use crate::data::cut::OutputCutter;
use crate::sdk::is_go;

/// More elements than this are worth a cut by themselves.
const MAX_SPREAD_ELEMENTS: u64 = 1024;
/// As many pieces become of fewer.
const SPREAD_PIECES: u64 = 32;
/// In a key group with more elements than this, keys are not told apart.
const FEW_OF_GROUP: u64 = 16;
/// Nor in one with more bytes.
const LITTLE_OF_GROUP_BYTES: u64 = 1 << 20;

/// Executes a bundle on a thread that may block: it reads and writes data, and nothing else.
pub(crate) async fn execute(
    context: Arc<BundleContext>,
    bundle: Bundle,
) -> Result<Box<Staged>, BundleFailure> {
    let run = tokio::task::spawn_blocking(move || run(&context, &bundle));
    match run.await {
        Ok(result) => result,
        Err(panic) => Err(BundleFailure::Failed(format!("internal error: {panic}"))),
    }
}

fn run(context: &BundleContext, bundle: &Bundle) -> Result<Box<Staged>, BundleFailure> {
    let stage = context.plan.stage(bundle.stage);
    match (&stage.kind, &bundle.work) {
        (StageKind::Impulse, Work::Impulse) => impulse(context, stage),
        (StageKind::TestStream(stream), Work::TestStreamEvent(index)) => {
            test_stream(context, stage, stream, *index)
        }
        (StageKind::Redistribute { by_key: true }, Work::Elements(pieces)) => {
            redistribute_by_key(context, stage, pieces)
        }
        (StageKind::Redistribute { by_key: false }, Work::Elements(pieces)) => {
            redistribute(context, stage, bundle, pieces)
        }
        (StageKind::Identity, Work::Elements(_)) => pass(context, stage, bundle),
        (StageKind::GroupByKey(group), Work::Elements(_)) if group.at_end_of_input => {
            super::grouping::at_end(context, stage, group, bundle)
        }
        (StageKind::GroupByKey(group), Work::Elements(_) | Work::Timers(_)) => {
            super::grouping::streaming(context, stage, group, bundle)
        }
        (_, work) => Err(broken(
            stage,
            &format!("can't execute {work:?} on the runner"),
        )),
    }
}

/// Passes elements on as they are.
fn pass(
    context: &BundleContext,
    stage: &Stage,
    bundle: &Bundle,
) -> Result<Box<Staged>, BundleFailure> {
    let cutter = cut(context, output(stage)?, chunks(context, bundle))?;
    finish(context, [cutter])
}

/// Passes elements on. A few become many pieces, so that each can go to another worker: that they are few
/// says nothing of how long each takes.
fn redistribute(
    context: &BundleContext,
    stage: &Stage,
    bundle: &Bundle,
    pieces: &[PendingData],
) -> Result<Box<Staged>, BundleFailure> {
    let elements: u64 = pieces.iter().map(|piece| piece.handle.elements).sum();
    if elements > MAX_SPREAD_ELEMENTS {
        return pass(context, stage, bundle);
    }
    let output = output(stage)?;
    let mut parts = elements::Spread::new(elements.div_ceil(SPREAD_PIECES));
    let codec = context.codec(output);
    for chunk in chunks(context, bundle) {
        let chunk = chunk.map_err(data_failure)?;
        parts.push(&codec, chunk).map_err(data_failure)?;
    }
    let parts = parts.finish().into_iter();
    let cutters: Result<Vec<OutputCutter>, BundleFailure> = parts
        .map(|part| cut(context, output, part.into_iter().map(Ok)))
        .collect();
    finish(context, cutters?)
}

/// Passes elements on, those of each key group in pieces of their own. Where it has few, each key has: each can go to another worker.
fn redistribute_by_key(
    context: &BundleContext,
    stage: &Stage,
    pieces: &[PendingData],
) -> Result<Box<Staged>, BundleFailure> {
    let output = output(stage)?;
    let codec = context.codec(output);
    let same_group =
        |one: &PendingData, other: &PendingData| one.handle.key_group == other.handle.key_group;
    let mut cutters = Vec::new();
    for group in pieces.chunk_by(same_group) {
        let chunks = chunks_of(context, group);
        let sum = |of: fn(&PendingData) -> u64| group.iter().map(of).sum::<u64>();
        let few = sum(|piece| piece.handle.elements) <= FEW_OF_GROUP
            && sum(|piece| piece.handle.bytes) <= LITTLE_OF_GROUP_BYTES;
        if !few {
            cutters.push(cut(context, output, chunks)?);
            continue;
        }
        let chunks: Result<Vec<Bytes>, DataError> = chunks.collect();
        let chunks = chunks.map_err(data_failure)?;
        for part in elements::by_key(&codec, &chunks).map_err(data_failure)? {
            cutters.push(cut(context, output, part.into_iter().map(Ok))?);
        }
    }
    finish(context, cutters)
}

fn cut(
    context: &BundleContext,
    output: PCollectionId,
    chunks: impl Iterator<Item = Result<Bytes, DataError>>,
) -> Result<OutputCutter, BundleFailure> {
    let mut cutter = context.cutter(output);
    for chunk in chunks {
        let pushed = chunk.and_then(|chunk| cutter.push(chunk));
        pushed.map_err(data_failure)?;
    }
    Ok(cutter)
}

/// The stage's only output.
pub(super) fn output(stage: &Stage) -> Result<PCollectionId, BundleFailure> {
    stage
        .outputs
        .first()
        .copied()
        .ok_or_else(|| broken(stage, "has no output"))
}

pub(super) fn finish(
    context: &BundleContext,
    cutters: impl IntoIterator<Item = OutputCutter>,
) -> Result<Box<Staged>, BundleFailure> {
    let mut staged = Box::new(Staged::new(context));
    for cutter in cutters {
        staged.add(cutter.finish().map_err(data_failure)?);
    }
    Ok(staged)
}

/// All chunks of a bundle's input, read as they are needed.
pub(super) fn chunks(
    context: &BundleContext,
    bundle: &Bundle,
) -> impl Iterator<Item = Result<Bytes, DataError>> {
    chunks_of(
        context,
        match &bundle.work {
            Work::Elements(pieces) => pieces,
            _ => &[],
        },
    )
}

fn chunks_of(
    context: &BundleContext,
    pieces: &[PendingData],
) -> impl Iterator<Item = Result<Bytes, DataError>> {
    pieces.iter().flat_map(|piece| {
        let (chunks, error) = match context.data.read(piece.handle.id) {
            Ok(chunks) => (Some(chunks), None),
            Err(error) => (None, Some(Err(error))),
        };
        let chunks = chunks.into_iter().flatten();
        error.into_iter().chain(chunks)
    })
}

fn impulse(context: &BundleContext, stage: &Stage) -> Result<Box<Staged>, BundleFailure> {
    let output = output(stage)?;
    let mut element = header(context, output, EventTime::MIN)?;
    // An empty byte string, nested: its length.
    element.push(0);
    let mut cutter = context.cutter(output);
    cutter.push(element.into()).map_err(data_failure)?;
    finish(context, [cutter])
}

fn header(
    context: &BundleContext,
    pcollection: PCollectionId,
    timestamp: EventTime,
) -> Result<Vec<u8>, BundleFailure> {
    let mut bytes = Vec::new();
    let codec = context.codec(pcollection);
    codec
        .encode_header(
            timestamp,
            &[Window::Global],
            &PaneInfo::NO_FIRING,
            &mut bytes,
        )
        .map_err(data_failure)?;
    Ok(bytes)
}

fn test_stream(
    context: &BundleContext,
    stage: &Stage,
    stream: &TestStream,
    index: usize,
) -> Result<Box<Staged>, BundleFailure> {
    let event = stream
        .payload
        .events
        .get(index)
        .and_then(|event| event.event.as_ref());
    let Some(Event::ElementEvent(event)) = event else {
        return Err(broken(
            stage,
            "was asked for elements of an event that has none",
        ));
    };
    let Some(output) = stream.output(&event.tag) else {
        let text = format!(
            "the TestStream adds elements to {:?}, an output that it lacks",
            event.tag
        );
        return Err(BundleFailure::Failed(text));
    };
    let coder = &context.plan.pcollection(output).coder;
    let nested = encodes_nested(context);
    let mut cutter = context.cutter(output);
    for element in &event.elements {
        let mut bytes = header(context, output, EventTime(element.timestamp))?;
        let encoded = &element.encoded_element;
        if nested {
            to_wire(coder, encoded, &mut bytes).map_err(data_failure)?;
        } else {
            nest(coder, encoded, &mut bytes).map_err(data_failure)?;
        }
        cutter.push(bytes.into()).map_err(data_failure)?;
    }
    finish(context, [cutter])
}

/// The Go SDK writes a TestStream's elements as it writes all others, in the nested context. The
/// others leave the length out where it is known anyway.
fn encodes_nested(context: &BundleContext) -> bool {
    let environments = &context.plan.environments;
    environments
        .iter()
        .all(|environment| is_go(&environment.proto))
}

/// Appends the wire encoding of a nested one. The Go SDK itself prefixes what only it understands;
/// any other prefix is the plan's.
fn to_wire(coder: &Coder, nested: &[u8], out: &mut Vec<u8>) -> Result<(), CoderError> {
    match coder {
        Coder::LengthPrefix(of) if !is_go_custom(of) => Coder::Bytes.nest(nested, out),
        Coder::Kv(key, value) if !matches!(**key, Coder::LengthPrefix(_)) => {
            let mut rest = nested;
            key.skip(&mut rest)?;
            out.extend_from_slice(&nested[..nested.len() - rest.len()]);
            to_wire(value, rest, out)
        }
        _ => {
            out.extend_from_slice(nested);
            Ok(())
        }
    }
}

fn is_go_custom(coder: &Coder) -> bool {
    matches!(coder, Coder::Opaque { urn } if urn.starts_with("beam:go:coder:"))
}

/// Appends the nested encoding of an outer one. A length prefix is one that the plan added to make
/// the coder fit for the wire: the SDK encoded without it.
fn nest(coder: &Coder, outer: &[u8], out: &mut Vec<u8>) -> Result<(), CoderError> {
    match coder {
        Coder::LengthPrefix(_) => Coder::Bytes.nest(outer, out),
        Coder::Kv(key, value) => {
            let mut rest = outer;
            key.skip(&mut rest)?;
            out.extend_from_slice(&outer[..outer.len() - rest.len()]);
            nest(value, rest, out)
        }
        other => other.nest(outer, out),
    }
}
