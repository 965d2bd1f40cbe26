//! Pieces of a stage's input, made and divided outside of a PCollection's ordinary cutting.

use bytes::Bytes;
use dataflume_engine::{DataHandle, PendingData};
use dataflume_model::coder::CoderError;
use dataflume_model::time::{EventTime, ProcessingTime};
use dataflume_model::windowed::WindowedCodec;

use crate::data::{DataError, DataStore};

/// Stores encoded elements as one piece. `like` is a piece of the same stage, whose side inputs
/// were ready.
pub(crate) fn piece(
    data: &DataStore,
    codec: &WindowedCodec,
    chunks: Vec<Bytes>,
    like: &DataHandle,
) -> Result<PendingData, String> {
    let mut elements = 0;
    let mut bytes = 0;
    let mut min_timestamp = EventTime::MAX;
    for chunk in &chunks {
        let summary = codec.summarise(chunk).map_err(|error| error.to_string())?;
        elements += summary.count;
        bytes += chunk.len() as u64;
        min_timestamp = min_timestamp.min(summary.min_timestamp);
    }
    let id = data.put(chunks).map_err(|error| error.to_string())?;
    let handle = DataHandle {
        id,
        elements,
        bytes,
        min_timestamp,
        ..like.clone()
    };
    Ok(PendingData::from(handle))
}

/// A residual of a splittable DoFn: held at the watermark that the SDK reported, if it did.
pub(crate) fn residual(
    data: &DataStore,
    codec: &WindowedCodec,
    element: Bytes,
    like: &DataHandle,
    reported: Option<EventTime>,
    not_before: Option<ProcessingTime>,
) -> Result<PendingData, String> {
    let mut piece = piece(data, codec, vec![element], like)?;
    // A reported watermark behind the element would only delay; one ahead of it is the point.
    piece.hold = reported.map_or(piece.hold, |reported| reported.max(piece.hold));
    piece.not_before = not_before;
    Ok(piece)
}

/// Divides a list of pieces after `count` elements. The piece in which that falls is copied into
/// two new ones.
pub(crate) fn divide(
    data: &DataStore,
    codec: &WindowedCodec,
    pieces: &[PendingData],
    count: u64,
) -> Result<(Vec<PendingData>, Vec<PendingData>), String> {
    let mut left = count;
    let mut before = Vec::new();
    let mut after = Vec::new();
    for piece in pieces {
        let elements = piece.handle.elements;
        if left >= elements {
            left -= elements;
            before.push(piece.clone());
        } else if left == 0 {
            after.push(piece.clone());
        } else {
            let (head, tail) = divide_piece(data, codec, piece, left)?;
            before.push(head);
            after.push(tail);
            left = 0;
        }
    }
    Ok((before, after))
}

fn divide_piece(
    data: &DataStore,
    codec: &WindowedCodec,
    whole: &PendingData,
    count: u64,
) -> Result<(PendingData, PendingData), String> {
    let mut left = count;
    let (mut head, mut tail) = (Vec::new(), Vec::new());
    let blocks = data
        .read(whole.handle.id)
        .map_err(|error| error.to_string())?;
    for chunk in blocks {
        let chunk = chunk.map_err(|error: DataError| error.to_string())?;
        if left == 0 {
            tail.push(chunk);
            continue;
        }
        let mut chunk = chunk;
        let (first, count) = take(codec, &mut chunk, left).map_err(|error| error.to_string())?;
        left -= count;
        head.push(first);
        if !chunk.is_empty() {
            tail.push(chunk);
        }
    }
    let head = piece(data, codec, head, &whole.handle)?;
    Ok((head, piece(data, codec, tail, &whole.handle)?))
}

/// Takes up to so many elements off the front of a chunk, and tells how many.
fn take(codec: &WindowedCodec, chunk: &mut Bytes, most: u64) -> Result<(Bytes, u64), CoderError> {
    let mut count = 0;
    let mut end = chunk.len();
    for element in codec.iter(chunk) {
        let element = element?;
        if count == most {
            end = element.range().start;
            break;
        }
        count += 1;
    }
    Ok((chunk.split_to(end), count))
}

