//! Coders, as far as a runner must know them: enough to find where an encoded value ends.
//!
//! All is in the nested context, which is what crosses the Fn API: every value says itself how long
//! it is. What the runner can't parse arrives length-prefixed, because the plan made it so.

mod error;
mod nest;
mod row;
mod skip;

use bytes::Bytes;

pub use error::CoderError;
pub use row::{Row, RowField};

/// An encoding, by its structure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Coder {
    /// `beam:coder:bytes:v1`.
    Bytes,
    /// `beam:coder:string_utf8:v1`.
    StringUtf8,
    /// `beam:coder:bool:v1`.
    Bool,
    /// `beam:coder:varint:v1`; also a row's 32 and 64 bit integers.
    Varint,
    /// `beam:coder:double:v1`.
    Double,
    /// A value of so many bytes, such as a row's 16 bit integers, bytes, single floats and
    /// millisecond instants.
    FixedWidth(u32),
    /// A row's decimal: the scale as a varint, then the length-prefixed unscaled value.
    Decimal,
    /// `beam:coder:global_window:v1`.
    GlobalWindow,
    /// `beam:coder:interval_window:v1`.
    IntervalWindow,
    /// `beam:coder:custom_window:v1`: the maximum timestamp, then the window.
    CustomWindow(Box<Coder>),
    /// `beam:coder:kv:v1`.
    Kv(Box<Coder>, Box<Coder>),
    /// `beam:coder:iterable:v1`, of known or unknown length.
    Iterable(Box<Coder>),
    /// `beam:coder:state_backed_iterable:v1`: the same, and may end in a state token.
    StateBackedIterable(Box<Coder>),
    /// A row's map: a 4-byte count, then keys and values.
    Map(Box<Coder>, Box<Coder>),
    /// `beam:coder:length_prefix:v1`; what is within is never looked at.
    LengthPrefix(Box<Coder>),
    /// `beam:coder:nullable:v1`.
    Nullable(Box<Coder>),
    /// `beam:coder:sharded_key:v1`.
    ShardedKey(Box<Coder>),
    /// `beam:coder:row:v1`.
    Row(Row),
    /// `beam:coder:timer:v1`.
    Timer {
        /// Of the user's key.
        key: Box<Coder>,
        /// Of the windows.
        window: Box<Coder>,
    },
    /// `beam:coder:windowed_value:v1`.
    WindowedValue {
        /// Of the value.
        value: Box<Coder>,
        /// Of the windows.
        window: Box<Coder>,
    },
    /// `beam:coder:param_windowed_value:v1`: every value has the same header, which isn't encoded.
    ParamWindowedValue {
        /// Of the value.
        value: Box<Coder>,
        /// Of the windows.
        window: Box<Coder>,
        /// Timestamp, windows and pane that all values have.
        header: Bytes,
    },
    /// A coder that only an SDK understands. Nobody can say where its values end.
    Opaque {
        /// What the pipeline calls it.
        urn: String,
    },
}

impl Coder {
    /// `KV<key, value>`.
    pub fn kv(key: Self, value: Self) -> Self {
        Self::Kv(Box::new(key), Box::new(value))
    }

    /// `Iterable<element>`.
    pub fn iterable(element: Self) -> Self {
        Self::Iterable(Box::new(element))
    }

    /// The same, preceded by its length: what makes any coder one that the runner can cut.
    pub fn length_prefixed(self) -> Self {
        Self::LengthPrefix(Box::new(self))
    }

    /// The key's and the value's coder of a `KV`.
    pub fn key_value(&self) -> Option<(&Self, &Self)> {
        match self {
            Self::Kv(key, value) => Some((key, value)),
            _ => None,
        }
    }

    /// Whether some value of this coder can't be skipped, because an opaque coder within is not
    /// length-prefixed.
    ///
    /// ```
    /// use dataflume_model::coder::Coder;
    /// let pickled = Coder::Opaque { urn: "beam:coder:pickled_python:v1".into() };
    /// assert!(Coder::kv(Coder::Bytes, pickled.clone()).is_opaque());
    /// assert!(!Coder::kv(Coder::Bytes, pickled.length_prefixed()).is_opaque());
    /// ```
    pub fn is_opaque(&self) -> bool {
        match self {
            Self::Opaque { .. } => true,
            Self::LengthPrefix(_) => false,
            Self::CustomWindow(of)
            | Self::Iterable(of)
            | Self::StateBackedIterable(of)
            | Self::Nullable(of)
            | Self::ShardedKey(of) => of.is_opaque(),
            Self::Kv(first, second) | Self::Map(first, second) => {
                first.is_opaque() || second.is_opaque()
            }
            Self::Timer { key: of, window }
            | Self::WindowedValue { value: of, window }
            | Self::ParamWindowedValue {
                value: of, window, ..
            } => of.is_opaque() || window.is_opaque(),
            Self::Row(row) => row.fields().iter().any(|field| field.coder.is_opaque()),
            _ => false,
        }
    }

    /// The URN, or for parts of rows, which have none, a word.
    pub fn name(&self) -> &str {
        match self {
            Self::Bytes => "beam:coder:bytes:v1",
            Self::StringUtf8 => "beam:coder:string_utf8:v1",
            Self::Bool => "beam:coder:bool:v1",
            Self::Varint => "beam:coder:varint:v1",
            Self::Double => "beam:coder:double:v1",
            Self::FixedWidth(_) => "fixed width",
            Self::Decimal => "decimal",
            Self::GlobalWindow => "beam:coder:global_window:v1",
            Self::IntervalWindow => "beam:coder:interval_window:v1",
            Self::CustomWindow(_) => "beam:coder:custom_window:v1",
            Self::Kv(..) => "beam:coder:kv:v1",
            Self::Iterable(_) => "beam:coder:iterable:v1",
            Self::StateBackedIterable(_) => "beam:coder:state_backed_iterable:v1",
            Self::Map(..) => "map",
            Self::LengthPrefix(_) => "beam:coder:length_prefix:v1",
            Self::Nullable(_) => "beam:coder:nullable:v1",
            Self::ShardedKey(_) => "beam:coder:sharded_key:v1",
            Self::Row(_) => "beam:coder:row:v1",
            Self::Timer { .. } => "beam:coder:timer:v1",
            Self::WindowedValue { .. } => "beam:coder:windowed_value:v1",
            Self::ParamWindowedValue { .. } => "beam:coder:param_windowed_value:v1",
            Self::Opaque { urn } => urn,
        }
    }
}

/// URNs nest as the coders do: `beam:coder:kv:v1<beam:coder:bytes:v1,beam:coder:varint:v1>`.
impl std::fmt::Display for Coder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())?;
        match self {
            Self::CustomWindow(of)
            | Self::Iterable(of)
            | Self::StateBackedIterable(of)
            | Self::LengthPrefix(of)
            | Self::Nullable(of)
            | Self::ShardedKey(of) => write!(f, "<{of}>"),
            Self::Kv(first, second)
            | Self::Map(first, second)
            | Self::Timer {
                key: first,
                window: second,
            }
            | Self::WindowedValue {
                value: first,
                window: second,
            }
            | Self::ParamWindowedValue {
                value: first,
                window: second,
                ..
            } => {
                write!(f, "<{first},{second}>")
            }
            _ => Ok(()),
        }
    }
}
