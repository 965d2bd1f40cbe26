//! Splitting a bundle that runs: asking the SDK, and dividing the input as it says.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use dataflume_engine::{Fraction, PendingData, SplitCondition, Work};
use dataflume_model::time::EventTime;
use dataflume_proto::fn_execution::process_bundle_split_request::DesiredSplit;
use dataflume_proto::fn_execution::process_bundle_split_response::ChannelSplit;
use dataflume_proto::fn_execution::{
    BundleApplication, ProcessBundleSplitRequest, ProcessBundleSplitResponse,
};
use tokio::sync::mpsc;

use super::sdk::Live;
use super::{BundleContext, elements, executable};
use crate::job::Report;

/// What a bundle still answers for, as splits have left it.
#[derive(Debug, Default)]
pub(super) struct Input {
    /// A prefix of what was sent, in order.
    pub(super) pieces: Vec<PendingData>,
    /// The part of the element after it that the bundle goes on with.
    pub(super) roots: Vec<PendingData>,
}

impl Input {
    /// How many elements that is, a part counted as one.
    pub(super) fn elements(&self) -> u64 {
        let pieces = self.pieces.iter().chain(&self.roots);
        pieces.map(|piece| piece.handle.elements).sum()
    }
}

/// Where a bundle may be split so that each piece stays whole, as the index of the first element after; none if nowhere.
fn between(pieces: &[PendingData]) -> Option<Vec<i64>> {
    let mut points = Vec::new();
    let mut elements = 0;
    for piece in pieces {
        elements += i64::try_from(piece.handle.elements).ok()?;
        points.push(elements);
    }
    points.pop();
    (!points.is_empty()).then_some(points)
}

/// What the engine asks for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SplitWish {
    pub(crate) fraction_of_remainder: Fraction,
    pub(crate) condition: SplitCondition,
}

impl Live {
    /// Asks for a split and reports what came of it.
    pub(crate) async fn split(
        self: Arc<Self>,
        context: Arc<BundleContext>,
        wish: SplitWish,
        reports: mpsc::UnboundedSender<Report>,
    ) {
        let holds = match wish.condition {
            SplitCondition::None => true,
            SplitCondition::UnderWay => self.done(&context).await.is_some_and(|done| done > 0.0),
            SplitCondition::WorthSharing => !self.is_nearly_done(&context).await,
        };
        if !holds {
            let bundle = self.bundle.id;
            reports.send(Report::SplitRefused { bundle }).ok();
            return;
        }
        // The bundle's end is reported under the same lock: a split that the SDK granted is always
        // heard of first.
        let mut input = self.input.lock().await;
        let report = match self.try_split(&context, wish, &mut input).await {
            Ok(Some((primary, residual))) => Report::BundleSplit {
                bundle: self.bundle.id,
                primary,
                residual,
            },
            Ok(None) => Report::SplitRefused {
                bundle: self.bundle.id,
            },
            Err(error) => {
                // Part of the input is now in nobody's hands: the bundle can't count.
                tracing::warn!(bundle = %self.bundle.id, %error, "a split could not be carried out");
                self.break_off(error);
                Report::SplitRefused {
                    bundle: self.bundle.id,
                }
            }
        };
        reports.send(report).ok();
    }

