//! Writing requests and messages, straight from the canonical form to bytes.

use baton_core::write_json;
use bytes::Bytes;
use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};
use serde_json::{Map, Value, json};

use super::{Dialect, StreamOptions, Structured};
use crate::{Block, ChatRequest, Message, ResponseFormat, Role, Tool};

/// Bytes that most requests fit into.
const ROOM: usize = 4 << 10;

/// Writes a request in the form itself ([`Dialect::PLAIN`]).
#[must_use]
pub fn encode_request(request: &ChatRequest) -> Bytes {
    encode_request_for(request, &Dialect::PLAIN, request.stream)
}

/// Writes a request as this vendor wants it, streamed or not whatever the request itself says. A
/// thinking block's signature has no place in this format and is left out.
#[must_use]
pub fn encode_request_for(request: &ChatRequest, dialect: &Dialect, stream: bool) -> Bytes {
    let mut body = Vec::with_capacity(ROOM);
    #[expect(clippy::unwrap_used, reason = "keys are strings and the buffer is memory: writing cannot fail")]
    write_json(&mut body, &Request { request, dialect, stream }).unwrap();
    Bytes::from(body)
}

/// An object under construction that remembers its fields, so that `extra` repeats none.
struct Object<M> {
    map: M,
    written: Vec<&'static str>,
}

impl<M: SerializeMap> Object<M> {
    fn new(map: M) -> Self {
        Self { map, written: Vec::with_capacity(8) }
    }

    fn put(&mut self, name: &'static str, value: &(impl Serialize + ?Sized)) -> Result<(), M::Error> {
        self.written.push(name);
        self.map.serialize_entry(name, value)
    }

    fn put_some(&mut self, name: &'static str, value: Option<&(impl Serialize + ?Sized)>) -> Result<(), M::Error> {
        value.map_or(Ok(()), |value| self.put(name, value))
    }

    /// The fields of `left` that were not written, and the end.
    fn end(mut self, left: Option<&Map<String, Value>>) -> Result<M::Ok, M::Error> {
        for (name, value) in left.into_iter().flatten() {
            if !self.written.contains(&name.as_str()) {
                self.map.serialize_entry(name, value)?;
            }
        }
        self.map.end()
    }
}

struct Request<'a> {
    request: &'a ChatRequest,
    dialect: &'a Dialect,
    stream: bool,
}

impl Serialize for Request<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let ChatRequest { model, messages, params, tools, tool_choice, response_format, extra, .. } = self.request;
        let mut object = Object::new(serializer.serialize_map(None)?);
        object.put("model", model)?;
        object.put("messages", &Messages(messages))?;
        object.put_some("temperature", params.temperature.as_ref())?;
        object.put_some("top_p", params.top_p.as_ref())?;
        object.put_some(self.dialect.max_tokens, params.max_tokens.as_ref())?;
        object.put_some("stop", Some(&params.stop).filter(|stop| !stop.is_empty()))?;
        object.put_some(self.dialect.seed, params.seed.as_ref())?;
        object.put_some("tools", Some(&Tools(tools)).filter(|_| !tools.is_empty()))?;
        object.put_some("tool_choice", tool_choice.as_ref())?;
        let form = self.response_format(response_format, extra.get("response_format"));
        object.put_some("response_format", form.as_ref())?;
        object.put_some("stream", Some(&true).filter(|_| self.stream))?;
        object.put_some("stream_options", self.stream_options().as_ref())?;
        // These two were decided above, even where that is to say nothing.
        object.written.extend(["response_format", "stream_options"]);
        object.end(Some(extra))
    }
}

impl Request<'_> {
    fn response_format(&self, format: &ResponseFormat, left: Option<&Value>) -> Option<Value> {
        let mut form = match (format, self.dialect.structured) {
            (_, Structured::None) => return None,
            (ResponseFormat::Text, _) => return left.cloned(),
            (ResponseFormat::Json, _) => json!({"type": "json_object"}),
            (ResponseFormat::Schema { .. }, Structured::Object) => return Some(json!({"type": "json_object"})),
            (ResponseFormat::Schema { name, schema }, Structured::Schema) => {
                json!({"type": "json_schema", "json_schema": {"name": name, "schema": schema}})
            }
        };
        if let Some(left) = left.and_then(Value::as_object) {
            super::response::merge_object(&mut form, left);
        }
        Some(form)
    }

    fn stream_options(&self) -> Option<Value> {
        if !self.stream {
            return None;
        }
        let given = self.request.extra.get("stream_options");
        match self.dialect.stream_options {
            StreamOptions::AsGiven => given.cloned(),
            StreamOptions::Omit => None,
            StreamOptions::Usage => {
                let mut options = given.and_then(Value::as_object).cloned().unwrap_or_default();
                options.insert("include_usage".to_owned(), Value::Bool(true));
                Some(Value::Object(options))
            }
        }
    }
}

struct Messages<'a>(&'a [Message]);

impl Serialize for Messages<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(None)?;
        for message in self.0 {
            let mut extra = Some(&message.extra);
            let is_result = |block: &&Block| matches!(block, Block::ToolResult { .. });
            // Each result is a message of its own, and comes before anything else of its turn.
            for result in message.content.iter().filter(is_result) {
                list.serialize_element(&ResultMessage { result, extra: extra.take() })?;
            }
            let rest = message.content.iter().any(|block| !is_result(&block)) || message.content.is_empty();
            if rest {
                list.serialize_element(&PlainMessage { role: message.role, content: &message.content, extra })?;
            }
        }
        list.end()
    }
}

struct ResultMessage<'a> {
    result: &'a Block,
    extra: Option<&'a Map<String, Value>>,
}

