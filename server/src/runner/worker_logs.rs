//! What becomes of what a job's workers log.

use dataflume_proto::fn_execution::{LogEntry, log_entry};
use tracing::{debug, error, warn};

use crate::jobs::{Importance, JobEvents, WorkerLogs};

/// The log target of what workers log.
pub const WORKER_LOGS_TARGET: &str = "worker_logs";

/// Logs what a worker's SDK said; what its user should see is among the job's messages too, if the job
/// is one that has them there.
pub(super) fn tell(
    job_id: &str,
    worker_id: &str,
    entries: Vec<LogEntry>,
    logs: WorkerLogs,
    events: &JobEvents,
) {
    for entry in entries {
        let location = &entry.log_location;
        let matters = entry.severity >= log_entry::severity::Enum::Warn as i32;
        let is_error = entry.severity >= log_entry::severity::Enum::Error as i32;
        let text = match entry.trace.as_str() {
            "" => entry.message,
            trace => format!("{}\n{trace}", entry.message),
        };
        match (matters, logs) {
            (true, WorkerLogs::InLog) if is_error => {
                error!(target: WORKER_LOGS_TARGET, job_id, worker_id, location, "{text}");
            }
            (true, WorkerLogs::InLog) => {
                warn!(target: WORKER_LOGS_TARGET, job_id, worker_id, location, "{text}");
            }
            (false, _) => {
                debug!(target: WORKER_LOGS_TARGET, job_id, worker_id, location, "{text}");
            }
            (true, WorkerLogs::InMessages) => {
                debug!(target: WORKER_LOGS_TARGET, job_id, worker_id, location, "{text}");
                if !is_echo(worker_id, &text) {
                    events.message(Importance::Warning, format!("{worker_id}: {text}"));
                }
            }
        }
    }
}

/// A client that runs workers in its own process may log the job's messages, and so send back what
/// was passed on to it: once more would be for ever.
fn is_echo(worker_id: &str, message: &str) -> bool {
    message.contains(&format!("{worker_id}: "))
}

#[cfg(test)]
mod tests {
    use super::is_echo;

    #[test]
    fn what_was_passed_on_is_not_passed_on_again() {
        assert!(!is_echo("job-0-0", "disk is full"));
        assert!(is_echo("job-0-0", "(id=7)job-0-0: disk is full"));
        assert!(!is_echo("job-0-0", "(id=7)job-0-1: disk is full"));
    }
}
