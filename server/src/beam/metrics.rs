//! A job's metrics, as the client can tell them apart.

use dataflume_proto::job::MetricResults;
use dataflume_proto::pipeline::Pipeline;
use dataflume_proto::sdk_base;
use tonic::metadata::MetadataMap;

use crate::jobs::JobMetrics;

/// How the user agent of clients in Java begins.
const JAVA_CLIENT: &str = "grpc-java";

/// The first Java SDK that makes one result of what was attempted and what was committed of a metric (apache/beam#32001). Those before show
/// every metric twice, both as attempted.
const TELLS_COMMITTED_APART: (u32, u32) = (2, 71);

/// What a client that asks with this metadata is told of the job's metrics. One that can't tell committed from attempted is told what was
/// attempted, which is of every metric.
pub(super) fn results(
    metrics: JobMetrics,
    pipeline: &Pipeline,
    client: &MetadataMap,
) -> MetricResults {
    let user_agent = client.get("user-agent").and_then(|name| name.to_str().ok());
    let is_java = user_agent.is_some_and(|name| name.starts_with(JAVA_CLIENT));
    let committed = if is_java && is_of_an_early_java_sdk(pipeline) {
        Vec::new()
    } else {
        metrics.committed
    };
    MetricResults {
        attempted: metrics.attempted,
        committed,
    }
}

fn is_of_an_early_java_sdk(pipeline: &Pipeline) -> bool {
    let components = pipeline.components.as_ref();
    let environments = components.map(|components| components.environments.values());
    environments
        .into_iter()
        .flatten()
        .flat_map(|environment| &environment.capabilities)
        .filter_map(|capability| capability.strip_prefix(sdk_base::JAVA))
        .filter_map(|base| base.rsplit_once(':'))
        .filter_map(|(_, version)| minor_version(version))
        .any(|version| version < TELLS_COMMITTED_APART)
}

/// The first two numbers of a version such as `2.65.0` or `2.72.0-SNAPSHOT`.
fn minor_version(version: &str) -> Option<(u32, u32)> {
    let mut numbers = version.split('.').map(|number| number.parse().ok());
    Some((numbers.next()??, numbers.next()??))
}

#[cfg(test)]
mod tests {
    use dataflume_proto::pipeline::{Components, Environment, MonitoringInfo};

    use super::*;

    fn told(user_agent: &'static str, bases: &[&str]) -> (usize, usize) {
        let environments = bases.iter().map(|base| {
            let environment = Environment {
                capabilities: vec![
                    "beam:protocol:sibling_workers:v1".to_owned(),
                    (*base).to_owned(),
                ],
                ..Environment::default()
            };
            ((*base).to_owned(), environment)
        });
        let pipeline = Pipeline {
            components: Some(Components {
                environments: environments.collect(),
                ..Components::default()
            }),
            ..Pipeline::default()
        };
        let metrics = JobMetrics {
            attempted: vec![MonitoringInfo::default(); 2],
            committed: vec![MonitoringInfo::default()],
        };
        let mut client = MetadataMap::new();
        client.insert("user-agent", user_agent.parse().expect("it is text"));
        let results = results(metrics, &pipeline, &client);
        (results.attempted.len(), results.committed.len())
    }

    #[test]
    fn early_java_clients_are_told_each_metric_once() {
        let java =
            |version: &str| format!("beam:version:sdk_base:apache/beam_java17_sdk:{version}");
        let python = "beam:version:sdk_base:apache/beam_python3.11_sdk:2.65.0";
        let client = "grpc-java-netty/1.69.0";
        assert_eq!(told(client, &[&java("2.65.0")]), (2, 0));
        assert_eq!(told(client, &[&java("2.70.0"), python]), (2, 0));
        assert_eq!(told(client, &[&java("2.71.0")]), (2, 1));
        assert_eq!(told(client, &[&java("2.100.0-SNAPSHOT")]), (2, 1));
        assert_eq!(told(client, &[&java("latest")]), (2, 1));
        assert_eq!(told(client, &[]), (2, 1));
        let others = "grpc-python/1.76.0 grpc-c/51.0.0 (linux; chttp2)";
        assert_eq!(told(others, &[&java("2.65.0"), python]), (2, 1));
    }
}
