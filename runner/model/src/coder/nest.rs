//! From the outer context to the nested one.
//!
//! Where a value stands alone, as in a TestStream's payload, its encoding may leave out the length that
//! the enclosing message has anyway.

use super::{Coder, CoderError};
use crate::wire;

impl Coder {
    /// Appends the nested encoding of a value that is given in the outer encoding.
    ///
    /// ```
    /// use dataflume_model::coder::Coder;
    /// let mut nested = Vec::new();
    /// Coder::kv(Coder::Varint, Coder::Bytes).nest(b"\x07value", &mut nested)?;
    /// assert_eq!(nested, b"\x07\x05value");
    /// # Ok::<(), dataflume_model::coder::CoderError>(())
    /// ```
    pub fn nest(&self, outer: &[u8], out: &mut Vec<u8>) -> Result<(), CoderError> {
        let mut rest = outer;
        match self {
            Self::Bytes | Self::StringUtf8 => {
                wire::put_prefixed(outer, out);
                return Ok(());
            }
            Self::Kv(key, value) => {
                key.skip(&mut rest)?;
                let key_length = outer.len() - rest.len();
                out.extend_from_slice(&outer[..key_length]);
                return value.nest(rest, out);
            }
            _ => self.check(outer)?,
        }
        out.extend_from_slice(outer);
        Ok(())
    }
}
