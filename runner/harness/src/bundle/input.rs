//! A bundle's input, gathered into messages for the data connection.

use std::collections::BTreeSet;

use bytes::{Bytes, BytesMut};
use dataflume_proto::fn_execution::{Elements, elements};

use crate::descriptor::Port;

/// A message is sent at the latest when it holds this much.
pub(crate) const MESSAGE_BYTES: usize = 1 << 20;

/// A message is worth sending at once, when the connection is idle, from this size on.
pub(crate) const EAGER_BYTES: usize = 64 << 10;

/// Chunks below this are joined with their neighbours for the same port: SDKs pay per piece, and
/// Python queues at most five pieces per bundle.
const JOIN_BYTES: usize = 64 << 10;

/// A chunk of input: whole elements or timers, one after the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputChunk {
    /// The source transform, or the timer family, that reads it.
    pub port: Port,
    /// The encoded elements or timers.
    pub bytes: Bytes,
}

impl InputChunk {
    /// Elements for a source transform.
    pub fn data(transform: impl Into<String>, bytes: impl Into<Bytes>) -> Self {
        Self {
            port: Port::Data {
                transform: transform.into(),
            },
            bytes: bytes.into(),
        }
    }

    /// Fired timers for a timer family.
    pub fn timers(
        transform: impl Into<String>,
        family: impl Into<String>,
        bytes: impl Into<Bytes>,
    ) -> Self {
        Self {
            port: Port::Timers {
                transform: transform.into(),
                family: family.into(),
            },
            bytes: bytes.into(),
        }
    }
}

/// Input that waits to be sent.
///
/// A message holds either elements or timers: SDKs read the two lists of a message in different
/// orders, and the order in which the runner gave them must survive.
#[derive(Default)]
pub(crate) struct Message {
    chunks: Vec<InputChunk>,
    bytes: usize,
}

impl Message {
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// Whether a chunk for this port may go into the same message.
    pub(crate) fn takes(&self, port: &Port) -> bool {
        self.chunks
            .last()
            .is_none_or(|last| is_timers(&last.port) == is_timers(port))
    }

    pub(crate) fn push(&mut self, chunk: InputChunk) {
        self.bytes += chunk.bytes.len();
        self.chunks.push(chunk);
    }

    /// Empties the message into its wire form.
    pub(crate) fn take(&mut self, instruction_id: &str) -> Elements {
        self.bytes = 0;
        let mut message = Elements::default();
        for chunk in join_small(std::mem::take(&mut self.chunks)) {
            add(&mut message, instruction_id, chunk.port, chunk.bytes, false);
        }
        message
    }
}

/// Appends the end-of-stream markers of all inputs.
///
/// They go in one message, as pieces without bytes: Python ignores the bytes of a last piece, and
/// Go closes a bundle's input by counting markers per transform, which is only right when it has
/// queued all of them before it counts.
pub(crate) fn end_all(message: &mut Elements, instruction_id: &str, inputs: &BTreeSet<Port>) {
    for port in inputs {
        add(message, instruction_id, port.clone(), Bytes::new(), true);
    }
}

fn is_timers(port: &Port) -> bool {
    matches!(port, Port::Timers { .. })
}

fn add(message: &mut Elements, instruction_id: &str, port: Port, bytes: Bytes, is_last: bool) {
    let instruction_id = instruction_id.to_owned();
    match port {
        Port::Data { transform } => message.data.push(elements::Data {
            instruction_id,
            transform_id: transform,
            data: bytes,
            is_last,
        }),
        Port::Timers { transform, family } => message.timers.push(elements::Timers {
            instruction_id,
            transform_id: transform,
            timer_family_id: family,
            timers: bytes,
            is_last,
        }),
    }
}

/// Joins runs of small chunks for the same port; larger ones stay as they are, uncopied.
fn join_small(chunks: Vec<InputChunk>) -> Vec<InputChunk> {
    let mut joined: Vec<InputChunk> = Vec::new();
    let mut run = BytesMut::new();
    let mut chunks = chunks.into_iter().peekable();
    while let Some(chunk) = chunks.next() {
        let joins_next = chunks.peek().is_some_and(|next| {
            next.port == chunk.port
                && next.bytes.len() < JOIN_BYTES
                && chunk.bytes.len() < JOIN_BYTES
        });
        if !joins_next && run.is_empty() {
            joined.push(chunk);
            continue;
        }
        run.extend_from_slice(&chunk.bytes);
        if !joins_next {
            joined.push(InputChunk {
                port: chunk.port,
                bytes: run.split().freeze(),
            });
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(message: &Elements) -> Vec<(String, usize)> {
        message
            .data
            .iter()
            .map(|d| (d.transform_id.clone(), d.data.len()))
            .collect()
    }

    #[test]
    fn small_chunks_are_joined_per_port_and_large_ones_left_alone() {
        let mut message = Message::default();
        let large = Bytes::from(vec![7; JOIN_BYTES]);
        for (transform, bytes) in [
            ("a", Bytes::from_static(b"12")),
            ("a", Bytes::from_static(b"345")),
            ("b", Bytes::from_static(b"6")),
            ("b", large.clone()),
            ("b", Bytes::from_static(b"7")),
            ("b", Bytes::from_static(b"8")),
        ] {
            message.push(InputChunk::data(transform, bytes));
        }
        assert_eq!(message.bytes(), 8 + JOIN_BYTES);
        let wire = message.take("i");
        let named = |name: &str, size| (name.to_owned(), size);
        assert_eq!(
            sizes(&wire),
            [
                named("a", 5),
                named("b", 1),
                named("b", JOIN_BYTES),
                named("b", 2)
            ]
        );
        assert_eq!(wire.data[0].data, "12345");
        assert_eq!(wire.data[2].data.as_ptr(), large.as_ptr(), "copied");
        assert!(message.is_empty());
    }

    #[test]
    fn a_message_does_not_mix_elements_and_timers() {
        let mut message = Message::default();
        let data = InputChunk::data("a", "x");
        let timers = InputChunk::timers("p", "f", "t");
        assert!(message.takes(&data.port) && message.takes(&timers.port));
        message.push(timers.clone());
        assert!(!message.takes(&data.port) && message.takes(&timers.port));
    }

    #[test]
    fn markers_carry_no_bytes() {
        let inputs = BTreeSet::from([
            InputChunk::data("a", "").port,
            InputChunk::timers("p", "f", "").port,
        ]);
        let mut message = Message::default();
        message.push(InputChunk::data("a", "x"));
        let mut wire = message.take("i");
        end_all(&mut wire, "i", &inputs);
        assert_eq!(wire.data.len(), 2);
        assert!(!wire.data[0].is_last && wire.data[1].is_last && wire.data[1].data.is_empty());
        assert!(wire.timers[0].is_last && wire.timers[0].timers.is_empty());
    }
}
