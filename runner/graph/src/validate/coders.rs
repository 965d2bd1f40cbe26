//! Coders must be made of coders that exist, in the right number, and not of themselves.

use std::collections::HashMap;

use dataflume_proto::pipeline;
use rustc_hash::FxHashMap;

use crate::coders::arity;
use crate::refusal::{At, Problems};

/// As deep as any coder may be; what reads elements must not overflow its stack.
const MAX_DEPTH: u32 = 100;

/// Notes every coder that can't be what it says.
pub(crate) fn coders(components: &pipeline::Components, problems: &mut Problems) {
    let mut check = Check {
        coders: &components.coders,
        levels: FxHashMap::default(),
        problems,
    };
    let mut ids: Vec<&String> = components.coders.keys().collect();
    ids.sort();
    for id in ids {
        check.levels(id, 0);
    }
}

struct Check<'a> {
    coders: &'a HashMap<String, pipeline::Coder>,
    /// How many levels each coder has; `None` while that is being found out.
    levels: FxHashMap<&'a str, Option<u32>>,
    problems: &'a mut Problems,
}

impl<'a> Check<'a> {
    fn levels(&mut self, id: &'a str, above: u32) -> u32 {
        let Some(coder) = self.coders.get(id) else {
            return 0;
        };
        match self.levels.get(id) {
            Some(Some(levels)) => return *levels,
            Some(None) => {
                self.malformed(id, "is made of itself");
                return 0;
            }
            None => {}
        }
        if above > MAX_DEPTH {
            // Whoever asked is too deep itself, and says so.
            return MAX_DEPTH;
        }
        self.check(id, coder);
        self.levels.insert(id, None);
        let parts = &coder.component_coder_ids;
        let levels = parts
            .iter()
            .map(|part| 1 + self.levels(part, above + 1))
            .max()
            .unwrap_or(0);
        self.levels.insert(id, Some(levels));
        if levels > MAX_DEPTH && above == 0 {
            self.malformed(id, format!("is nested more than {MAX_DEPTH} levels deep"));
        }
        levels
    }

    fn check(&mut self, id: &str, coder: &pipeline::Coder) {
        for component in &coder.component_coder_ids {
            if !self.coders.contains_key(component) {
                self.malformed(
                    id,
                    format!("is made of coder {component:?}, which is missing"),
                );
            }
        }
        let urn = coder.spec.as_ref().map_or("", |spec| spec.urn.as_str());
        let components = coder.component_coder_ids.len();
        // Leaves are sometimes sent with components, which mean nothing.
        if arity(urn).is_some_and(|arity| components < arity) {
            self.malformed(
                id,
                format!("{urn} has {components} components, which is too few"),
            );
        }
    }

    fn malformed(&mut self, id: &str, reason: impl Into<String>) {
        self.problems
            .malformed(At::PIPELINE, format!("coder {id:?}"), reason);
    }
}
