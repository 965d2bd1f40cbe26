//! Pages: how much of a long answer goes into one response, and where the next one goes on.

use bytes::Bytes;

use super::StateError;

/// No page is longer, unless a single piece is.
pub(super) const PAGE_BYTES: usize = 1 << 20;

/// A page in the making. A page of a single piece shares its bytes.
#[derive(Default)]
pub(super) struct Page {
    first: Option<Bytes>,
    joined: Vec<u8>,
}

impl Page {
    /// Adds a piece, unless the page has something and would grow too long.
    pub(super) fn add(&mut self, piece: &Bytes) -> bool {
        let length = self.first.as_ref().map_or(self.joined.len(), Bytes::len);
        if length > 0 && length + piece.len() > PAGE_BYTES {
            return false;
        }
        match self.first.take() {
            None if self.joined.is_empty() => self.first = Some(piece.clone()),
            None => self.joined.extend_from_slice(piece),
            Some(first) => {
                self.joined.extend_from_slice(&first);
                self.joined.extend_from_slice(piece);
                if self.joined.is_empty() {
                    self.first = Some(first);
                }
            }
        }
        true
    }

    pub(super) fn finish(self) -> Bytes {
        self.first.unwrap_or_else(|| self.joined.into())
    }
}

/// What a read gives: data, and the position of what is left.
pub(super) struct Read {
    pub(super) data: Bytes,
    /// Goes to the SDK as the continuation token; none at the end.
    pub(super) next: Option<Position>,
}

/// Where a read goes on. It holds also after appends; a clear of the cell voids it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Position {
    /// How often the cell had been cleared as a whole.
    pub(super) generation: u32,
    /// What follows the cell's prefix in the key of the next entry, or what the cell makes of it.
    pub(super) at: Bytes,
}

impl Position {
    pub(super) fn encode(&self) -> Bytes {
        let mut token = self.generation.to_be_bytes().to_vec();
        token.extend_from_slice(&self.at);
        token.into()
    }

    /// The position a token stands for; none for the beginning.
    pub(super) fn decode(token: &Bytes, generation: u32) -> Result<Option<Self>, StateError> {
        if token.is_empty() {
            return Ok(None);
        }
        let Some((head, _)) = token.split_first_chunk::<4>() else {
            return Err(StateError::Token("is not one of ours"));
        };
        if u32::from_be_bytes(*head) != generation {
            return Err(StateError::Token("is of state that was cleared since"));
        }
        Ok(Some(Self {
            generation,
            at: token.slice(4..),
        }))
    }
}
