//! `JobService`, as SDKs call it.

use std::sync::Arc;

use dataflume_proto::job as wire;
use dataflume_proto::job::job_service_server::JobServiceServer;
use dataflume_proto::pipeline::ApiServiceDescriptor;
use futures::stream::BoxStream;
use tonic::{Request, Response, Status};
use tracing::warn;

use super::{convert, metrics, status, streams};
use crate::artifacts::{ArtifactStaging, StagedEnvironments};
use crate::jobs::{Job, JobService, PrepareRequest, Submission};

/// `host:port` as the client addressed this server: it can reach it there again, whatever lies
/// between. The server puts it into each request's extensions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientAuthority(pub String);

/// Beam's `JobService` over the emulator's.
#[derive(Clone)]
pub struct JobApi {
    jobs: JobService,
    artifacts: ArtifactStaging,
    /// For clients that don't say how they got here.
    endpoint: String,
}

impl JobApi {
    /// `endpoint` is `host:port` of the artifact staging service, for most clients.
    #[must_use]
    pub fn new(jobs: JobService, artifacts: ArtifactStaging, endpoint: impl Into<String>) -> Self {
        Self {
            jobs,
            artifacts,
            endpoint: endpoint.into(),
        }
    }

    /// The gRPC service, without a limit on message sizes.
    #[must_use]
    pub fn service(&self) -> JobServiceServer<Self> {
        JobServiceServer::new(self.clone())
            .max_decoding_message_size(usize::MAX)
            .max_encoding_message_size(usize::MAX)
    }

    fn job(&self, id: &str) -> Result<Arc<Job>, Status> {
        self.jobs.job(id).map_err(|error| status::of(&error))
    }

    /// The artifacts of a prepared job; its staging token is its preparation id.
    fn staged(&self, preparation_id: &str) -> Result<StagedEnvironments, Status> {
        let checked = self.jobs.check_prepared(preparation_id);
        checked.map_err(|error| status::of(&error))?;
        Ok(self.artifacts.take(preparation_id)?)
    }
}

type States = BoxStream<'static, Result<wire::JobStateEvent, Status>>;
type Messages = BoxStream<'static, Result<wire::JobMessagesResponse, Status>>;

#[tonic::async_trait]
impl wire::job_service_server::JobService for JobApi {
    type GetStateStreamStream = States;
    type GetMessageStreamStream = Messages;

    async fn prepare(
        &self,
        request: Request<wire::PrepareJobRequest>,
    ) -> Result<Response<wire::PrepareJobResponse>, Status> {
        let authority = request.extensions().get::<ClientAuthority>().cloned();
        let request = request.into_inner();
        let pipeline = request.pipeline.ok_or_else(|| {
            Status::invalid_argument("the request has no pipeline: there is nothing to prepare")
        })?;
        let job_name = request.job_name.clone();
        let prepared = self.jobs.prepare(PrepareRequest {
            name: request.job_name,
            pipeline,
            options: request.pipeline_options.unwrap_or_default(),
            submission: Submission::default(),
        });
        let prepared = prepared.await.map_err(|error| {
            warn!(job_name, %error, "a pipeline was refused");
            status::of(&error)
        })?;
        for id in &prepared.given_up {
            self.artifacts.forget(id);
        }
        self.artifacts.expect(&prepared.id, &prepared.pipeline)?;
        Ok(Response::new(wire::PrepareJobResponse {
            artifact_staging_endpoint: Some(ApiServiceDescriptor {
                url: authority.map_or_else(|| self.endpoint.clone(), |authority| authority.0),
                ..ApiServiceDescriptor::default()
            }),
            staging_session_token: prepared.id.clone(),
            preparation_id: prepared.id,
        }))
    }

    async fn run(
        &self,
        request: Request<wire::RunJobRequest>,
    ) -> Result<Response<wire::RunJobResponse>, Status> {
        let id = request.into_inner().preparation_id;
        let staged = self.staged(&id)?;
        let job = self
            .jobs
            .run(&id, staged.for_runner())
            .map_err(|error| status::of(&error))?;
        Ok(Response::new(wire::RunJobResponse {
            job_id: job.id().to_owned(),
        }))
    }

    async fn get_jobs(
        &self,
        _: Request<wire::GetJobsRequest>,
    ) -> Result<Response<wire::GetJobsResponse>, Status> {
        let jobs = self.jobs.jobs();
        Ok(Response::new(wire::GetJobsResponse {
            job_info: jobs.iter().map(|job| convert::info(job)).collect(),
        }))
    }

    async fn get_state(
        &self,
        request: Request<wire::GetJobStateRequest>,
    ) -> Result<Response<wire::JobStateEvent>, Status> {
        let job = self.job(&request.get_ref().job_id)?;
        Ok(Response::new(convert::state_event(job.state_event())))
    }

    async fn get_pipeline(
        &self,
        request: Request<wire::GetJobPipelineRequest>,
    ) -> Result<Response<wire::GetJobPipelineResponse>, Status> {
        let job = self.job(&request.get_ref().job_id)?;
        Ok(Response::new(wire::GetJobPipelineResponse {
            pipeline: Some(job.pipeline().as_ref().clone()),
        }))
    }

    async fn cancel(
        &self,
        request: Request<wire::CancelJobRequest>,
    ) -> Result<Response<wire::CancelJobResponse>, Status> {
        let state = self.job(&request.get_ref().job_id)?.cancel();
        Ok(Response::new(wire::CancelJobResponse {
            state: convert::state(state).into(),
        }))
    }

    async fn drain(
        &self,
        request: Request<wire::DrainJobRequest>,
    ) -> Result<Response<wire::DrainJobResponse>, Status> {
        let job = self.job(&request.get_ref().job_id)?;
        let state = job.drain().map_err(|error| status::of(&error))?;
        Ok(Response::new(wire::DrainJobResponse {
            state: convert::state(state).into(),
        }))
    }

    async fn get_state_stream(
        &self,
        request: Request<wire::GetJobStateRequest>,
    ) -> Result<Response<States>, Status> {
        let job = self.job(&request.get_ref().job_id)?;
        Ok(Response::new(streams::states(&job)))
    }

    async fn get_message_stream(
        &self,
        request: Request<wire::JobMessagesRequest>,
    ) -> Result<Response<Messages>, Status> {
        let job = self.job(&request.get_ref().job_id)?;
        Ok(Response::new(streams::messages(&job)))
    }

    async fn get_job_metrics(
        &self,
        request: Request<wire::GetJobMetricsRequest>,
    ) -> Result<Response<wire::GetJobMetricsResponse>, Status> {
        let job = self.job(&request.get_ref().job_id)?;
        let metrics = metrics::results(job.metrics(), job.pipeline(), request.metadata());
        Ok(Response::new(wire::GetJobMetricsResponse {
            metrics: Some(metrics),
        }))
    }

    async fn describe_pipeline_options(
        &self,
        _: Request<wire::DescribePipelineOptionsRequest>,
    ) -> Result<Response<wire::DescribePipelineOptionsResponse>, Status> {
        // Options of the emulator's own, for SDKs to add to their command lines: whatever is read of
        // a job's options is an option that every SDK has.
        Ok(Response::new(
            wire::DescribePipelineOptionsResponse::default(),
        ))
    }
}
