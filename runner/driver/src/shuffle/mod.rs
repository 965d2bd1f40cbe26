//! GroupByKey at the end of a bounded input: one pane per key and window.
//!
//! The input of one grouping is a key group or some. A large one is [cut into parts](partition) first.
//! [`table`] indexes elements where they lie, without copying them. What outgrows the memory given to a grouping is written to disk as a sorted [`run`];
//! in the end the runs are [merged](merge) as they are read, key by key where [windows] merge: a key's values [wait](waiting)
//! until all of them are known. [`emit`] writes the groups: one whose
//! values are too many to travel with it leaves the rest in the store, for the SDK to ask for page by
//! page.

mod emit;
mod merge;
mod partition;
mod run;
mod table;
mod waiting;
mod windows;

use std::sync::Arc;

use bytes::Bytes;
use dataflume_engine::DataId;
use dataflume_engine::grouping::{GroupingError, WindowMerger};
use dataflume_model::coder::{Coder, CoderError};
use dataflume_model::window::{MergeStatus, WindowingStrategy};
use dataflume_model::windowed::WindowedCodec;

use self::emit::Emitter;
use self::run::Run;
use self::table::Table;
use crate::data::{DataError, DataStore};

/// What a grouping must know.
#[derive(Debug, Clone)]
pub struct GroupSpec {
    codec: WindowedCodec,
    windowing: WindowingStrategy,
    name: Arc<str>,
    /// Groups may end in a state token.
    state_backed: bool,
    /// Beyond this, sorted runs go to disk.
    memory_bytes: usize,
    /// So much of a group's values travels with it, if the rest can be asked for.
    inline_bytes: usize,
}

impl GroupSpec {
    /// A grouping of elements with this codec, whose value coder must be `KV`, into elements with the
    /// value coder `output`.
    pub fn new(
        name: &str,
        codec: WindowedCodec,
        windowing: WindowingStrategy,
        output: &Coder,
    ) -> Self {
        let state_backed = match output {
            Coder::Kv(_, values) => matches!(**values, Coder::StateBackedIterable(_)),
            _ => false,
        };
        Self {
            codec,
            windowing,
            name: name.into(),
            state_backed,
            memory_bytes: 64 << 20,
            inline_bytes: 4 << 20,
        }
    }

    /// Sets how much a grouping may hold in memory, and how much of a group travels with it where the
    /// rest can be asked for.
    #[must_use]
    pub fn limited_to(mut self, memory_bytes: usize, inline_bytes: usize) -> Self {
        self.memory_bytes = memory_bytes;
        self.inline_bytes = inline_bytes;
        self
    }

    fn too_long(&self, offset: usize) -> DataError {
        DataError::TooLong {
            pcollection: self.name.clone(),
            offset: offset as u64,
        }
    }

    fn merges(&self) -> bool {
        self.windowing.merge_status == MergeStatus::NeedsMerge
    }

    fn malformed(&self, offset: u64) -> impl Fn(CoderError) -> DataError + use<> {
        let pcollection = self.name.clone();
        move |source| DataError::Malformed {
            pcollection: pcollection.clone(),
            offset,
            source,
        }
    }

    /// Of windows that an element had, or that were made of those.
    fn window(&self, source: CoderError) -> GroupError {
        GroupError::Window {
            grouping: self.name.clone(),
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

/// Groups all of the input, of about `input_bytes` in all. Gives the ids under which the rests of large
/// groups are in the store; on an error there are none.
///
/// # Errors
/// Those of the input and of `emit`, elements that do not decode, windows that do not merge, and a disk
/// that fails.
pub fn group_at_end(
    spec: &GroupSpec,
    store: &Arc<DataStore>,
    merger: &dyn WindowMerger,
    input_bytes: u64,
    input: impl IntoIterator<Item = Result<Bytes, DataError>>,
    emit: &mut dyn FnMut(Bytes) -> Result<(), DataError>,
) -> Result<Vec<DataId>, GroupError> {
    let mut out = Emitter::new(spec, store, emit);
    match partition::parts(input_bytes) {
        1 => group(spec, store, merger, input, &mut out)?,
        parts => {
            for part in partition::partition(spec, store, parts, input)? {
                group(spec, store, merger, part, &mut out)?;
            }
        }
    }
    Ok(out.finish()?)
}

/// Groups what fits a cache, unless a key has very many values.
fn group(
    spec: &GroupSpec,
    store: &Arc<DataStore>,
    merger: &dyn WindowMerger,
    input: impl IntoIterator<Item = Result<Bytes, DataError>>,
    out: &mut Emitter<'_>,
) -> Result<(), GroupError> {
    let mut table = Table::default();
    let mut runs = Vec::new();
    let mut offset = 0;
    for chunk in input {
        let chunk = chunk?;
        let bytes = chunk.len() as u64;
        table.add(spec, chunk, offset)?;
        offset += bytes;
        if table.memory_bytes() > spec.memory_bytes {
            runs.push(Run::spill(spec, store, std::mem::take(&mut table))?);
        }
    }
    if runs.is_empty() && !spec.merges() {
        table.emit(out)
    } else {
        runs.push(Run::keep(spec, store, table)?);
        merge::merge(spec, store, merger, runs, out)
    }
}
