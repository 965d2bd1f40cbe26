//! Handles on one worker: an SDK harness process that is expected, or connected.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use dataflume_proto::fn_execution::{
    FinalizeBundleRequest, HarnessMonitoringInfosRequest, ProcessBundleDescriptor, ProvisionInfo,
    RegisterRequest, instruction_request, instruction_response,
};
use dataflume_proto::pipeline::{ApiServiceDescriptor, MonitoringInfo};

use crate::artifacts::{ArtifactSource, ProvidedArtifacts};
use crate::bundle::{BundleRequest, RunningBundle, start};
use crate::descriptor::RegisteredDescriptor;
use crate::error::{BundleError, WorkerError};
use crate::logging::LogSink;
use crate::peer::Process;
use crate::provision::{self, Provision};
use crate::registry::{Registry, WorkerState};

/// A worker that is about to be started.
pub struct WorkerRegistration {
    /// Names the worker in every call it makes. One process per id: never reuse it.
    pub worker_id: String,
    /// Where this worker reaches the Fn API, if not at the API's own
    /// [endpoint](crate::FnApi::set_endpoint): a container sees the machine under another name.
    pub endpoint: Option<ApiServiceDescriptor>,
    /// The environment's capabilities, as in the pipeline proto.
    pub capabilities: Vec<String>,
    /// What the worker is told of its job. Where it is [said later](WorkerConnection::provide), the worker's question waits.
    pub provision: Option<Provision>,
    /// Receives what the worker logs.
    pub log: Arc<dyn LogSink>,
}

/// Keeps a worker registered. When the last handle is gone the worker's streams are ended, its
/// bundles fail, and its id is unknown again.
pub(crate) struct Guard {
    pub(crate) state: Arc<WorkerState>,
    pub(crate) registry: Arc<Registry>,
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.registry.remove(&self.state.id);
        self.state.close("the runner let the worker go");
    }
}

/// A worker that may not have connected yet.
#[derive(Clone)]
pub struct WorkerConnection {
    pub(crate) guard: Arc<Guard>,
}

impl WorkerConnection {
    /// The worker's id.
    pub fn worker_id(&self) -> &str {
        &self.guard.state.id
    }

    /// Where the worker has to connect to.
    pub fn endpoint(&self) -> &ApiServiceDescriptor {
        &self.guard.state.endpoint
    }

    /// Says what the worker is told of its job, if that wasn't said before.
    pub fn provide(&self, provision: Provision) {
        self.guard.state.provide(provision);
    }

    /// What the provisioning service tells the worker, for pools that start it without asking.
    pub fn provision_info(&self) -> Option<&ProvisionInfo> {
        let provided = self.guard.state.provided();
        provided.map(|provision| &provision.info)
    }

    /// What the provisioning service would tell the worker, were it provided with this.
    pub fn complete(&self, info: ProvisionInfo) -> ProvisionInfo {
        provision::complete(info, self.endpoint())
    }

    /// The artifacts of the job that the worker is [to be told of](Self::provide): whoever asks for them waits until then.
    pub fn artifacts(&self) -> Arc<dyn ArtifactSource> {
        Arc::new(ProvidedArtifacts(self.guard.state.clone()))
    }

    /// Waits until the worker has opened its control stream. There is no time limit: the caller
    /// sets one, and ends the wait with [`fail`](Self::fail) when the worker can't come.
    ///
    /// # Errors
    /// [`WorkerError::Lost`] when the worker was failed, shut down or disconnected.
    pub async fn ready(&self) -> Result<Worker, WorkerError> {
        let state = &self.guard.state;
        tokio::select! {
            biased;
            () = state.closed.cancelled() => Err(WorkerError::Lost(state.reason())),
            () = state.connected.cancelled() => Ok(Worker {
                guard: self.guard.clone(),
            }),
        }
    }

    /// Declares the worker lost, say because its process ended.
    pub fn fail(&self, reason: &str) {
        self.guard.state.close(reason);
    }
}

/// A connected worker. Clones are handles on the same one.
#[derive(Clone)]
pub struct Worker {
    guard: Arc<Guard>,
}

impl Worker {
    /// The worker's id.
    pub fn id(&self) -> &str {
        &self.guard.state.id
    }

