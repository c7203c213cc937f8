//! Chunks to events.
//!
//! The answer is whole only when a choice has said why it stopped *and* the stream has ended, by
//! `[DONE]` or by the clean end of its body (some vendors leave `[DONE]` out). Anything else is a
//! broken stream: transient, for another try may well do.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use baton_core::{Disposition, Usage};
use futures_util::Stream;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Map, Value};

use super::super::error::error_field;
use super::super::response::finish_reason;
use super::super::usage::Counted;
use crate::collect::{in_choice, in_delta};
use crate::sse::Events;
use crate::{BodyStream, Delta, EventStream, FinishReason, StreamEvent, WireError};

/// The most tool calls of one answer.
const CALLS_MAX: usize = 128;

/// Decodes the body of a streamed 200.
///
/// Comments are skipped; events and the whole are bounded ([`crate::EVENT_BYTES_MAX`],
/// [`crate::STREAM_BYTES_MAX`]). The last item is `End` or an error:
///
/// - transient: the transport failed, an event is not JSON, or the stream ended early;
/// - bad answer: a chunk is JSON but no chunk of one completion, or a bound is passed;
/// - an error event: as its code or type says.
#[must_use]
pub fn decode_stream(body: BodyStream) -> EventStream {
    Box::pin(Decoded {
        events: Events::new(body),
        decoder: StreamDecoder::default(),
        ready: VecDeque::new(),
        last: None,
        over: false,
    })
}

struct Decoded {
    events: Events,
    decoder: StreamDecoder,
    ready: VecDeque<StreamEvent>,
    last: Option<WireError>,
    over: bool,
}

impl Stream for Decoded {
    type Item = Result<StreamEvent, WireError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            if let Some(event) = this.ready.pop_front() {
                return Poll::Ready(Some(Ok(event)));
            }
            if this.over {
                return Poll::Ready(this.last.take().map(Err));
            }
            let step = match ready!(Pin::new(&mut this.events).poll_next(cx)) {
                Some(Ok(sse)) => {
                    let data = sse.data.as_deref().unwrap_or_default();
                    this.decoder.push(sse.event.as_deref(), data, &mut this.ready)
                }
                Some(Err(error)) => Err(error),
                None => this.decoder.end(&mut this.ready).map(|()| true),
            };
            match step {
                Ok(false) => {}
                Ok(true) => {
                    this.over = true;
                    // Often the body's end is already here: taking it lets the connection be used again.
                    let _ = Pin::new(&mut this.events).poll_next(cx);
                }
                Err(error) => {
                    (this.over, this.last) = (true, Some(error));
                    // What was reported is billed, however it ends.
                    this.ready.extend(this.decoder.usage.take().map(StreamEvent::Usage));
                }
            }
        }
    }
}

/// The state between chunks. [`decode_stream`] drives it.
#[derive(Debug, Default)]
pub struct StreamDecoder {
    started: bool,
    finish: Option<FinishReason>,
    usage: Option<Usage>,
    /// For each tool call of the answer: the index that the wire gives it, and its id.
    calls: Vec<(u64, String)>,
    /// What the last chunk had that the canonical form does not know, so that it is told once.
    left: Map<String, Value>,
}

#[derive(Deserialize)]
struct Chunk {
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    model: Option<String>,
    #[serde(default)]
    choices: Option<Vec<Choice>>,
    #[serde(default)]
    usage: Option<Counted>,
    #[serde(default)]
    error: Option<Value>,
    #[serde(default, rename = "object")]
    _object: IgnoredAny,
    #[serde(default, rename = "created")]
    _created: IgnoredAny,
    /// Random padding that OpenAI adds against traffic analysis.
    #[serde(default, rename = "obfuscation")]
    _padding: IgnoredAny,
    #[serde(flatten)]
    left: Map<String, Value>,
}

#[derive(Deserialize)]
struct Choice {
    #[serde(default)]
    index: u64,
    #[serde(default)]
    delta: Option<Piece>,
    #[serde(default)]
    finish_reason: Option<String>,
    #[serde(default)]
    error: Option<Value>,
    #[serde(flatten)]
    left: Map<String, Value>,
}

