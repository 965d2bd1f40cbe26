//! Beam's data model: ids, time, windows, triggers, panes, coders, windowed values, timers.
//!
//! It is pure: bytes and plain values, without clock, runtime or IO, and without the pipeline
//! protos (translating those is `dataflume-graph`'s work). It encodes no user values either: the
//! runner cuts elements out of a stream and never needs to know what is in them.
//!
//! Start at [`windowed::WindowedCodec`], which walks a chunk of elements as an SDK sends them, and
//! at [`coder::Coder`], which finds where one value ends. [`window::WindowingStrategy`] is what a
//! PCollection's windowing says about grouping.

pub mod coder;
pub mod ids;
pub mod pane;
pub mod time;
pub mod timer;
pub mod trigger;
pub mod window;
pub mod windowed;
pub mod wire;