    /// Makes a descriptor known to the worker, with the services' URLs filled in, unless one of its id is. It is told to SDKs
    /// that learn it so, which saves them a call when their first bundle of it begins; the others ask for it.
    ///
    /// # Errors
    /// [`WorkerError::InvalidDescriptor`] when a port's or a ParDo's payload can't be parsed.
    pub fn register(&self, descriptor: &ProcessBundleDescriptor) -> Result<(), WorkerError> {
        let state = &self.guard.state;
        if state.descriptor(&descriptor.id).is_some() {
            return Ok(());
        }
        let descriptor = state.register(RegisteredDescriptor::new(descriptor, &state.endpoint)?);
        if state.learns_descriptors {
            let told = RegisterRequest {
                process_bundle_descriptor: vec![descriptor.proto.clone()],
            };
            state
                .control
                .tell(instruction_request::Request::Register(told))?;
        }
        Ok(())
    }

    /// Starts a bundle. Does not wait: the request is queued for the control stream.
    ///
    /// Must be called within a tokio runtime.
    ///
    /// # Errors
    /// [`BundleError::Refused`] for an unknown descriptor or input, or an id in use;
    /// [`BundleError::WorkerLost`] when the worker has closed.
    pub fn process_bundle(&self, request: BundleRequest) -> Result<RunningBundle, BundleError> {
        start::start(&self.guard.state, request)
    }

    /// Tells the SDK that the effects of a bundle that asked for it
    /// (`ProcessBundleResponse.requires_finalization`) are durable.
    ///
    /// # Errors
    /// [`WorkerError::Sdk`] where a finalizer failed, or the SDK no longer knows the bundle.
    pub async fn finalize(&self, instruction_id: &str) -> Result<(), WorkerError> {
        let request = FinalizeBundleRequest {
            instruction_id: instruction_id.to_owned(),
        };
        let response = self
            .control(instruction_request::Request::FinalizeBundle(request))
            .await?;
        match response {
            instruction_response::Response::FinalizeBundle(_) => Ok(()),
            _ => Err(unexpected("FinalizeBundleRequest")),
        }
    }

    /// The metrics of the worker's process that belong to no bundle.
    ///
    /// # Errors
    /// When the worker is lost or does not know the request.
    pub async fn harness_monitoring_infos(&self) -> Result<Vec<MonitoringInfo>, WorkerError> {
        let request = HarnessMonitoringInfosRequest::default();
        let response = self
            .control(instruction_request::Request::HarnessMonitoringInfos(
                request,
            ))
            .await?;
        let instruction_response::Response::HarnessMonitoringInfos(response) = response else {
            return Err(unexpected("HarnessMonitoringInfosRequest"));
        };
        let state = &self.guard.state;
        state
            .short_ids
            .resolve(&state.control, response.monitoring_data)
            .await
    }

    /// The worker's own report on itself, as text. There is no time limit: the caller sets one.
    ///
    /// # Errors
    /// [`WorkerError::NotConnected`] when the worker has no status stream: not every SDK opens one.
    pub async fn status(&self) -> Result<String, WorkerError> {
        self.guard.state.status.request().await
    }

    /// The worker's process, if it runs on this machine. Unknown at first: it is looked for when this is called for the first time.
    ///
    /// Must be called within a tokio runtime.
    #[must_use]
    pub fn process(&self) -> Option<Process> {
        self.guard.state.process()
    }

    /// Resolves to the reason when the worker's streams have ended.
    pub async fn closed(&self) -> String {
        self.guard.state.closed.cancelled().await;
        self.guard.state.reason()
    }

    /// Whether the worker's streams have ended.
    pub fn is_closed(&self) -> bool {
        self.guard.state.closed.is_cancelled()
    }

    /// Ends the worker's streams, on which SDKs other than Go's finish their process. Bundles in
    /// flight fail.
    pub fn shutdown(&self, reason: &str) {
        self.guard.state.close(reason);
    }

    /// Whether the worker has opened a logging stream. SDKs do so before all other streams, if at all.
    #[must_use]
    pub fn logs(&self) -> bool {
        self.guard.state.logs.load(Ordering::Relaxed)
    }

    /// Resolves when a worker that was told to end has nothing left to do but to end its process: when it has ended its
    /// logging stream, which SDKs do last of all, behind the teardown of their DoFns, or has said there that this is over. Not
    /// every worker opens one.
    pub async fn has_left(&self) {
        self.guard.state.closed.cancelled().await;
        self.guard.state.said_all.cancelled().await;
    }

    async fn control(
        &self,
        request: instruction_request::Request,
    ) -> Result<instruction_response::Response, WorkerError> {
        self.guard.state.control.request(request).await
    }
}

fn unexpected(request: &str) -> WorkerError {
    WorkerError::Protocol(format!("{request} was answered with another response"))
}

impl std::fmt::Debug for WorkerConnection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "WorkerConnection({:?})", self.worker_id())
    }
}

impl std::fmt::Debug for Worker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Worker({:?})", self.id())
    }
}
