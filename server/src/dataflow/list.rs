//! `projects.locations.jobs.list`, `projects.jobs.list` and `projects.jobs.aggregated`.

use std::sync::Arc;

use serde_json::{Value, json};

use super::body::Query;
use super::errors::ApiError;
use super::routes::Target;
use super::view::{self, View};
use super::{DataflowApi, enums};
use crate::jobs::Job;

const DEFAULT_PAGE: usize = 100;
const MAX_PAGE: usize = 1000;

impl DataflowApi {
    /// The jobs of a place, the newest first. A page's token is the id of its last job.
    pub(super) fn list(&self, target: &Target, query: &Query) -> Result<Value, ApiError> {
        let filter = query.get("filter").unwrap_or("ALL");
        let filter = enums::LIST_FILTER.named("filter", filter)?;
        let view = query.get("view").unwrap_or("JOB_VIEW_SUMMARY");
        let view = View::named(enums::JOB_VIEW.named("view", view)?);
        let size = query.size("pageSize", DEFAULT_PAGE, MAX_PAGE)?;
        let wanted = |job: &Arc<Job>| {
            let active = !job.state().is_terminal();
            let filtered = match filter {
                "ACTIVE" => active,
                "TERMINATED" => !active,
                _ => true,
            };
            filtered
                && view::is_at(job, &target.project, target.location.as_deref())
                && query.get("name").is_none_or(|name| name == job.name())
        };
        let mut jobs: Vec<_> = self.jobs.jobs().into_iter().rev().collect();
        if let Some(token) = query.get("pageToken") {
            let last = jobs.iter().position(|job| job.id() == token);
            let last = last.ok_or_else(|| {
                ApiError::invalid(
                    "the pageToken is none that was given out, or its job is forgotten",
                )
            })?;
            jobs.drain(..=last);
        }
        jobs.retain(wanted);
        let more = jobs.len() > size;
        jobs.truncate(size);
        let shown: Vec<_> = jobs
            .iter()
            .map(|job| view::job(job, target, view))
            .collect();
        let mut answer = json!({"jobs": shown});
        if let Some(last) = jobs.last().filter(|_| more) {
            answer["nextPageToken"] = last.id().into();
        }
        Ok(answer)
    }
}
