//! `projects.locations.jobs.update`: asking a job to end, or changing how many workers it may have.

use serde_json::Value;

use super::body::Query;
use super::create::read;
use super::errors::{ApiError, Code};
use super::request::JobRequest;
use super::{enums, view};
use crate::jobs::{Job, Scaling, WorkerLimits};

/// Does what the request asks of the job.
///
/// # Errors
/// If it is none of what can be asked, or the job has ended.
pub(super) fn update(job: &Job, query: &Query, mut body: Value) -> Result<(), ApiError> {
    enums::normalize(&mut body)?;
    let request = read(&body)?;
    if let Some(mask) = query.get("updateMask").filter(|mask| !mask.is_empty()) {
        return change_options(job, mask, &request);
    }
    let wanted = request.requested_state.as_deref().unwrap_or_default();
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
    check_active(job)?;
    if wanted == "JOB_STATE_CANCELLED" {
        job.cancel();
        return Ok(());
    }
    if !view::is_streaming(job) {
        return Err(not_possible(format!(
            "job {} is a batch job, and only streaming jobs can be drained: cancel it instead",
            job.id()
        )));
    }
    job.drain()?;
    Ok(())
}

/// Changes options of the job as it runs: those that the mask names.
fn change_options(job: &Job, mask: &str, request: &JobRequest) -> Result<(), ApiError> {
    let params = &request.runtime_updatable_params;
    let mut limits = WorkerLimits::default();
    for field in mask.split(',') {
        let set = match field.trim() {
            "runtimeUpdatableParams.minNumWorkers" | "runtime_updatable_params.min_num_workers" => {
                limits.min = params.min_num_workers;
                limits.min
            }
            "runtimeUpdatableParams.maxNumWorkers" | "runtime_updatable_params.max_num_workers" => {
                limits.max = params.max_num_workers;
                limits.max
            }
            other => {
                return Err(ApiError::unsupported(format!(
                    "this emulator does not change {other:?} of running jobs (updateMask): \
                     runtimeUpdatableParams.minNumWorkers and .maxNumWorkers are what can be changed"
                )));
            }
        };
        if set.is_none() {
            return Err(ApiError::invalid(format!(
                "the updateMask names {field:?}, but the job in the request does not say what it is \
                 to be"
            )));
        }
    }
    check_active(job)?;
    let fixed = job.submission().workers.scaling == Scaling::Fixed;
    if fixed || !view::is_streaming(job) {
        return Err(not_possible(format!(
            "job {} is no streaming job with autoscaling: the options of others do not change while \
             they run",
            job.id()
        )));
    }
    let known = job.worker_limits();
    let max = limits
        .max
        .or(known.max)
        .or(job.submission().workers.max_count);
    let min = limits.min.or(known.min);
    if let (Some(min), Some(max)) = (min, max)
        && min > max
    {
        return Err(ApiError::invalid(format!(
            "a job can't have at least {min} workers and at most {max}"
        )));
    }
    job.limit_workers(limits);
    Ok(())
}

fn check_active(job: &Job) -> Result<(), ApiError> {
    let state = job.state();
    match state.is_terminal() {
        false => Ok(()),
        true => Err(not_possible(format!(
            "job {} is terminated already, in state {}, and can't be changed",
            job.id(),
            enums::state(state)
        ))),
    }
}

fn not_possible(cause: impl std::fmt::Display) -> ApiError {
    ApiError::new(
        Code::FailedPrecondition,
        format!("Workflow modification failed. Causes: {cause}"),
    )
}
