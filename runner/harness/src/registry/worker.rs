//! One worker, expected or connected: its streams, what it knows, and what it runs.

use std::net::SocketAddr;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, OnceLock};

use dataflume_proto::fn_execution::Elements;
use dataflume_proto::pipeline::ApiServiceDescriptor;
use rustc_hash::FxHashMap;
use tokio::sync::{SetOnce, mpsc};
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tracing::debug;

use super::lock;
use crate::bundle::shared::Bundle;
use crate::control::ControlLink;
use crate::descriptor::RegisteredDescriptor;
use crate::error::BundleError;
use crate::logging::LogSink;
use crate::metrics::ShortIds;
use crate::peer::Process;
use crate::provision::{self, Provision};
use crate::state::StateHandler;
use crate::status::StatusLink;

/// Between a worker's id and a descriptor's.
const WIRE_ID_SEPARATOR: char = '/';

/// Input messages that may wait for a worker's data connection; each is up to about 1 MiB, or one
/// chunk if that is larger.
const DATA_MESSAGES_QUEUED: usize = 4;

/// What is known of one worker. Shared by its streams and its handles.
pub(crate) struct WorkerState {
    pub(crate) id: String,
    pub(crate) endpoint: ApiServiceDescriptor,
    /// Set when its job is known.
    provision: SetOnce<Provision>,
    pub(crate) log: Arc<dyn LogSink>,
    /// The SDK accepts elements within `ProcessBundleRequest`.
    pub(crate) embeds_requests: bool,
    /// The SDK doesn't ask for a descriptor that a `RegisterRequest` has told it.
    pub(crate) learns_descriptors: bool,
    pub(crate) embed_limit_bytes: usize,
    pub(crate) output_budget_bytes: usize,
    pub(crate) control: ControlLink,
    pub(crate) status: StatusLink,
    pub(crate) short_ids: ShortIds,
    /// Set when the control stream opens.
    pub(crate) connected: CancellationToken,
    /// Our end of the connection with the control stream, and the worker's.
    pub(crate) connection: OnceLock<(SocketAddr, SocketAddr)>,
    /// Set by the first who wants to know.
    process: OnceLock<Arc<OnceLock<Option<Process>>>>,
    /// Set when the worker is lost or told to end; never reset.
    pub(crate) closed: CancellationToken,
    pub(crate) closed_because: OnceLock<String>,
    /// Set when the worker opens its logging stream.
    pub(crate) logs: AtomicBool,
    /// Set when the worker has ended its logging stream.
    pub(crate) said_all: CancellationToken,
    pub(crate) data_out: mpsc::Sender<Elements>,
    /// Taken by the one data stream.
    pub(crate) data_queue: Mutex<Option<mpsc::Receiver<Elements>>>,
    descriptors: Mutex<FxHashMap<String, Arc<RegisteredDescriptor>>>,
    bundles: Mutex<Bundles>,
}

/// The bundles in flight, until the worker closes.
enum Bundles {
    Open(FxHashMap<String, Arc<Bundle>>),
    Closed,
}

/// What a [`WorkerState`] is made from.
pub(crate) struct WorkerSettings {
    pub(crate) id: String,
    pub(crate) endpoint: ApiServiceDescriptor,
    pub(crate) log: Arc<dyn LogSink>,
    pub(crate) embeds_requests: bool,
    pub(crate) learns_descriptors: bool,
    pub(crate) embed_limit_bytes: usize,
    pub(crate) output_budget_bytes: usize,
}

impl WorkerState {
    pub(crate) fn new(settings: WorkerSettings) -> Self {
        let (data_out, data_queue) = mpsc::channel(DATA_MESSAGES_QUEUED);
        Self {
            id: settings.id,
            endpoint: settings.endpoint,
            provision: SetOnce::new(),
            log: settings.log,
            embeds_requests: settings.embeds_requests,
            learns_descriptors: settings.learns_descriptors,
            embed_limit_bytes: settings.embed_limit_bytes,
            output_budget_bytes: settings.output_budget_bytes,
            control: ControlLink::default(),
            status: StatusLink::default(),
            short_ids: ShortIds::default(),
            connected: CancellationToken::new(),
            connection: OnceLock::new(),
            process: OnceLock::new(),
            closed: CancellationToken::new(),
            closed_because: OnceLock::new(),
            logs: AtomicBool::new(false),
            said_all: CancellationToken::new(),
            data_out,
            data_queue: Mutex::new(Some(data_queue)),
            descriptors: Mutex::default(),
            bundles: Mutex::new(Bundles::Open(FxHashMap::default())),
        }
    }

