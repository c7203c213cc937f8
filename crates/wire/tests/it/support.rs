//! Fixtures, bodies in pieces, and events as lines.

use std::path::PathBuf;

use baton_wire::{BodyStream, Delta, StreamEvent, TransportError, TransportFault, WireError, openai};
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, stream};
use serde_json::Value;

pub(crate) fn fixture(path: &str) -> Vec<u8> {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(path);
    std::fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

pub(crate) fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

/// A body that arrives in pieces of these sizes, over and over; 0 is an empty piece.
pub(crate) fn body(bytes: &[u8], sizes: &[usize]) -> BodyStream {
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

/// A body after which the transport fails.
pub(crate) fn broken_body(bytes: &[u8]) -> BodyStream {
    let error = TransportError { fault: TransportFault::Broken, message: "connection reset".to_owned() };
    Box::pin(stream::iter([Ok(Bytes::copy_from_slice(bytes)), Err(error)]))
}

/// All events of a body that is ready.
pub(crate) fn decode(body: BodyStream) -> Vec<Result<StreamEvent, WireError>> {
    openai::decode_stream(body).collect().now_or_never().unwrap()
}

/// One line an event: `text "bil"`, `error Transient …`.
pub(crate) fn lines(events: &[Result<StreamEvent, WireError>]) -> Vec<String> {
    events.iter().map(line).collect()
}

fn line(event: &Result<StreamEvent, WireError>) -> String {
    match event {
        Err(error) => format!("error {:?} {error}", error.disposition),
        Ok(StreamEvent::Start { id, model }) => format!("start {id} {model}"),
        Ok(StreamEvent::Usage(u)) => {
            let (input, output) = (u.input_tokens, u.output_tokens);
            format!("usage {input} {output} cached {} reasoning {}", u.cached_tokens, u.reasoning_tokens)
        }
        Ok(StreamEvent::End { finish }) => format!("end {finish:?}"),
        Ok(StreamEvent::Delta(Delta::Text(text))) => format!("text {text}"),
        Ok(StreamEvent::Delta(Delta::Thinking(text))) => format!("thinking {text}"),
        Ok(StreamEvent::Delta(Delta::Refusal(text))) => format!("refusal {text}"),
        Ok(StreamEvent::Delta(Delta::ToolUse { index, id, name, arguments })) => {
            let begins = id.iter().chain(name).map(|text| format!(" {text}")).collect::<String>();
            format!("tool {index}{begins} {arguments}")
        }
        Ok(StreamEvent::Delta(Delta::Opaque(fields))) => format!("opaque {}", Value::Object(fields.clone())),
    }
}
