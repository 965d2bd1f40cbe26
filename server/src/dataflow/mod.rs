//! Dataflow's REST API (`v1b3`) over the job service.
//!
//! SDKs upload their code and pipeline to a bucket, and then send a job that names them. Which of the
//! API's methods are here is in `routes`; what real SDKs need of the answers, beyond what the API's
//! reference says, is told where it is done: enums by name (`enums`), metrics in pairs (`metrics`),
//! answers that are held (`patience`).
//!
//! What it is not: templates, snapshots and updates of running jobs are refused.

mod body;
mod create;
mod enums;
mod errors;
mod execution_details;
mod list;
mod local_files;
mod machine_type;
mod messages;
mod metrics;
mod patience;
mod request;
mod routes;
mod times;
mod translate;
mod update;
mod view;

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use axum::{Json, Router};
use dataflume_storage::Store;
use http::Method;
use serde_json::Value;
use tracing::{debug, warn};

use crate::artifacts::ArtifactStaging;
use crate::http::Fields;
use crate::jobs::{Job, JobError, JobService, JobState};
use body::Query;
use patience::Question;
use routes::{Resource, Target};
use view::View;

pub use errors::{ApiError, Code};

/// Where a job is that says nothing of a location.
pub const DEFAULT_LOCATION: &str = "us-central1";

/// The API. Clones share everything.
#[derive(Clone)]
pub struct DataflowApi {
    jobs: JobService,
    artifacts: ArtifactStaging,
}

impl DataflowApi {
    /// Over these jobs, with what is in the buckets of this staging's store.
    #[must_use]
    pub fn new(jobs: JobService, artifacts: ArtifactStaging) -> Self {
        Self { jobs, artifacts }
    }

    /// The API's routes.
    pub fn router(&self) -> Router {
        Router::new()
            .route("/v1b3/{*path}", any(answer))
            .with_state(self.clone())
    }

    fn store(&self) -> &Store {
        self.artifacts.store()
    }

    async fn handle(&self, request: Request) -> Result<Value, ApiError> {
        let fields = match Query::of(&request).get("fields") {
            Some(fields) => Some(Fields::parse(fields).ok_or_else(|| {
                let shown: String = fields.chars().take(80).collect();
                ApiError::invalid(format!("fields {shown:?} is no selection of fields"))
            })?),
            None => None,
        };
        let answer = self.carry_out(request).await?;
        Ok(match fields {
            Some(fields) => fields.select(answer),
            None => answer,
        })
    }

    async fn carry_out(&self, request: Request) -> Result<Value, ApiError> {
        let path = request.uri().path().to_owned();
        let target = path.strip_prefix("/v1b3/").and_then(routes::parse);
        let target = target.ok_or_else(|| {
            ApiError::new(
                Code::NotFound,
                format!("this emulator serves nothing at {path}"),
            )
        })?;
        let query = Query::of(&request);
        let headers = request.headers().clone();
        match (request.method(), &target.resource) {
            (_, Resource::Missing(what)) => Err(ApiError::unsupported(format!(
                "this emulator does not have {what}"
            ))),
            (&Method::POST, Resource::Jobs) => {
                let submitted = self.create(&target, body::json(request).await?).await?;
                patience::wait(&submitted.job, &headers, Question::Create).await;
                Ok(created(&submitted.job, &target, view(&query)?))
            }
            (&Method::GET, Resource::Jobs | Resource::AllJobs) => self.list(&target, &query),
            (&Method::GET, Resource::Job(id)) => {
                let job = self.job(&target, id)?;
                let view = view(&query)?;
                patience::wait(&job, &headers, Question::Look).await;
                match patience::looks_before_it_waits(&job, &headers) {
                    true => Ok(looked_at(&job, &target, view)),
                    false => Ok(view::job(&job, &target, view)),
                }
            }
            (&Method::PUT, Resource::Job(id)) => {
                let job = self.job(&target, id)?;
                update::update(&job, &query, body::json(request).await?)?;
                Ok(view::job(&job, &target, View::Summary))
            }
            (&Method::GET, Resource::Messages(id)) => {
                messages::list(self.job(&target, id)?.as_ref(), &query)
            }
            (&Method::GET, Resource::Metrics(id)) => {
                metrics::list(self.job(&target, id)?.as_ref(), &query).await
            }
            (&Method::GET, Resource::ExecutionDetails(id)) => {
                Ok(execution_details::of_job(self.job(&target, id)?.as_ref()).await)
            }
            (&Method::GET, Resource::StageDetails { job, stage }) => {
                execution_details::of_stage(self.job(&target, job)?.as_ref(), stage).await
            }
            (method, _) => Err(ApiError::new(
                Code::MethodNotAllowed,
                format!("{method} is no method of {path}"),
            )),
        }
    }

    /// The job with this id, if it is to be seen at this place.
    fn job(&self, target: &Target, id: &str) -> Result<Arc<Job>, ApiError> {
        let job = self.jobs.job(id)?;
        match view::is_at(&job, &target.project, target.location.as_deref()) {
            true => Ok(job),
            false => Err(JobError::UnknownJob(id.to_owned()).into()),
        }
    }
}

fn view(query: &Query) -> Result<View, ApiError> {
    let name = query.get("view").unwrap_or("JOB_VIEW_SUMMARY");
    Ok(View::named(enums::JOB_VIEW.named("view", name)?))
}

/// The answer to the request that created a job: as it was then, or as done if it is by now. Of a job
/// that has failed by now this would say so too early: clients that take it for the whole story
/// would not ask for the reason.
fn created(job: &Job, target: &Target, view: View) -> Value {
    match job.state() {
        JobState::Done => view::job(job, target, view),
        _ => view::as_created(job, target, view),
    }
}

/// The answer to a client that looks until the job runs before it waits: of a job that has failed by now, for the same reason, once as
/// it ran.
fn looked_at(job: &Job, target: &Target, view: View) -> Value {
    match job.state() {
        JobState::Failed if job.tell_that_it_runs() => view::as_running(job, target, view),
        JobState::Running => {
            job.tell_that_it_runs();
            view::job(job, target, view)
        }
        _ => view::job(job, target, view),
    }
}

async fn answer(State(api): State<DataflowApi>, request: Request) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    match api.handle(request).await {
        Ok(answer) => Json(answer).into_response(),
        Err(error) => {
            match (method == Method::GET, error.code) {
                (_, Code::Internal) | (false, _) => warn!(%method, path, %error, "refused"),
                _ => debug!(%method, path, %error, "refused"),
            }
            error.into_response()
        }
    }
}
