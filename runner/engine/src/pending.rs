//! Data that waits for a stage, by key group.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use dataflume_model::ids::KeyGroup;
use dataflume_model::time::ProcessingTime;

use crate::io::{PendingData, Work};

/// A failed bundle's work, kept together for its next attempt.
#[derive(Debug, Clone)]
pub(crate) struct Retry {
    pub(crate) work: Work,
    pub(crate) attempt: u32,
    pub(crate) worker_losses: u32,
}

/// The queues of a stage. Unkeyed stages use the `None` queue alone.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    queues: BTreeMap<Option<KeyGroup>, VecDeque<PendingData>>,
    /// Residuals that asked for a delay, by the time they may run.
    delayed: BTreeMap<ProcessingTime, Vec<PendingData>>,
    /// Restrictions to truncate, while the job drains.
    untruncated: VecDeque<PendingData>,
    totals: Totals,
    pub(crate) retries: VecDeque<Retry>,
}

/// What waits in the queues, without delayed residuals and retries.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Totals {
    pub(crate) pieces: usize,
    pub(crate) elements: u64,
    pub(crate) bytes: u64,
}

/// How much a bundle may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) elements: u64,
    pub(crate) bytes: u64,
    /// Indivisible pieces; at least 1.
    pub(crate) pieces: usize,
}

impl Pending {
    pub(crate) fn push(&mut self, data: PendingData) {
        match data.not_before {
            Some(time) => self.delayed.entry(time).or_default().push(data),
            None => {
                self.totals.pieces += 1;
                self.totals.elements += data.handle.elements;
                self.totals.bytes += data.handle.bytes;
                self.queues
                    .entry(data.handle.key_group)
                    .or_default()
                    .push_back(data);
            }
        }
    }

    /// Moves what was delayed until now into the queues.
    pub(crate) fn wake(&mut self, now: ProcessingTime) -> bool {
        let mut woken = false;
        while let Some(entry) = self.delayed.first_entry() {
            if *entry.key() > now {
                break;
            }
            for mut data in entry.remove() {
                data.not_before = None;
                self.push(data);
            }
            woken = true;
        }
        woken
    }

    pub(crate) fn next_wake(&self) -> Option<ProcessingTime> {
        self.delayed.keys().next().copied()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queues.is_empty()
            && self.delayed.is_empty()
            && self.untruncated.is_empty()
            && self.retries.is_empty()
    }

    pub(crate) fn push_untruncated(&mut self, mut data: PendingData) {
        data.not_before = None;
        self.untruncated.push_back(data);
    }

    pub(crate) fn has_untruncated(&self) -> bool {
        !self.untruncated.is_empty()
    }

    /// Takes up to this many restrictions that are ready to be truncated.
    pub(crate) fn take_untruncated(
        &mut self,
        count: usize,
        ready: impl Fn(&PendingData) -> bool,
    ) -> Vec<PendingData> {
        let waiting = std::mem::take(&mut self.untruncated);
        let mut taken = Vec::new();
        for data in waiting {
            if taken.len() < count && ready(&data) {
                taken.push(data);
            } else {
                self.untruncated.push_back(data);
            }
        }
        taken
    }

    /// Empties all queues: everything that waits, for its first attempt or another, without the
    /// delays that were asked for.
    pub(crate) fn take_all(&mut self) -> Vec<PendingData> {
        let retried = self.retries.drain(..).flat_map(|retry| match retry.work {
            Work::Elements(data) => data,
            _ => Vec::new(),
        });
        let mut all: Vec<PendingData> = retried.collect();
        all.extend(std::mem::take(&mut self.queues).into_values().flatten());
        all.extend(std::mem::take(&mut self.delayed).into_values().flatten());
        self.totals = Totals::default();
        all
    }

    /// What is in the queues, delayed residuals and retries apart.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = &PendingData> {
        self.queues.values().flatten()
    }

    pub(crate) fn totals(&self) -> Totals {
        self.totals
    }

    /// Takes the ready pieces of one queue, in order and within limits. Within a key group order
    /// matters, so the first piece that is not ready ends it; otherwise such pieces are passed over.
    pub(crate) fn take(
        &mut self,
        group: Option<KeyGroup>,
        limits: &mut Limits,
        ready: impl Fn(&PendingData) -> bool,
        taken: &mut Vec<PendingData>,
    ) {
        let Some(queue) = self.queues.get_mut(&group) else {
            return;
        };
        let mut passed_over = VecDeque::new();
        while let Some(data) = queue.front() {
            let first = taken.is_empty();
            if limits.pieces == 0
                || (!first
                    && (data.handle.elements > limits.elements || data.handle.bytes > limits.bytes))
            {
                break;
            }
            if !ready(data) {
                if group.is_some() {
                    break;
                }
                passed_over.extend(queue.pop_front());
                continue;
            }
            limits.pieces -= 1;
            limits.elements = limits.elements.saturating_sub(data.handle.elements);
            limits.bytes = limits.bytes.saturating_sub(data.handle.bytes);
            self.totals.pieces -= 1;
            self.totals.elements -= data.handle.elements;
            self.totals.bytes -= data.handle.bytes;
            taken.extend(queue.pop_front());
        }
        while let Some(data) = passed_over.pop_back() {
            queue.push_front(data);
        }
        if queue.is_empty() {
            self.queues.remove(&group);
        }
    }

    /// Takes every piece of a key group that is ready.
    pub(crate) fn take_ready(
        &mut self,
        group: KeyGroup,
        ready: impl Fn(&PendingData) -> bool,
    ) -> Vec<PendingData> {
        let Some(queue) = self.queues.remove(&Some(group)) else {
            return Vec::new();
        };
        let (taken, left): (Vec<_>, VecDeque<_>) = queue.into_iter().fold(
            Default::default(),
            |(mut taken, mut left): (Vec<_>, VecDeque<_>), data| {
                if ready(&data) {
                    taken.push(data);
                } else {
                    left.push_back(data);
                }
                (taken, left)
            },
        );
        for data in &taken {
            self.totals.pieces -= 1;
            self.totals.elements -= data.handle.elements;
            self.totals.bytes -= data.handle.bytes;
        }
        if !left.is_empty() {
            self.queues.insert(Some(group), left);
        }
        taken
    }

    /// The groups among `candidates` that have something waiting.
    pub(crate) fn free_groups(&self, busy: &BTreeSet<KeyGroup>) -> Vec<KeyGroup> {
        self.queues
            .keys()
            .flatten()
            .copied()
            .filter(|group| !busy.contains(group))
            .collect()
    }
}
