//! The coders of values that the runner has to tell apart.

use std::collections::BTreeMap;

use dataflume_graph::coder_of;
use dataflume_model::coder::Coder;
use dataflume_proto::fn_execution::ProcessBundleDescriptor;
use dataflume_proto::pipeline::{ParDoPayload, state_spec::Spec};
use prost::Message;

/// An SDK names itself so among its environment's capabilities. Go's harness is the one that
/// writes the values of ordered lists as their coder says; Java's and Python's put a length in
/// front of them, whatever their coder.
const GO: &str = "beam:version:sdk_base:go:";

/// The coders of values that the runner has to tell apart.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StateCoders {
    /// State id of an ordered list -> coder of its values, where they are not length-prefixed.
    pub ordered_lists: BTreeMap<String, Coder>,
    /// State id of a multimap -> coder of its values; without it, whole entries can't be read at
    /// once.
    pub multimaps: BTreeMap<String, Coder>,
}

impl StateCoders {
    /// Those of a transform, as its SDK harness is told. Coders that only the SDK knows are left
    /// out.
    pub fn of(descriptor: &ProcessBundleDescriptor, transform: &str) -> Self {
        let mut found = Self::default();
        let Some(transform) = descriptor.transforms.get(transform) else {
            return found;
        };
        let payload = transform.spec.as_ref().map(|spec| spec.payload.clone());
        // What is no ParDo has no state.
        let par_do = ParDoPayload::decode(payload.unwrap_or_default()).unwrap_or_default();
        let environment = descriptor.environments.get(&transform.environment_id);
        let is_go = environment.is_some_and(|environment| {
            let mut capabilities = environment.capabilities.iter();
            capabilities.any(|capability| capability.starts_with(GO))
        });
        let known = |id: &str| Some(coder_of(&descriptor.coders, id)).filter(|c| !c.is_opaque());
        for (state, spec) in par_do.state_specs {
            match spec.spec {
                Some(Spec::OrderedListSpec(of)) if is_go => {
                    let coder = known(&of.element_coder_id);
                    found
                        .ordered_lists
                        .extend(coder.map(|coder| (state, coder)));
                }
                Some(Spec::MultimapSpec(of)) => {
                    let coder = known(&of.value_coder_id);
                    found.multimaps.extend(coder.map(|coder| (state, coder)));
                }
                Some(Spec::MapSpec(of)) => {
                    let coder = known(&of.value_coder_id);
                    found.multimaps.extend(coder.map(|coder| (state, coder)));
                }
                _ => {}
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use dataflume_proto::pipeline::{
        self, Environment, FunctionSpec, MultimapStateSpec, OrderedListStateSpec, PTransform,
        StateSpec,
    };
    use dataflume_proto::urn::standard_coders as urns;

    use super::*;

    fn coder(urn: &str) -> pipeline::Coder {
        pipeline::Coder {
            spec: Some(FunctionSpec {
                urn: urn.to_owned(),
                ..FunctionSpec::default()
            }),
            ..pipeline::Coder::default()
        }
    }

    fn descriptor(capability: &str) -> ProcessBundleDescriptor {
        let list = |coder: &str| StateSpec {
            spec: Some(Spec::OrderedListSpec(OrderedListStateSpec {
                element_coder_id: coder.to_owned(),
            })),
            ..StateSpec::default()
        };
        let map = StateSpec {
            spec: Some(Spec::MultimapSpec(MultimapStateSpec {
                value_coder_id: "number".to_owned(),
                ..MultimapStateSpec::default()
            })),
            ..StateSpec::default()
        };
        let par_do = ParDoPayload {
            state_specs: [
                ("list".to_owned(), list("number")),
                ("odd".to_owned(), list("secret")),
                ("map".to_owned(), map),
            ]
            .into(),
            ..ParDoPayload::default()
        };
        let transform = PTransform {
            spec: Some(FunctionSpec {
                payload: par_do.encode_to_vec().into(),
                ..FunctionSpec::default()
            }),
            environment_id: "e".to_owned(),
            ..PTransform::default()
        };
        let environment = Environment {
            capabilities: vec![capability.to_owned()],
            ..Environment::default()
        };
        ProcessBundleDescriptor {
            transforms: [("t".to_owned(), transform)].into(),
            environments: [("e".to_owned(), environment)].into(),
            coders: [
                ("number".to_owned(), coder(urns::VARINT)),
                ("secret".to_owned(), coder("beam:coder:of_mine:v1")),
            ]
            .into(),
            ..ProcessBundleDescriptor::default()
        }
    }

    #[test]
    fn only_go_writes_values_of_ordered_lists_bare() {
        let go = StateCoders::of(&descriptor("beam:version:sdk_base:go:apache/beam:2"), "t");
        let number = || [("list".to_owned(), Coder::Varint)].into();
        assert_eq!(go.ordered_lists, number());
        assert_eq!(go.multimaps, [("map".to_owned(), Coder::Varint)].into());
        let java = StateCoders::of(&descriptor("beam:version:sdk_base:java:apache/beam:2"), "t");
        assert!(java.ordered_lists.is_empty());
        assert_eq!(java.multimaps, go.multimaps);
        assert_eq!(
            StateCoders::of(&descriptor(""), "other"),
            StateCoders::default()
        );
    }
}