/// Elements in parts of the same number, in their order.
pub(crate) struct Spread {
    each: u64,
    parts: Vec<Vec<Bytes>>,
    /// How many more the last part takes.
    room: u64,
}

impl Spread {
    /// With so many elements in each part, and at least one.
    pub(crate) fn new(each: u64) -> Self {
        Self {
            each: each.max(1),
            parts: Vec::new(),
            room: 0,
        }
    }

    /// Takes whole elements.
    pub(crate) fn push(
        &mut self,
        codec: &WindowedCodec,
        mut chunk: Bytes,
    ) -> Result<(), CoderError> {
        while !chunk.is_empty() {
            if self.room == 0 {
                self.parts.push(Vec::new());
                self.room = self.each;
            }
            let (head, count) = take(codec, &mut chunk, self.room)?;
            self.room -= count;
            if let Some(part) = self.parts.last_mut() {
                part.push(head);
            }
        }
        Ok(())
    }

    /// The parts; the last may hold less.
    pub(crate) fn finish(self) -> Vec<Vec<Bytes>> {
        self.parts
    }
}

/// A few elements by their keys: those of one key together, in their order.
pub(crate) fn by_key(
    codec: &WindowedCodec,
    chunks: &[Bytes],
) -> Result<Vec<Vec<Bytes>>, CoderError> {
    let mut keys: Vec<(Bytes, Vec<Bytes>)> = Vec::new();
    for chunk in chunks {
        for element in codec.iter(chunk) {
            let element = element?;
            let (key, bytes) = (element.key(), chunk.slice(element.range()));
            match keys.iter_mut().find(|(other, _)| other == key) {
                Some((_, elements)) => elements.push(bytes),
                None => keys.push((chunk.slice_ref(key), vec![bytes])),
            }
        }
    }
    Ok(keys.into_iter().map(|(_, elements)| elements).collect())
}

#[cfg(test)]
mod tests {
    use dataflume_model::coder::Coder;
    use dataflume_model::pane::PaneInfo;
    use dataflume_model::window::{Window, WindowKind};

    use super::*;
    use crate::data::DataOptions;

    fn codec() -> WindowedCodec {
        WindowedCodec::new(Coder::Varint, WindowKind::Global)
    }

    fn chunk(values: std::ops::Range<u8>) -> Bytes {
        let mut bytes = Vec::new();
        for value in values {
            let at = EventTime(i64::from(value));
            codec()
                .encode_header(at, &[Window::Global], &PaneInfo::NO_FIRING, &mut bytes)
                .unwrap();
            bytes.push(value);
        }
        bytes.into()
    }

    fn values(data: &DataStore, pieces: &[PendingData]) -> Vec<u8> {
        let mut found = Vec::new();
        for piece in pieces {
            let before = found.len();
            for chunk in data.read(piece.handle.id).unwrap() {
                let chunk = chunk.unwrap();
                let codec = codec();
                found.extend(
                    codec
                        .iter(&chunk)
                        .map(|element| element.unwrap().value()[0]),
                );
            }
            assert_eq!(piece.handle.elements, (found.len() - before) as u64);
            assert_eq!(
                piece.hold,
                EventTime(i64::from(found[before])),
                "the smallest timestamp"
            );
        }
        found
    }

