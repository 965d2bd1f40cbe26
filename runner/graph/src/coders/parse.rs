//! Coder protos -> [`Coder`].

use dataflume_model::coder::Coder;
use dataflume_proto::pipeline;
use dataflume_proto::urn::standard_coders as urns;

/// How many components a coder has that the runner looks into; `None` for all that it doesn't.
pub(crate) fn arity(urn: &str) -> Option<usize> {
    match urn {
        urns::BYTES
        | urns::STRING_UTF8
        | urns::BOOL
        | urns::VARINT
        | urns::DOUBLE
        | urns::GLOBAL_WINDOW
        | urns::INTERVAL_WINDOW => Some(0),
        urns::LENGTH_PREFIX
        | urns::ITERABLE
        | urns::STATE_BACKED_ITERABLE
        | urns::NULLABLE
        | urns::SHARDED_KEY
        | urns::CUSTOM_WINDOW => Some(1),
        urns::KV | urns::TIMER | urns::WINDOWED_VALUE => Some(2),
        _ => None,
    }
}

/// The model's coder, from its components'.
pub(super) fn assemble(proto: &pipeline::Coder, components: Vec<Coder>) -> Coder {
    let urn = proto.spec.as_ref().map_or("", |spec| spec.urn.as_str());
    let mut components = components.into_iter().map(Box::new);
    let mut next = || components.next();
    let known = match urn {
        urns::BYTES => Some(Coder::Bytes),
        urns::STRING_UTF8 => Some(Coder::StringUtf8),
        urns::BOOL => Some(Coder::Bool),
        urns::VARINT => Some(Coder::Varint),
        urns::DOUBLE => Some(Coder::Double),
        urns::GLOBAL_WINDOW => Some(Coder::GlobalWindow),
        urns::INTERVAL_WINDOW => Some(Coder::IntervalWindow),
        urns::LENGTH_PREFIX => next().map(Coder::LengthPrefix),
        urns::ITERABLE => next().map(Coder::Iterable),
        urns::STATE_BACKED_ITERABLE => next().map(Coder::StateBackedIterable),
        urns::NULLABLE => next().map(Coder::Nullable),
        urns::SHARDED_KEY => next().map(Coder::ShardedKey),
        urns::CUSTOM_WINDOW => next().map(Coder::CustomWindow),
        urns::KV => next().zip(next()).map(|(key, value)| Coder::Kv(key, value)),
        urns::TIMER => next()
            .zip(next())
            .map(|(key, window)| Coder::Timer { key, window }),
        urns::WINDOWED_VALUE => next()
            .zip(next())
            .map(|(value, window)| Coder::WindowedValue { value, window }),
        _ => None,
    };
    known.unwrap_or_else(|| Coder::Opaque {
        urn: urn.to_owned(),
    })
}
