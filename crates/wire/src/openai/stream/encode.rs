//! Events to chunks.

use baton_core::Usage;
use bytes::Bytes;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::super::response::{finish_name, merge_object};
use super::super::usage;
use crate::{Delta, StreamEvent};

/// Writes the stream of one answer: server-sent events, each a `chat.completion.chunk`, and `[DONE]`.
#[derive(Clone, Debug)]
pub struct StreamEncoder {
    id: String,
    model: String,
    created: u64,
    include_usage: bool,
    usage: Option<Usage>,
    usage_left: Map<String, Value>,
}

#[derive(Serialize)]
struct Chunk<'a> {
    id: &'a str,
    object: &'static str,
    created: u64,
    model: &'a str,
    choices: &'a [Choice<'a>],
    /// `None`: not asked for. `Some(None)`: not yet known, written as null.
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Option<Value>>,
}

#[derive(Serialize)]
struct Choice<'a> {
    index: u64,
    delta: &'a Piece<'a>,
    finish_reason: Option<&'a str>,
}

#[derive(Default, Serialize)]
struct Piece<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_calls: Option<[Value; 1]>,
}

impl StreamEncoder {
    /// `created` is in seconds since 1970; `include_usage` as the request's `stream_options` says.
    #[must_use]
    pub fn new(created: u64, include_usage: bool) -> Self {
        Self { id: String::new(), model: String::new(), created, include_usage, usage: None, usage_left: Map::new() }
    }

    /// The bytes of one event; empty where there is nothing to say yet.
    pub fn encode(&mut self, event: &StreamEvent) -> Bytes {
        match event {
            StreamEvent::Start { id, model } => {
                (self.id, self.model) = (id.clone(), model.clone());
                self.piece(&Piece { role: Some("assistant"), content: Some(""), ..Piece::default() }, None)
            }
            StreamEvent::Delta(Delta::Opaque(fields)) => self.opaque(fields),
            StreamEvent::Delta(delta) => self.piece(&piece(delta), None),
            StreamEvent::Usage(usage) => {
                self.usage = Some(*usage);
                Bytes::new()
            }
            StreamEvent::End { finish } => self.end(finish_name(finish)),
        }
    }

    /// The bytes of an error after the stream began; nothing may follow it. `error` is as
    /// [`super::super::encode_error`] writes it.
    #[must_use]
    pub fn error(error: &Value) -> Bytes {
        frame(error)
    }

    fn piece(&self, delta: &Piece<'_>, finish_reason: Option<&str>) -> Bytes {
        frame(&self.chunk(&[Choice { index: 0, delta, finish_reason }], None))
    }

    fn opaque(&mut self, fields: &Map<String, Value>) -> Bytes {
        let mut fields = fields.clone();
        if let Some(Value::Object(left)) = fields.shift_remove("usage") {
            self.usage_left = left;
        }
        if fields.is_empty() {
            return Bytes::new();
        }
        let delta = Piece::default();
        let inside = [Choice { index: 0, delta: &delta, finish_reason: None }];
        let choices = if fields.contains_key("choices") { &inside[..] } else { &[] };
        let mut chunk = json!(self.chunk(choices, None));
        merge_object(&mut chunk, &fields);
        frame(&chunk)
    }

    fn end(&self, finish: &str) -> Bytes {
        let mut bytes = self.piece(&Piece::default(), Some(finish)).to_vec();
        if let (true, Some(usage)) = (self.include_usage, &self.usage) {
            let mut usage = usage::encode(usage);
            merge_object(&mut usage, &self.usage_left);
            bytes.extend_from_slice(&frame(&self.chunk(&[], Some(usage))));
        }
        bytes.extend_from_slice(b"data: [DONE]\n\n");
        Bytes::from(bytes)
    }

    fn chunk<'a>(&'a self, choices: &'a [Choice<'a>], usage: Option<Value>) -> Chunk<'a> {
        Chunk {
            id: &self.id,
            object: "chat.completion.chunk",
            created: self.created,
            model: &self.model,
            choices,
            usage: self.include_usage.then_some(usage),
        }
    }
}

fn piece(delta: &Delta) -> Piece<'_> {
    match delta {
        Delta::Text(text) => Piece { content: Some(text), ..Piece::default() },
        Delta::Thinking(text) => Piece { reasoning_content: Some(text), ..Piece::default() },
        Delta::Refusal(text) => Piece { refusal: Some(text), ..Piece::default() },
        Delta::ToolUse { index, id, name, arguments } => {
            let mut call = json!({"index": index, "function": {"arguments": arguments}});
            if let Some(name) = name {
                call["function"]["name"] = json!(name);
                call["type"] = json!("function");
            }
            if let Some(id) = id {
                call["id"] = json!(id);
            }
            Piece { tool_calls: Some([call]), ..Piece::default() }
        }
        Delta::Opaque(_) => Piece::default(),
    }
}

/// JSON has no line breaks of its own, so one `data` line holds it.
fn frame(chunk: &impl Serialize) -> Bytes {
    let mut bytes = b"data: ".to_vec();
    #[expect(clippy::unwrap_used, reason = "keys are strings and the buffer is memory: writing cannot fail")]
    serde_json::to_writer(&mut bytes, chunk).unwrap();
    bytes.extend_from_slice(b"\n\n");
    Bytes::from(bytes)
}
