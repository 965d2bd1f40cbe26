//! Everything put together: storage, job service, Fn API, port.

mod data;
mod error;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use dataflume_driver::clock::SharedClock;
use dataflume_harness::pool::Instance;
use dataflume_harness::{FnApi, FnApiOptions};
use tracing::{error, info, warn};

use crate::artifacts::ArtifactStaging;
use crate::beam::JobApi;
use crate::buckets::{Buckets, ExportError};
use crate::dataflow::DataflowApi;
use crate::http::{self, Connections, Health};
use crate::jobs::{JobRunner, JobService, ServiceOptions};
use crate::{clock, gcs, identity};
use data::{Data, STAGING_BUCKET};

pub use error::ServerError;

/// Where everything is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DataLocation {
    /// In this folder, for the next start to find.
    Folder(PathBuf),
    /// In temporary files that are gone when the server is.
    Ephemeral,
}

/// What a server is to be like.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ServerOptions {
    /// The address to listen on: a name, an IPv4 or an IPv6 address.
    pub host: String,
    /// The port to listen on; 0 is any free one.
    pub port: u16,
    /// Where everything is kept.
    pub data: DataLocation,
    /// Where the bucket is, if not there: a folder, `memory:`, or a URL with the scheme `file`,
    /// `gs`, `s3` or `az`.
    pub bucket: Option<String>,
    /// Whether a bucket is made when it is first used.
    pub auto_create_buckets: bool,
    /// A folder whose folders become buckets at the start.
    pub seed_buckets: Option<PathBuf>,
    /// A folder to which all buckets but the emulator's own are written at the end.
    pub export_buckets: Option<PathBuf>,
    /// How many jobs run at once; those beyond wait for their turn.
    pub max_running_jobs: usize,
}

impl ServerOptions {
    /// A server on this port of `localhost`.
    #[must_use]
    pub fn new(port: u16, data: DataLocation) -> Self {
        Self {
            host: "localhost".to_owned(),
            port,
            data,
            bucket: None,
            auto_create_buckets: true,
            seed_buckets: None,
            export_buckets: None,
            max_running_jobs: ServiceOptions::default().max_running,
        }
    }
}

/// What a job runner needs of the server that it is made for.
#[derive(Clone)]
pub struct RunnerContext {
    /// What workers connect to.
    pub fn_api: FnApi,
    /// Owns the workers' processes and folders.
    pub instance: Arc<Instance>,
    /// `host:port` of all services.
    pub endpoint: String,
    /// What processing-time timers and triggers are to follow.
    pub clock: Arc<SharedClock>,
}

/// A server that runs. [`Server::shutdown`] ends it; dropping it closes its port, but leaves jobs
/// running until the runtime ends.
pub struct Server {
    port: u16,
    endpoint: String,
    jobs: JobService,
    health: Health,
    buckets: Buckets,
    connections: Connections,
    data: Data,
    export: Option<PathBuf>,
}

impl Server {
    /// Starts a server, whose jobs are run by what `make_runner` makes. When this returns, the
    /// server is ready.
    ///
    /// # Errors
    /// When the port is in use, or the data folder is, or the bucket can't be opened.
    pub async fn start(
        options: ServerOptions,
        make_runner: impl FnOnce(RunnerContext) -> Arc<dyn JobRunner>,
    ) -> Result<Self, ServerError> {
        // The port first: it is what is most often not to be had, and nothing is to be undone then.
        let listeners = http::bind(&options.host, options.port).await?;
        let mut data = Data::open(&options).await?;
        let port = listeners.port();
        let endpoint = format!("{}:{port}", reachable(&options.host));
        let fn_api = FnApi::new(FnApiOptions::default());
        fn_api.set_endpoint(endpoint.clone());
        let shared_clock = Arc::<SharedClock>::default();
        let runner = make_runner(RunnerContext {
            clock: shared_clock.clone(),
            fn_api: fn_api.clone(),
            instance: data.instance.clone(),
            endpoint: endpoint.clone(),
        });
        let jobs = JobService::new(
            runner,
            ServiceOptions {
                max_running: options.max_running_jobs,
                ..ServiceOptions::default()
            },
        );
        let artifacts = ArtifactStaging::new(data.staging.clone());
        let job_api = JobApi::new(jobs.clone(), artifacts.clone(), endpoint.clone());
        let services = fn_api
            .routes()
            .add_service(job_api.service())
            .add_service(artifacts.service());
        let open = Arc::default();
        let health = Health::new(jobs.clone(), Arc::clone(&open));
        let store = data.staging.store().clone();
        let buckets = Buckets::new(store, options.auto_create_buckets);
        if let Some(folder) = &options.seed_buckets {
            let objects = buckets.seed(folder).await?;
            info!(objects, folder = %folder.display(), "buckets filled");
        }
        if let Some(folder) = &options.export_buckets {
            // Better now than at the end, with all that was done.
            std::fs::create_dir_all(folder).map_err(|source| ExportError::Io {
                path: folder.clone(),
                source,
            })?;
        }
        let dataflow = DataflowApi::new(jobs.clone(), artifacts);
        let apis = gcs::router(buckets.clone())
            .merge(dataflow.router())
            .merge(identity::router())
            .merge(clock::router(shared_clock));
        let router = http::router(services, apis, buckets.clone(), health.clone());
        let connections = http::serve(listeners, &router, open);
        data.sweep();
        info!(endpoint, "ready");
        Ok(Self {
            port,
            endpoint,
            jobs,
            health,
            buckets,
            connections,
            data,
            export: options.export_buckets,
        })
    }

    /// The port that it listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `host:port`, as clients and workers on this machine reach it.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Its jobs.
    #[must_use]
    pub fn jobs(&self) -> &JobService {
        &self.jobs
    }

    /// The buckets that it serves.
    #[must_use]
    pub fn buckets(&self) -> &Buckets {
        &self.buckets
    }

    /// Cancels what runs, waits until its workers are gone, closes all connections, exports buckets if
    /// that is wanted, and removes what is temporary.
    pub async fn shutdown(self) {
        self.health.set_closing();
        for job in self.jobs.shutdown().await {
            warn!(job_id = job.id(), "the job did not end in time");
        }
        self.connections.close().await;
        if let Some(folder) = &self.export {
            export(&self.buckets, folder).await;
        }
        self.data.close().await;
        info!("ended");
    }
}

async fn export(buckets: &Buckets, folder: &Path) {
    match buckets.export(folder, STAGING_BUCKET).await {
        Ok(exported) => {
            for (object, reason) in exported.left_out {
                warn!(object, reason, "not exported");
            }
            info!(objects = exported.objects, folder = %folder.display(), "buckets exported");
        }
        Err(error) => error!(%error, "buckets can't be exported"),
    }
}

/// An address to connect to, for one to listen on.
fn reachable(host: &str) -> String {
    match host.trim_start_matches('[').trim_end_matches(']') {
        "0.0.0.0" | "::" => "localhost".to_owned(),
        v6 if v6.contains(':') => format!("[{v6}]"),
        other => other.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::reachable;

    #[test]
    fn addresses_to_connect_to() {
        let hosts = ["localhost", "0.0.0.0", "::", "[::1]", "::1", "10.0.0.1"];
        let expected = [
            "localhost",
            "localhost",
            "localhost",
            "[::1]",
            "[::1]",
            "10.0.0.1",
        ];
        assert_eq!(hosts.map(reachable), expected);
    }
}
