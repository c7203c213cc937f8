//! Answers as they arrive.

use baton_wire::openai::{StreamEncoder, decode_response, decode_stream, encode_response};
use baton_wire::{BodyStream, Collector, Completion, Delta, StreamEvent, TransportError, TransportFault, WireError};
use bytes::Bytes;
use futures_util::{FutureExt as _, StreamExt as _, stream};

type Events = Vec<Result<StreamEvent, WireError>>;

/// Server-sent events of a stream, however their bytes arrive and wherever they end.
///
/// # Panics
/// Where the events depend on how the bytes were split, where they are out of order, or where a
/// stream that was cut off is taken for whole.
pub fn sse(bytes: &[u8]) {
    let whole = decode(pieces(bytes, &[usize::MAX]));
    check_order(&whole);
    let sum = bytes.iter().fold(7_usize, |sum, byte| (sum * 31 + usize::from(*byte)) % 1021);
    for sizes in [&[1][..], &[2], &[5, 0, 3], &[1 + sum % 17, 1 + sum % 5]] {
        assert_eq!(decode(pieces(bytes, sizes)), whole, "in pieces of {sizes:?}");
    }
    let says = |text: &[u8]| bytes.windows(text.len()).any(|window| window == text);
    if matches!(whole.last(), Some(Ok(_))) {
        // A name can hide behind escapes.
        assert!(says(b"finish_reason") || says(b"\\u"), "nobody said why the answer ended");
    }
    if !says(b"[DONE]") {
        let error = TransportError { fault: TransportFault::Broken, message: "reset".to_owned() };
        let broken = decode(Box::pin(pieces(bytes, &[64]).chain(stream::iter([Err(error)]))));
        assert!(matches!(broken.last(), Some(Err(_))), "the connection broke, and the answer is whole");
    }
    if let Some(Ok(_)) = whole.last() {
        for cut in [bytes.len() / 3, bytes.len() / 2, bytes.len() - bytes.len() / 5, bytes.len().saturating_sub(1)] {
            let part = decode(pieces(&bytes[..cut], &[usize::MAX]));
            check_order(&part);
            assert!(deltas(&whole).starts_with(&deltas(&part)), "cut at {cut}: something else was said");
        }
    }
}

/// A whole streamed answer: written as a stream or as one document, it is read back as it was.
///
/// # Panics
/// Where it is not.
pub fn openai_stream(bytes: &[u8]) {
    let events: Result<Vec<StreamEvent>, WireError> = decode(pieces(bytes, &[usize::MAX])).into_iter().collect();
    let Ok(events) = events else { return };
    let answer = collected(&events);
    assert_eq!(collected(&again(&events)), answer, "written as it came");
    assert_eq!(collected(&again(&answer.clone().into_events())), answer, "written from the whole answer");
    let document = encode_response(&answer, 1).to_string();
    assert_eq!(decode_response(document.as_bytes()).as_ref(), Ok(&answer), "written as one document: {document}");
}

/// The events of a stream that writes these.
pub(super) fn again(events: &[StreamEvent]) -> Vec<StreamEvent> {
    let mut encoder = StreamEncoder::new(1, true);
    let written: Vec<u8> = events.iter().flat_map(|event| encoder.encode(event)).collect();
    let read: Result<_, WireError> = decode(pieces(&written, &[usize::MAX])).into_iter().collect();
    read.unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&written)))
}

pub(super) fn collected(events: &[StreamEvent]) -> Completion {
    let mut collector = Collector::default();
    events.iter().cloned().for_each(|event| collector.push(event));
    collector.finish().expect("the stream has ended")
}

fn deltas(events: &Events) -> Vec<&Delta> {
    events
        .iter()
        .filter_map(|event| if let Ok(StreamEvent::Delta(delta)) = event { Some(delta) } else { None })
        .collect()
}

/// One `Start` first, at most one `Usage`, and one end, last: `End` or an error.
fn check_order(events: &Events) {
    let (last, before) = events.split_last().expect("a stream ends somehow");
    assert!(matches!(last, Err(_) | Ok(StreamEvent::End { .. })), "{last:?}");
    for (place, event) in before.iter().enumerate() {
        match event {
            Ok(StreamEvent::Start { .. }) => assert_eq!(place, 0, "it starts twice, or late: {events:?}"),
            Ok(StreamEvent::Delta(_)) => assert_ne!(place, 0, "it says something before it starts: {events:?}"),
            Ok(StreamEvent::Usage(_)) => assert_eq!(place + 1, before.len(), "usage is told at the end: {events:?}"),
            Ok(StreamEvent::End { .. }) | Err(_) => panic!("it ends twice: {events:?}"),
        }
    }
}

fn decode(body: BodyStream) -> Events {
    decode_stream(body).collect().now_or_never().expect("the body is there")
}

/// A body that arrives in pieces of these sizes, over and over.
fn pieces(bytes: &[u8], sizes: &[usize]) -> BodyStream {
    let mut left = Bytes::copy_from_slice(bytes);
    let mut pieces = Vec::new();
    for size in sizes.iter().cycle() {
        if left.is_empty() {
            break;
        }
        pieces.push(Ok(left.split_to((*size).min(left.len()))));
    }
    Box::pin(stream::iter(pieces))
}