    #[test]
    fn pieces_are_divided_after_any_number_of_elements() {
        let folder = tempfile::tempdir().unwrap();
        let data = DataStore::open(DataOptions::new(folder.path())).unwrap();
        let like = DataHandle {
            id: data.put([]).unwrap(),
            elements: 0,
            bytes: 0,
            min_timestamp: EventTime::MAX,
            key_group: None,
            side_inputs_ready_at: Default::default(),
        };
        let first = piece(&data, &codec(), vec![chunk(0..3), chunk(3..5)], &like).unwrap();
        let second = piece(&data, &codec(), vec![chunk(5..6)], &like).unwrap();
        let pieces = [first, second];
        for count in 0..=7 {
            let (before, after) = divide(&data, &codec(), &pieces, count).unwrap();
            let all: Vec<u8> = (0..6).collect();
            let at = usize::try_from(count).unwrap().min(6);
            assert_eq!(values(&data, &before), all[..at]);
            assert_eq!(values(&data, &after), all[at..]);
        }
    }

    #[test]
    fn elements_are_spread_in_order_over_parts_of_one_size() {
        let data = [chunk(0..3), chunk(3..5), chunk(5..10)];
        let parts_of = |each| {
            let mut spread = Spread::new(each);
            for chunk in &data {
                spread.push(&codec(), chunk.clone()).unwrap();
            }
            let values = |chunk: &Bytes| -> Vec<u8> {
                let codec = codec();
                let values = codec.iter(chunk).map(|element| element.unwrap().value()[0]);
                values.collect()
            };
            let parts = spread.finish();
            let parts = parts
                .iter()
                .map(|part| part.iter().flat_map(values).collect());
            parts.collect::<Vec<Vec<u8>>>()
        };
        assert_eq!(
            parts_of(4),
            [vec![0, 1, 2, 3], vec![4, 5, 6, 7], vec![8, 9]]
        );
        assert_eq!(parts_of(0).len(), 10);
        assert_eq!(parts_of(100), [(0..10).collect::<Vec<u8>>()]);
    }

    #[test]
    fn a_few_elements_are_told_apart_by_their_keys() {
        let pairs = Coder::Kv(Box::new(Coder::Varint), Box::new(Coder::Varint));
        let codec = WindowedCodec::new(pairs, WindowKind::Global);
        let chunk = |pairs: &[(u8, u8)]| {
            let mut bytes = Vec::new();
            for (key, value) in pairs {
                let header = (EventTime(0), [Window::Global], PaneInfo::NO_FIRING);
                codec
                    .encode_header(header.0, &header.1, &header.2, &mut bytes)
                    .unwrap();
                bytes.extend([*key, *value]);
            }
            Bytes::from(bytes)
        };
        let chunks = [chunk(&[(7, 1), (3, 2), (7, 3)]), chunk(&[(3, 4), (9, 5)])];
        let pair = |element: &Bytes| {
            let element = codec.iter(element).next().unwrap().unwrap();
            (element.key()[0], element.value_of_key()[0])
        };
        let keys = by_key(&codec, &chunks).unwrap();
        let keys: Vec<Vec<_>> = keys
            .iter()
            .map(|each| each.iter().map(pair).collect())
            .collect();
        assert_eq!(
            keys,
            [vec![(7, 1), (7, 3)], vec![(3, 2), (3, 4)], vec![(9, 5)]]
        );
    }

    #[test]
    fn a_residual_is_held_where_the_sdk_says() {
        let folder = tempfile::tempdir().unwrap();
        let data = DataStore::open(DataOptions::new(folder.path())).unwrap();
        let like = piece(
            &data,
            &codec(),
            vec![chunk(0..1)],
            &PendingData {
                handle: DataHandle {
                    id: data.put([]).unwrap(),
                    elements: 0,
                    bytes: 0,
                    min_timestamp: EventTime::MAX,
                    key_group: None,
                    side_inputs_ready_at: Default::default(),
                },
                hold: EventTime::MAX,
                not_before: None,
            }
            .handle,
        )
        .unwrap()
        .handle;
        let hold = |reported| {
            residual(&data, &codec(), chunk(9..10), &like, reported, None)
                .unwrap()
                .hold
        };
        assert_eq!(hold(None), EventTime(9));
        assert_eq!(hold(Some(EventTime(50))), EventTime(50));
        assert_eq!(hold(Some(EventTime(1))), EventTime(9));
    }
}
