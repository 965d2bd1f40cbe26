//! `projects.locations.jobs.getExecutionDetails` and `...stages.getExecutionDetails`.
//!
//! Stages are those of the plan that the job runs by. Of work items, which are bundles here, those that
//! are in progress are known.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::errors::{ApiError, Code};
use super::times;
use crate::jobs::{Job, JobState, StageProgress};

/// The stages of a job.
pub(super) async fn of_job(job: &Job) -> Value {
    let stages = job.stages().await;
    let state = job.state();
    let shown: Vec<_> = stages.iter().map(|stage| summary(stage, state)).collect();
    json!({"stages": shown})
}

fn summary(stage: &StageProgress, job: JobState) -> Value {
    let mut shown = json!({
        "stageId": id(stage),
        "state": state(stage, job),
        "progress": {"currentProgress": stage.fraction()},
    });
    for (name, time) in [("startTime", stage.started), ("endTime", stage.ended)] {
        if let Some(time) = time {
            shown[name] = times::text(time).into();
        }
    }
    shown
}

/// The workers of a stage, and what each of them works on.
///
/// # Errors
/// If the job has no such stage.
pub(super) async fn of_stage(job: &Job, wanted: &str) -> Result<Value, ApiError> {
    let stages = job.stages().await;
    let stage = stages.iter().find(|stage| id(stage) == wanted);
    let stage = stage.ok_or_else(|| {
        ApiError::new(
            Code::NotFound,
            format!("job {} has no stage {wanted:?}", job.id()),
        )
    })?;
    let mut workers: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for bundle in &stage.bundles {
        let name = match bundle.worker {
            Some(worker) => format!("{}-harness-{}", job.name(), worker.0),
            None => "runner".to_owned(),
        };
        workers.entry(name).or_default().push(json!({
            "taskId": bundle.bundle.0.to_string(),
            "attemptId": bundle.attempt.to_string(),
            "startTime": times::text(bundle.started),
            "state": "EXECUTION_STATE_RUNNING",
        }));
    }
    let workers: Vec<_> = workers
        .into_iter()
        .map(|(name, items)| json!({"workerName": name, "workItems": items}))
        .collect();
    Ok(json!({"workers": workers}))
}

fn id(stage: &StageProgress) -> String {
    format!("F{}", stage.stage.0)
}

fn state(stage: &StageProgress, job: JobState) -> &'static str {
    match (stage.started, stage.ended, job) {
        (_, Some(_), _) => "EXECUTION_STATE_SUCCEEDED",
        (None, None, _) => "EXECUTION_STATE_NOT_STARTED",
        (Some(_), None, JobState::Failed) => "EXECUTION_STATE_FAILED",
        (Some(_), None, JobState::Cancelled) => "EXECUTION_STATE_CANCELLED",
        (Some(_), None, _) => "EXECUTION_STATE_RUNNING",
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use dataflume_model::ids::StageId;
    use dataflume_model::time::EventTime;

    use super::*;

    #[test]
    fn a_stage_is_summed_up() {
        let mut stage = StageProgress {
            stage: StageId(3),
            name: "Read+Map".to_owned(),
            started: None,
            ended: None,
            processed: 1,
            left: 3,
            watermark: EventTime::MIN,
            bundles: Vec::new(),
        };
        let states = |stage: &StageProgress| {
            [JobState::Running, JobState::Failed, JobState::Cancelled].map(|job| state(stage, job))
        };
        assert_eq!(states(&stage), ["EXECUTION_STATE_NOT_STARTED"; 3]);
        stage.started = Some(SystemTime::UNIX_EPOCH);
        let expected = ["RUNNING", "FAILED", "CANCELLED"];
        assert_eq!(
            states(&stage),
            expected.map(|state| format!("EXECUTION_STATE_{state}"))
        );
        assert_eq!(
            summary(&stage, JobState::Running),
            json!({
                "stageId": "F3",
                "state": "EXECUTION_STATE_RUNNING",
                "progress": {"currentProgress": 0.25},
                "startTime": "1970-01-01T00:00:00Z",
            })
        );
        stage.ended = stage.started;
        assert_eq!(states(&stage), ["EXECUTION_STATE_SUCCEEDED"; 3]);
    }
}