impl Serialize for ResultMessage<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = Object::new(serializer.serialize_map(None)?);
        if let Block::ToolResult { id, content } = self.result {
            object.put("role", "tool")?;
            object.put("tool_call_id", id)?;
            object.put("content", content)?;
        }
        object.end(self.extra)
    }
}

/// A message without the results in it.
pub(super) struct PlainMessage<'a> {
    role: Role,
    content: &'a [Block],
    extra: Option<&'a Map<String, Value>>,
}

impl Serialize for PlainMessage<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let role = match self.role {
            Role::System => "system",
            Role::User => "user",
            Role::Assistant => "assistant",
            Role::Tool => "tool",
        };
        let left = |name: &str| self.extra.and_then(|extra| extra.get(name));
        let mut object = Object::new(serializer.serialize_map(None)?);
        object.put("role", left("role").and_then(Value::as_str).unwrap_or(role))?;
        object.put("content", &Content(self.content))?;
        let thinking = joined(self.content, |b| if let Block::Thinking { text, .. } = b { Some(text) } else { None });
        object.put_some("reasoning_content", thinking.as_ref())?;
        let refusal = joined(self.content, |b| if let Block::Refusal(text) = b { Some(text) } else { None });
        object.put_some("refusal", refusal.as_ref())?;
        let calls = Calls {
            content: self.content,
            left: left("tool_calls").and_then(Value::as_array).map_or(&[], Vec::as_slice),
        };
        object.put_some("tool_calls", Some(&calls).filter(|calls| !calls.is_empty()))?;
        object.end(self.extra)
    }
}

/// The message of an answer; `left` is what the canonical form did not know of it.
pub(super) fn answer<'a>(content: &'a [Block], left: Option<&'a Value>) -> PlainMessage<'a> {
    PlainMessage { role: Role::Assistant, content, extra: left.and_then(Value::as_object) }
}

fn joined<'a>(content: &'a [Block], pick: impl Fn(&'a Block) -> Option<&'a String>) -> Option<String> {
    content.iter().filter_map(pick).fold(None, |all: Option<String>, text| Some(all.unwrap_or_default() + text))
}

/// `null`, a text, or a list of parts.
struct Content<'a>(&'a [Block]);

impl Serialize for Content<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut parts = self.0.iter().filter(|block| matches!(block, Block::Text(_) | Block::Opaque(_)));
        match (parts.next(), parts.next()) {
            (None, _) => serializer.serialize_none(),
            (Some(Block::Text(text)), None) => serializer.serialize_str(text),
            (first, second) => serializer.collect_seq(first.into_iter().chain(second).chain(parts).map(Part)),
        }
    }
}

struct Part<'a>(&'a Block);

impl Serialize for Part<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = match self.0 {
            Block::Opaque(value) => return value.serialize(serializer),
            _ => Object::new(serializer.serialize_map(Some(2))?),
        };
        if let Block::Text(text) = self.0 {
            object.put("type", "text")?;
            object.put("text", text)?;
        }
        object.end(None)
    }
}

/// The calls of a message, among those of a kind that the canonical form does not know.
struct Calls<'a> {
    content: &'a [Block],
    left: &'a [Value],
}

impl Calls<'_> {
    fn uses(&self) -> impl Iterator<Item = &Block> {
        self.content.iter().filter(|block| matches!(block, Block::ToolUse { .. }))
    }

    fn is_empty(&self) -> bool {
        self.left.is_empty() && self.uses().next().is_none()
    }
}

impl Serialize for Calls<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(None)?;
        let mut uses = self.uses();
        for left in self.left {
            if left.get("type").is_some() {
                list.serialize_element(left)?;
            } else if let Some(block) = uses.next() {
                list.serialize_element(&Call { block, left: left.as_object() })?;
            }
        }
        for block in uses {
            list.serialize_element(&Call { block, left: None })?;
        }
        list.end()
    }
}

struct Call<'a> {
    block: &'a Block,
    left: Option<&'a Map<String, Value>>,
}

impl Serialize for Call<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = Object::new(serializer.serialize_map(None)?);
        if let Block::ToolUse { id, name, arguments } = self.block {
            object.put("id", id)?;
            object.put("type", "function")?;
            let left = self.left.and_then(|left| left.get("function")).and_then(Value::as_object);
            object.put("function", &Function { fields: [("name", name), ("arguments", arguments)], left })?;
        }
        object.end(self.left)
    }
}

struct Function<'a> {
    fields: [(&'static str, &'a String); 2],
    left: Option<&'a Map<String, Value>>,
}

impl Serialize for Function<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = Object::new(serializer.serialize_map(None)?);
        for (name, value) in self.fields {
            object.put(name, value)?;
        }
        object.end(self.left)
    }
}

struct Tools<'a>(&'a [Tool]);

impl Serialize for Tools<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(OneTool))
    }
}

struct OneTool<'a>(&'a Tool);

impl Serialize for OneTool<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = Object::new(serializer.serialize_map(None)?);
        if !self.0.extra.contains_key("type") {
            object.put("type", "function")?;
            object.put("function", &Declaration(self.0))?;
        }
        object.end(Some(&self.0.extra))
    }
}

struct Declaration<'a>(&'a Tool);

impl Serialize for Declaration<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Tool { name, description, parameters, extra } = self.0;
        let mut object = Object::new(serializer.serialize_map(None)?);
        object.put("name", name)?;
        object.put_some("description", description.as_ref())?;
        object.put_some("parameters", Some(parameters).filter(|p| !p.is_null()))?;
        object.end(extra.get("function").and_then(Value::as_object))
    }
}
