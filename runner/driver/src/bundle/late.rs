//! Late data for stateful stages, and input in the order of time.
//!
//! Only unbounded input can be late: over bounded input, nothing is dropped. The stage's input
//! watermark is held back by the data that waits for the stage, so what was not late when it came is
//! not late when it is processed.

use std::sync::Mutex;

use bytes::Bytes;
use dataflume_engine::{Bundle, BundleFailure};
use dataflume_graph::plan::{ExecutableStage, Stage};
use dataflume_model::time::EventTime;
use dataflume_model::window::Window;
use dataflume_model::windowed::{Element, WindowedCodec};
use dataflume_model::wire;
use dataflume_proto::pipeline::MonitoringInfo;
use dataflume_proto::urn::{monitoring_info_specs, monitoring_info_type_urns};

use super::{BundleContext, data_failure};
use crate::state::passed;

/// Sorted input is handed over in chunks of about this size, and kept in pieces of it.
const CHUNK_BYTES: usize = 64 << 10;

/// Decides which elements of a bundle are too late.
#[derive(Debug)]
pub(super) struct Lateness {
    codec: WindowedCodec,
    /// `None`: nothing is.
    watermark: Option<EventTime>,
    allowed_ms: i64,
    by_timestamp: bool,
    /// Input waits for those that may precede it. Without state, it is sorted within its bundle.
    waits: bool,
    transform: String,
    dropped: Mutex<u64>,
}

/// A bundle's input in the order of time.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct ByTime {
    /// Nothing earlier can come any more.
    pub(super) due: Vec<Bytes>,
    /// What has to wait.
    pub(super) early: Vec<Bytes>,
}

impl Lateness {
    pub(super) fn of(
        context: &BundleContext,
        stage: &Stage,
        executable: &ExecutableStage,
        bundle: &Bundle,
    ) -> Result<Self, BundleFailure> {
        let input = context.plan.pcollection(super::input(stage)?);
        let bounded = |id: &_| context.plan.pcollection(*id).bounded;
        let keyed = executable.keyed.as_ref();
        let judged = keyed.is_some()
            && !stage.inputs.iter().all(bounded)
            && bundle.input_watermark > EventTime::MIN;
        Ok(Self {
            codec: context.input_codec(stage)?,
            watermark: judged.then_some(bundle.input_watermark),
            allowed_ms: input.windowing.allowed_lateness_ms,
            by_timestamp: executable.requires_time_sorted_input,
            waits: keyed.is_some(),
            transform: keyed.map_or_else(String::new, |keyed| keyed.transform.clone()),
            dropped: Mutex::new(0),
        })
    }

    /// Whether the watermark has passed the window's end and the allowed lateness.
    pub(super) fn is_over(&self, window: &Window) -> bool {
        self.has_passed(window.max_timestamp())
    }

    fn has_passed(&self, time: EventTime) -> bool {
        let watermark = self.watermark;
        watermark.is_some_and(|watermark| passed(time.plus_ms(self.allowed_ms), watermark))
    }

    /// In the order of time, an element may not come behind one that was processed.
    fn is_late(&self, element: &Element<'_>) -> Result<bool, BundleFailure> {
        if self.by_timestamp && self.has_passed(element.timestamp) {
            return Ok(true);
        }
        let mut over = true;
        for window in element.windows() {
            over &= self.is_over(&window.map_err(data_failure)?);
        }
        Ok(over)
    }

    /// The elements of a chunk that are not too late.
    pub(super) fn keep(&self, chunk: Bytes) -> Result<Bytes, BundleFailure> {
        if self.watermark.is_none() {
            return Ok(chunk);
        }
        let mut kept = Vec::new();
        let mut dropped = 0;
        for element in self.codec.iter(&chunk) {
            let element = element.map_err(data_failure)?;
            if self.is_late(&element)? {
                dropped += 1;
            } else {
                kept.extend_from_slice(element.bytes());
            }
        }
        if dropped == 0 {
            return Ok(chunk);
        }
        *self.dropped() += dropped;
        Ok(kept.into())
    }

    /// Sorts elements by time, those of one time in the order in which they came. With unbounded
    /// input, those that others may still precede are told apart.
    pub(super) fn sort(
        &self,
        codec: &WindowedCodec,
        chunks: &[Bytes],
        bundle: &Bundle,
    ) -> Result<ByTime, BundleFailure> {
        let mut elements = Vec::new();
        for chunk in chunks {
            for element in codec.iter(chunk) {
                let element = element.map_err(data_failure)?;
                elements.push((element.timestamp, element.bytes()));
            }
        }
        elements.sort_by_key(|(timestamp, _)| *timestamp);
        let upstream = bundle.upstream_watermark;
        let due = elements.partition_point(|(timestamp, _)| {
            !self.waits || passed(timestamp.plus_ms(self.allowed_ms), upstream)
        });
        Ok(ByTime {
            due: joined(&elements[..due]),
            early: joined(&elements[due..]),
        })
    }

    /// Adds what was dropped to the bundle's metrics.
    pub(super) fn report(&self, infos: &mut Vec<MonitoringInfo>) {
        let dropped = *self.dropped();
        if dropped == 0 {
            return;
        }
        tracing::debug!(
            transform = self.transform,
            dropped,
            "late elements were dropped"
        );
        infos.push(dropped_due_to_lateness(&self.transform, dropped));
    }

