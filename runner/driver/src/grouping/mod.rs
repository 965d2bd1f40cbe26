//! GroupByKey at the end of a bounded input: one pane per key and window.

use bytes::{BufMut, Bytes, BytesMut};
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
    name: std::sync::Arc<str>,
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

    fn malformed(&self, offset: usize) -> impl Fn(dataflume_model::coder::CoderError) -> DataError {
        let pcollection = self.name.clone();
        move |source| DataError::Malformed {
            pcollection: pcollection.clone(),
            offset: offset as u64,
            source,
        }
    }
}

/// Groups all of the input.
///
/// # Errors
/// Those of the input and of `emit`, and elements that do not decode.
pub fn group_at_end<E: From<DataError>>(
    spec: &GroupSpec,
    input: impl IntoIterator<Item = Result<Bytes, E>>,
    emit: &mut dyn FnMut(Bytes) -> Result<(), DataError>,
) -> Result<(), E> {
    let mut groups = Groups::default();
    for chunk in input {
        add(spec, &chunk?, &mut groups)?;
    }
    if spec.windowing.merge_status == MergeStatus::NeedsMerge {
        groups = merge(spec, groups)?;
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

fn add(spec: &GroupSpec, chunk: &Bytes, groups: &mut Groups) -> Result<(), DataError> {
    for element in spec.codec.iter(chunk) {
        let element = element.map_err(spec.malformed(0))?;
        let value_range = element.value_range();
        let key_end = value_range.start + element.key().len();
        let key = chunk.slice(value_range.start..key_end);
        let value = chunk.slice(key_end..value_range.end);
        for window in element.each_window_bytes() {
            let window = chunk.slice_ref(window.map_err(spec.malformed(value_range.start))?);
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
    Ok(())
}

/// Joins the windows that the window function merges, key by key.
fn merge(spec: &GroupSpec, groups: Groups) -> Result<Groups, DataError> {
    let kind = &spec.codec.window;
    let mut by_key: FxHashMap<Bytes, Vec<(Window, Group)>> = FxHashMap::default();
    for ((key, window), group) in groups {
        let window = kind.decode(&mut &window[..]).map_err(spec.malformed(0))?;
        by_key.entry(key).or_default().push((window, group));
    }
    let mut merged = Groups::default();
    for (key, mut groups) in by_key {
        let windows: Vec<Window> = groups.iter().map(|(window, _)| window.clone()).collect();
        for (target, sources) in spec
            .windowing
            .window_fn
            .merge(&windows)
            .into_iter()
            .flatten()
        {
            let mut joined: Option<Group> = None;
            for source in sources {
                let Some(index) = groups.iter().position(|(window, _)| *window == source) else {
                    continue;
                };
                let (_, group) = groups.swap_remove(index);
                joined = Some(match joined {
                    None => group,
                    Some(mut all) => {
                        all.values.extend(group.values);
                        all.earliest = all.earliest.min(group.earliest);
                        all.latest = all.latest.max(group.latest);
                        all
                    }
                });
            }
            if let Some(group) = joined {
                let mut window = Vec::new();
                kind.encode(&target, &mut window)
                    .map_err(spec.malformed(0))?;
                merged.insert((key.clone(), window.into()), group);
            }
        }
    }
    Ok(merged)
}

fn write(
    spec: &GroupSpec,
    key: &Bytes,
    window: &Bytes,
    group: &Group,
    out: &mut BytesMut,
) -> Result<(), DataError> {
    let window = spec
        .codec
        .window
        .decode(&mut &window[..])
        .map_err(spec.malformed(0))?;
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
        .map_err(spec.malformed(0))?;
    out.put_slice(&header);
    out.put_slice(key);
    out.put_u32(group.values.len() as u32);
    group.values.iter().for_each(|value| out.put_slice(value));
    Ok(())
}
