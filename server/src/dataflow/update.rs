//! `projects.locations.jobs.update`: asking a job to end.

use serde_json::Value;

use super::body::Query;
use super::create::read;
use super::errors::{ApiError, Code};
use super::{enums, view};
use crate::jobs::Job;

/// Does what the request asks of the job.
///
/// # Errors
/// If it is none of what can be asked, or the job has ended.
pub(super) fn update(job: &Job, query: &Query, mut body: Value) -> Result<(), ApiError> {
    if let Some(mask) = query.get("updateMask") {
        return Err(ApiError::unsupported(format!(
            "this emulator does not change the options of running jobs (updateMask={mask}): \
             requestedState is what can be set"
        )));
    }
    enums::normalize(&mut body)?;
    let request = read(&body)?;
    let wanted = request.requested_state.as_deref().unwrap_or_default();
    let state = job.state();
    let ends = [
        "JOB_STATE_CANCELLED",
        "JOB_STATE_DRAINED",
        "JOB_STATE_DRAINING",
    ];
    if !ends.contains(&wanted) {
        return Err(ApiError::invalid(format!(
            "Workflow modification failed. Causes: a job can be asked to become JOB_STATE_CANCELLED \
             or JOB_STATE_DRAINED, and not {wanted:?}"
        )));
    }
    if state.is_terminal() {
        return Err(ApiError::new(
            Code::FailedPrecondition,
            format!(
                "Workflow modification failed. Causes: job {} is terminated already, in state {}, \
                 and can't become {wanted}",
                job.id(),
                enums::state(state)
            ),
        ));
    }
    if wanted == "JOB_STATE_CANCELLED" {
        job.cancel();
        return Ok(());
    }
    if !view::is_streaming(job) {
        return Err(ApiError::new(
            Code::FailedPrecondition,
            format!(
                "Workflow modification failed. Causes: job {} is a batch job, and only streaming \
                 jobs can be drained: cancel it instead",
                job.id()
            ),
        ));
    }
    job.drain()?;
    Ok(())
}
