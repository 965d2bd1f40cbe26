//! What transforms refer to: PCollections, coders, windowing strategies, environments.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use dataflume_model::coder::Coder;
use dataflume_model::window::WindowingStrategy;
use dataflume_proto::pipeline::{self, is_bounded};

use crate::coders::CoderTable;
use crate::windowing::{self, WindowingError};

/// The pipeline's components, and those made during translation.
#[derive(Debug)]
pub(crate) struct Components {
    pub(crate) coders: CoderTable,
    pub(crate) pcollections: BTreeMap<String, pipeline::PCollection>,
    pub(crate) strategies: BTreeMap<String, pipeline::WindowingStrategy>,
    pub(crate) environments: BTreeMap<String, pipeline::Environment>,
    /// Environment id -> the id of the first one that is equal to it.
    pub(crate) canonical_environments: BTreeMap<String, String>,
    /// PCollections of groups that may be too large to travel whole: the rest is asked for.
    pub(crate) state_backed: BTreeSet<String>,
}

impl Components {
    pub(crate) fn new(proto: &pipeline::Components) -> Self {
        let environments = ordered(&proto.environments);
        let canonical = |environment: &pipeline::Environment| {
            environments
                .iter()
                .find(|(_, other)| *other == environment)
                .map(|(id, _)| id.clone())
        };
        let canonical_environments = environments
            .iter()
            .filter_map(|(id, environment)| Some((id.clone(), canonical(environment)?)))
            .collect();
        Self {
            coders: CoderTable::new(&proto.coders),
            pcollections: ordered(&proto.pcollections),
            strategies: ordered(&proto.windowing_strategies),
            environments,
            canonical_environments,
            state_backed: BTreeSet::new(),
        }
    }

    /// The PCollection's coder id as declared; empty if there is no such PCollection.
    pub(crate) fn coder_id(&self, pcollection: &str) -> &str {
        self.pcollections
            .get(pcollection)
            .map_or("", |p| p.coder_id.as_str())
    }

    /// The PCollection's windowing strategy id; empty if there is no such PCollection.
    pub(crate) fn strategy_id(&self, pcollection: &str) -> &str {
        self.pcollections
            .get(pcollection)
            .map_or("", |p| p.windowing_strategy_id.as_str())
    }

    /// The id of the coder, known to the runner, that the PCollection's elements have in the worker.
    pub(crate) fn element_coder_id(&mut self, pcollection: &str) -> String {
        let id = self.coder_id(pcollection).to_owned();
        self.coders.wire(&id)
    }

    /// The id of the coder that the PCollection's elements have on the wire. The rest of a large group
    /// is asked for here alone: the SDKs accept that coder at a port, and Java's at no other place.
    pub(crate) fn wire_coder_id(&mut self, pcollection: &str) -> String {
        let wire = self.element_coder_id(pcollection);
        match self.state_backed.contains(pcollection) {
            true => self.coders.state_backed(wire),
            false => wire,
        }
    }

    /// The coder that the PCollection's elements have on the wire.
    pub(crate) fn wire_coder(&mut self, pcollection: &str) -> Coder {
        let id = self.wire_coder_id(pcollection);
        self.coders.model(&id)
    }

    /// The id of the coder that a strategy's windows have on the wire.
    pub(crate) fn wire_window_coder_id(&mut self, strategy: &str) -> String {
        let id = self
            .strategies
            .get(strategy)
            .map_or("", |s| s.window_coder_id.as_str());
        let id = id.to_owned();
        self.coders.wire_window(&id)
    }

    pub(crate) fn strategy(&mut self, id: &str) -> Result<WindowingStrategy, WindowingError> {
        let window_coder = self.wire_window_coder_id(id);
        match self.strategies.get(id) {
            Some(proto) => windowing::strategy(id, proto, &window_coder, &self.coders),
            None => Ok(WindowingStrategy::default()),
        }
    }

    /// Windowing of a PCollection. What is wrong with it was found during validation.
    pub(crate) fn windowing(&mut self, pcollection: &str) -> WindowingStrategy {
        let id = self.strategy_id(pcollection).to_owned();
        self.strategy(&id).unwrap_or_default()
    }

    pub(crate) fn is_bounded(&self, pcollection: &str) -> bool {
        let bounded = self.pcollections.get(pcollection).map(|p| p.is_bounded());
        bounded != Some(is_bounded::Enum::Unbounded)
    }

    /// Adds a PCollection like another, with a coder of its own.
    pub(crate) fn add_pcollection(&mut self, id: &str, like: &str, coder_id: String) -> String {
        let mut id = id.to_owned();
        while self.pcollections.contains_key(&id) {
            id.push('_');
        }
        let like = self.pcollections.get(like).cloned().unwrap_or_default();
        let unique_name = id.clone();
        self.pcollections.insert(
            id.clone(),
            pipeline::PCollection {
                unique_name,
                coder_id,
                ..like
            },
        );
        id
    }
}

fn ordered<V: Clone>(map: &HashMap<String, V>) -> BTreeMap<String, V> {
    map.iter()
        .map(|(id, value)| (id.clone(), value.clone()))
        .collect()
}
