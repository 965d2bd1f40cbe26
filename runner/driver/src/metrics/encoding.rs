//! The pieces that metric payloads are made of.

use bytes::Bytes;
use dataflume_model::coder::CoderError;
use dataflume_model::wire;

/// A number that payloads are made of: an integer as a varint, or a big-endian double.
pub trait Number: Copy + PartialOrd + std::fmt::Debug {
    /// Takes one off the front.
    fn read(input: &mut &[u8]) -> Result<Self, CoderError>;
    /// Appends the encoding.
    fn put(self, out: &mut Vec<u8>);
    /// The sum; of integers it wraps around, as it does in the SDKs.
    fn plus(self, other: Self) -> Self;
}

impl Number for i64 {
    fn read(input: &mut &[u8]) -> Result<Self, CoderError> {
        Ok(wire::varint(input)? as Self)
    }

    fn put(self, out: &mut Vec<u8>) {
        wire::put_varint(self as u64, out);
    }

    fn plus(self, other: Self) -> Self {
        self.wrapping_add(other)
    }
}

impl Number for f64 {
    fn read(input: &mut &[u8]) -> Result<Self, CoderError> {
        wire::array(input).map(Self::from_be_bytes)
    }

    fn put(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.to_be_bytes());
    }

    fn plus(self, other: Self) -> Self {
        self + other
    }
}

const UNKNOWN_COUNT: i32 = -1;

/// An iterable, with its number of elements in front or in counted blocks.
pub(super) fn decode_iterable<T>(
    input: &mut &[u8],
    mut element: impl FnMut(&mut &[u8]) -> Result<T, CoderError>,
) -> Result<Vec<T>, CoderError> {
    let mut elements = Vec::new();
    let count = i32::from_be_bytes(wire::array(input)?);
    if count != UNKNOWN_COUNT {
        let count = u64::try_from(count).map_err(|_| CoderError::BadCount {
            count: count.into(),
        })?;
        for _ in 0..count {
            elements.push(element(input)?);
        }
        return Ok(elements);
    }
    loop {
        let block = wire::varint(input)?;
        if block == 0 {
            return Ok(elements);
        }
        for _ in 0..block {
            elements.push(element(input)?);
        }
    }
}

/// An iterable with its number of elements in front.
pub(super) fn encode_iterable<T>(
    elements: impl ExactSizeIterator<Item = T>,
    out: &mut Vec<u8>,
    mut element: impl FnMut(T, &mut Vec<u8>),
) {
    out.extend_from_slice(&(elements.len() as i32).to_be_bytes());
    for each in elements {
        element(each, out);
    }
}

/// A text of known length.
pub(super) fn decode_text(input: &mut &[u8]) -> Result<String, CoderError> {
    let bytes = wire::prefixed(input)?;
    String::from_utf8(bytes.to_vec()).map_err(|_| CoderError::BadText)
}

/// What an encoding appends.
pub(super) fn built(build: impl FnOnce(&mut Vec<u8>)) -> Bytes {
    let mut out = Vec::new();
    build(&mut out);
    out.into()
}
