//! A job, as this API shows it.

use serde_json::{Map, Value, json};

use super::routes::Target;
use super::{enums, times};
use crate::jobs::{Job, JobState, Scope, StateEvent};

/// How much of a job is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum View {
    /// What lists show.
    Summary,
    /// Everything, as it was sent.
    All,
}

impl View {
    pub(super) fn named(name: &str) -> Self {
        match name {
            "JOB_VIEW_ALL" => Self::All,
            _ => Self::Summary,
        }
    }
}

/// Whether the job can be seen at this place. One that came by another API belongs nowhere, and is
/// seen everywhere.
pub(super) fn is_at(job: &Job, project: &str, location: Option<&str>) -> bool {
    match &job.submission().scope {
        None => true,
        Some(scope) => {
            scope.project == project && location.is_none_or(|location| location == scope.location)
        }
    }
}

/// The job in a state that it was in.
pub(super) fn job(job: &Job, target: &Target, view: View) -> Value {
    let states = job.states();
    let mut shown = sent(job, view);
    let mut set = |name: &str, value: Value| shown.insert(name.to_owned(), value);
    let scope = job.submission().scope.clone().unwrap_or_else(|| Scope {
        project: target.project.clone(),
        location: target
            .location
            .clone()
            .unwrap_or_else(|| super::DEFAULT_LOCATION.to_owned()),
    });
    set("id", job.id().into());
    set("name", job.name().into());
    set("projectId", scope.project.into());
    set("location", scope.location.into());
    set("type", kind(job).into());
    set("createTime", times::text(job.created()).into());
    if let Some(last) = states.last() {
        set("currentState", enums::state(last.state).into());
        set("currentStateTime", times::text(last.time).into());
    }
    let started = states
        .iter()
        .find(|event| event.state == JobState::Starting);
    if let Some(started) = started {
        set("startTime", times::text(started.time).into());
    }
    let limits = job.worker_limits();
    let params = [("minNumWorkers", limits.min), ("maxNumWorkers", limits.max)];
    let params: Map<_, _> = params
        .into_iter()
        .filter_map(|(name, count)| Some((name.to_owned(), count?.into())))
        .collect();
    if !params.is_empty() {
        set("runtimeUpdatableParams", params.into());
    }
    if let Some(sdk) = sdk(job) {
        set("jobMetadata", json!({"sdkVersion": sdk}));
    }
    Value::Object(shown)
}

/// As the job was at its very beginning.
pub(super) fn as_created(found: &Job, target: &Target, view: View) -> Value {
    let first = found.states().get(..2).and_then(<[_]>::last).copied();
    as_it_was(found, first, target, view)
}

/// As the job was while it ran, if it did.
pub(super) fn as_running(found: &Job, target: &Target, view: View) -> Value {
    let states = found.states();
    let running = states
        .into_iter()
        .find(|event| event.state == JobState::Running);
    as_it_was(found, running, target, view)
}

fn as_it_was(found: &Job, then: Option<StateEvent>, target: &Target, view: View) -> Value {
    let mut shown = job(found, target, view);
    if let Some(then) = then {
        shown["currentState"] = enums::state(then.state).into();
        shown["currentStateTime"] = times::text(then.time).into();
    }
    shown
}

/// What the API's client said of the job, as far as it is shown.
fn sent(job: &Job, view: View) -> Map<String, Value> {
    let submission = job.submission();
    let mut shown = match (&submission.description, view) {
        (Value::Object(fields), View::All) => fields.clone(),
        (Value::Object(fields), View::Summary) => {
            let wanted = ["clientRequestId", "environment", "tempFiles"];
            let mut shown: Map<_, _> = fields
                .iter()
                .filter(|(name, _)| wanted.contains(&name.as_str()))
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect();
            if let Some(Value::Object(environment)) = shown.get_mut("environment") {
                // Of the environment, what is short.
                environment.retain(|name, _| ["userAgent", "version"].contains(&name.as_str()));
            }
            shown
        }
        _ => Map::new(),
    };
    shown.remove("requestedState");
    if !submission.labels.is_empty() {
        shown.insert("labels".to_owned(), json!(submission.labels));
    }
    shown
}

/// The API's name of the job's type.
pub(super) fn kind(job: &Job) -> &'static str {
    let sent = job.submission().description.get("type");
    match sent.and_then(Value::as_str) {
        Some("JOB_TYPE_STREAMING") => "JOB_TYPE_STREAMING",
        Some("JOB_TYPE_BATCH") => "JOB_TYPE_BATCH",
        _ if is_unbounded(job) => "JOB_TYPE_STREAMING",
        _ => "JOB_TYPE_BATCH",
    }
}

/// Whether it is a streaming job.
pub(super) fn is_streaming(job: &Job) -> bool {
    kind(job) == "JOB_TYPE_STREAMING"
}

/// Whether some of its data have no end, as far as the SDK knows.
pub(super) fn is_unbounded(job: &Job) -> bool {
    use dataflume_proto::pipeline::is_bounded::Enum::Unbounded;
    let components = job.pipeline().components.as_ref();
    let mut collections = components
        .into_iter()
        .flat_map(|all| all.pcollections.values());
    collections.any(|collection| collection.is_bounded == Unbounded as i32)
}

fn sdk(job: &Job) -> Option<Value> {
    let agent = job
        .submission()
        .description
        .pointer("/environment/userAgent")?;
    let mut version = Map::new();
    for (from, to) in [("version", "version"), ("name", "versionDisplayName")] {
        if let Some(text) = agent.get(from).and_then(Value::as_str) {
            version.insert(to.to_owned(), text.into());
        }
    }
    (!version.is_empty()).then_some(Value::Object(version))
}