    fn dropped(&self) -> std::sync::MutexGuard<'_, u64> {
        let dropped = self.dropped.lock();
        dropped.unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// The counter that Dataflow's service keeps of elements that came too late.
pub(super) fn dropped_due_to_lateness(transform: &str, count: u64) -> MonitoringInfo {
    let mut payload = Vec::new();
    wire::put_varint(count, &mut payload);
    let labels = [
        ("PTRANSFORM", transform),
        ("NAMESPACE", "dataflume"),
        ("NAME", "droppedDueToLateness"),
    ];
    MonitoringInfo {
        urn: monitoring_info_specs::USER_SUM_INT64.to_owned(),
        r#type: monitoring_info_type_urns::SUM_INT64_TYPE.to_owned(),
        payload: payload.into(),
        labels: labels
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into(),
        ..MonitoringInfo::default()
    }
}

fn joined(elements: &[(EventTime, &[u8])]) -> Vec<Bytes> {
    let mut chunks = Vec::new();
    let mut chunk = Vec::new();
    for (_, bytes) in elements {
        chunk.extend_from_slice(bytes);
        if chunk.len() >= CHUNK_BYTES {
            chunks.push(Bytes::from(std::mem::take(&mut chunk)));
        }
    }
    if !chunk.is_empty() {
        chunks.push(chunk.into());
    }
    chunks
}

#[cfg(test)]
mod tests {
    use dataflume_engine::{Executor, Work};
    use dataflume_model::coder::Coder;
    use dataflume_model::ids::{BundleId, StageId};
    use dataflume_model::pane::PaneInfo;
    use dataflume_model::time::ProcessingTime;
    use dataflume_model::window::WindowKind;

    use super::*;

    fn codec() -> WindowedCodec {
        WindowedCodec::new(Coder::Varint, WindowKind::Interval)
    }

    /// Elements of these times, in windows of ten.
    fn chunk(times: &[u8]) -> Bytes {
        let mut bytes = Vec::new();
        for time in times {
            let at = EventTime(i64::from(*time));
            let start = EventTime(at.0 / 10 * 10);
            let window = Window::Interval {
                start,
                end: start.plus_ms(10),
            };
            codec()
                .encode_header(at, &[window], &PaneInfo::NO_FIRING, &mut bytes)
                .unwrap();
            bytes.push(*time);
        }
        bytes.into()
    }

    fn times(chunks: &[Bytes]) -> Vec<u8> {
        let codec = codec();
        let elements = chunks.iter().flat_map(|chunk| codec.iter(chunk));
        elements
            .map(|element| element.unwrap().value()[0])
            .collect()
    }

    fn lateness(watermark: Option<i64>, allowed_ms: i64, by_timestamp: bool) -> Lateness {
        Lateness {
            codec: codec(),
            watermark: watermark.map(EventTime),
            allowed_ms,
            by_timestamp,
            waits: true,
            transform: "stateful".to_owned(),
            dropped: Mutex::new(0),
        }
    }

    #[test]
    fn elements_of_windows_that_are_over_are_dropped_and_counted() {
        let all = [1, 12, 25, 8, 31];
        for (watermark, allowed_ms, by_timestamp, kept) in [
            (None, 0, false, &all[..]),
            (Some(9), 0, false, &all),
            (Some(10), 0, false, &[12, 25, 31]),
            (Some(10), 1, false, &all),
            (Some(26), 10, false, &[12, 25, 31]),
            (Some(10), 0, true, &[12, 25, 31]),
            (Some(26), 0, true, &[31]),
            (Some(26), 15, true, &[12, 25, 31]),
        ] {
            let lateness = lateness(watermark, allowed_ms, by_timestamp);
            let found = lateness.keep(chunk(&all)).unwrap();
            let case = format!("{watermark:?} {allowed_ms} {by_timestamp}");
            assert_eq!(times(&[found]), kept, "{case}");
            let mut infos = Vec::new();
            lateness.report(&mut infos);
            let dropped = (all.len() - kept.len()) as u64;
            let expected = (dropped > 0).then(|| dropped_due_to_lateness("stateful", dropped));
            assert_eq!(infos, expected.into_iter().collect::<Vec<_>>(), "{case}");
        }
    }

    #[test]
    fn elements_come_in_the_order_of_time_as_far_as_time_has_come() {
        for (upstream, allowed_ms, due, early) in [
            (EventTime::MAX, 0, &[1, 8, 12, 25][..], &[][..]),
            (EventTime(12), 0, &[1, 8], &[12, 25]),
            (EventTime(13), 0, &[1, 8, 12], &[25]),
            (EventTime(13), 5, &[1], &[8, 12, 25]),
            (EventTime(0), 0, &[], &[1, 8, 12, 25]),
        ] {
            let bundle = Bundle {
                id: BundleId(1),
                stage: StageId(1),
                executor: Executor::Runner,
                work: Work::Elements(Vec::new()),
                attempt: 1,
                input_watermark: EventTime(0),
                upstream_watermark: upstream,
                processing_time: ProcessingTime(0),
            };
            let chunks = [chunk(&[12, 1]), chunk(&[25, 8])];
            let lateness = lateness(None, allowed_ms, true);
            let sorted = lateness.sort(&codec(), &chunks, &bundle).unwrap();
            assert_eq!(times(&sorted.due), due);
            assert_eq!(times(&sorted.early), early);
        }
    }
}
