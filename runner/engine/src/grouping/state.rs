//! What is kept of a window of a key: a record, and bags of values beside it.

use bytes::Bytes;
use dataflume_model::coder::CoderError;
use dataflume_model::pane::PaneTiming;
use dataflume_model::time::{EventTime, ProcessingTime};
use dataflume_model::wire;

use super::triggers::{Program, TriggerState};

/// The pane that was emitted last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LastPane {
    pub(super) timing: PaneTiming,
    pub(super) index: i64,
    pub(super) nonspeculative_index: i64,
}

/// A window's record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) trigger: TriggerState,
    /// The timer at the end of the window has fired; the next is at the window's expiry.
    pub(super) end_fired: bool,
    /// Nothing held the watermark before the end of the window as it passed: what is emitted from
    /// now on is late for whoever comes after.
    pub(super) late_only: bool,
    pub(super) pane: Option<LastPane>,
    /// Elements added since the last pane.
    pub(super) fresh: u64,
    /// Where the values are; new ones go to the first bag.
    pub(super) bags: Vec<Bytes>,
    pub(super) next_sequence: u64,
    /// The output timestamp of the pane to come, as far as it is held.
    pub(super) element_hold: Option<EventTime>,
    /// The end or the expiry of the window, while a pane may be emitted there.
    pub(super) extra_hold: Option<EventTime>,
    pub(super) processing_timer: Option<ProcessingTime>,
}

const END_FIRED: u8 = 1;
const LATE_ONLY: u8 = 1 << 1;
const HAS_PANE: u8 = 1 << 2;
const HAS_ELEMENT_HOLD: u8 = 1 << 3;
const HAS_EXTRA_HOLD: u8 = 1 << 4;
const HAS_PROCESSING_TIMER: u8 = 1 << 5;

impl Record {
    pub(super) fn new(trigger: TriggerState, late_only: bool) -> Self {
        Self {
            trigger,
            end_fired: late_only,
            late_only,
            pane: None,
            fresh: 0,
            bags: Vec::new(),
            next_sequence: 0,
            element_hold: None,
            extra_hold: None,
            processing_timer: None,
        }
    }

    pub(super) fn hold(&self) -> Option<EventTime> {
        self.element_hold.into_iter().chain(self.extra_hold).min()
    }

    pub(super) fn encode(&self, program: &Program) -> Vec<u8> {
        let mut out = Vec::with_capacity(64);
        let flags = [
            (self.end_fired, END_FIRED),
            (self.late_only, LATE_ONLY),
            (self.pane.is_some(), HAS_PANE),
            (self.element_hold.is_some(), HAS_ELEMENT_HOLD),
            (self.extra_hold.is_some(), HAS_EXTRA_HOLD),
            (self.processing_timer.is_some(), HAS_PROCESSING_TIMER),
        ];
        out.push(
            flags
                .iter()
                .filter(|(set, _)| *set)
                .map(|(_, flag)| flag)
                .sum(),
        );
        program.encode(&self.trigger, &mut out);
        if let Some(pane) = self.pane {
            out.push(pane.timing as u8);
            wire::put_varint(pane.index as u64, &mut out);
            wire::put_varint(pane.nonspeculative_index as u64, &mut out);
        }
        wire::put_varint(self.fresh, &mut out);
        wire::put_varint(self.next_sequence, &mut out);
        for time in self.element_hold.iter().chain(&self.extra_hold) {
            out.extend_from_slice(&time.encode());
        }
        if let Some(time) = self.processing_timer {
            out.extend_from_slice(&time.0.to_be_bytes());
        }
        for bag in &self.bags {
            wire::put_prefixed(bag, &mut out);
        }
        out
    }

    pub(super) fn decode(program: &Program, mut input: &[u8]) -> Result<Self, CoderError> {
        let input = &mut input;
        let flags = wire::byte(input)?;
        let has = |flag| flags & flag != 0;
        let trigger = program.decode(input)?;
        let pane = if has(HAS_PANE) {
            Some(decode_pane(input)?)
        } else {
            None
        };
        let fresh = wire::varint(input)?;
        let next_sequence = wire::varint(input)?;
        let element_hold = has(HAS_ELEMENT_HOLD)
            .then(|| decode_time(input))
            .transpose()?;
        let extra_hold = has(HAS_EXTRA_HOLD)
            .then(|| decode_time(input))
            .transpose()?;
        let processing_timer = match has(HAS_PROCESSING_TIMER) {
            true => Some(ProcessingTime(i64::from_be_bytes(wire::array(input)?))),
            false => None,
        };
        let mut bags = Vec::new();
        while !input.is_empty() {
            bags.push(Bytes::copy_from_slice(wire::prefixed(input)?));
        }
        Ok(Self {
            trigger,
            end_fired: has(END_FIRED),
            late_only: has(LATE_ONLY),
            pane,
            fresh,
            bags,
            next_sequence,
            element_hold,
            extra_hold,
            processing_timer,
        })
    }
}

fn decode_time(input: &mut &[u8]) -> Result<EventTime, CoderError> {
    Ok(EventTime::decode(wire::array(input)?))
}

fn decode_pane(input: &mut &[u8]) -> Result<LastPane, CoderError> {
    let timing = match wire::byte(input)? {
        0 => PaneTiming::Early,
        1 => PaneTiming::OnTime,
        2 => PaneTiming::Late,
        byte => return Err(CoderError::BadPane { byte }),
    };
    let (index, nonspeculative_index) = (wire::varint(input)? as i64, wire::varint(input)? as i64);
    Ok(LastPane {
        timing,
        index,
        nonspeculative_index,
    })
}
