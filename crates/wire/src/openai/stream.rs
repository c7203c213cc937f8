//! Streams, both ways.

use std::collections::VecDeque;

use baton_core::Usage;
use bytes::Bytes;
use futures_util::stream::{BoxStream, StreamExt as _, once, unfold};
use serde_json::{Value, json};
use sse_stream::SseByteStream;

use super::response::{encode_usage, finish, finish_name, usage};
use crate::error::decode_error_body;
use crate::{BodyStream, Delta, FinishReason, StreamEvent, TransportError, TransportFault, WireError};

/// The longest line of a stream, and the most that one stream may bring, in bytes.
const LINE_MAX: usize = 1024 * 1024;
const TOTAL_MAX: usize = 16 * 1024 * 1024;
/// The most tool calls of one answer.
const TOOLS_MAX: u64 = 128;

/// Reads a stream of chat completion chunks. Ends after `End` or with an error: a stream that stops
/// before it said why is broken.
#[must_use]
pub fn decode_stream(body: BodyStream) -> BoxStream<'static, Result<StreamEvent, WireError>> {
    // A last event without its blank line must not be dropped.
    let closed = bounded(body).chain(once(async { Ok(Bytes::from_static(b"\n\n")) }));
    let state = (Box::pin(SseByteStream::new(Box::pin(closed))), Decoder::default());
    unfold(state, |(mut events, mut decoder)| async move {
        loop {
            if let Some(event) = decoder.ready.pop_front() {
                return Some((event, (events, decoder)));
            }
            if decoder.ended {
                return None;
            }
            match events.next().await {
                Some(Ok(event)) => decoder.take(event.data.as_deref().unwrap_or_default()),
                Some(Err(error)) => decoder.fail(WireError::broken(format!("the stream broke: {}", causes(&error)))),
                None => decoder.close(),
            }
        }
    })
    .boxed()
}

/// The error and what caused it.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

fn bounded(body: BodyStream) -> BoxStream<'static, Result<Bytes, TransportError>> {
    let (mut line, mut total) = (0_usize, 0_usize);
    body.map(move |piece| {
        let piece = piece?;
        total += piece.len();
        line = match piece.iter().rposition(|byte| *byte == b'\n') {
            Some(last) => piece.len() - last - 1,
            None => line + piece.len(),
        };
        if line > LINE_MAX || total > TOTAL_MAX || piece.len() > LINE_MAX {
            let message = format!("the stream exceeds its bounds ({LINE_MAX} bytes a line, {TOTAL_MAX} in all)");
            return Err(TransportError { fault: TransportFault::Broken, message });
        }
        Ok(piece)
    })
    .boxed()
}

#[derive(Default)]
struct Decoder {
    ready: VecDeque<Result<StreamEvent, WireError>>,
    started: bool,
    finish: Option<FinishReason>,
    usage: Option<Usage>,
    ended: bool,
}

impl Decoder {
    fn take(&mut self, data: &str) {
        match data.trim() {
            // Comments keep the connection alive.
            "" => {}
            "[DONE]" => self.close(),
            data => match serde_json::from_str::<Value>(data) {
                Ok(chunk) => self.chunk(&chunk),
                Err(error) => self.fail(WireError::broken(format!("a piece of the stream is no JSON: {error}"))),
            },
        }
    }

    fn chunk(&mut self, chunk: &Value) {
        if let Some(error) = chunk.get("error").filter(|error| !error.is_null()) {
            return self.fail(decode_error_body(error));
        }
        let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
        if !self.started {
            self.started = true;
            let start = StreamEvent::Start { id: text(chunk.get("id")), model: text(chunk.get("model")) };
            self.ready.push_back(Ok(start));
        }
        self.usage = chunk.get("usage").and_then(usage).or(self.usage);
        let Some(choice) = chunk.pointer("/choices/0") else { return };
        if let Some(delta) = choice.get("delta") {
            self.delta(delta);
        }
        if let Some(reason) = choice.get("finish_reason").and_then(Value::as_str) {
            self.finish = Some(finish(Some(reason)));
        }
    }

