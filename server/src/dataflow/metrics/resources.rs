//! What a job uses, and how far event time has come in it: what Dataflow's own metrics tell.

use std::collections::BTreeMap;

use dataflume_model::time::EventTime;
use serde_json::{Value, json};

use super::super::machine_type::{self, MachineType};
use super::super::view;
use super::field::Field;
use super::{Name, Values};
use crate::jobs::{Job, StageProgress, Usage};

/// What the service counts by: 2^30 bytes.
const GB: f64 = (1_u64 << 30) as f64;

/// A watermark at the beginning of time.
const UNKNOWN: i64 = -1;

/// A watermark at the end of time.
const COMPLETE: i64 = -2;

/// Processors and memory, as the workers' machines have them and for as long as the workers are there;
/// disks, of which there are none; and what was shuffled.
pub(super) fn used(job: &Job) -> impl Iterator<Item = (Name, Values)> {
    let streaming = view::is_streaming(job);
    let metrics = metrics(&job.usage(), machine(job, streaming), streaming);
    metrics.into_iter().map(|(name, original, value)| {
        let context = BTreeMap::from([("original_name", original.to_owned())]);
        (Name::of_service(name, context), Values::same(value))
    })
}

/// The machines that the job asks for, or those that Dataflow would take.
fn machine(job: &Job, streaming: bool) -> MachineType {
    let description = &job.submission().description;
    let named = description.pointer("/environment/workerPools/0/machineType");
    let named = named.and_then(Value::as_str).and_then(MachineType::named);
    named.unwrap_or(match streaming {
        true => machine_type::STREAMING,
        false => machine_type::BATCH,
    })
}

/// Names, the names that the service's own parts give them, and values.
fn metrics(
    usage: &Usage,
    machine: MachineType,
    streaming: bool,
) -> Vec<(&'static str, &'static str, Value)> {
    let seconds = usage.worker_time.as_secs_f64();
    let (workers, memory_mb) = (u64::from(usage.workers), machine.memory_mb);
    let shuffled = json!(usage.shuffled_bytes as f64 / GB);
    let shuffled = match streaming {
        true => (
            "TotalStreamingDataProcessed",
            "Service-streaming_service_gb",
            shuffled,
        ),
        false => (
            "TotalShuffleDataProcessed",
            "Service-shuffle_service_actual_gb",
            shuffled,
        ),
    };
    vec![
        (
            "CurrentVcpuCount",
            "Service-cpu_num",
            (workers * u64::from(machine.vcpus)).into(),
        ),
        (
            "TotalVcpuTime",
            "Service-cpu_num_seconds",
            json!(seconds * f64::from(machine.vcpus)),
        ),
        (
            "CurrentMemoryUsage",
            "Service-mem_mb",
            (workers * memory_mb).into(),
        ),
        (
            "TotalMemoryUsage",
            "Service-mem_mb_seconds",
            json!(seconds * memory_mb as f64),
        ),
        ("CurrentPdUsage", "Service-pd_gb", 0.into()),
        ("TotalPdUsage", "Service-pd_gb_seconds", 0.into()),
        ("CurrentSsdUsage", "Service-pd_ssd_gb", 0.into()),
        ("TotalSsdUsage", "Service-pd_ssd_gb_seconds", 0.into()),
        shuffled,
    ]
}

/// How far event time has come in what each stage writes, in microseconds since the epoch.
pub(super) fn watermarks(stages: &[StageProgress]) -> impl Iterator<Item = (Name, Values)> {
    stages.iter().map(|stage| {
        let name = format!("F{}-windmill-data-watermark", stage.stage.0);
        let value = match stage.watermark {
            time if time <= EventTime::MIN => UNKNOWN,
            time if time >= EventTime::MAX => COMPLETE,
            time => time.0.saturating_mul(1000),
        };
        let name = Name::of_service(name, BTreeMap::new());
        (name, Values::same(value.into()))
    })
}

impl Values {
    /// Not of bundles: there are no attempts at it.
    fn same(value: Value) -> Self {
        let field = || Field::new("scalar", value.clone(), 0.into());
        Self {
            attempted: Some(field()),
            committed: Some(field()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn workers_are_accounted_for_by_their_machines() {
        let usage = Usage {
            workers: 2,
            worker_time: Duration::from_secs(90),
            shuffled_bytes: 3 << 29,
        };
        let told = |streaming| {
            let machine = MachineType {
                vcpus: 4,
                memory_mb: 1000,
            };
            let all = metrics(&usage, machine, streaming).into_iter();
            all.map(|(name, _, value)| (name, value))
                .collect::<BTreeMap<_, _>>()
        };
        let batch = told(false);
        assert_eq!(batch["CurrentVcpuCount"], 8);
        assert_eq!(batch["TotalVcpuTime"], 360.0);
        assert_eq!(batch["CurrentMemoryUsage"], 2000);
        assert_eq!(batch["TotalMemoryUsage"], 90_000.0);
        assert_eq!(batch["TotalShuffleDataProcessed"], 1.5);
        assert_eq!(told(true)["TotalStreamingDataProcessed"], 1.5);
    }

    #[test]
    fn watermarks_are_microseconds_or_say_why_not() {
        let stage = |watermark| StageProgress {
            stage: dataflume_model::ids::StageId(7),
            name: String::new(),
            started: None,
            ended: None,
            processed: 0,
            left: 0,
            watermark,
            bundles: Vec::new(),
        };
        let stages = [EventTime(1_500), EventTime::MIN, EventTime::MAX].map(stage);
        let told: Vec<_> = watermarks(&stages)
            .map(|(name, values)| (name.name, values.committed.map(|field| field.value)))
            .collect();
        let name = || "F7-windmill-data-watermark".to_owned();
        let expected = [1_500_000, -1, -2].map(|value| (name(), Some(json!(value))));
        assert_eq!(told, expected);
    }
}
