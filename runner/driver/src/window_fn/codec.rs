//! Questions and answers, as the `merge_windows` and `map_windows` transforms have them: windowed
//! values in the global window, each a nonce and what is asked or answered of it.

use bytes::Bytes;
use dataflume_model::coder::{Coder, CoderError};
use dataflume_model::pane::PaneInfo;
use dataflume_model::time::EventTime;
use dataflume_model::window::{Window, WindowKind};
use dataflume_model::windowed::WindowedCodec;
use dataflume_model::wire;

/// Why an answer can't be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum AnswerError {
    #[error("the SDK's answer does not decode: {0}")]
    Coder(#[from] CoderError),
    #[error("the SDK answered question {nonce}, which was not asked or is answered already")]
    Unasked { nonce: u64 },
    #[error("the SDK did not answer question {nonce} of {asked}")]
    Unanswered { nonce: usize, asked: usize },
}

/// Puts questions together, one for each encoded body.
pub(super) fn questions<E: From<CoderError>>(
    count: usize,
    mut body: impl FnMut(usize, &mut Vec<u8>) -> Result<(), E>,
) -> Result<Bytes, E> {
    let header = WindowedCodec::new(Coder::Bytes, WindowKind::Global);
    let mut out = Vec::new();
    for number in 0..count {
        header.encode_header(
            EventTime::MIN,
            &[Window::Global],
            &PaneInfo::NO_FIRING,
            &mut out,
        )?;
        let mut nonce = Vec::new();
        wire::put_varint(number as u64, &mut nonce);
        wire::put_prefixed(&nonce, &mut out);
        body(number, &mut out)?;
    }
    Ok(out.into())
}

/// Takes answers apart: what was said to each of so many questions.
pub(super) fn answers<T>(
    coder: &Coder,
    chunks: &[Bytes],
    count: usize,
    mut body: impl FnMut(&mut &[u8]) -> Result<T, CoderError>,
) -> Result<Vec<T>, AnswerError> {
    let codec = WindowedCodec::new(coder.clone(), WindowKind::Global);
    let mut answers: Vec<Option<T>> = (0..count).map(|_| None).collect();
    for element in chunks.iter().flat_map(|chunk| codec.iter(chunk)) {
        let element = element?;
        let nonce = wire::varint(&mut wire::prefixed(&mut element.key())?)?;
        let answer = usize::try_from(nonce)
            .ok()
            .and_then(|number| answers.get_mut(number))
            .filter(|answer| answer.is_none())
            .ok_or(AnswerError::Unasked { nonce })?;
        *answer = Some(body(&mut element.value_of_key())?);
    }
    let asked = count;
    answers
        .into_iter()
        .enumerate()
        .map(|(nonce, answer)| answer.ok_or(AnswerError::Unanswered { nonce, asked }))
        .collect()
}

/// An iterable: a count and so many elements, or -1 and chunks of elements, each with its count, until
/// one has none.
pub(super) fn iterable<T>(
    input: &mut &[u8],
    mut element: impl FnMut(&mut &[u8]) -> Result<T, CoderError>,
) -> Result<Vec<T>, CoderError> {
    let mut elements = Vec::new();
    match i32::from_be_bytes(wire::array(input)?) {
        count @ 0.. => {
            for _ in 0..count {
                elements.push(element(input)?);
            }
        }
        -1 => loop {
            let count = wire::varint(input)?;
            if count == 0 {
                break;
            }
            for _ in 0..count {
                elements.push(element(input)?);
            }
        },
        count => {
            let count = count.into();
            return Err(CoderError::BadCount { count });
        }
    }
    Ok(elements)
}

/// Windows as an iterable.
pub(super) fn put_windows(
    kind: &WindowKind,
    windows: &[Window],
    out: &mut Vec<u8>,
) -> Result<(), CoderError> {
    let count = i32::try_from(windows.len()).map_err(|_| CoderError::BadCount {
        count: i64::try_from(windows.len()).unwrap_or(i64::MAX),
    })?;
    out.extend_from_slice(&count.to_be_bytes());
    windows
        .iter()
        .try_for_each(|window| kind.encode(window, out))
}
