//! From the outer context to the nested one: a value that was encoded alone, without its length
//! where the end of the bytes tells it, as it must be when others follow.

use dataflume_model::coder::{Coder, CoderError};

/// Appends a value in nested encoding. TestStream's elements come in the outer one.
pub(super) fn append(coder: &Coder, outer: &[u8], out: &mut Vec<u8>) -> Result<(), CoderError> {
    match coder {
        Coder::Bytes | Coder::StringUtf8 => prefixed(outer, out),
        // The prefix is what made the coder fit for the wire: the SDK encoded without it.
        Coder::LengthPrefix(_) => prefixed(outer, out),
        Coder::Kv(key, value) => {
            let mut rest = outer;
            key.skip(&mut rest)?;
            out.extend_from_slice(&outer[..outer.len() - rest.len()]);
            return append(value, rest, out);
        }
        // The rest are encoded alike in both contexts.
        _ => out.extend_from_slice(outer),
    }
    Ok(())
}

fn prefixed(bytes: &[u8], out: &mut Vec<u8>) {
    let mut length = bytes.len();
    while length >= 0x80 {
        out.push(length as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
    out.extend_from_slice(bytes);
}
