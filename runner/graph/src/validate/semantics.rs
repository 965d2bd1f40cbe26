//! Whether what a well-formed pipeline says can be run here.

use std::collections::BTreeSet;

use dataflume_model::window::{MergeStatus, WindowFn};
use dataflume_proto::pipeline::time_domain;
use dataflume_proto::urn::{primitives, standard_side_input_types, standard_user_state_types};

use crate::components::Components;
use crate::node::{Node, NodeKind};
use crate::refusal::{ProblemKind, Problems};

/// Notes all that can't be run.
pub(crate) fn semantics(nodes: &[Node], components: &mut Components, problems: &mut Problems) {
    let mut check = Check {
        components,
        problems,
        strategies: BTreeSet::new(),
    };
    for node in nodes {
        check.windowing(node);
        match &node.kind {
            NodeKind::GroupByKey => check.group_by_key(node),
            NodeKind::Flatten => check.flatten(node),
            NodeKind::Redistribute { .. } | NodeKind::Identity => check.one_to_one(node),
            NodeKind::Sdk => check.sdk(node),
            NodeKind::Impulse | NodeKind::TestStream(_) | NodeKind::Refused => {}
        }
    }
}

struct Check<'a> {
    components: &'a mut Components,
    problems: &'a mut Problems,
    strategies: BTreeSet<String>,
}

