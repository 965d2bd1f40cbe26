//! Coders: what the pipeline declares, and what goes over the wire.
//!
//! The runner must be able to say where each element ends. So whatever it can't parse is wrapped in
//! a length prefix, and the SDK is told so by the descriptor. Rows are wrapped as well: their
//! fields need not be looked at, and every SDK encodes them in its own version's way. The rewriting
//! depends on the coder alone, so that all environments agree about a PCollection.

mod parse;
mod table;

pub(crate) use parse::arity;
pub(crate) use table::CoderTable;
