//! Drains a job from outside, for tests that wait for that.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use dataflume_proto::job::job_service_client::JobServiceClient;
use dataflume_proto::job::job_state::Enum as State;
use dataflume_proto::job::{DrainJobRequest, GetJobsRequest, JobInfo};
use tonic::transport::{Channel, Endpoint};

/// How often to look for the job.
const POLL: Duration = Duration::from_millis(200);

/// Drains the job whose name begins so, as soon as it runs. Gives up when the time is over.
pub(super) fn when_running(endpoint: String, name: &'static str, limit: Duration) {
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let drained = runtime
            .context("no runtime")
            .and_then(|runtime| runtime.block_on(drain(&endpoint, name, limit)));
        if let Err(error) = drained {
            eprintln!("{name} was not drained: {error:#}");
        }
    });
}

async fn drain(endpoint: &str, name: &str, limit: Duration) -> Result<()> {
    let end = Instant::now() + limit;
    let channel = Endpoint::from_shared(format!("http://{endpoint}"))?.connect_lazy();
    let mut client = JobServiceClient::new(channel);
    while Instant::now() < end {
        if let Some(job) = running(&mut client, name).await? {
            client
                .drain(DrainJobRequest { job_id: job.job_id })
                .await
                .context("the job service refused to drain it")?;
            return Ok(());
        }
        tokio::time::sleep(POLL).await;
    }
    anyhow::bail!("it did not run within {} s", limit.as_secs())
}

async fn running(client: &mut JobServiceClient<Channel>, name: &str) -> Result<Option<JobInfo>> {
    let jobs = client.get_jobs(GetJobsRequest::default()).await?;
    let is_it = |job: &JobInfo| job.state() == State::Running && job.job_name.starts_with(name);
    Ok(jobs.into_inner().job_info.into_iter().find(is_it))
}
