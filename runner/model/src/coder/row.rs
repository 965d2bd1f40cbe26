//! Rows: values with a schema.

use super::{Coder, CoderError};
use crate::wire;

/// A row's fields, in the order of the schema, with the order in which they are encoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    fields: Vec<RowField>,
    /// Indices into `fields`, in encoding order.
    encoding_order: Vec<usize>,
}

/// A field of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowField {
    /// Of a value that is present. A field's own nulls are in the row's bitmap, so this is not
    /// [`Coder::Nullable`] for a nullable field (elements of arrays and maps are another matter).
    pub coder: Coder,
    /// Where the field comes in the encoding; the schema's index where it does not say otherwise.
    pub encoding_position: u32,
}

impl Row {
    /// A row with these fields, which are in the order of the schema.
    pub fn new(fields: Vec<RowField>) -> Self {
        let mut encoding_order: Vec<usize> = (0..fields.len()).collect();
        encoding_order.sort_by_key(|index| fields[*index].encoding_position);
        Self {
            fields,
            encoding_order,
        }
    }

    /// A row whose fields are encoded in the order of the schema.
    pub fn in_order(coders: impl IntoIterator<Item = Coder>) -> Self {
        let fields = coders.into_iter().zip(0..);
        Self::new(
            fields
                .map(|(coder, encoding_position)| RowField {
                    coder,
                    encoding_position,
                })
                .collect(),
        )
    }

    /// In the order of the schema.
    pub fn fields(&self) -> &[RowField] {
        &self.fields
    }

    /// A field count, the bitmap of nulls with its length (left out where nothing is null), then the
    /// values that are not null. A row may have been written with fewer fields than it has now; one
    /// written with more can't be skipped, for its last fields are not known.
    pub(super) fn skip(&self, input: &mut &[u8], depth: u32) -> Result<(), CoderError> {
        let count = wire::varint(input)?;
        if count > self.fields.len() as u64 {
            return Err(CoderError::BadCount {
                count: count as i64,
            });
        }
        let nulls = wire::prefixed(input)?;
        // Positions say where a field comes in the encoding; the bitmap goes by the schema's index.
        for index in self.encoding_order.iter().take(count as usize) {
            let is_null = nulls
                .get(index / 8)
                .is_some_and(|byte| byte >> (index % 8) & 1 == 1);
            if !is_null {
                self.fields[*index].coder.skip_at(input, depth)?;
            }
        }
        Ok(())
    }
}
