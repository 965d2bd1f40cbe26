//! All coders of a pipeline, those it declares and those made for the wire.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use bytes::Bytes;
use dataflume_model::coder::Coder;
use dataflume_proto::pipeline::{self, FunctionSpec};
use dataflume_proto::urn::standard_coders as urns;
use rustc_hash::FxHashMap;

use super::parse::{arity, assemble};

/// Coders by id. Ids must have been checked (`validate`); an id that is not there counts as a coder
/// that only the SDK knows.
#[derive(Debug)]
pub(crate) struct CoderTable {
    coders: BTreeMap<String, pipeline::Coder>,
    wire: FxHashMap<String, String>,
    signatures: RefCell<Signatures>,
}

/// Coders that are the same in all they consist of have the same number, whatever their ids are.
#[derive(Debug, Default)]
struct Signatures {
    by_id: FxHashMap<String, u32>,
    by_content: HashMap<(String, Bytes, Vec<u32>), u32>,
}

impl CoderTable {
    pub(crate) fn new(coders: &HashMap<String, pipeline::Coder>) -> Self {
        Self {
            coders: coders
                .iter()
                .map(|(id, coder)| (id.clone(), coder.clone()))
                .collect(),
            wire: FxHashMap::default(),
            signatures: RefCell::default(),
        }
    }

    /// URN of a coder; empty if there is no such coder.
    pub(crate) fn urn(&self, id: &str) -> &str {
        let spec = self.coders.get(id).and_then(|coder| coder.spec.as_ref());
        spec.map_or("", |spec| spec.urn.as_str())
    }

    /// The ids of a coder's components.
    pub(crate) fn components(&self, id: &str) -> &[String] {
        self.coders
            .get(id)
            .map_or(&[], |coder| &coder.component_coder_ids)
    }

    /// The ids of key and value coder of a `KV`.
    pub(crate) fn key_value(&self, id: &str) -> Option<(&str, &str)> {
        match (self.urn(id), self.components(id)) {
            (urns::KV, [key, value]) => Some((key, value)),
            _ => None,
        }
    }

    /// The structure, as far as the runner knows it.
    pub(crate) fn model(&self, id: &str) -> Coder {
        let Some(proto) = self.coders.get(id) else {
            return Coder::Opaque { urn: id.to_owned() };
        };
        let known = arity(self.urn(id)).is_some();
        let components = if known { self.components(id) } else { &[] };
        assemble(
            proto,
            components
                .iter()
                .map(|component| self.model(component))
                .collect(),
        )
    }

    /// Whether two coders encode alike, as far as can be told from their protos.
    pub(crate) fn same(&self, first: &str, second: &str) -> bool {
        first == second || self.signature(first) == self.signature(second)
    }

    fn signature(&self, id: &str) -> u32 {
        if let Some(known) = self.signatures.borrow().by_id.get(id) {
            return *known;
        }
        let components = self
            .components(id)
            .iter()
            .map(|id| self.signature(id))
            .collect();
        let spec = self
            .coders
            .get(id)
            .and_then(|coder| coder.spec.clone())
            .unwrap_or_default();
        let mut signatures = self.signatures.borrow_mut();
        let next = signatures.by_content.len() as u32;
        let content = (spec.urn, spec.payload, components);
        let signature = *signatures.by_content.entry(content).or_insert(next);
        signatures.by_id.insert(id.to_owned(), signature);
        signature
    }

    /// The id of a coder that encodes the same values so that the runner can cut them.
    pub(crate) fn wire(&mut self, id: &str) -> String {
        if let Some(known) = self.wire.get(id) {
            return known.clone();
        }
        let components = self.components(id).to_vec();
        let rewritten = match (self.urn(id), arity(self.urn(id))) {
            // Never looked into.
            (urns::LENGTH_PREFIX, _) => id.to_owned(),
            (_, None) => self.length_prefixed(id),
            (urn, Some(_)) => {
                let urn = urn.to_owned();
                let wire: Vec<String> = components.iter().map(|id| self.wire(id)).collect();
                if wire == components {
                    id.to_owned()
                } else {
                    let parts: Vec<&str> = wire.iter().map(String::as_str).collect();
                    self.add(&format!("{id}_wire"), &urn, &parts)
                }
            }
        };
        self.wire.insert(id.to_owned(), rewritten.clone());
        rewritten
    }

