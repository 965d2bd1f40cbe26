//! Merging windows of the user's own kind.

use std::sync::Arc;

use bytes::Bytes;
use dataflume_engine::grouping::{Merge, WindowMerger};
use dataflume_graph::plan::WindowFnCall;
use dataflume_model::coder::CoderError;
use dataflume_model::window::{Window, WindowKind};
use tokio::runtime::Handle;

use super::codec::{AnswerError, answers, iterable, put_windows, questions};
use super::{WorkerDirectory, ask};

/// Asks an SDK how windows merge. For threads that may block, within a runtime.
pub(crate) struct SdkMerger<'a> {
    pub(crate) workers: Arc<WorkerDirectory>,
    pub(crate) call: &'a WindowFnCall,
    pub(crate) window: &'a WindowKind,
}

impl WindowMerger for SdkMerger<'_> {
    fn merge(&self, sets: &[Vec<Window>]) -> Result<Vec<Vec<Merge>>, String> {
        // A window that is alone has nothing to merge with.
        let asked: Vec<&Vec<Window>> = sets.iter().filter(|set| set.len() > 1).collect();
        let mut answered = if asked.is_empty() {
            Vec::new()
        } else {
            let question = question(self.window, &asked).map_err(|error| error.to_string())?;
            let answer = Handle::current().block_on(ask(&self.workers, self.call, question))?;
            answer_to(self.call, self.window, &answer, asked.len())
                .map_err(|error| error.to_string())?
        }
        .into_iter();
        let merges = sets.iter().map(|set| match set.as_slice() {
            [] => Vec::new(),
            [alone] => vec![stays(alone)],
            _ => answered.next().unwrap_or_default(),
        });
        Ok(merges.collect())
    }
}

fn stays(window: &Window) -> Merge {
    Merge {
        result: window.clone(),
        sources: vec![window.clone()],
    }
}

pub(super) fn question(kind: &WindowKind, sets: &[&Vec<Window>]) -> Result<Bytes, CoderError> {
    questions(sets.len(), |number, out| {
        put_windows(kind, sets[number], out)
    })
}

pub(super) fn answer_to(
    call: &WindowFnCall,
    kind: &WindowKind,
    chunks: &[Bytes],
    asked: usize,
) -> Result<Vec<Vec<Merge>>, AnswerError> {
    answers(&call.output_coder, chunks, asked, |input| {
        let window = |input: &mut &[u8]| kind.decode(input);
        let unmerged = iterable(input, window)?;
        let mut merges: Vec<Merge> = unmerged.iter().map(stays).collect();
        merges.extend(iterable(input, |input| {
            Ok(Merge {
                result: kind.decode(input)?,
                sources: iterable(input, window)?,
            })
        })?);
        Ok(merges)
    })
}