#[derive(Deserialize)]
struct Piece {
    #[serde(default, rename = "role")]
    _role: IgnoredAny,
    #[serde(default)]
    content: Option<Content>,
    #[serde(default)]
    reasoning_content: Option<String>,
    #[serde(default)]
    refusal: Option<String>,
    #[serde(default)]
    tool_calls: Option<Vec<CallPiece>>,
    #[serde(flatten)]
    left: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    Parts(Vec<Value>),
}

#[derive(Deserialize)]
struct CallPiece {
    #[serde(default)]
    index: Option<u64>,
    #[serde(default)]
    id: Option<String>,
    #[serde(default, rename = "type")]
    _kind: IgnoredAny,
    #[serde(default)]
    function: Option<FunctionPiece>,
    #[serde(flatten)]
    left: Map<String, Value>,
}

#[derive(Deserialize)]
struct FunctionPiece {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    arguments: Option<String>,
}

impl StreamDecoder {
    /// Takes one server-sent event, its name and its data; gives true at the end of the answer.
    ///
    /// # Errors
    /// As [`decode_stream`]; nothing may be pushed after one.
    pub fn push(&mut self, name: Option<&str>, data: &str, out: &mut VecDeque<StreamEvent>) -> Result<bool, WireError> {
        let data = data.trim();
        if data.is_empty() {
            return Ok(false);
        }
        if data == "[DONE]" {
            return self.end(out).map(|()| true);
        }
        let chunk: Chunk = serde_json::from_str(data).map_err(|error| unreadable(data, &error))?;
        if let Some(error) = &chunk.error {
            return Err(error_field(error));
        }
        if name == Some("error") {
            return Err(error_field(&Value::Object(chunk.left)));
        }
        self.chunk(chunk, out)?;
        Ok(false)
    }

    /// The stream is over, by `[DONE]` or by the clean end of its body.
    ///
    /// # Errors
    /// Transient: no choice has said why it stopped, so the answer is not whole.
    pub fn end(&mut self, out: &mut VecDeque<StreamEvent>) -> Result<(), WireError> {
        let Some(finish) = self.finish.take() else {
            let what = if self.started { "before the answer was complete" } else { "before the answer began" };
            return Err(WireError::broken(format!("the stream is broken: it ended {what}")));
        };
        out.extend(self.usage.take().map(StreamEvent::Usage));
        out.push_back(StreamEvent::End { finish });
        Ok(())
    }

    fn chunk(&mut self, chunk: Chunk, out: &mut VecDeque<StreamEvent>) -> Result<(), WireError> {
        let mut choices = chunk.choices.unwrap_or_default();
        if !self.started && (!choices.is_empty() || chunk.id.as_deref().is_some_and(|id| !id.is_empty())) {
            self.started = true;
            out.push_back(StreamEvent::Start {
                id: chunk.id.unwrap_or_default(),
                model: chunk.model.unwrap_or_default(),
            });
        }
        let mut left = known(chunk.left);
        if let Some(counted) = chunk.usage {
            self.usage = Some(counted.usage());
            left.extend(
                Some(counted.into_left()).filter(|l| !l.is_empty()).map(|l| ("usage".to_owned(), Value::Object(l))),
            );
        }
        if left != self.left {
            self.left.clone_from(&left);
            opaque(left, out);
        }
        if choices.len() > 1 || choices.first().is_some_and(|choice| choice.index != 0) {
            return Err(WireError::new(
                Disposition::BadAnswer,
                "the stream has more than one choice, where one was asked for",
            ));
        }
        choices.pop().map_or(Ok(()), |choice| self.choice(choice, out))
    }

    fn choice(&mut self, choice: Choice, out: &mut VecDeque<StreamEvent>) -> Result<(), WireError> {
        if let Some(error) = &choice.error {
            return Err(error_field(error));
        }
        let left = known(choice.left);
        if !left.is_empty() {
            opaque(in_choice(left), out);
        }
        if let Some(delta) = choice.delta {
            self.delta(delta, out)?;
        }
        if let Some(finish) = choice.finish_reason.map_or(Ok(None), finish_reason)? {
            self.finish = Some(finish);
        }
        Ok(())
    }

