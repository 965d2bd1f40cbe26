//! Monitoring-info short ids: the harness sends a metric's metadata once, and then only its id.

use std::collections::HashMap;
use std::sync::Mutex;

use bytes::Bytes;
use dataflume_proto::fn_execution::{
    MonitoringInfosMetadataRequest, instruction_request, instruction_response,
};
use dataflume_proto::pipeline::MonitoringInfo;
use rustc_hash::FxHashMap;

use crate::control::ControlLink;
use crate::error::WorkerError;
use crate::registry::lock;

/// What one worker's short ids stand for. Ids are stable for the life of the worker's process.
#[derive(Default)]
pub(crate) struct ShortIds {
    known: Mutex<FxHashMap<String, MonitoringInfo>>,
}

impl ShortIds {
    /// Gives each payload its metadata back, asking the worker for ids not seen before.
    pub(crate) async fn resolve(
        &self,
        control: &ControlLink,
        data: HashMap<String, Bytes>,
    ) -> Result<Vec<MonitoringInfo>, WorkerError> {
        let unknown: Vec<String> = {
            let known = lock(&self.known);
            data.keys()
                .filter(|id| !known.contains_key(*id))
                .cloned()
                .collect()
        };
        if !unknown.is_empty() {
            self.learn(control, unknown).await?;
        }
        let known = lock(&self.known);
        data.into_iter()
            .map(|(id, payload)| match known.get(&id) {
                Some(info) => Ok(MonitoringInfo {
                    payload,
                    ..info.clone()
                }),
                None => Err(WorkerError::Protocol(format!(
                    "the harness reports monitoring info {id:?} but does not know what it is"
                ))),
            })
            .collect()
    }

    async fn learn(&self, control: &ControlLink, ids: Vec<String>) -> Result<(), WorkerError> {
        let request = MonitoringInfosMetadataRequest {
            monitoring_info_id: ids,
        };
        let response = control
            .request(instruction_request::Request::MonitoringInfos(request))
            .await?;
        let instruction_response::Response::MonitoringInfos(response) = response else {
            return Err(WorkerError::Protocol(
                "MonitoringInfosMetadataRequest was answered with another response".to_owned(),
            ));
        };
        lock(&self.known).extend(response.monitoring_info);
        Ok(())
    }
}
