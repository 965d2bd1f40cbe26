//! Windowing strategies and triggers: proto -> model.

use dataflume_model::trigger::{TimestampTransform, Trigger};
use dataflume_model::window::{
    AccumulationMode, ClosingBehavior, MergeStatus, OnTimeBehavior, OutputTime, WindowFn,
    WindowKind, WindowingStrategy,
};
use dataflume_proto::pipeline::{
    self, FixedWindowsPayload, FunctionSpec, SessionWindowsPayload, SlidingWindowsPayload,
    accumulation_mode, closing_behavior, merge_status, on_time_behavior, output_time,
    timestamp_transform, trigger,
};
use dataflume_proto::urn::{
    fixed_windows_payload, global_windows_payload, session_windows_payload, sliding_windows_payload,
};
use prost::Message;

use crate::coders::CoderTable;

/// What is wrong with a windowing strategy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WindowingError {
    #[error("the payload of the window function is not what its URN says: {0}")]
    BadPayload(prost::DecodeError),
    #[error("the window function's {what} is {value} ms and must be positive")]
    NotPositive { what: &'static str, value: i64 },
    #[error("its trigger is empty, or of a kind that is not known here")]
    UnknownTrigger,
    #[error("retracting accumulation has no definition in Beam's model yet; use ACCUMULATING")]
    Retracting,
}

/// The strategy of this id, with the window coder that the wire has.
pub(crate) fn strategy(
    id: &str,
    proto: &pipeline::WindowingStrategy,
    wire_window_coder: &str,
    coders: &CoderTable,
) -> Result<WindowingStrategy, WindowingError> {
    use accumulation_mode::Enum as Accumulation;
    use closing_behavior::Enum as Closing;
    use on_time_behavior::Enum as OnTime;
    use output_time::Enum as Output;
    let window_fn = window_fn(&proto.window_fn.clone().unwrap_or_default())?;
    let accumulation = match proto.accumulation_mode() {
        Accumulation::Unspecified | Accumulation::Discarding => AccumulationMode::Discarding,
        Accumulation::Accumulating => AccumulationMode::Accumulating,
        Accumulation::Retracting => return Err(WindowingError::Retracting),
    };
    Ok(WindowingStrategy {
        merge_status: merge_status_of(proto, &window_fn),
        window_fn,
        kind: WindowKind::of(coders.model(wire_window_coder)),
        trigger: proto
            .trigger
            .as_ref()
            .map_or(Ok(Trigger::Default), trigger_of)?,
        accumulation,
        closing: match proto.closing_behavior() {
            Closing::EmitAlways => ClosingBehavior::EmitAlways,
            Closing::Unspecified | Closing::EmitIfNonempty => ClosingBehavior::EmitIfNonempty,
        },
        on_time: match proto.on_time_behavior() {
            OnTime::FireIfNonempty => OnTimeBehavior::FireIfNonempty,
            OnTime::Unspecified | OnTime::FireAlways => OnTimeBehavior::FireAlways,
        },
        output_time: match proto.output_time() {
            Output::LatestInPane => OutputTime::LatestInPane,
            Output::EarliestInPane => OutputTime::EarliestInPane,
            Output::Unspecified | Output::EndOfWindow => OutputTime::EndOfWindow,
        },
        allowed_lateness_ms: proto.allowed_lateness,
        environment_id: proto.environment_id.clone(),
        proto_id: id.to_owned(),
    })
}

fn merge_status_of(proto: &pipeline::WindowingStrategy, window_fn: &WindowFn) -> MergeStatus {
    use merge_status::Enum as Status;
    match proto.merge_status() {
        Status::NonMerging => MergeStatus::NonMerging,
        Status::NeedsMerge => MergeStatus::NeedsMerge,
        Status::AlreadyMerged => MergeStatus::AlreadyMerged,
        Status::Unspecified if window_fn.is_merging() => MergeStatus::NeedsMerge,
        Status::Unspecified => MergeStatus::NonMerging,
    }
}

