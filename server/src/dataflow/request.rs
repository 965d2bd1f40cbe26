//! The part of a job's JSON that means something here. Unknown fields are accepted.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

/// A job, as clients send it to be created or changed.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct JobRequest {
    pub(super) name: String,
    #[serde(rename = "type")]
    pub(super) kind: Option<String>,
    pub(super) environment: Environment,
    pub(super) client_request_id: Option<String>,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) steps: Vec<Value>,
    pub(super) steps_location: Option<String>,
    pub(super) replace_job_id: Option<String>,
    pub(super) created_from_snapshot_id: Option<String>,
    pub(super) runtime_updatable_params: RuntimeParams,
    pub(super) requested_state: Option<String>,
    pub(super) current_state: Option<String>,
}

/// What can be changed of a job that runs.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct RuntimeParams {
    #[serde(deserialize_with = "integer")]
    pub(super) min_num_workers: Option<u32>,
    #[serde(deserialize_with = "integer")]
    pub(super) max_num_workers: Option<u32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Environment {
    pub(super) sdk_pipeline_options: Map<String, Value>,
    pub(super) worker_pools: Vec<WorkerPool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct WorkerPool {
    #[serde(deserialize_with = "integer")]
    pub(super) num_workers: Option<u32>,
    #[serde(deserialize_with = "integer")]
    pub(super) num_threads_per_worker: Option<u32>,
    pub(super) machine_type: Option<String>,
    pub(super) autoscaling_settings: Option<Autoscaling>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Autoscaling {
    #[serde(deserialize_with = "integer")]
    pub(super) max_num_workers: Option<u32>,
    pub(super) algorithm: Option<String>,
}

/// A number, or its digits; 0 is none.
fn integer<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    let value = Value::deserialize(deserializer)?;
    let number = match &value {
        Value::Null => return Ok(None),
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    };
    let number = number.and_then(|number| u32::try_from(number).ok());
    let number = number.ok_or_else(|| {
        serde::de::Error::custom(format!("{value} is no number of things that there can be"))
    })?;
    Ok((number > 0).then_some(number))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_come_in_any_form() {
        let pool: WorkerPool = serde_json::from_value(json!({
            "numWorkers": "3", "numThreadsPerWorker": 0, "kind": "harness",
            "autoscalingSettings": {"maxNumWorkers": 5, "algorithm": "x"},
        }))
        .unwrap();
        assert_eq!(pool.num_workers, Some(3));
        assert_eq!(pool.num_threads_per_worker, None);
        let most = pool.autoscaling_settings.unwrap().max_num_workers;
        assert_eq!(most, Some(5));
        for bad in [json!(-1), json!("x"), json!(1.5), json!([])] {
            let pool = json!({"numWorkers": bad});
            assert!(serde_json::from_value::<WorkerPool>(pool).is_err());
        }
    }
}
