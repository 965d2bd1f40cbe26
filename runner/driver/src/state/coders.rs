//! The coders of values that the runner has to tell apart.

use std::collections::BTreeMap;

use dataflume_graph::coder_of;
use dataflume_model::coder::Coder;
use dataflume_proto::fn_execution::ProcessBundleDescriptor;
use dataflume_proto::pipeline::{MapStateSpec, MultimapStateSpec, ParDoPayload, state_spec::Spec};
use prost::Message;

use crate::sdk::is_go;

/// A coder as a serialized Java object, compressed; what stands in it for the first time stands as it is.
const JAVA_CODER: &str = "beam:coders:javasdk:0.1";

/// How such an object begins if it is Java's coder of `Integer`: an object of a class with a name of 38 bytes.
const JAVA_INTEGERS: &[u8] = b"\xac\xed\0\x05sr\0\x26org.apache.beam.sdk.coders.VarIntCoder";

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
        // Go's harness is the one that writes the values of ordered lists as their coder says; Java's and
        // Python's put a length in front of them, whatever their coder.
        let is_go = environment.is_some_and(is_go);
        let known = |id: &str| Some(coder_of(&descriptor.coders, id)).filter(|c| !c.is_opaque());
        for (state, spec) in par_do.state_specs {
            match spec.spec {
                Some(Spec::OrderedListSpec(of)) if is_go => {
                    let coder = known(&of.element_coder_id);
                    found
                        .ordered_lists
                        .extend(coder.map(|coder| (state, coder)));
                }
                Some(
                    Spec::MultimapSpec(MultimapStateSpec { value_coder_id, .. })
                    | Spec::MapSpec(MapStateSpec { value_coder_id, .. }),
                ) => {
                    let coder = match known(&value_coder_id) {
                        Some(Coder::LengthPrefix(of)) if !is_go && of.is_opaque() => {
                            bare_coder(descriptor, &value_coder_id)
                        }
                        coder => coder,
                    };
                    found.multimaps.extend(coder.map(|coder| (state, coder)));
                }
                _ => {}
            }
        }
        found
    }
}

/// How a value is written whose coder only the SDK knows. Java's harness doesn't look at the coder that it is told, so it puts no
/// length in front of such a value; of Java's own coders, the one of `Integer` is known all the same.
fn bare_coder(descriptor: &ProcessBundleDescriptor, prefixed: &str) -> Option<Coder> {
    let [inner] = descriptor
        .coders
        .get(prefixed)?
        .component_coder_ids
        .as_slice()
    else {
        return None;
    };
    let spec = descriptor.coders.get(inner)?.spec.as_ref()?;
    let is_integer = spec.urn == JAVA_CODER
        && (spec.payload)
            .windows(JAVA_INTEGERS.len())
            .any(|part| part == JAVA_INTEGERS);
    is_integer.then_some(Coder::Varint)
}

#[cfg(test)]
mod tests {
    use dataflume_proto::pipeline::{
        self, Environment, FunctionSpec, OrderedListStateSpec, PTransform, StateSpec,
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
        let map = |coder: &str| StateSpec {
            spec: Some(Spec::MultimapSpec(MultimapStateSpec {
                value_coder_id: coder.to_owned(),
                ..MultimapStateSpec::default()
            })),
            ..StateSpec::default()
        };
        let par_do = ParDoPayload {
            state_specs: [
                ("list".to_owned(), list("number")),
                ("odd".to_owned(), list("secret")),
                ("map".to_owned(), map("number")),
                ("odd map".to_owned(), map("prefixed")),
                ("integers".to_owned(), map("prefixed integer")),
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
        let prefixed = |inner: &str| pipeline::Coder {
            component_coder_ids: vec![inner.to_owned()],
            ..coder(urns::LENGTH_PREFIX)
        };
        let integer = pipeline::Coder {
            spec: Some(FunctionSpec {
                urn: JAVA_CODER.to_owned(),
                payload: [b"\x82SNAPPY\0", JAVA_INTEGERS, b"\xc0"].concat().into(),
            }),
            ..pipeline::Coder::default()
        };
        ProcessBundleDescriptor {
            transforms: [("t".to_owned(), transform)].into(),
            environments: [("e".to_owned(), environment)].into(),
            coders: [
                ("number".to_owned(), coder(urns::VARINT)),
                ("secret".to_owned(), coder("beam:coder:of_mine:v1")),
                ("prefixed".to_owned(), prefixed("secret")),
                ("integer".to_owned(), integer),
                ("prefixed integer".to_owned(), prefixed("integer")),
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
        let map = ("map".to_owned(), Coder::Varint);
        let odd = &go.multimaps["odd map"];
        assert!(matches!(odd, Coder::LengthPrefix(_)), "{odd:?}");
        assert_eq!(go.multimaps["map"], map.1);
        let java = StateCoders::of(&descriptor("beam:version:sdk_base:java:apache/beam:2"), "t");
        assert!(java.ordered_lists.is_empty());
        let integers = ("integers".to_owned(), Coder::Varint);
        assert_eq!(java.multimaps, [map, integers].into());
        assert_eq!(
            StateCoders::of(&descriptor(""), "other"),
            StateCoders::default()
        );
    }
}
