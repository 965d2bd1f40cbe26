//! The states of a job, and how it may get from one to another.

use std::time::SystemTime;

/// Where a job is in its life. Beam's states.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum JobState {
    /// Accepted, and not started yet.
    Stopped,
    /// Its workers are being made.
    Starting,
    /// At least one worker can work.
    Running,
    /// Takes no more input, and finishes what it has.
    Draining,
    /// Is being replaced by another version of itself.
    Updating,
    /// Was asked to end.
    Cancelling,
    /// Ended well.
    Done,
    /// Ended badly.
    Failed,
    /// Ended since it was asked to.
    Cancelled,
    /// Ended after draining.
    Drained,
    /// Was replaced.
    Updated,
}

impl JobState {
    /// Every state.
    pub const ALL: [Self; 11] = [
        Self::Stopped,
        Self::Starting,
        Self::Running,
        Self::Draining,
        Self::Updating,
        Self::Cancelling,
        Self::Done,
        Self::Failed,
        Self::Cancelled,
        Self::Drained,
        Self::Updated,
    ];

    /// Nothing comes after it.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        matches!(
            self,
            Self::Done | Self::Failed | Self::Cancelled | Self::Drained | Self::Updated
        )
    }

    /// Whether a job in this state may be in the other one next.
    #[must_use]
    pub fn may_become(self, next: Self) -> bool {
        use JobState::*;
        match self {
            Stopped => matches!(next, Starting | Cancelled | Failed),
            Starting => matches!(next, Running | Draining | Cancelling | Done | Failed),
            Running => matches!(next, Draining | Updating | Cancelling | Done | Failed),
            // It may have ended by itself before the request reached it.
            Draining => matches!(next, Cancelling | Drained | Done | Failed),
            Updating => matches!(next, Running | Cancelling | Updated | Failed),
            // Likewise.
            Cancelling => matches!(next, Cancelled | Done | Failed | Drained | Updated),
            Done | Failed | Cancelled | Drained | Updated => false,
        }
    }

    /// The name in logs and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Draining => "draining",
            Self::Updating => "updating",
            Self::Cancelling => "cancelling",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Drained => "drained",
            Self::Updated => "updated",
        }
    }
}

/// A state, and since when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StateEvent {
    /// The state.
    pub state: JobState,
    /// When the job came into it.
    pub time: SystemTime,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_leaves_a_terminal_state() {
        for from in JobState::ALL
            .into_iter()
            .filter(|state| state.is_terminal())
        {
            assert!(JobState::ALL.iter().all(|to| !from.may_become(*to)));
        }
    }

    #[test]
    fn every_job_can_end_and_no_state_follows_itself() {
        for from in JobState::ALL {
            assert!(!from.may_become(from));
            let ends = JobState::ALL
                .iter()
                .any(|to| to.is_terminal() && from.may_become(*to));
            assert!(from.is_terminal() || ends, "{from:?} never ends");
        }
    }

    #[test]
    fn a_job_that_is_cancelled_does_not_run_again() {
        assert!(!JobState::Cancelling.may_become(JobState::Running));
        assert!(JobState::Cancelling.may_become(JobState::Cancelled));
        assert!(!JobState::Running.may_become(JobState::Cancelled));
    }
}
