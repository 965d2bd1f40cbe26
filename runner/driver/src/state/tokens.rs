//! Cache tokens of user state: what lets a worker keep, from bundle to bundle, what it knows of its keys.
//!
//! A worker may trust what it has cached under a token for as long as it gets that token (`ProcessBundleRequest.CacheToken`). So a worker
//! gets a new one for a stage when another worker had one of the key groups meanwhile, and when a bundle of its own came to nothing:
//! what that one wrote is in the worker's cache, and nowhere else. Key groups are a bundle's own until it is committed or has
//! failed, so it is enough to look when a bundle starts.

use std::sync::{Mutex, MutexGuard, PoisonError};

use dataflume_model::ids::{KeyGroup, StageId, WorkerId};
use rustc_hash::{FxHashMap, FxHashSet};

/// The tokens of one job.
#[derive(Debug, Default)]
pub(crate) struct StateTokens {
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    next: u64,
    tokens: FxHashMap<(WorkerId, StageId), Token>,
    /// Who had a key group last.
    last: FxHashMap<(StageId, KeyGroup), WorkerId>,
}

#[derive(Debug)]
struct Token {
    number: u64,
    /// What a worker may have cached under it.
    groups: FxHashSet<KeyGroup>,
}

impl StateTokens {
    /// The token of a bundle that is about to start, and has these key groups for itself.
    pub(crate) fn begin(
        &self,
        worker: WorkerId,
        stage: StageId,
        groups: impl IntoIterator<Item = KeyGroup>,
    ) -> [u8; 8] {
        let mut held = self.held();
        let Held { next, tokens, last } = &mut *held;
        let mut fresh = || {
            *next += 1;
            Token {
                number: *next,
                groups: FxHashSet::default(),
            }
        };
        let token = tokens.entry((worker, stage)).or_insert_with(&mut fresh);
        let mut had = Vec::new();
        let mut stale = false;
        for group in groups {
            let before = last.insert((stage, group), worker);
            stale |= before.is_some_and(|before| before != worker) && token.groups.contains(&group);
            had.push(group);
        }
        if stale {
            *token = fresh();
        }
        token.groups.extend(had);
        token.number.to_be_bytes()
    }

    /// What a worker has cached of a stage's state counts no more.
    pub(crate) fn forget(&self, worker: WorkerId, stage: StageId) {
        self.held().tokens.remove(&(worker, stage));
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAGE: StageId = StageId(0);

    fn begin(tokens: &StateTokens, worker: u64, groups: &[u32]) -> u64 {
        let groups = groups.iter().map(|group| KeyGroup(*group));
        u64::from_be_bytes(tokens.begin(WorkerId(worker), STAGE, groups))
    }

    #[test]
    fn a_worker_keeps_its_token_while_its_keys_are_its_own() {
        let tokens = StateTokens::default();
        let first = begin(&tokens, 1, &[1, 2]);
        let other = begin(&tokens, 2, &[3]);
        assert_ne!(first, other, "each worker has its own");
        assert_eq!(begin(&tokens, 1, &[2, 4]), first);
        assert_eq!(begin(&tokens, 2, &[3, 5]), other);
    }

    #[test]
    fn keys_that_another_worker_had_are_read_anew() {
        let tokens = StateTokens::default();
        let first = begin(&tokens, 1, &[1, 2]);
        // It has never had key group 2, so nothing that it knows is old.
        let other = begin(&tokens, 2, &[3]);
        assert_eq!(begin(&tokens, 2, &[2]), other);
        assert_eq!(begin(&tokens, 1, &[1]), first, "nobody else had group 1");
        let second = begin(&tokens, 1, &[2]);
        assert_ne!(second, first);
        assert_eq!(begin(&tokens, 1, &[1, 2]), second);
        assert_ne!(begin(&tokens, 2, &[2]), other);
    }

    #[test]
    fn what_failed_is_not_trusted() {
        let tokens = StateTokens::default();
        let first = begin(&tokens, 1, &[1]);
        tokens.forget(WorkerId(1), STAGE);
        let second = begin(&tokens, 1, &[1]);
        assert_ne!(second, first);
        tokens.forget(WorkerId(1), StageId(7));
        assert_eq!(begin(&tokens, 1, &[1]), second, "another stage's");
    }
}
