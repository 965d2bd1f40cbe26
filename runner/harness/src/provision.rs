//! The provisioning service: what a worker needs to know before it starts.

use std::sync::Arc;

use dataflume_proto::fn_execution::provision_service_server::ProvisionService;
use dataflume_proto::fn_execution::{
    GetProvisionInfoRequest, GetProvisionInfoResponse, ProvisionInfo,
};
use dataflume_proto::pipeline::ApiServiceDescriptor;
use dataflume_proto::urn::standard_runner_protocols::{
    CONTROL_RESPONSE_ELEMENTS_EMBEDDING, MONITORING_INFO_SHORT_IDS,
};
use tonic::{Request, Response, Status};

use crate::artifacts::ArtifactSource;
use crate::registry::Registry;

/// The runner capabilities that the harness provides by itself. Workers are told these and those
/// that the registration's `ProvisionInfo.runner_capabilities` adds.
pub const RUNNER_CAPABILITIES: &[&str] = &[
    MONITORING_INFO_SHORT_IDS,
    CONTROL_RESPONSE_ELEMENTS_EMBEDDING,
];

/// What a worker is told of its job.
#[derive(Clone)]
pub struct Provision {
    /// Pipeline options, dependencies, retrieval token, metadata. Endpoints that are not set, and
    /// the [capabilities of the harness](RUNNER_CAPABILITIES), are filled in.
    pub info: ProvisionInfo,
    /// What artifact retrieval serves.
    pub artifacts: Arc<dyn ArtifactSource>,
}

/// Completes a job's provision info with where the services are and what the harness can do.
pub(crate) fn complete(mut info: ProvisionInfo, endpoint: &ApiServiceDescriptor) -> ProvisionInfo {
    for service in [
        &mut info.status_endpoint,
        &mut info.logging_endpoint,
        &mut info.artifact_endpoint,
        &mut info.control_endpoint,
    ] {
        service.get_or_insert_with(|| endpoint.clone());
    }
    for capability in RUNNER_CAPABILITIES {
        if !info.runner_capabilities.iter().any(|c| c == capability) {
            info.runner_capabilities.push((*capability).to_owned());
        }
    }
    info
}

/// `ProvisionService` over the registry.
pub(crate) struct Provisioning {
    pub(crate) registry: Arc<Registry>,
}

#[tonic::async_trait]
impl ProvisionService for Provisioning {
    async fn get_provision_info(
        &self,
        request: Request<GetProvisionInfoRequest>,
    ) -> Result<Response<GetProvisionInfoResponse>, Status> {
        let worker = self.registry.worker_of(&request, "provision")?;
        Ok(Response::new(GetProvisionInfoResponse {
            info: Some(worker.provision().await?.info.clone()),
        }))
    }
}