    fn delta(&mut self, delta: Piece, out: &mut VecDeque<StreamEvent>) -> Result<(), WireError> {
        let mut left = known(delta.left);
        let reasoning = match left.shift_remove("reasoning") {
            Some(Value::String(text)) => Some(text),
            Some(other) => {
                left.insert("reasoning".to_owned(), other);
                None
            }
            None => None,
        };
        for (name, value) in left {
            opaque(in_delta(&name, value), out);
        }
        push(out, delta.reasoning_content.or(reasoning), Delta::Thinking);
        match delta.content {
            None => {}
            Some(Content::Text(text)) => push(out, Some(text), Delta::Text),
            Some(Content::Parts(parts)) => parts.into_iter().for_each(|part| content_part(part, out)),
        }
        push(out, delta.refusal, Delta::Refusal);
        for (position, call) in delta.tool_calls.into_iter().flatten().enumerate() {
            self.call(position, call, out)?;
        }
        Ok(())
    }

    /// Which call of the answer a piece belongs to: by the wire's index; where vendors give two calls
    /// the same index, or none, by the id that a call begins with.
    fn call(&mut self, position: usize, call: CallPiece, out: &mut VecDeque<StreamEvent>) -> Result<(), WireError> {
        let id = call.id.filter(|id| !id.is_empty());
        let wire = call.index.unwrap_or(if id.is_some() { self.calls.len() as u64 } else { position as u64 });
        let begun = self.calls.iter().rposition(|(index, of)| *index == wire && id.as_ref().is_none_or(|id| id == of));
        let index = begun.unwrap_or(self.calls.len());
        let function = call.function.unwrap_or(FunctionPiece { name: None, arguments: None });
        let name = function.name.filter(|name| !name.is_empty());
        let first = begun.is_none();
        if index == CALLS_MAX {
            return Err(WireError::bad_answer(format!("the stream has more than {CALLS_MAX} tool calls")));
        }
        if first {
            if name.is_none() {
                return Err(WireError::new(
                    Disposition::BadAnswer,
                    "a tool call of the stream begins without its function's name",
                ));
            }
            self.calls.push((wire, id.clone().unwrap_or_default()));
        }
        let arguments = function.arguments.unwrap_or_default();
        let (id, name) = if first { (id, name) } else { (None, None) };
        if first || !arguments.is_empty() {
            out.push_back(StreamEvent::Delta(Delta::ToolUse { index, id, name, arguments }));
        }
        let mut left = known(call.left);
        if !left.is_empty() {
            left.insert("index".to_owned(), Value::from(index));
            opaque(in_delta("tool_calls", Value::Array(vec![Value::Object(left)])), out);
        }
        Ok(())
    }
}

fn push(out: &mut VecDeque<StreamEvent>, text: Option<String>, delta: impl Fn(String) -> Delta) {
    if let Some(text) = text.filter(|text| !text.is_empty()) {
        out.push_back(StreamEvent::Delta(delta(text)));
    }
}

fn opaque(fields: Map<String, Value>, out: &mut VecDeque<StreamEvent>) {
    if !fields.is_empty() {
        out.push_back(StreamEvent::Delta(Delta::Opaque(fields)));
    }
}

fn content_part(part: Value, out: &mut VecDeque<StreamEvent>) {
    match part.get("text").and_then(Value::as_str) {
        Some(text) if part.get("type").is_some_and(|kind| kind == "text") => {
            push(out, Some(text.to_owned()), Delta::Text);
        }
        _ => opaque(in_delta("content", Value::Array(vec![part])), out),
    }
}

/// Without the fields that are `null`: in a stream they say that nothing has changed.
fn known(mut left: Map<String, Value>) -> Map<String, Value> {
    left.retain(|_, value| !value.is_null());
    left
}

/// A wrong type is met before the end of a document that is cut off: whole or not is asked first.
fn unreadable(data: &str, error: &serde_json::Error) -> WireError {
    match serde_json::from_str::<IgnoredAny>(data) {
        Ok(_) => WireError::bad_answer(format!("an event of the stream is no chunk of a completion: {error}")),
        Err(cut) if cut.is_eof() => {
            WireError::broken(format!("the stream is broken: an event is cut off after {} bytes", data.len()))
        }
        Err(error) => WireError::broken(format!("the stream is broken: an event is not JSON: {error}")),
    }
}
