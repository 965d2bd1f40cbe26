//! The Fn API's services on one port, for every worker of every job.

use std::sync::{Arc, Mutex};

use dataflume_proto::fn_execution::beam_fn_control_server::BeamFnControlServer;
use dataflume_proto::fn_execution::beam_fn_data_server::BeamFnDataServer;
use dataflume_proto::fn_execution::beam_fn_logging_server::BeamFnLoggingServer;
use dataflume_proto::fn_execution::beam_fn_state_server::BeamFnStateServer;
use dataflume_proto::fn_execution::beam_fn_worker_status_server::BeamFnWorkerStatusServer;
use dataflume_proto::fn_execution::provision_service_server::ProvisionServiceServer;
use dataflume_proto::job::artifact_retrieval_service_server::ArtifactRetrievalServiceServer;
use dataflume_proto::pipeline::ApiServiceDescriptor;
use dataflume_proto::sdk_base;
use dataflume_proto::urn::standard_protocols::CONTROL_REQUEST_ELEMENTS_EMBEDDING;
use tonic::service::Routes;

use crate::control::ControlService;
use crate::data::DataService;
use crate::error::WorkerError;
use crate::logging::LoggingService;
use crate::provision::Provisioning;
use crate::registry::{Registry, WorkerSettings, WorkerState, lock};
use crate::retrieval::Retrieval;
use crate::state::StateService;
use crate::status::StatusService;
use crate::worker::{Guard, WorkerConnection, WorkerRegistration};

/// The HTTP/2 stream window that the server should set: how much of one stream may be under way
/// unread. Larger than a usual data message, so that one is received at full speed.
pub const HTTP2_STREAM_WINDOW_BYTES: u32 = 4 << 20;

/// The HTTP/2 connection window that the server should set. SDKs may put all their streams on one
/// connection: a data stream that is not being read must leave room for state and control.
pub const HTTP2_CONNECTION_WINDOW_BYTES: u32 = 16 << 20;

/// Settings that hold for all workers.
#[derive(Debug, Clone)]
pub struct FnApiOptions {
    /// Where workers reach the Fn API, when that is already known.
    pub endpoint: Option<ApiServiceDescriptor>,
    /// The largest gRPC message, in either direction.
    pub max_message_bytes: usize,
    /// How much output of one bundle may wait for its consumer before the worker's data stream is
    /// no longer read.
    pub output_budget_bytes: usize,
    /// The largest complete input that travels within a control message, for SDKs that can.
    pub embed_limit_bytes: usize,
}

impl Default for FnApiOptions {
    fn default() -> Self {
        Self {
            endpoint: None,
            max_message_bytes: usize::MAX,
            output_budget_bytes: 16 << 20,
            embed_limit_bytes: 64 << 10,
        }
    }
}

/// The runner side of the Fn API. Clones share everything.
///
/// ```
/// use dataflume_harness::{FnApi, FnApiOptions};
///
/// let fn_api = FnApi::new(FnApiOptions::default());
/// fn_api.set_endpoint("localhost:8077");
/// let routes = fn_api.routes(); // mounted on that port by the server
/// # drop(routes);
/// ```
#[derive(Clone)]
pub struct FnApi {
    registry: Arc<Registry>,
    options: Arc<FnApiOptions>,
    endpoint: Arc<Mutex<Option<ApiServiceDescriptor>>>,
}

impl FnApi {
    /// Makes an Fn API without workers.
    pub fn new(options: FnApiOptions) -> Self {
        Self {
            registry: Arc::default(),
            endpoint: Arc::new(Mutex::new(options.endpoint.clone())),
            options: Arc::new(options),
        }
    }

    /// Sets where workers reach the Fn API (`host:port`), once the port is bound. Holds for
    /// workers registered from then on.
    pub fn set_endpoint(&self, url: impl Into<String>) {
        *lock(&self.endpoint) = Some(ApiServiceDescriptor {
            url: url.into(),
            ..ApiServiceDescriptor::default()
        });
    }

    /// The gRPC services, to be mounted on the server's port.
    ///
    /// The server must accept connections with `TCP_NODELAY`: without it each small bundle waits
    /// some 40 ms for a delayed acknowledgement. It should set [`HTTP2_STREAM_WINDOW_BYTES`] and
    /// [`HTTP2_CONNECTION_WINDOW_BYTES`].
    pub fn routes(&self) -> Routes {
        let registry = || self.registry.clone();
        let limit = self.options.max_message_bytes;
        macro_rules! unlimited {
            ($service:expr) => {
                $service
                    .max_decoding_message_size(limit)
                    .max_encoding_message_size(limit)
            };
        }
        Routes::new(unlimited!(BeamFnControlServer::new(ControlService {
            registry: registry()
        })))
        .add_service(unlimited!(BeamFnDataServer::new(DataService {
            registry: registry()
        })))
        .add_service(unlimited!(BeamFnStateServer::new(StateService {
            registry: registry()
        })))
        .add_service(unlimited!(BeamFnLoggingServer::new(LoggingService {
            registry: registry()
        })))
        .add_service(unlimited!(BeamFnWorkerStatusServer::new(StatusService {
            registry: registry()
        })))
        .add_service(unlimited!(ProvisionServiceServer::new(Provisioning {
            registry: registry()
        })))
        .add_service(unlimited!(ArtifactRetrievalServiceServer::new(Retrieval {
            registry: registry()
        })))
    }

    /// Makes a worker known before it is started, so that its calls are answered.
    ///
    /// # Errors
    /// [`WorkerError::DuplicateWorker`]; [`WorkerError::NoEndpoint`] when neither the registration
    /// nor [`set_endpoint`](Self::set_endpoint) says where the worker is to connect.
    pub fn expect_worker(
        &self,
        registration: WorkerRegistration,
    ) -> Result<WorkerConnection, WorkerError> {
        let endpoint = registration
            .endpoint
            .or_else(|| lock(&self.endpoint).clone())
            .ok_or(WorkerError::NoEndpoint)?;
        let state = Arc::new(WorkerState::new(WorkerSettings {
            id: registration.worker_id,
            endpoint,
            log: registration.log,
            embeds_requests: registration
                .capabilities
                .iter()
                .any(|urn| urn == CONTROL_REQUEST_ELEMENTS_EMBEDDING),
            // Java's answers and asks all the same, TypeScript's knows no such instruction.
            learns_descriptors: [sdk_base::PYTHON, sdk_base::GO]
                .iter()
                .any(|sdk| sdk_base::is_named(&registration.capabilities, sdk)),
            embed_limit_bytes: self.options.embed_limit_bytes,
            output_budget_bytes: self.options.output_budget_bytes,
        }));
        if let Some(provision) = registration.provision {
            state.provide(provision);
        }
        self.registry.insert(state.clone())?;
        Ok(WorkerConnection {
            guard: Arc::new(Guard {
                state,
                registry: self.registry.clone(),
            }),
        })
    }
}

impl std::fmt::Debug for FnApi {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FnApi")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}
