//! Questions and answers on the wire.

use std::collections::BTreeMap;

use bytes::Bytes;
use dataflume_engine::grouping::Merge;
use dataflume_graph::plan::WindowFnCall;
use dataflume_model::coder::Coder;
use dataflume_model::ids::EnvironmentId;
use dataflume_model::pane::PaneInfo;
use dataflume_model::time::EventTime;
use dataflume_model::window::{Window, WindowKind};
use dataflume_model::windowed::WindowedCodec;
use dataflume_model::wire;
use dataflume_proto::fn_execution::ProcessBundleDescriptor;

use super::codec::AnswerError;
use super::merging::{answer_to, question};

const KIND: WindowKind = WindowKind::Interval;

fn window(start: i64, end: i64) -> Window {
    Window::Interval {
        start: EventTime(start),
        end: EventTime(end),
    }
}

fn call() -> WindowFnCall {
    let windows = || Coder::iterable(Coder::IntervalWindow);
    let merged = Coder::iterable(Coder::kv(Coder::IntervalWindow, windows()));
    WindowFnCall {
        environment: EnvironmentId(0),
        descriptor: ProcessBundleDescriptor::default(),
        source: "source".into(),
        sink: "sink".into(),
        output_coder: Coder::kv(Coder::Bytes, Coder::kv(windows(), merged)),
    }
}

/// An answer: the windows that stay, and what comes of others. Iterables are written with their count or
/// without it.
fn answer(nonce: u64, stay: &[Window], merged: &[(Window, Vec<Window>)], counted: bool) -> Vec<u8> {
    let header = WindowedCodec::new(Coder::Bytes, WindowKind::Global);
    let mut out = Vec::new();
    header
        .encode_header(
            EventTime(0),
            &[Window::Global],
            &PaneInfo::NO_FIRING,
            &mut out,
        )
        .expect("a header");
    let mut number = Vec::new();
    wire::put_varint(nonce, &mut number);
    wire::put_prefixed(&number, &mut out);
    put(stay.len(), counted, &mut out, |index, out| {
        KIND.encode(&stay[index], out).expect("an interval");
    });
    put(merged.len(), counted, &mut out, |index, out| {
        let (result, sources) = &merged[index];
        KIND.encode(result, out).expect("an interval");
        put(sources.len(), counted, out, |index, out| {
            KIND.encode(&sources[index], out).expect("an interval");
        });
    });
    out
}

fn put(count: usize, counted: bool, out: &mut Vec<u8>, element: impl Fn(usize, &mut Vec<u8>)) {
    if counted {
        out.extend_from_slice(&(count as i32).to_be_bytes());
        (0..count).for_each(|index| element(index, out));
        return;
    }
    out.extend_from_slice(&(-1i32).to_be_bytes());
    for index in 0..count {
        wire::put_varint(1, out);
        element(index, out);
    }
    wire::put_varint(0, out);
}

fn by_result(merges: &[Merge]) -> BTreeMap<Window, Vec<Window>> {
    let pairs = merges.iter();
    pairs
        .map(|merge| (merge.result.clone(), merge.sources.clone()))
        .collect()
}

#[test]
fn a_question_has_each_set_under_its_number() {
    let sets = [vec![window(0, 5), window(3, 9)], vec![window(7, 8)]];
    let sets: Vec<&Vec<Window>> = sets.iter().collect();
    let bytes = question(&KIND, &sets).expect("intervals");
    let coder = Coder::kv(Coder::Bytes, Coder::iterable(Coder::IntervalWindow));
    let codec = WindowedCodec::new(coder, WindowKind::Global);
    let mut found = Vec::new();
    for element in codec.iter(&bytes) {
        let element = element.expect("well-formed");
        let mut rest = &element.value_of_key()[4..];
        let mut windows = Vec::new();
        while !rest.is_empty() {
            windows.push(KIND.decode(&mut rest).expect("an interval"));
        }
        found.push((element.key().to_vec(), windows));
    }
    let expected = [(vec![1, 0], sets[0].clone()), (vec![1, 1], sets[1].clone())];
    assert_eq!(found, expected);
}

#[test]
fn answers_may_come_in_any_order_and_form() {
    for counted in [true, false] {
        let second = answer(1, &[window(7, 8)], &[], counted);
        let sources = vec![window(0, 5), window(3, 9)];
        let first = answer(0, &[], &[(window(0, 9), sources.clone())], counted);
        let chunks = [Bytes::from(second), Bytes::from(first)];
        let merges = answer_to(&call(), &KIND, &chunks, 2).expect("both answered");
        assert_eq!(
            by_result(&merges[0]),
            BTreeMap::from([(window(0, 9), sources)])
        );
        let alone = BTreeMap::from([(window(7, 8), vec![window(7, 8)])]);
        assert_eq!(by_result(&merges[1]), alone);
    }
}

#[test]
fn an_answer_that_does_not_fit_is_an_error() {
    let one = || Bytes::from(answer(0, &[window(1, 2)], &[], true));
    let unanswered = answer_to(&call(), &KIND, &[one()], 2);
    let expected = AnswerError::Unanswered { nonce: 1, asked: 2 };
    assert_eq!(unanswered, Err(expected));
    let twice = answer_to(&call(), &KIND, &[one(), one()], 1);
    assert_eq!(twice, Err(AnswerError::Unasked { nonce: 0 }));
    let cut = one().slice(..20);
    let cut = answer_to(&call(), &KIND, &[cut], 1);
    assert!(matches!(cut, Err(AnswerError::Coder(_))));
}
