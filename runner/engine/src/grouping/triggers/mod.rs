//! Triggers: a tree of state machines per key and window.
//!
//! A [`Program`] is the trigger expression as a flat list of nodes, parents first; a
//! [`TriggerState`] has one entry per node. A trigger sees elements and is asked whether to fire; when
//! it fires, nodes may finish. Once the root has finished, the window is closed.

mod elements;
mod firing;
mod merge;

use std::ops::Range;

use dataflume_model::coder::CoderError;
use dataflume_model::time::{EventTime, ProcessingTime};
use dataflume_model::trigger::{TimestampTransform, Trigger};
use dataflume_model::wire;

use super::passed;

/// A trigger expression, ready to run.
#[derive(Debug, Clone)]
pub(super) struct Program {
    nodes: Vec<Node>,
}

#[derive(Debug, Clone)]
struct Node {
    kind: Kind,
    /// Where the node's descendants end.
    end: usize,
}

/// A trigger, with its subtriggers' positions.
#[derive(Debug, Clone)]
enum Kind {
    Default,
    EndOfWindow {
        early: Option<usize>,
        late: Option<usize>,
    },
    ProcessingTime(Vec<TimestampTransform>),
    SynchronizedProcessingTime,
    Count(u64),
    Repeat(usize),
    Each(Vec<usize>),
    All(Vec<usize>),
    Any(Vec<usize>),
    OrFinally {
        main: usize,
        finally: usize,
    },
    Never,
    Always,
}

const ROOT: usize = 0;

/// The state of all nodes of a trigger, for one key and window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TriggerState {
    nodes: Vec<NodeState>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct NodeState {
    /// It has fired for the last time.
    finished: bool,
    /// Of `AfterEndOfWindow` with early or late firings: the end of the window has fired.
    on_time_fired: bool,
    /// Elements seen.
    count: u64,
    /// When it wants to fire.
    deadline: Option<ProcessingTime>,
}

/// When triggers are asked, and about which window.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    pub(super) max_timestamp: EventTime,
    pub(super) watermark: EventTime,
    pub(super) now: ProcessingTime,
}

impl Moment {
    pub(super) fn end_of_window_passed(&self) -> bool {
        passed(self.max_timestamp, self.watermark)
    }
}

impl Program {
    pub(super) fn new(trigger: &Trigger) -> Self {
        let mut program = Self { nodes: Vec::new() };
        program.add(trigger);
        program
    }

    fn add(&mut self, trigger: &Trigger) -> usize {
        let index = self.nodes.len();
        self.nodes.push(Node {
            kind: Kind::Never,
            end: 0,
        });
        let mut all = |triggers: &[Trigger]| triggers.iter().map(|t| self.add(t)).collect();
        let kind = match trigger {
            Trigger::Default => Kind::Default,
            Trigger::AfterEndOfWindow { early, late } => {
                let early = early.as_deref().map(|early| self.add(early));
                let late = late.as_deref().map(|late| self.add(late));
                Kind::EndOfWindow { early, late }
            }
            Trigger::AfterProcessingTime(transforms) => Kind::ProcessingTime(transforms.clone()),
            Trigger::AfterSynchronizedProcessingTime => Kind::SynchronizedProcessingTime,
            Trigger::ElementCount(count) => Kind::Count(u64::from(*count)),
            Trigger::Repeat(repeated) => Kind::Repeat(self.add(repeated)),
            Trigger::AfterEach(triggers) => Kind::Each(all(triggers)),
            Trigger::AfterAll(triggers) => Kind::All(all(triggers)),
            Trigger::AfterAny(triggers) => Kind::Any(all(triggers)),
            Trigger::OrFinally { main, finally } => Kind::OrFinally {
                main: self.add(main),
                finally: self.add(finally),
            },
            Trigger::Never => Kind::Never,
            Trigger::Always => Kind::Always,
        };
        let end = self.nodes.len();
        self.nodes[index] = Node { kind, end };
        index
    }

    /// A window that has seen nothing.
    pub(super) fn start(&self) -> TriggerState {
        TriggerState {
            nodes: vec![NodeState::default(); self.nodes.len()],
        }
    }

    /// The root will never fire again.
    pub(super) fn is_finished(&self, state: &TriggerState) -> bool {
        state.nodes[ROOT].finished
    }

    /// When to ask again though nothing happened. Deadlines that have passed don't count: whoever
    /// waits with them waits for something else.
    pub(super) fn next_deadline(
        &self,
        state: &TriggerState,
        now: ProcessingTime,
    ) -> Option<ProcessingTime> {
        let waiting = state.nodes.iter().filter(|node| !node.finished);
        waiting
            .filter_map(|node| node.deadline)
            .filter(|deadline| *deadline > now)
            .min()
    }

    /// A node with its descendants.
    fn subtree(&self, node: usize) -> Range<usize> {
        node..self.nodes[node].end
    }

    fn reset(&self, state: &mut TriggerState, node: usize) {
        state.nodes[self.subtree(node)].fill(NodeState::default());
    }

    pub(super) fn encode(&self, state: &TriggerState, out: &mut Vec<u8>) {
        for node in &state.nodes {
            let flags = u8::from(node.finished)
                | (u8::from(node.on_time_fired) << 1)
                | (u8::from(node.deadline.is_some()) << 2);
            out.push(flags);
            wire::put_varint(node.count, out);
            if let Some(deadline) = node.deadline {
                out.extend_from_slice(&deadline.0.to_be_bytes());
            }
        }
    }

    pub(super) fn decode(&self, input: &mut &[u8]) -> Result<TriggerState, CoderError> {
        let nodes = self.nodes.iter().map(|_| {
            let flags = wire::byte(input)?;
            let count = wire::varint(input)?;
            let deadline = match flags & 4 {
                0 => None,
                _ => Some(ProcessingTime(i64::from_be_bytes(wire::array(input)?))),
            };
            let (finished, on_time_fired) = (flags & 1 != 0, flags & 2 != 0);
            Ok(NodeState {
                finished,
                on_time_fired,
                count,
                deadline,
            })
        });
        Ok(TriggerState {
            nodes: nodes.collect::<Result<_, CoderError>>()?,
        })
    }
}
