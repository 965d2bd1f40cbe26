//! What the policy looks at.

/// The state of an environment's workers and work, at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Load {
    /// Workers that were started and are not ready yet.
    pub starting: u32,
    /// Bundles that one worker runs at once; at least 1.
    pub slots: u32,
    /// Bundles that run.
    pub running: u32,
    /// Bundles that could run at once, if there were workers for them.
    pub startable: u64,
    /// What waits to be processed.
    pub waiting_bytes: u64,
    /// What was processed since the job began.
    pub processed_bytes: u64,
}

impl Load {
    /// As many workers as there is work for at once.
    pub(super) fn useful_workers(&self) -> u32 {
        let bundles = u64::from(self.running).saturating_add(self.startable);
        let workers = bundles.div_ceil(u64::from(self.slots.max(1)));
        u32::try_from(workers).unwrap_or(u32::MAX)
    }
}
