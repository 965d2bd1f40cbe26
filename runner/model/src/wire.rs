//! The primitives that encodings are made of: read off the front of a slice, or appended to a vector.

use crate::coder::CoderError;

/// Takes `count` bytes off the front.
#[inline]
pub fn take<'a>(input: &mut &'a [u8], count: usize) -> Result<&'a [u8], CoderError> {
    match input.split_at_checked(count) {
        Some((taken, rest)) => {
            *input = rest;
            Ok(taken)
        }
        None => Err(CoderError::UnexpectedEnd {
            missing: (count - input.len()) as u64,
        }),
    }
}

/// One byte.
#[inline]
pub fn byte(input: &mut &[u8]) -> Result<u8, CoderError> {
    let (first, rest) = input
        .split_first()
        .ok_or(CoderError::UnexpectedEnd { missing: 1 })?;
    *input = rest;
    Ok(*first)
}

/// So many bytes as an array.
#[inline]
pub fn array<const N: usize>(input: &mut &[u8]) -> Result<[u8; N], CoderError> {
    let Some((taken, rest)) = input.split_first_chunk::<N>() else {
        return Err(CoderError::UnexpectedEnd {
            missing: (N - input.len()) as u64,
        });
    };
    *input = rest;
    Ok(*taken)
}

/// A base-128 integer, least significant group first, of at most 64 bits.
#[inline]
pub fn varint(input: &mut &[u8]) -> Result<u64, CoderError> {
    let first = byte(input)?;
    if first < 0x80 {
        return Ok(u64::from(first));
    }
    long_varint(first, input)
}

fn long_varint(first: u8, input: &mut &[u8]) -> Result<u64, CoderError> {
    let mut value = u64::from(first & 0x7f);
    for shift in (7..64).step_by(7) {
        let next = byte(input)?;
        // The tenth byte has room for a single bit.
        if shift == 63 && next > 1 {
            break;
        }
        value |= u64::from(next & 0x7f) << shift;
        if next < 0x80 {
            return Ok(value);
        }
    }
    Err(CoderError::VarintTooLong)
}

/// A varint that counts bytes to come.
#[inline]
fn length(input: &mut &[u8]) -> Result<usize, CoderError> {
    let length = varint(input)?;
    let available = input.len() as u64;
    if length > available {
        return Err(CoderError::UnexpectedEnd {
            missing: length - available,
        });
    }
    Ok(length as usize)
}

/// Bytes preceded by their length.
#[inline]
pub fn prefixed<'a>(input: &mut &'a [u8]) -> Result<&'a [u8], CoderError> {
    let length = length(input)?;
    take(input, length)
}

/// Appends a base-128 integer.
pub fn put_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends bytes with their length in front.
pub fn put_prefixed(bytes: &[u8], out: &mut Vec<u8>) {
    put_varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}