    fn delta(&mut self, delta: &Value) {
        let field = |name: &str| delta.get(name).and_then(Value::as_str).filter(|t| !t.is_empty()).map(str::to_owned);
        let mut emit = |delta| self.ready.push_back(Ok(StreamEvent::Delta(delta)));
        if let Some(text) = field("reasoning_content").or_else(|| field("reasoning")) {
            emit(Delta::Thinking(text));
        }
        if let Some(text) = field("content") {
            emit(Delta::Text(text));
        }
        if let Some(text) = field("refusal") {
            emit(Delta::Refusal(text));
        }
        for (n, call) in delta.get("tool_calls").and_then(Value::as_array).into_iter().flatten().enumerate() {
            let index = call.get("index").and_then(Value::as_u64).unwrap_or(n as u64);
            if index >= TOOLS_MAX {
                return self.fail(WireError::bad_answer(format!("more than {TOOLS_MAX} tool calls")));
            }
            let text = |pointer: &str| call.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
            emit(Delta::ToolUse {
                index: usize::try_from(index).unwrap_or_default(),
                id: text("/id"),
                name: text("/function/name"),
                arguments: text("/function/arguments").unwrap_or_default(),
            });
        }
    }

    /// The stream says that it is over, or just stops.
    fn close(&mut self) {
        match self.finish.take() {
            Some(finish) => {
                self.ready.extend(self.usage.take().map(|usage| Ok(StreamEvent::Usage(usage))));
                self.ready.push_back(Ok(StreamEvent::End { finish }));
                self.ended = true;
            }
            None => self.fail(WireError::broken("the stream ended before its answer was complete")),
        }
    }

    fn fail(&mut self, error: WireError) {
        self.ready.push_back(Err(error));
        self.ended = true;
    }
}

/// Writes a stream as OpenAI does: the data of each event, in order, `[DONE]` last.
pub struct StreamEncoder {
    id: String,
    model: String,
    created: u64,
}

impl StreamEncoder {
    /// `created` is in Unix seconds.
    #[must_use]
    pub fn new(id: String, model: String, created: u64) -> Self {
        Self { id, model, created }
    }

    /// The first chunk: the assistant begins.
    #[must_use]
    pub fn start(&self) -> String {
        self.chunk(json!([choice(json!({ "role": "assistant", "content": "" }), None)]))
    }

    /// A piece; reasoning is written as `reasoning_content`.
    #[must_use]
    pub fn delta(&self, delta: &Delta) -> String {
        let delta = match delta {
            Delta::Text(text) => json!({ "content": text }),
            Delta::Thinking(text) => json!({ "reasoning_content": text }),
            Delta::Refusal(text) => json!({ "refusal": text }),
            Delta::ToolUse { index, id, name, arguments } => {
                let mut function = json!({ "arguments": arguments });
                if let Some(name) = name {
                    function["name"] = json!(name);
                }
                let mut call = json!({ "index": index, "function": function });
                if let Some(id) = id {
                    call["id"] = json!(id);
                    call["type"] = json!("function");
                }
                json!({ "tool_calls": [call] })
            }
        };
        self.chunk(json!([choice(delta, None)]))
    }

    /// Why it stopped.
    #[must_use]
    pub fn finish(&self, finish: &FinishReason) -> String {
        self.chunk(json!([choice(json!({}), Some(finish_name(finish)))]))
    }

    /// Tokens, where the client asked for them.
    #[must_use]
    pub fn usage(&self, usage: &Usage) -> String {
        let mut chunk = self.value(json!([]));
        chunk["usage"] = encode_usage(usage);
        chunk.to_string()
    }

    /// The end of the stream.
    #[must_use]
    pub fn done() -> &'static str {
        "[DONE]"
    }

    fn chunk(&self, choices: Value) -> String {
        self.value(choices).to_string()
    }

    fn value(&self, choices: Value) -> Value {
        json!({
            "id": self.id,
            "object": "chat.completion.chunk",
            "created": self.created,
            "model": self.model,
            "choices": choices,
        })
    }
}

fn choice(delta: Value, finish: Option<&str>) -> Value {
    json!({ "index": 0, "delta": delta, "finish_reason": finish })
}
