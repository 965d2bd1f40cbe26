//! How fast an environment works.

use dataflume_model::time::ProcessingTime;

use super::Load;

/// Looks that are remembered; older ones say little about what is done now.
const REMEMBERED: usize = 8;

/// What was processed by when, lately.
#[derive(Debug, Clone, Default)]
pub(super) struct Throughput {
    looks: std::collections::VecDeque<(ProcessingTime, u64)>,
}

impl Throughput {
    /// What is done while workers start isn't what will be done when they are there.
    pub(super) fn observe(&mut self, now: ProcessingTime, load: &Load) {
        if load.starting > 0 {
            self.looks.clear();
            return;
        }
        self.looks.push_back((now, load.processed_bytes));
        if self.looks.len() > REMEMBERED {
            self.looks.pop_front();
        }
    }

    /// How long the work that waits would take at the present speed. `None` while nothing was
    /// finished yet, which may mean slow or just begun.
    pub(super) fn remaining_ms(&self, load: &Load) -> Option<u64> {
        let (first, before) = self.looks.front()?;
        let (last, after) = self.looks.back()?;
        let time = u64::try_from(last.0.saturating_sub(first.0)).ok()?;
        let processed = after.saturating_sub(*before);
        if processed == 0 || time == 0 {
            return None;
        }
        let remaining = u128::from(load.waiting_bytes) * u128::from(time) / u128::from(processed);
        Some(u64::try_from(remaining).unwrap_or(u64::MAX))
    }
}
