//! Process bundle descriptors as one worker sees them.

use std::collections::BTreeSet;

use dataflume_proto::fn_execution::{ProcessBundleDescriptor, RemoteGrpcPort};
use dataflume_proto::pipeline::{ApiServiceDescriptor, PTransform, ParDoPayload};
use dataflume_proto::urn::{primitives, runner};
use prost::Message;

use crate::error::WorkerError;

/// One logical stream of a bundle on the data connection.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Port {
    /// Elements, of a `beam:runner:source:v1` or `beam:runner:sink:v1` transform.
    Data {
        /// The transform's id in the descriptor.
        transform: String,
    },
    /// Timers, of a ParDo with timer families.
    Timers {
        /// The ParDo's id in the descriptor.
        transform: String,
        /// The timer family's id.
        family: String,
    },
}

/// A descriptor with its service URLs filled in, and the streams its bundles have.
#[derive(Debug)]
pub(crate) struct RegisteredDescriptor {
    /// What `GetProcessBundleDescriptor` answers.
    pub(crate) proto: ProcessBundleDescriptor,
    /// Every stream that the runner must end before the harness finishes a bundle.
    pub(crate) inputs: BTreeSet<Port>,
    /// Every stream that the harness ends before a bundle is complete.
    pub(crate) outputs: BTreeSet<Port>,
}

impl RegisteredDescriptor {
    /// Fills in `endpoint` wherever the harness needs to know where to connect.
    pub(crate) fn new(
        descriptor: &ProcessBundleDescriptor,
        endpoint: &ApiServiceDescriptor,
    ) -> Result<Self, WorkerError> {
        let mut proto = descriptor.clone();
        let mut inputs = BTreeSet::new();
        let mut outputs = BTreeSet::new();
        for (id, transform) in &mut proto.transforms {
            let ports = match transform_urn(transform) {
                runner::DATA_SOURCE => &mut inputs,
                runner::DATA_SINK => &mut outputs,
                primitives::PAR_DO => {
                    let timers = timer_ports(id, transform)
                        .map_err(|error| invalid(descriptor, format!("ParDo {id:?}: {error}")))?;
                    // A timer family is read and written by the same transform.
                    inputs.extend(timers.iter().cloned());
                    outputs.extend(timers);
                    continue;
                }
                _ => continue,
            };
            fill_port(transform, endpoint)
                .map_err(|error| invalid(descriptor, format!("port {id:?}: {error}")))?;
            ports.insert(Port::Data {
                transform: id.clone(),
            });
        }
        proto.state_api_service_descriptor = Some(endpoint.clone());
        proto.timer_api_service_descriptor = Some(endpoint.clone());
        Ok(Self {
            proto,
            inputs,
            outputs,
        })
    }
}

fn invalid(descriptor: &ProcessBundleDescriptor, reason: String) -> WorkerError {
    WorkerError::InvalidDescriptor {
        id: descriptor.id.clone(),
        reason,
    }
}

fn transform_urn(transform: &PTransform) -> &str {
    transform.spec.as_ref().map_or("", |spec| spec.urn.as_str())
}

fn fill_port(
    transform: &mut PTransform,
    endpoint: &ApiServiceDescriptor,
) -> Result<(), prost::DecodeError> {
    if let Some(spec) = &mut transform.spec {
        let mut port = RemoteGrpcPort::decode(spec.payload.clone())?;
        port.api_service_descriptor = Some(endpoint.clone());
        spec.payload = port.encode_to_vec().into();
    }
    Ok(())
}

fn timer_ports(id: &str, transform: &PTransform) -> Result<Vec<Port>, prost::DecodeError> {
    let Some(spec) = &transform.spec else {
        return Ok(Vec::new());
    };
    let payload = ParDoPayload::decode(spec.payload.clone())?;
    Ok(payload
        .timer_family_specs
        .into_keys()
        .map(|family| Port::Timers {
            transform: id.to_owned(),
            family,
        })
        .collect())
}