impl Check<'_> {
    /// Each strategy once, at the first transform that meets it.
    fn windowing(&mut self, node: &Node) {
        for pcollection in node.inputs.values().chain(node.outputs.values()) {
            let id = self.components.strategy_id(pcollection).to_owned();
            if !self.strategies.insert(id.clone()) {
                continue;
            }
            if let Err(error) = self.components.strategy(&id) {
                let value = format!("windowing strategy {id:?}");
                let kind = ProblemKind::UnsupportedWindowing;
                self.problems.add(kind, node.at(), value, error.to_string());
            }
        }
    }

    fn group_by_key(&mut self, node: &Node) {
        self.one_to_one(node);
        let Some(input) = node.inputs.values().next() else {
            return;
        };
        self.keyed(node, input, "groups by key");
        let strategy = self.components.strategy_id(input).to_owned();
        if let Ok(windowing) = self.components.strategy(&strategy)
            && let WindowFn::Custom { urn, .. } = &windowing.window_fn
            && windowing.merge_status == MergeStatus::NeedsMerge
            && !self
                .components
                .canonical_environments
                .contains_key(&windowing.environment_id)
        {
            let reason = "windows merge by a function of the user's own, but the windowing strategy \
                          names no environment that could run it";
            self.problems
                .add(ProblemKind::UnsupportedWindowing, node.at(), urn, reason);
        }
    }

    fn one_to_one(&mut self, node: &Node) {
        let (inputs, outputs) = (node.inputs.len(), node.outputs.len());
        if inputs != 1 || outputs != 1 {
            let reason =
                format!("has {inputs} inputs and {outputs} outputs instead of one of each");
            self.problems.malformed(node.at(), &node.urn, reason);
        }
    }

    fn keyed(&mut self, node: &Node, pcollection: &str, does: &str) {
        let coder = self.components.coder_id(pcollection).to_owned();
        if self.components.coders.key_value(&coder).is_none() {
            let value = self.components.coders.urn(&coder).to_owned();
            let reason = format!(
                "{does}, so PCollection {pcollection:?} must have a beam:coder:kv:v1 coder; give \
                 its elements a key-value type"
            );
            self.problems
                .add(ProblemKind::NotKeyed, node.at(), value, reason);
        }
    }

    fn flatten(&mut self, node: &Node) {
        let Some(output) = node
            .outputs
            .values()
            .next()
            .filter(|_| node.outputs.len() == 1)
        else {
            let reason = format!("has {} outputs instead of one", node.outputs.len());
            self.problems.malformed(node.at(), &node.urn, reason);
            return;
        };
        let window_coder = |components: &Components, pcollection: &str| {
            let strategy = components
                .strategies
                .get(components.strategy_id(pcollection));
            strategy.map_or(String::new(), |strategy| strategy.window_coder_id.clone())
        };
        let expected = window_coder(self.components, output);
        for input in node.inputs.values() {
            let found = window_coder(self.components, input);
            if !self.components.coders.same(&found, &expected) {
                let coders = &self.components.coders;
                let reason = format!(
                    "has windows of coder {}, but the flatten's output has {}; give all inputs the \
                     same window function",
                    coders.model(&found),
                    coders.model(&expected)
                );
                let value = format!("PCollection {input:?}");
                self.problems
                    .add(ProblemKind::IncompatibleFlatten, node.at(), value, reason);
            }
        }
    }

    fn sdk(&mut self, node: &Node) {
        let inputs = node.main_inputs().count();
        if inputs != 1 {
            let reason = format!(
                "has {inputs} main inputs; only one can be read (a source begins with an Impulse)"
            );
            self.problems.add(
                ProblemKind::UnsupportedTransform,
                node.at(),
                &node.urn,
                reason,
            );
        }
        self.side_inputs(node);
        if node.urn == primitives::PAR_DO {
            self.par_do(node);
        }
    }

    fn side_inputs(&mut self, node: &Node) {
        let Some(par_do) = &node.par_do else {
            return;
        };
        let mut declared: Vec<&String> = par_do.side_inputs.keys().collect();
        declared.sort();
        for tag in declared {
            if !node.inputs.contains_key(tag) {
                let reason = "is declared, but is none of the transform's inputs";
                self.problems
                    .malformed(node.at(), format!("side input {tag:?}"), reason);
            }
        }
        for (tag, pcollection, side_input) in node.side_inputs() {
            let pattern = side_input.access_pattern.clone().unwrap_or_default().urn;
            match pattern.as_str() {
                standard_side_input_types::ITERABLE => {}
                standard_side_input_types::MULTIMAP => {
                    self.keyed(node, pcollection, "reads a side input by key");
                }
                _ => {
                    let reason = format!("side input {tag:?} is read in a way that is not known");
                    let kind = ProblemKind::UnsupportedSideInput;
                    self.problems.add(kind, node.at(), pattern, reason);
                }
            }
            let id = self.components.strategy_id(pcollection).to_owned();
            if let Ok(windowing) = self.components.strategy(&id)
                && let WindowFn::Custom { urn, .. } = &windowing.window_fn
                && side_input.window_mapping_fn.is_none()
            {
                let reason = format!(
                    "side input {tag:?} has windows of the user's own kind, but nothing says how \
                     main windows map onto them"
                );
                self.problems
                    .add(ProblemKind::UnsupportedSideInput, node.at(), urn, reason);
            }
        }
    }

    fn par_do(&mut self, node: &Node) {
        let Some(par_do) = &node.par_do else {
            return;
        };
        if node.is_stateful() {
            if let Some((_, input)) = node.main_input() {
                self.keyed(node, &input.clone(), "has state or timers");
            }
            if node.is_splittable() {
                let reason = "a splittable DoFn can't have state or timers";
                let kind = ProblemKind::UnsupportedDoFn;
                self.problems.add(kind, node.at(), &node.urn, reason);
            }
        }
        let mut states: Vec<_> = par_do.state_specs.iter().collect();
        states.sort_by_key(|(id, _)| *id);
        for (id, spec) in states {
            let protocol = spec.protocol.clone().unwrap_or_default().urn;
            let known = [
                standard_user_state_types::BAG,
                standard_user_state_types::MULTIMAP,
                standard_user_state_types::ORDERED_LIST,
                // SDKs from before protocols were declared.
                "",
            ];
            if !known.contains(&protocol.as_str()) || spec.spec.is_none() {
                let reason = format!("state {id:?} is of a kind that is not known");
                self.problems
                    .add(ProblemKind::UnsupportedState, node.at(), protocol, reason);
            }
        }
        let mut timers: Vec<_> = par_do.timer_family_specs.iter().collect();
        timers.sort_by_key(|(id, _)| *id);
        for (id, spec) in timers {
            if spec.time_domain() == time_domain::Enum::Unspecified {
                let value = spec.time_domain.to_string();
                let reason = format!("timer family {id:?} is in a time domain that is not known");
                self.problems
                    .add(ProblemKind::UnsupportedState, node.at(), value, reason);
            }
        }
        let expiration = &par_do.on_window_expiration_timer_family_spec;
        if !expiration.is_empty() && !par_do.timer_family_specs.contains_key(expiration) {
            let reason = "is to be called when windows expire, but is not declared";
            self.problems
                .malformed(node.at(), format!("timer family {expiration:?}"), reason);
        }
    }
}
