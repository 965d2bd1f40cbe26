//! How windows of a key merge: what the window function says, checked and put in order.

use std::collections::{BTreeMap, BTreeSet};

use dataflume_model::window::{Window, WindowFn};

use super::GroupingError;

/// Windows that merge into one, or one that stays as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merge {
    /// What comes of them.
    pub result: Window,
    /// What it is made of; itself alone where nothing merges.
    pub sources: Vec<Window>,
}

/// Merges windows. The session window function is known here; any other is known to an SDK only,
/// and who runs the grouping must know how to ask it.
pub trait WindowMerger {
    /// For each set of windows, which are those of one key: how they merge. All sets of a bundle come
    /// in one call.
    ///
    /// # Errors
    /// A text that says why there is no answer.
    fn merge(&self, sets: &[Vec<Window>]) -> Result<Vec<Vec<Merge>>, String>;
}

impl WindowMerger for WindowFn {
    fn merge(&self, sets: &[Vec<Window>]) -> Result<Vec<Vec<Merge>>, String> {
        let merge = |set: &Vec<Window>| {
            let merged = Self::merge(self, set);
            let merged = merged.ok_or_else(|| format!("{self:?} is known to its SDK only"))?;
            let merges = merged.into_iter();
            Ok(merges
                .map(|(result, sources)| Merge { result, sources })
                .collect())
        };
        sets.iter().map(merge).collect()
    }
}

/// Asks the merger, and sees to it that each window of each set is part of exactly one merge, and
/// each result that of one.
///
/// # Errors
/// What the merger answers is not about the windows that it was asked about.
pub fn merged(
    merger: &dyn WindowMerger,
    sets: &[Vec<Window>],
) -> Result<Vec<Vec<Merge>>, GroupingError> {
    if sets.is_empty() {
        return Ok(Vec::new());
    }
    let answers = merger.merge(sets).map_err(GroupingError::Merger)?;
    if answers.len() != sets.len() {
        let (asked, answered) = (sets.len(), answers.len());
        let text = format!("asked about {asked} keys, it answered about {answered}");
        return Err(GroupingError::BadMerge(text));
    }
    answers
        .into_iter()
        .zip(sets)
        .map(|(merges, set)| settle(merges, set))
        .collect()
}

fn settle(merges: Vec<Merge>, set: &[Window]) -> Result<Vec<Merge>, GroupingError> {
    let mut left: BTreeSet<&Window> = set.iter().collect();
    let mut by_result: BTreeMap<Window, Vec<Window>> = BTreeMap::new();
    for merge in merges {
        for source in &merge.sources {
            if !left.remove(source) {
                let text = format!("{source} was merged twice, or is not the key's");
                return Err(GroupingError::BadMerge(text));
            }
        }
        by_result
            .entry(merge.result)
            .or_default()
            .extend(merge.sources);
    }
    // What the answer says nothing of stays as it is.
    for window in left {
        by_result
            .entry(window.clone())
            .or_default()
            .push(window.clone());
    }
    let merges = by_result.into_iter();
    Ok(merges
        .filter(|(_, sources)| !sources.is_empty())
        .map(|(result, sources)| Merge { result, sources })
        .collect())
}
