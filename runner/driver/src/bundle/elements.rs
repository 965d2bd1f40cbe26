//! Pieces of a stage's input, made and divided outside of a PCollection's ordinary cutting.

use bytes::Bytes;
use dataflume_engine::{DataHandle, PendingData};
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
        let mut end = chunk.len();
        for element in codec.iter(&chunk) {
            let element = element.map_err(|error| error.to_string())?;
            if left == 0 {
                end = element.range().start;
                break;
            }
            left -= 1;
        }
        head.push(chunk.slice(..end));
        if end < chunk.len() {
            tail.push(chunk.slice(end..));
        }
    }
    let head = piece(data, codec, head, &whole.handle)?;
    Ok((head, piece(data, codec, tail, &whole.handle)?))
}