    /// The wire form of a window coder: whatever the window is, its maximum timestamp is readable.
    pub(crate) fn wire_window(&mut self, id: &str) -> String {
        match self.urn(id) {
            urns::GLOBAL_WINDOW | urns::INTERVAL_WINDOW => id.to_owned(),
            urns::CUSTOM_WINDOW => self.wire(id),
            _ => {
                let window = self.wire(id);
                self.add(&format!("{id}_window"), urns::CUSTOM_WINDOW, &[&window])
            }
        }
    }

    /// The id of a coder by which a PCollection's elements are understood as they are meant. Where
    /// a PCollection's coder is one of windowed values, the Java harness takes it for that of
    /// elements with their windows; elements that are windowed values themselves are told apart by
    /// a length prefix, which is written nowhere.
    pub(crate) fn of_elements(&mut self, id: &str) -> String {
        match self.urn(id) {
            urns::WINDOWED_VALUE | urns::PARAM_WINDOWED_VALUE => self.length_prefixed(id),
            _ => id.to_owned(),
        }
    }

    /// The id of a coder of the same values with their lengths before them.
    pub(crate) fn length_prefixed(&mut self, id: &str) -> String {
        self.add(&format!("{id}_lp"), urns::LENGTH_PREFIX, &[id])
    }

    /// Finds or adds a coder made of others. The id begins with the name given.
    pub(crate) fn add(&mut self, name: &str, urn: &str, components: &[&str]) -> String {
        let coder = pipeline::Coder {
            spec: Some(FunctionSpec {
                urn: urn.to_owned(),
                payload: Bytes::new(),
            }),
            component_coder_ids: components.iter().map(|id| (*id).to_owned()).collect(),
        };
        let mut id = name.to_owned();
        while let Some(existing) = self.coders.get(&id) {
            if *existing == coder {
                return id;
            }
            id.push('_');
        }
        self.coders.insert(id.clone(), coder);
        id
    }

    /// `KV<key, value>` of two coders.
    pub(crate) fn add_kv(&mut self, key: &str, value: &str) -> String {
        self.add(&format!("kv_{key}_{value}"), urns::KV, &[key, value])
    }

    /// `Iterable<element>`.
    pub(crate) fn add_iterable(&mut self, element: &str) -> String {
        self.add(&format!("iterable_{element}"), urns::ITERABLE, &[element])
    }

    /// `KV<key, Iterable<element>>` in the form that may end in a state token; others as they are.
    pub(crate) fn state_backed(&mut self, id: String) -> String {
        let Some((key, values)) = self.key_value(&id) else {
            return id;
        };
        let (urns::ITERABLE, [element]) = (self.urn(values), self.components(values)) else {
            return id;
        };
        let (key, element) = (key.to_owned(), element.clone());
        let name = format!("state_backed_{element}");
        let values = self.add(&name, urns::STATE_BACKED_ITERABLE, &[&element]);
        self.add_kv(&key, &values)
    }

    /// These coders and all that they are made of.
    pub(crate) fn closure<'a>(
        &'a self,
        ids: impl IntoIterator<Item = &'a str>,
    ) -> HashMap<String, pipeline::Coder> {
        let mut found = BTreeSet::new();
        let mut open: Vec<&str> = ids.into_iter().collect();
        while let Some(id) = open.pop() {
            if self.coders.contains_key(id) && found.insert(id) {
                open.extend(self.components(id).iter().map(String::as_str));
            }
        }
        found
            .into_iter()
            .map(|id| (id.to_owned(), self.coders[id].clone()))
            .collect()
    }
}
