//! What can be wrong with encoded bytes.

/// Why bytes are not what a coder says they are.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CoderError {
    /// The input ends within a value.
    #[error("the input ends within a value; at least {missing} more bytes are needed")]
    UnexpectedEnd {
        /// At least so many bytes more would have been needed.
        missing: u64,
    },
    /// A varint has more than 64 bits.
    #[error("a varint is longer than 64 bits")]
    VarintTooLong,
    /// A flag is neither 0 nor 1.
    #[error("a byte that must be 0 or 1 is {byte}")]
    BadFlag {
        /// What was found.
        byte: u8,
    },
    /// A pane's first byte has an unknown format.
    #[error("a pane begins with byte {byte:#04x}, which is none of Beam's formats")]
    BadPane {
        /// What was found.
        byte: u8,
    },
    /// A count has a value that means nothing.
    #[error("a count is {count}")]
    BadCount {
        /// What was found.
        count: i64,
    },
    /// An interval window's length does not fit.
    #[error("an interval window is {span} ms long")]
    BadInterval {
        /// What was found.
        span: u64,
    },
    /// A timer's tag or another text is not UTF-8.
    #[error("a text is not UTF-8")]
    BadText,
    /// Nobody but the SDK can say where a value of this coder ends.
    #[error("coder {urn} is known to the SDK only and its values are not length-prefixed")]
    Opaque {
        /// Which coder.
        urn: String,
    },
    /// The coder has more levels than are supported.
    #[error("the coder is nested more than {limit} levels deep")]
    TooDeep {
        /// The limit.
        limit: u32,
    },
    /// A window of another kind than the coder's.
    #[error("window {window} can't be encoded with this window coder")]
    OtherWindow {
        /// Which window.
        window: String,
    },
    /// A custom window without its maximum timestamp in front.
    #[error("windows of coder {coder} don't say their maximum timestamp")]
    NoMaxTimestamp {
        /// Which coder.
        coder: String,
    },
    /// Bytes are left over after the value.
    #[error("{left} bytes are left over after the value")]
    TrailingBytes {
        /// How many.
        left: usize,
    },
}