    async fn try_split(
        &self,
        context: &BundleContext,
        wish: SplitWish,
        input: &mut Input,
    ) -> Result<Option<(Vec<PendingData>, Vec<PendingData>)>, String> {
        let Some(handle) = self.handle.get() else {
            return Ok(None);
        };
        let stage = context.plan.stage(self.bundle.stage);
        let executable = executable(stage).map_err(|_| "not in an SDK".to_owned())?;
        // What was sent is in another order than the pieces.
        if executable.requires_time_sorted_input {
            return Ok(None);
        }
        let source = executable.source.clone();
        let sent: u64 = match &self.bundle.work {
            Work::Elements(pieces) => pieces.iter().map(|piece| piece.handle.elements).sum(),
            _ => return Ok(None),
        };
        let mut inputs = stage.inputs.iter();
        let allowed_split_points = match inputs.any(|input| context.plan.comes_by_key(*input)) {
            true => between(&input.pieces),
            false => Some(Vec::new()),
        };
        let Some(allowed_split_points) = allowed_split_points else {
            return Ok(None);
        };
        let desired = DesiredSplit {
            fraction_of_remainder: wish.fraction_of_remainder.as_f64(),
            allowed_split_points,
            estimated_input_elements: i64::try_from(sent).unwrap_or(i64::MAX),
        };
        let request = ProcessBundleSplitRequest {
            instruction_id: String::new(),
            desired_splits: HashMap::from([(source.clone(), desired)]),
        };
        let response = tokio::select! {
            response = handle.split(request) => response,
            () = long_after(handle.done()) => {
                return Err("the SDK has ended the bundle and does not say whether it was split".to_owned());
            }
        };
        let response = match response {
            Ok(response) => response,
            Err(error) => {
                tracing::debug!(bundle = %self.bundle.id, %error, "the SDK did not split");
                return Ok(None);
            }
        };
        let Some(channel) = channel_split(&response, &source)? else {
            return Ok(None);
        };
        // Python's may split behind its last element: it goes on as before.
        let held: u64 = (input.pieces.iter().map(|piece| piece.handle.elements)).sum();
        let behind = u64::try_from(channel.first_residual_element).is_ok_and(|from| from >= held);
        if behind && response.residual_roots.is_empty() {
            return Ok(None);
        }
        self.divide(context, &channel, &response, input).map(Some)
    }

    fn divide(
        &self,
        context: &BundleContext,
        channel: &ChannelSplit,
        response: &ProcessBundleSplitResponse,
        input: &mut Input,
    ) -> Result<(Vec<PendingData>, Vec<PendingData>), String> {
        let stage = context.plan.stage(self.bundle.stage);
        let codec = context
            .input_codec(stage)
            .map_err(|_| "the stage has no input".to_owned())?;
        let Work::Elements(sent) = &self.bundle.work else {
            return Err("only elements can be split".to_owned());
        };
        let like = &sent.first().ok_or("the bundle has no input")?.handle;
        let count = |index: i64, what: &str| {
            u64::try_from(index).map_err(|_| format!("the SDK split at {what} {index}"))
        };
        let primary_count = count(channel.last_primary_element + 1, "last primary element")?;
        let residual_from = count(channel.first_residual_element, "first residual element")?;
        let data = &context.data;
        let (primary, rest) = elements::divide(data, &codec, &input.pieces, primary_count)?;
        let between = residual_from.checked_sub(primary_count);
        let between = between.ok_or("the SDK's residual overlaps its primary")?;
        let (between, mut residual) = elements::divide(data, &codec, &rest, between)?;
        // Pieces made on the way that nobody keeps. The engine releases those it knows.
        let known = |id| {
            input
                .pieces
                .iter()
                .chain(&residual)
                .any(|kept| kept.handle.id == id)
        };
        let passing = rest.iter().chain(&between).map(|piece| piece.handle.id);
        data.release(passing.filter(|id| !known(*id)).collect::<Vec<_>>());
        let mut roots = Vec::new();
        for root in &response.primary_roots {
            roots.push(elements::residual(
                data,
                &codec,
                root.element.clone(),
                like,
                None,
                None,
            )?);
        }
        for root in &response.residual_roots {
            let application = root
                .application
                .as_ref()
                .ok_or("a residual root is empty")?;
            let not_before = super::sdk::delay(root.requested_time_delay.as_ref());
            let reported = reported_watermark(application);
            let element = application.element.clone();
            residual.push(elements::residual(
                data, &codec, element, like, reported, not_before,
            )?);
        }
        input.pieces = primary;
        input.roots = roots;
        let primary = input.pieces.iter().chain(&input.roots).cloned().collect();
        Ok((primary, residual))
    }
}

/// How long the answer to a request to split may come after its bundle's end.
const ANSWERED_WITHIN: Duration = Duration::from_secs(10);