fn window_fn(spec: &FunctionSpec) -> Result<WindowFn, WindowingError> {
    match spec.urn.as_str() {
        global_windows_payload::PROPERTIES => Ok(WindowFn::Global),
        fixed_windows_payload::PROPERTIES => {
            let payload: FixedWindowsPayload = decode(spec)?;
            Ok(WindowFn::Fixed {
                size_ms: positive("size", duration_ms(payload.size.as_ref()))?,
                offset_ms: timestamp_ms(payload.offset.as_ref()),
            })
        }
        sliding_windows_payload::PROPERTIES => {
            let payload: SlidingWindowsPayload = decode(spec)?;
            Ok(WindowFn::Sliding {
                size_ms: positive("size", duration_ms(payload.size.as_ref()))?,
                period_ms: positive("period", duration_ms(payload.period.as_ref()))?,
                offset_ms: timestamp_ms(payload.offset.as_ref()),
            })
        }
        session_windows_payload::PROPERTIES => {
            let payload: SessionWindowsPayload = decode(spec)?;
            let gap_ms = positive("gap", duration_ms(payload.gap_size.as_ref()))?;
            Ok(WindowFn::Sessions { gap_ms })
        }
        urn => Ok(WindowFn::Custom {
            urn: urn.to_owned(),
            payload: spec.payload.clone(),
        }),
    }
}

fn decode<M: Message + Default>(spec: &FunctionSpec) -> Result<M, WindowingError> {
    M::decode(spec.payload.clone()).map_err(WindowingError::BadPayload)
}

fn positive(what: &'static str, value: i64) -> Result<i64, WindowingError> {
    if value > 0 {
        Ok(value)
    } else {
        Err(WindowingError::NotPositive { what, value })
    }
}

fn duration_ms(duration: Option<&prost_types::Duration>) -> i64 {
    duration.map_or(0, |d| {
        d.seconds.saturating_mul(1000) + i64::from(d.nanos / 1_000_000)
    })
}

fn timestamp_ms(timestamp: Option<&prost_types::Timestamp>) -> i64 {
    timestamp.map_or(0, |t| {
        t.seconds.saturating_mul(1000) + i64::from(t.nanos / 1_000_000)
    })
}

fn trigger_of(proto: &pipeline::Trigger) -> Result<Trigger, WindowingError> {
    use trigger::Trigger as Kind;
    Ok(
        match proto
            .trigger
            .as_ref()
            .ok_or(WindowingError::UnknownTrigger)?
        {
            Kind::AfterAll(of) => Trigger::AfterAll(all(&of.subtriggers)?),
            Kind::AfterAny(of) => Trigger::AfterAny(all(&of.subtriggers)?),
            Kind::AfterEach(of) => Trigger::AfterEach(all(&of.subtriggers)?),
            Kind::AfterEndOfWindow(of) => Trigger::AfterEndOfWindow {
                early: optional(of.early_firings.as_deref())?,
                late: optional(of.late_firings.as_deref())?,
            },
            Kind::AfterProcessingTime(of) => Trigger::AfterProcessingTime(
                of.timestamp_transforms
                    .iter()
                    .map(timestamp_transform_of)
                    .collect::<Result<_, _>>()?,
            ),
            Kind::AfterSynchronizedProcessingTime(_) => Trigger::AfterSynchronizedProcessingTime,
            Kind::Always(_) => Trigger::Always,
            Kind::Default(_) => Trigger::Default,
            Kind::ElementCount(of) => Trigger::ElementCount(of.element_count.max(0) as u32),
            Kind::Never(_) => Trigger::Never,
            Kind::OrFinally(of) => Trigger::OrFinally {
                main: required(of.main.as_deref())?,
                finally: required(of.finally.as_deref())?,
            },
            Kind::Repeat(of) => Trigger::Repeat(required(of.subtrigger.as_deref())?),
        },
    )
}

fn all(protos: &[pipeline::Trigger]) -> Result<Vec<Trigger>, WindowingError> {
    protos.iter().map(trigger_of).collect()
}

fn required(proto: Option<&pipeline::Trigger>) -> Result<Box<Trigger>, WindowingError> {
    trigger_of(proto.ok_or(WindowingError::UnknownTrigger)?).map(Box::new)
}

fn optional(proto: Option<&pipeline::Trigger>) -> Result<Option<Box<Trigger>>, WindowingError> {
    // SDKs send an empty message for "none" too.
    proto
        .filter(|proto| proto.trigger.is_some())
        .map(|proto| trigger_of(proto).map(Box::new))
        .transpose()
}

fn timestamp_transform_of(
    proto: &pipeline::TimestampTransform,
) -> Result<TimestampTransform, WindowingError> {
    use timestamp_transform::TimestampTransform as Kind;
    match proto
        .timestamp_transform
        .as_ref()
        .ok_or(WindowingError::UnknownTrigger)?
    {
        Kind::Delay(delay) => Ok(TimestampTransform::Delay {
            delay_ms: delay.delay_millis,
        }),
        Kind::AlignTo(align) => Ok(TimestampTransform::AlignTo {
            period_ms: align.period,
            offset_ms: align.offset,
        }),
    }
}
