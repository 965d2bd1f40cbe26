//! GroupByKey at the end of a bounded input: one pane per key and window.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use dataflume_engine::grouping::{GroupingError, WindowMerger, merged};
use dataflume_model::coder::CoderError;
use dataflume_model::pane::PaneInfo;
use dataflume_model::time::EventTime;
use dataflume_model::window::{MergeStatus, OutputTime, Window, WindowingStrategy};
use dataflume_model::windowed::WindowedCodec;
use rustc_hash::FxHashMap;

use crate::data::DataError;

/// Output is handed on in chunks of about this size.
const CHUNK_BYTES: usize = 256 << 10;

/// What a grouping must know.
#[derive(Debug, Clone)]
pub struct GroupSpec {
    codec: WindowedCodec,
    windowing: WindowingStrategy,
    name: Arc<str>,
}

/// The values of one key and window.
#[derive(Debug)]
struct Group {
    values: Vec<Bytes>,
    earliest: EventTime,
    latest: EventTime,
}

type Groups = FxHashMap<(Bytes, Bytes), Group>;

impl GroupSpec {
    /// A grouping of elements with this codec, whose value coder must be `KV`.
    pub fn new(name: &str, codec: WindowedCodec, windowing: WindowingStrategy) -> Self {
        Self {
            codec,
            windowing,
            name: name.into(),
        }
    }

    fn malformed(&self, offset: u64) -> impl Fn(CoderError) -> GroupError {
        let pcollection = self.name.clone();
        move |source| {
            GroupError::Data(DataError::Malformed {
                pcollection: pcollection.clone(),
                offset,
                source,
            })
        }
    }

    /// Of windows that an element had, or that were made of those.
    fn window(&self) -> impl Fn(CoderError) -> GroupError {
        let grouping = self.name.clone();
        move |source| GroupError::Window {
            grouping: grouping.clone(),
            source,
        }
    }
}

/// Why a grouping could not be done.
#[derive(Debug, thiserror::Error)]
pub enum GroupError {
    /// The input could not be read or understood, or the output not be written.
    #[error(transparent)]
    Data(#[from] DataError),
    /// Windows could not be merged.
    #[error(transparent)]
    Grouping(#[from] GroupingError),
    /// A window is not of the kind that the windowing strategy says.
    #[error("grouping {grouping}: {source}")]
    Window {
        /// The stage's name.
        grouping: Arc<str>,
        /// What is wrong with the window.
        source: CoderError,
    },
}

/// Groups all of the input.
///
/// # Errors
/// Those of the input and of `emit`, elements that do not decode, and windows that do not merge.
pub fn group_at_end(
    spec: &GroupSpec,
    merger: &dyn WindowMerger,
    input: impl IntoIterator<Item = Result<Bytes, DataError>>,
    emit: &mut dyn FnMut(Bytes) -> Result<(), DataError>,
) -> Result<(), GroupError> {
    let mut groups = Groups::default();
    let mut offset = 0;
    for chunk in input {
        let chunk = chunk?;
        add(spec, &chunk, offset, &mut groups)?;
        offset += chunk.len() as u64;
    }
    if spec.windowing.merge_status == MergeStatus::NeedsMerge {
        groups = merge(spec, merger, groups)?;
    }
    let mut out = BytesMut::new();
    for ((key, window), group) in groups {
        write(spec, &key, &window, &group, &mut out)?;
        if out.len() >= CHUNK_BYTES {
            emit(out.split().freeze())?;
        }
    }
    if !out.is_empty() {
        emit(out.freeze())?;
    }
    Ok(())
}

/// Adds a chunk's elements. The offset is that of the chunk within the input.
fn add(
    spec: &GroupSpec,
    chunk: &Bytes,
    offset: u64,
    groups: &mut Groups,
) -> Result<(), GroupError> {
    let mut elements = spec.codec.iter(chunk);
    loop {
        let malformed = spec.malformed(offset + elements.position() as u64);
        let Some(element) = elements.next() else {
            return Ok(());
        };
        let element = element.map_err(&malformed)?;
        let value_range = element.value_range();
        let key_end = value_range.start + element.key().len();
        let key = chunk.slice(value_range.start..key_end);
        let value = chunk.slice(key_end..value_range.end);
        for window in element.each_window_bytes() {
            let window = chunk.slice_ref(window.map_err(&malformed)?);
            let group = groups
                .entry((key.clone(), window))
                .or_insert_with(|| Group {
                    values: Vec::new(),
                    earliest: EventTime::MAX,
                    latest: EventTime::MIN,
                });
            group.values.push(value.clone());
            group.earliest = group.earliest.min(element.timestamp);
            group.latest = group.latest.max(element.timestamp);
        }
    }
}

/// Joins the windows that the window function merges, key by key.
fn merge(
    spec: &GroupSpec,
    merger: &dyn WindowMerger,
    groups: Groups,
) -> Result<Groups, GroupError> {
    let kind = &spec.codec.window;
    let mut by_key: FxHashMap<Bytes, FxHashMap<Window, Group>> = FxHashMap::default();
    for ((key, window), group) in groups {
        let window = kind.decode(&mut &window[..]).map_err(spec.window())?;
        by_key.entry(key).or_default().insert(window, group);
    }
    let (keys, mut groups): (Vec<_>, Vec<_>) = by_key.into_iter().unzip();
    let sets: Vec<Vec<Window>> = groups.iter().map(sorted_windows).collect();
    let mut joined = Groups::default();
    for ((key, groups), merges) in keys.iter().zip(&mut groups).zip(merged(merger, &sets)?) {
        for merge in merges {
            let sources = merge.sources.iter();
            let Some(group) = sources
                .filter_map(|source| groups.remove(source))
                .reduce(Group::join)
            else {
                continue;
            };
            let mut window = Vec::new();
            kind.encode(&merge.result, &mut window)
                .map_err(spec.window())?;
            joined.insert((key.clone(), window.into()), group);
        }
    }
    Ok(joined)
}

/// So that the same input is asked about in the same way.
fn sorted_windows(groups: &FxHashMap<Window, Group>) -> Vec<Window> {
    let mut windows: Vec<Window> = groups.keys().cloned().collect();
    windows.sort_unstable();
    windows
}

impl Group {
    fn join(mut self, other: Self) -> Self {
        self.values.extend(other.values);
        self.earliest = self.earliest.min(other.earliest);
        self.latest = self.latest.max(other.latest);
        self
    }
}

fn write(
    spec: &GroupSpec,
    key: &Bytes,
    window: &Bytes,
    group: &Group,
    out: &mut BytesMut,
) -> Result<(), GroupError> {
    let window = spec
        .codec
        .window
        .decode(&mut &window[..])
        .map_err(spec.window())?;
    let timestamp = match spec.windowing.output_time {
        OutputTime::EndOfWindow => window.max_timestamp(),
        OutputTime::EarliestInPane => group.earliest,
        OutputTime::LatestInPane => group.latest,
    };
    let mut header = Vec::new();
    spec.codec
        .encode_header(
            timestamp,
            &[window],
            &PaneInfo::ON_TIME_AND_ONLY,
            &mut header,
        )
        .map_err(spec.window())?;
    let count = i32::try_from(group.values.len()).map_err(|_| GroupingError::PaneTooLarge {
        values: group.values.len() as u64,
    })?;
    out.put_slice(&header);
    out.put_slice(key);
    out.put_i32(count);
    group.values.iter().for_each(|value| out.put_slice(value));
    Ok(())
}
