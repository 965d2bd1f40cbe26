//! Why a pipeline can't be run: everything at once, so that it is refused only once.

use std::fmt;

use rustc_hash::FxHashSet;

/// A pipeline that can't be run, with all the reasons.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Refusal {
    /// Never empty; in the pipeline's order.
    pub problems: Vec<Problem>,
}

/// One thing in a pipeline that can't be run.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Problem {
    /// What sort of thing.
    pub kind: ProblemKind,
    /// The transform's id in the pipeline proto; empty where the whole pipeline is meant.
    pub transform: String,
    /// The name that the user knows the transform by.
    pub name: String,
    /// The offending value: a URN, an id, a coder.
    pub value: String,
    /// What is wrong with it, and what to do.
    pub reason: String,
}

/// The sorts of problems. Each has a page under `docs/errors/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ProblemKind {
    /// The proto contradicts itself: dangling ids, undecodable payloads, cycles.
    MalformedPipeline,
    /// A requirement that nobody here knows.
    UnknownRequirement,
    /// A transform that neither the runner nor an SDK environment runs.
    UnknownTransform,
    /// A transform that Beam leaves to runners and that this one doesn't run.
    UnsupportedTransform,
    /// Something must have a `KV` coder and has not.
    NotKeyed,
    /// A window function, trigger or accumulation mode that can't be run.
    UnsupportedWindowing,
    /// A side input that is read in an unknown way.
    UnsupportedSideInput,
    /// User state or timers of an unknown sort.
    UnsupportedState,
    /// A combination of features within one DoFn.
    UnsupportedDoFn,
    /// A flatten of PCollections whose windows differ.
    IncompatibleFlatten,
}

impl ProblemKind {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::MalformedPipeline,
        Self::UnknownRequirement,
        Self::UnknownTransform,
        Self::UnsupportedTransform,
        Self::NotKeyed,
        Self::UnsupportedWindowing,
        Self::UnsupportedSideInput,
        Self::UnsupportedState,
        Self::UnsupportedDoFn,
        Self::IncompatibleFlatten,
    ];

    /// A stable name, which is also the help page's.
    pub fn code(self) -> &'static str {
        match self {
            Self::MalformedPipeline => "malformed-pipeline",
            Self::UnknownRequirement => "unknown-requirement",
            Self::UnknownTransform => "unknown-transform",
            Self::UnsupportedTransform => "unsupported-transform",
            Self::NotKeyed => "not-keyed",
            Self::UnsupportedWindowing => "unsupported-windowing",
            Self::UnsupportedSideInput => "unsupported-side-input",
            Self::UnsupportedState => "unsupported-state",
            Self::UnsupportedDoFn => "unsupported-dofn",
            Self::IncompatibleFlatten => "incompatible-flatten",
        }
    }

    /// The help page, from the root of the repository.
    ///
    /// ```
    /// use dataflume_graph::ProblemKind;
    /// assert_eq!(ProblemKind::NotKeyed.help(), "docs/errors/not-keyed.md");
    /// ```
    pub fn help(self) -> String {
        format!("docs/errors/{}.md", self.code())
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.problems.len();
        let things = if count == 1 {
            "thing in it is"
        } else {
            "things in it are"
        };
        write!(
            f,
            "the pipeline can't be run: {count} {things} not possible"
        )?;
        for problem in &self.problems {
            write!(f, "\n- {problem}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            kind,
            transform,
            name,
            value,
            reason,
        } = self;
        match (transform.is_empty(), name == transform) {
            (true, _) => write!(f, "pipeline")?,
            (false, true) => write!(f, "transform {name:?}")?,
            (false, false) => write!(f, "transform {name:?} (id {transform:?})")?,
        }
        write!(
            f,
            ": {value}: {reason} [{}, see {}]",
            kind.code(),
            kind.help()
        )
    }
}

/// Where the passes put what they find.
#[derive(Debug, Default)]
pub(crate) struct Problems {
    found: Vec<Problem>,
    known: FxHashSet<Problem>,
}

impl Problems {
    /// A problem of one transform. The same one is noted only once.
    pub(crate) fn add(
        &mut self,
        kind: ProblemKind,
        at: At<'_>,
        value: impl Into<String>,
        reason: impl Into<String>,
    ) {
        let problem = Problem {
            kind,
            transform: at.id.to_owned(),
            name: if at.name.is_empty() { at.id } else { at.name }.to_owned(),
            value: value.into(),
            reason: reason.into(),
        };
        if self.known.insert(problem.clone()) {
            self.found.push(problem);
        }
    }

    /// Something that contradicts itself.
    pub(crate) fn malformed(
        &mut self,
        at: At<'_>,
        value: impl Into<String>,
        reason: impl Into<String>,
    ) {
        self.add(ProblemKind::MalformedPipeline, at, value, reason);
    }

    /// Whether later passes can't rely on the proto's references.
    pub(crate) fn any_malformed(&self) -> bool {
        self.found
            .iter()
            .any(|problem| problem.kind == ProblemKind::MalformedPipeline)
    }

    /// `Err` if anything was found.
    pub(crate) fn into_result(self) -> Result<(), Refusal> {
        if self.found.is_empty() {
            Ok(())
        } else {
            Err(Refusal {
                problems: self.found,
            })
        }
    }
}

/// The transform that a problem is about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct At<'a> {
    pub(crate) id: &'a str,
    pub(crate) name: &'a str,
}

impl At<'_> {
    pub(crate) const PIPELINE: At<'static> = At { id: "", name: "" };
}
