//! `EXTERNAL` environments: a worker pool service of the user's starts the workers. The SDKs'
//! `LOOPBACK` is one within the submitting process.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use dataflume_proto::fn_execution::beam_fn_external_worker_pool_client::BeamFnExternalWorkerPoolClient;
use dataflume_proto::fn_execution::{StartWorkerRequest, StopWorkerRequest};
use dataflume_proto::pipeline::{ApiServiceDescriptor, Environment, ExternalPayload};
use tonic::transport::{Channel, Endpoint};
use tracing::debug;

use super::{Ended, PoolError, StartedWorker, WorkerPool, WorkerSpec, decode};

/// A pool that can't be reached for so long is not there.
const CONNECT_LIMIT: Duration = Duration::from_secs(20);

/// A pool may end a worker's process within its answer to `StopWorker`, and take 10 s for it.
const STOP_LIMIT: Duration = Duration::from_secs(15);

/// Asks the service that the environment names.
pub(crate) struct ExternalPool {
    service: Arc<Service>,
    params: HashMap<String, String>,
}

struct Service {
    endpoint: String,
    channel: Channel,
    running: Mutex<HashSet<String>>,
}

impl ExternalPool {
    pub(crate) fn new(environment: &Environment) -> Result<Self, PoolError> {
        let payload: ExternalPayload = decode(environment)?;
        let invalid = |reason: String| PoolError::InvalidPayload {
            urn: environment.urn.clone(),
            reason,
        };
        let endpoint = payload.endpoint.map(|e| e.url).unwrap_or_default();
        if endpoint.is_empty() {
            return Err(invalid("it names no worker pool endpoint".to_owned()));
        }
        let uri = match endpoint.contains("://") {
            true => endpoint.clone(),
            false => format!("http://{endpoint}"),
        };
        let channel = Endpoint::from_shared(uri)
            .map_err(|error| invalid(format!("endpoint {endpoint:?}: {error}")))?
            .connect_timeout(CONNECT_LIMIT)
            .connect_lazy();
        Ok(Self {
            service: Arc::new(Service {
                endpoint,
                channel,
                running: Mutex::default(),
            }),
            params: payload.params,
        })
    }

    fn request(&self, spec: &WorkerSpec) -> StartWorkerRequest {
        let service = || {
            Some(ApiServiceDescriptor {
                url: spec.endpoint.clone(),
                ..Default::default()
            })
        };
        StartWorkerRequest {
            worker_id: spec.worker_id.clone(),
            control_endpoint: service(),
            logging_endpoint: service(),
            artifact_endpoint: service(),
            provision_endpoint: service(),
            params: self.params.clone(),
        }
    }
}

impl Service {
    fn client(&self) -> BeamFnExternalWorkerPoolClient<Channel> {
        BeamFnExternalWorkerPoolClient::new(self.channel.clone())
    }

    fn running(&self) -> std::sync::MutexGuard<'_, HashSet<String>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn start(&self, request: StartWorkerRequest) -> Result<(), PoolError> {
        let failed = |reason: String| PoolError::External {
            endpoint: self.endpoint.clone(),
            reason,
        };
        let worker_id = request.worker_id.clone();
        let response = self
            .client()
            .start_worker(request)
            .await
            .map_err(|status| failed(status.to_string()))?
            .into_inner();
        if !response.error.is_empty() {
            return Err(failed(response.error));
        }
        self.running().insert(worker_id);
        Ok(())
    }

    /// The service may be gone with the process that submitted the job, and its workers with it.
    async fn stop(&self, worker_id: &str) {
        if !self.running().remove(worker_id) {
            return;
        }
        let request = StopWorkerRequest {
            worker_id: worker_id.to_owned(),
        };
        let mut client = self.client();
        let problem = match tokio::time::timeout(STOP_LIMIT, client.stop_worker(request)).await {
            Ok(Ok(response)) => response.into_inner().error,
            Ok(Err(status)) => status.to_string(),
            Err(_) => format!("no answer within {} s", STOP_LIMIT.as_secs()),
        };
        if !problem.is_empty() {
            debug!(worker_id, endpoint = %self.endpoint, problem, "an external worker was not stopped");
        }
    }
}

#[async_trait]
impl WorkerPool for ExternalPool {
    async fn start_worker(&self, spec: WorkerSpec) -> Result<Box<dyn StartedWorker>, PoolError> {
        self.service.start(self.request(&spec)).await?;
        Ok(Box::new(ExternalWorker {
            service: self.service.clone(),
            worker_id: spec.worker_id,
        }))
    }

    fn needs_artifacts(&self) -> bool {
        false
    }

    async fn shutdown(&self) {
        let running: Vec<String> = self.service.running().iter().cloned().collect();
        futures::future::join_all(running.iter().map(|id| self.service.stop(id))).await;
    }
}

struct ExternalWorker {
    service: Arc<Service>,
    worker_id: String,
}

#[async_trait]
impl StartedWorker for ExternalWorker {
    async fn exited(&mut self) -> Ended {
        std::future::pending().await
    }

    fn end_is_seen(&self) -> bool {
        false
    }

    async fn stop(&mut self) {
        self.service.stop(&self.worker_id).await;
    }
}

impl Drop for ExternalWorker {
    fn drop(&mut self) {
        // Only where the runtime still runs: without one the emulator is ending, and the worker
        // notices by its streams.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let (service, worker_id) = (self.service.clone(), std::mem::take(&mut self.worker_id));
            runtime.spawn(async move { service.stop(&worker_id).await });
        }
    }
}
