//! Enums, by number or name on the way in, always by name from then on.
//!
//! The Python SDK sends numbers, the Java SDK fails on any that it is sent back.

use serde_json::Value;

use super::errors::ApiError;
use crate::jobs::{Importance, JobState};

/// An enum of the API: its name, and the names of its numbers from 0 on.
pub(super) struct Enum {
    name: &'static str,
    values: &'static [&'static str],
}

pub(super) const JOB_STATE: Enum = Enum {
    name: "JobState",
    values: &[
        "JOB_STATE_UNKNOWN",
        "JOB_STATE_STOPPED",
        "JOB_STATE_RUNNING",
        "JOB_STATE_DONE",
        "JOB_STATE_FAILED",
        "JOB_STATE_CANCELLED",
        "JOB_STATE_UPDATED",
        "JOB_STATE_DRAINING",
        "JOB_STATE_DRAINED",
        "JOB_STATE_PENDING",
        "JOB_STATE_CANCELLING",
        "JOB_STATE_QUEUED",
        "JOB_STATE_RESOURCE_CLEANING_UP",
        "JOB_STATE_PAUSING",
        "JOB_STATE_PAUSED",
    ],
};

pub(super) const JOB_TYPE: Enum = Enum {
    name: "JobType",
    values: &["JOB_TYPE_UNKNOWN", "JOB_TYPE_BATCH", "JOB_TYPE_STREAMING"],
};

pub(super) const JOB_VIEW: Enum = Enum {
    name: "JobView",
    values: &[
        "JOB_VIEW_UNKNOWN",
        "JOB_VIEW_SUMMARY",
        "JOB_VIEW_ALL",
        "JOB_VIEW_DESCRIPTION",
    ],
};

pub(super) const LIST_FILTER: Enum = Enum {
    name: "ListJobsRequest.Filter",
    values: &["UNKNOWN", "ALL", "TERMINATED", "ACTIVE"],
};

pub(super) const IMPORTANCE: Enum = Enum {
    name: "JobMessageImportance",
    values: &[
        "JOB_MESSAGE_IMPORTANCE_UNKNOWN",
        "JOB_MESSAGE_DEBUG",
        "JOB_MESSAGE_DETAILED",
        "JOB_MESSAGE_WARNING",
        "JOB_MESSAGE_ERROR",
        "JOB_MESSAGE_BASIC",
    ],
};

const IP_CONFIGURATION: Enum = Enum {
    name: "WorkerIPAddressConfiguration",
    values: &[
        "WORKER_IP_UNSPECIFIED",
        "WORKER_IP_PUBLIC",
        "WORKER_IP_PRIVATE",
    ],
};

const TEARDOWN_POLICY: Enum = Enum {
    name: "TeardownPolicy",
    values: &[
        "TEARDOWN_POLICY_UNKNOWN",
        "TEARDOWN_ALWAYS",
        "TEARDOWN_ON_SUCCESS",
        "TEARDOWN_NEVER",
    ],
};

const PACKAGE_SET: Enum = Enum {
    name: "DefaultPackageSet",
    values: &[
        "DEFAULT_PACKAGE_SET_UNKNOWN",
        "DEFAULT_PACKAGE_SET_NONE",
        "DEFAULT_PACKAGE_SET_JAVA",
        "DEFAULT_PACKAGE_SET_PYTHON",
    ],
};

const AUTOSCALING: Enum = Enum {
    name: "AutoscalingAlgorithm",
    values: &[
        "AUTOSCALING_ALGORITHM_UNKNOWN",
        "AUTOSCALING_ALGORITHM_NONE",
        "AUTOSCALING_ALGORITHM_BASIC",
    ],
};

const FLEX_GOAL: Enum = Enum {
    name: "FlexResourceSchedulingGoal",
    values: &[
        "FLEXRS_UNSPECIFIED",
        "FLEXRS_SPEED_OPTIMIZED",
        "FLEXRS_COST_OPTIMIZED",
    ],
};

const SHUFFLE_MODE: Enum = Enum {
    name: "ShuffleMode",
    values: &["SHUFFLE_MODE_UNSPECIFIED", "VM_BASED", "SERVICE_BASED"],
};

const STREAMING_MODE: Enum = Enum {
    name: "StreamingMode",
    values: &[
        "STREAMING_MODE_UNSPECIFIED",
        "STREAMING_MODE_EXACTLY_ONCE",
        "STREAMING_MODE_AT_LEAST_ONCE",
    ],
};

/// Where a job has enums. `*` is each element of a list.
const IN_JOB: &[(&[&str], Enum)] = &[
    (&["type"], JOB_TYPE),
    (&["currentState"], JOB_STATE),
    (&["requestedState"], JOB_STATE),
    (&["environment", "flexResourceSchedulingGoal"], FLEX_GOAL),
    (&["environment", "shuffleMode"], SHUFFLE_MODE),
    (&["environment", "streamingMode"], STREAMING_MODE),
    (
        &["environment", "workerPools", "*", "ipConfiguration"],
        IP_CONFIGURATION,
    ),
    (
        &["environment", "workerPools", "*", "teardownPolicy"],
        TEARDOWN_POLICY,
    ),
    (
        &["environment", "workerPools", "*", "defaultPackageSet"],
        PACKAGE_SET,
    ),
    (
        &[
            "environment",
            "workerPools",
            "*",
            "autoscalingSettings",
            "algorithm",
        ],
        AUTOSCALING,
    ),
];

