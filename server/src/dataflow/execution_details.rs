//! `projects.locations.jobs.getExecutionDetails` and `...stages.getExecutionDetails`.
//!
//! Stages are those of the plan that the job runs by. What is not observed of them is left out: when
//! a stage began, how far it is, which worker does what.

use dataflume_graph::{TranslateOptions, translate};
use serde_json::{Value, json};

use super::errors::{ApiError, Code};
use super::times;
use crate::jobs::{Job, JobState};

/// The stages of a job.
///
/// # Errors
/// If its pipeline can't be translated, which it once could.
pub(super) fn of_job(job: &Job) -> Result<Value, ApiError> {
    let end = job.state_event();
    let stages: Vec<_> = stage_ids(job)?
        .into_iter()
        .map(|id| {
            let mut stage = json!({"stageId": id, "state": state(job.state())});
            if end.state.is_terminal() {
                stage["endTime"] = times::text(end.time).into();
            }
            stage
        })
        .collect();
    Ok(json!({"stages": stages}))
}

/// The workers of a stage: of none is it known that it works on this stage.
///
/// # Errors
/// If the job has no such stage.
pub(super) fn of_stage(job: &Job, stage: &str) -> Result<Value, ApiError> {
    match stage_ids(job)?.iter().any(|id| id == stage) {
        true => Ok(json!({"workers": []})),
        false => Err(ApiError::new(
            Code::NotFound,
            format!("job {} has no stage {stage:?}", job.id()),
        )),
    }
}

fn stage_ids(job: &Job) -> Result<Vec<String>, ApiError> {
    let plan = translate(job.pipeline(), &TranslateOptions::default());
    let plan = plan.map_err(|refusal| ApiError::new(Code::Internal, refusal.to_string()))?;
    let stages = plan.stages.iter();
    Ok(stages.map(|stage| format!("F{}", stage.id.0)).collect())
}

/// What the job's state says of all of its stages. While it runs, each is its own case.
fn state(state: JobState) -> &'static str {
    match state {
        JobState::Stopped | JobState::Starting => "EXECUTION_STATE_NOT_STARTED",
        JobState::Done | JobState::Drained | JobState::Updated => "EXECUTION_STATE_SUCCEEDED",
        JobState::Cancelled => "EXECUTION_STATE_CANCELLED",
        _ => "EXECUTION_STATE_UNKNOWN",
    }
}