    /// Says what the worker is told of its job. Only the first counts.
    pub(crate) fn provide(&self, mut provision: Provision) {
        provision.info = provision::complete(provision.info, &self.endpoint);
        self.provision.set(provision).ok();
    }

    /// What the worker is told of its job, if that is known.
    pub(crate) fn provided(&self) -> Option<&Provision> {
        self.provision.get()
    }

    /// What the worker is told of its job, as soon as that is known.
    pub(crate) async fn provision(&self) -> Result<&Provision, Status> {
        tokio::select! {
            biased;
            provision = self.provision.wait() => Ok(provision),
            () = self.closed.cancelled() => Err(Status::unavailable(self.reason())),
        }
    }

    /// Ends the worker's streams and fails whatever is in flight. Only the first reason counts.
    pub(crate) fn close(&self, reason: &str) {
        if self.closed_because.set(reason.to_owned()).is_err() {
            return;
        }
        debug!(worker_id = self.id, reason, "worker closed");
        let bundles = std::mem::replace(&mut *lock(&self.bundles), Bundles::Closed);
        if let Bundles::Open(bundles) = bundles {
            for bundle in bundles.into_values() {
                bundle.fail(BundleError::WorkerLost(reason.to_owned()));
            }
        }
        self.control.close(reason);
        self.status.close(reason);
        self.closed.cancel();
    }

    /// The worker's process, where it can be found. It is looked for when this is asked for the first time, which takes a moment:
    /// until then it is unknown.
    pub(crate) fn process(&self) -> Option<Process> {
        let found = self.process.get_or_init(|| {
            let found = Arc::new(OnceLock::new());
            if let Some((ours, theirs)) = self.connection.get().copied() {
                let found = Arc::clone(&found);
                tokio::task::spawn_blocking(move || {
                    found.set(Process::at_the_other_end(ours, theirs))
                });
            }
            found
        });
        found.get().copied().flatten()
    }

    /// Why the worker closed; a placeholder while it is open.
    pub(crate) fn reason(&self) -> String {
        self.closed_because
            .get()
            .cloned()
            .unwrap_or_else(|| "the worker is open".to_owned())
    }

    /// On the wire, a descriptor's id begins with the worker's: the TypeScript SDK does not say which worker
    /// it is when it asks for a descriptor.
    pub(crate) fn register(
        &self,
        mut descriptor: RegisteredDescriptor,
    ) -> Arc<RegisteredDescriptor> {
        let wire_id = format!("{}{WIRE_ID_SEPARATOR}{}", self.id, descriptor.proto.id);
        let id = std::mem::replace(&mut descriptor.proto.id, wire_id);
        let descriptor = Arc::new(descriptor);
        lock(&self.descriptors).insert(id, descriptor.clone());
        descriptor
    }

    /// A descriptor by the id that the worker knows.
    pub(crate) fn descriptor_on_the_wire(
        &self,
        wire_id: &str,
    ) -> Option<Arc<RegisteredDescriptor>> {
        let rest = wire_id.strip_prefix(&self.id)?;
        self.descriptor(rest.strip_prefix(WIRE_ID_SEPARATOR)?)
    }

    pub(crate) fn descriptor(&self, id: &str) -> Option<Arc<RegisteredDescriptor>> {
        lock(&self.descriptors).get(id).cloned()
    }

    pub(crate) fn add_bundle(&self, bundle: Arc<Bundle>) -> Result<(), BundleError> {
        match &mut *lock(&self.bundles) {
            Bundles::Closed => Err(BundleError::WorkerLost(self.reason())),
            Bundles::Open(bundles) => {
                if bundles.contains_key(&bundle.instruction_id) {
                    return Err(BundleError::Refused(format!(
                        "instruction id {:?} is in use on worker {:?}",
                        bundle.instruction_id, self.id
                    )));
                }
                bundles.insert(bundle.instruction_id.clone(), bundle);
                Ok(())
            }
        }
    }

    pub(crate) fn bundle(&self, instruction_id: &str) -> Option<Arc<Bundle>> {
        match &*lock(&self.bundles) {
            Bundles::Closed => None,
            Bundles::Open(bundles) => bundles.get(instruction_id).cloned(),
        }
    }

    pub(crate) fn remove_bundle(&self, instruction_id: &str) {
        if let Bundles::Open(bundles) = &mut *lock(&self.bundles) {
            bundles.remove(instruction_id);
        }
    }

    pub(crate) fn state_handler(
        &self,
        instruction_id: &str,
    ) -> Result<Arc<dyn StateHandler>, String> {
        let bundle = self.bundle(instruction_id);
        bundle
            .as_ref()
            .and_then(|bundle| bundle.state_handler())
            .ok_or_else(|| {
                format!("no bundle with instruction id {instruction_id:?} is active on this worker")
            })
    }
}