impl Enum {
    /// The name of a value that is given by name or number.
    ///
    /// # Errors
    /// The enum has no such value.
    pub(super) fn named(&self, field: &str, text: &str) -> Result<&'static str, ApiError> {
        let by_number = || self.values.get(text.parse::<usize>().ok()?).copied();
        let by_name = self.values.iter().find(|name| **name == text).copied();
        by_name.or_else(by_number).ok_or_else(|| {
            ApiError::invalid(format!(
                "Invalid value at '{field}' (type.googleapis.com/google.dataflow.v1beta3.{}), {text:?}",
                self.name
            ))
        })
    }
}

/// Replaces every enum of a job by its name.
///
/// # Errors
/// If one has no such value.
pub(super) fn normalize(job: &mut Value) -> Result<(), ApiError> {
    IN_JOB
        .iter()
        .try_for_each(|(path, kind)| normalize_at(job, path, path, kind))
}

fn normalize_at(
    value: &mut Value,
    path: &[&str],
    whole: &[&str],
    kind: &Enum,
) -> Result<(), ApiError> {
    match (path, &mut *value) {
        ([], Value::Null) => Ok(()),
        ([], Value::String(text)) => {
            *value = kind.named(&whole.join("."), text)?.into();
            Ok(())
        }
        ([], other) => {
            *other = kind.named(&whole.join("."), &other.to_string())?.into();
            Ok(())
        }
        (["*", rest @ ..], Value::Array(all)) => all
            .iter_mut()
            .try_for_each(|each| normalize_at(each, rest, whole, kind)),
        ([name, rest @ ..], Value::Object(fields)) => match fields.get_mut(*name) {
            Some(field) => normalize_at(field, rest, whole, kind),
            None => Ok(()),
        },
        // What has another shape is found when it is read.
        _ => Ok(()),
    }
}

/// The API's name of a job's state.
pub(super) fn state(state: JobState) -> &'static str {
    match state {
        JobState::Stopped => "JOB_STATE_QUEUED",
        JobState::Starting => "JOB_STATE_PENDING",
        JobState::Running | JobState::Updating => "JOB_STATE_RUNNING",
        JobState::Draining => "JOB_STATE_DRAINING",
        JobState::Cancelling => "JOB_STATE_CANCELLING",
        JobState::Done => "JOB_STATE_DONE",
        JobState::Failed => "JOB_STATE_FAILED",
        JobState::Cancelled => "JOB_STATE_CANCELLED",
        JobState::Drained => "JOB_STATE_DRAINED",
        JobState::Updated => "JOB_STATE_UPDATED",
    }
}

/// The API's name of how much a message matters.
pub(super) fn importance(importance: Importance) -> &'static str {
    match importance {
        Importance::Debug => "JOB_MESSAGE_DEBUG",
        Importance::Detailed => "JOB_MESSAGE_DETAILED",
        Importance::Basic => "JOB_MESSAGE_BASIC",
        Importance::Warning => "JOB_MESSAGE_WARNING",
        Importance::Error => "JOB_MESSAGE_ERROR",
    }
}

/// The least importance that a filter lets through.
pub(super) fn least_importance(name: &str) -> Importance {
    match name {
        "JOB_MESSAGE_DETAILED" => Importance::Detailed,
        "JOB_MESSAGE_BASIC" => Importance::Basic,
        "JOB_MESSAGE_WARNING" => Importance::Warning,
        "JOB_MESSAGE_ERROR" => Importance::Error,
        _ => Importance::Debug,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_become_names_and_names_stay() {
        let mut job = json!({
            "type": 1,
            "requestedState": "JOB_STATE_CANCELLED",
            "environment": {
                "workerPools": [
                    {"ipConfiguration": 2, "autoscalingSettings": {"algorithm": "1"}},
                    {"teardownPolicy": "TEARDOWN_ALWAYS", "ipConfiguration": null},
                ],
                "sdkPipelineOptions": {"options": {"type": 1}},
            },
        });
        normalize(&mut job).unwrap();
        assert_eq!(
            job,
            json!({
                "type": "JOB_TYPE_BATCH",
                "requestedState": "JOB_STATE_CANCELLED",
                "environment": {
                    "workerPools": [
                        {
                            "ipConfiguration": "WORKER_IP_PRIVATE",
                            "autoscalingSettings": {"algorithm": "AUTOSCALING_ALGORITHM_NONE"},
                        },
                        {"teardownPolicy": "TEARDOWN_ALWAYS", "ipConfiguration": null},
                    ],
                    "sdkPipelineOptions": {"options": {"type": 1}},
                },
            })
        );
    }

    #[test]
    fn values_that_do_not_exist_are_refused_with_their_place() {
        for bad in [json!(99), json!("JOB_TYPE_X"), json!([1]), json!(-1)] {
            let error = normalize(&mut json!({"type": bad})).unwrap_err();
            assert!(error.message.contains("'type'"), "{error}");
        }
    }
}