async fn long_after(done: impl Future<Output = ()>) {
    done.await;
    tokio::time::sleep(ANSWERED_WITHIN).await;
}

/// Where in the source's input the SDK split. `None`: it declined.
fn channel_split(
    response: &ProcessBundleSplitResponse,
    source: &str,
) -> Result<Option<ChannelSplit>, String> {
    let declined = response.channel_splits.is_empty()
        && response.primary_roots.is_empty()
        && response.residual_roots.is_empty();
    if declined {
        return Ok(None);
    }
    // Java leaves the transform's id out: a stage has one source.
    let ours =
        |split: &&ChannelSplit| split.transform_id == source || split.transform_id.is_empty();
    let channel = response.channel_splits.iter().find(ours).cloned();
    channel
        .map(Some)
        .ok_or_else(|| "the SDK split without saying where in the input".to_owned())
}

/// The smallest output watermark that a residual promises to keep.
pub(super) fn reported_watermark(application: &BundleApplication) -> Option<EventTime> {
    let millis = |time: &prost_types::Timestamp| {
        time.seconds
            .saturating_mul(1000)
            .saturating_add(i64::from(time.nanos / 1_000_000))
    };
    let watermarks = application.output_watermarks.values();
    watermarks
        .map(|time| EventTime(millis(time)).clamp(EventTime::MIN, EventTime::MAX))
        .min()
}

#[cfg(test)]
mod tests {
    use dataflume_engine::{DataHandle, DataId};
    use dataflume_proto::fn_execution::DelayedBundleApplication;

    use super::*;

    fn response(transforms: &[&str], residuals: usize) -> ProcessBundleSplitResponse {
        let channel = |transform: &&str| ChannelSplit {
            transform_id: (*transform).to_owned(),
            last_primary_element: 2,
            first_residual_element: 4,
        };
        ProcessBundleSplitResponse {
            channel_splits: transforms.iter().map(channel).collect(),
            residual_roots: vec![DelayedBundleApplication::default(); residuals],
            ..ProcessBundleSplitResponse::default()
        }
    }

    #[test]
    fn a_split_that_was_granted_is_never_taken_for_a_refusal() {
        let where_in = |transforms: &[&str], residuals| {
            let found = channel_split(&response(transforms, residuals), "source");
            found.map(|split| split.map(|split| split.first_residual_element))
        };
        assert_eq!(where_in(&[], 0), Ok(None));
        assert_eq!(where_in(&["source"], 1), Ok(Some(4)));
        assert_eq!(where_in(&["other", "source"], 0), Ok(Some(4)));
        assert_eq!(where_in(&[""], 1), Ok(Some(4)), "as Java answers");
        assert!(
            where_in(&[], 1).is_err(),
            "residuals that nobody would process"
        );
        assert!(where_in(&["other"], 1).is_err());
    }

    #[test]
    fn whole_pieces_are_divided_only_between_them() {
        let pieces = |elements: &[u64]| -> Vec<PendingData> {
            let piece = |elements: &u64| DataHandle {
                id: DataId(0),
                elements: *elements,
                bytes: 0,
                min_timestamp: EventTime::MIN,
                key_group: None,
                side_inputs_ready_at: Default::default(),
            };
            elements.iter().map(piece).map(PendingData::from).collect()
        };
        assert_eq!(between(&pieces(&[3, 1, 4])), Some(vec![3, 4]));
        assert_eq!(between(&pieces(&[5])), None, "the SDK takes none for any");
        assert_eq!(between(&[]), None);
    }

    #[test]
    fn the_smallest_reported_watermark_counts() {
        let at = |seconds| prost_types::Timestamp {
            seconds,
            nanos: 500_000_000,
        };
        let application = BundleApplication {
            output_watermarks: [("a".to_owned(), at(7)), ("b".to_owned(), at(3))].into(),
            ..BundleApplication::default()
        };
        assert_eq!(reported_watermark(&application), Some(EventTime(3500)));
        assert_eq!(reported_watermark(&BundleApplication::default()), None);
    }
}
