//! The engine's state as text, for whoever must find out why a job stands still.

use std::fmt::Write;

use dataflume_model::time::EventTime;

use crate::engine::Engine;

impl Engine {
    /// What every unfinished stage has and waits for.
    pub fn dump(&self) -> String {
        let mut text = String::new();
        for (index, (node, state)) in self.topology.nodes.iter().zip(&self.stages).enumerate() {
            if state.output_watermark == EventTime::MAX && state.pending.is_empty() {
                continue;
            }
            let totals = state.pending.totals();
            // Writing to a string does not fail.
            let _ = writeln!(
                text,
                "stage {index} {name}: watermarks upstream {upstream}, input {input}, output {output}; \
                 waiting {pieces} pieces ({elements} elements, {bytes} bytes), {retries} retries; \
                 {running} running; {held} data holds from {data_hold}; timers' hold {hold}, next event {event}, next processing {processing}",
                name = node.name,
                upstream = state.upstream_watermark,
                input = state.input_watermark,
                output = state.output_watermark,
                pieces = totals.pieces,
                elements = totals.elements,
                bytes = totals.bytes,
                retries = state.pending.retries.len(),
                running = state.running.len(),
                held = state.data_holds.len(),
                data_hold = shown(state.data_holds.min()),
                hold = shown(state.timers.hold()),
                event = shown(state.timers.next_event()),
                processing = shown(state.timers.next_processing()),
            );
            for (tag, pcollections) in node.side_inputs.iter().enumerate() {
                let watermark = self.smallest_watermark(pcollections);
                let _ = writeln!(text, "  side input {tag}: watermark {watermark}");
            }
        }
        let workers = self.workers.len();
        let _ = write!(
            text,
            "{workers} workers, {} bundles in flight",
            self.bundles.len()
        );
        text
    }
}

fn shown(value: Option<impl std::fmt::Display>) -> String {
    value.map_or_else(|| "none".to_owned(), |value| value.to_string())
}
