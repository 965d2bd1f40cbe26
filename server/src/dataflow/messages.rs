//! `projects.locations.jobs.messages.list`.

use serde_json::{Value, json};

use super::body::Query;
use super::errors::ApiError;
use super::{enums, times};
use crate::jobs::{Importance, Job, JobMessage, WorkersEvent};

const DEFAULT_PAGE: usize = 1000;
const MAX_PAGE: usize = 10_000;

/// What the job said, the oldest first. A page's token is the id of its last message.
pub(super) fn list(job: &Job, query: &Query) -> Result<Value, ApiError> {
    let time = |name| {
        query
            .get(name)
            .map(|text| times::parse(name, text))
            .transpose()
    };
    let (start, end) = (time("startTime")?, time("endTime")?);
    let least = match query.get("minimumImportance") {
        None => Importance::Debug,
        Some(text) => enums::least_importance(enums::IMPORTANCE.named("minimumImportance", text)?),
    };
    let size = query.size("pageSize", DEFAULT_PAGE, MAX_PAGE)?;
    let after = match query.get("pageToken") {
        None => None,
        Some(token) => Some(token.parse::<u64>().map_err(|_| {
            ApiError::invalid(format!(
                "the pageToken {token:?} is none that was given out"
            ))
        })?),
    };
    let mut messages = job.messages();
    messages.retain(|message| {
        message.importance >= least
            && start.is_none_or(|start| message.time >= start)
            && end.is_none_or(|end| message.time < end)
            && after.is_none_or(|after| message.id > after)
    });
    let more = messages.len() > size;
    messages.truncate(size);
    let shown: Vec<_> = messages.iter().map(|each| message(each)).collect();
    let mut answer = json!({"jobMessages": shown});
    let within = |event: &&WorkersEvent| {
        start.is_none_or(|start| event.time >= start) && end.is_none_or(|end| event.time < end)
    };
    // They are few: all of them come with the first page.
    let events = match after {
        None => job.workers(),
        Some(_) => Vec::new(),
    };
    let events: Vec<_> = events
        .iter()
        .filter(within)
        .map(autoscaling_event)
        .collect();
    if !events.is_empty() {
        answer["autoscalingEvents"] = events.into();
    }
    if let Some(last) = messages.last().filter(|_| more) {
        answer["nextPageToken"] = last.id.to_string().into();
    }
    Ok(answer)
}

fn message(message: &JobMessage) -> Value {
    json!({
        "id": message.id.to_string(),
        "time": times::text(message.time),
        "messageText": message.text,
        "messageImportance": enums::importance(message.importance),
    })
}

fn autoscaling_event(event: &WorkersEvent) -> Value {
    let kind = match event.current == event.target {
        true => "CURRENT_NUM_WORKERS_CHANGED",
        false => "TARGET_NUM_WORKERS_CHANGED",
    };
    json!({
        "currentNumWorkers": event.current.to_string(),
        "targetNumWorkers": event.target.to_string(),
        "eventType": kind,
        "description": {"messageText": event.text, "messageKey": kind},
        "time": times::text(event.time),
        "workerPool": "Regular",
    })
}
