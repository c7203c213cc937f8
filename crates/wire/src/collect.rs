//! From a stream to a whole answer, and back.

use baton_core::Usage;
use serde_json::{Map, Value};

use crate::{Block, Completion, Delta, FinishReason, StreamEvent};

/// Puts a stream together. Blocks come out in the order thinking, text, parts of other kinds,
/// refusal, tool calls.
///
/// It holds what it was given and no more: whoever feeds it bounds the stream.
#[derive(Clone, Debug, Default)]
pub struct Collector {
    id: String,
    model: String,
    thinking: String,
    text: String,
    parts: Vec<Value>,
    refusal: String,
    calls: Vec<Call>,
    usage: Option<Usage>,
    finish: Option<FinishReason>,
    /// What the canonical form does not know: of the message, of the choice, of the whole.
    message: Map<String, Value>,
    choice: Map<String, Value>,
    extra: Map<String, Value>,
}

#[derive(Clone, Debug, Default)]
struct Call {
    index: usize,
    id: String,
    name: String,
    arguments: String,
    left: Map<String, Value>,
}

impl Collector {
    /// Takes the next event.
    pub fn push(&mut self, event: StreamEvent) {
        match event {
            StreamEvent::Start { id, model } => (self.id, self.model) = (id, model),
            StreamEvent::Delta(Delta::Text(text)) => self.text += &text,
            StreamEvent::Delta(Delta::Thinking(text)) => self.thinking += &text,
            StreamEvent::Delta(Delta::Refusal(text)) => self.refusal += &text,
            StreamEvent::Delta(Delta::ToolUse { index, id, name, arguments }) => {
                let call = self.call(index);
                call.id += id.as_deref().unwrap_or_default();
                call.name += name.as_deref().unwrap_or_default();
                call.arguments += &arguments;
            }
            StreamEvent::Delta(Delta::Opaque(fields)) => self.opaque(fields),
            StreamEvent::Usage(usage) => self.usage = Some(usage),
            StreamEvent::End { finish } => self.finish = Some(finish),
        }
    }

    /// The text so far.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The whole answer; `None` where the stream has not ended, and so is not whole.
    #[must_use]
    pub fn finish(mut self) -> Option<Completion> {
        let finish = self.finish?;
        let mut content = Vec::new();
        if !self.thinking.is_empty() {
            content.push(Block::Thinking { text: self.thinking, signature: None });
        }
        if !self.text.is_empty() {
            content.push(Block::Text(self.text));
        }
        content.extend(self.parts.into_iter().map(Block::Opaque));
        if !self.refusal.is_empty() {
            content.push(Block::Refusal(self.refusal));
        }
        if self.calls.iter().any(|call| !call.left.is_empty()) {
            let left = self.calls.iter_mut().map(|call| Value::Object(std::mem::take(&mut call.left))).collect();
            self.message.insert("tool_calls".to_owned(), Value::Array(left));
        }
        let uses = self.calls.into_iter();
        content.extend(uses.map(|call| Block::ToolUse { id: call.id, name: call.name, arguments: call.arguments }));
        if !self.message.is_empty() {
            self.choice.insert("message".to_owned(), Value::Object(self.message));
        }
        if !self.choice.is_empty() {
            self.extra.insert("choices".to_owned(), Value::Array(vec![Value::Object(self.choice)]));
        }
        let Self { id, model, usage, extra, .. } = self;
        Some(Completion { id, model, content, finish, usage, extra })
    }

    fn call(&mut self, index: usize) -> &mut Call {
        let place = self.calls.iter().position(|call| call.index == index).unwrap_or_else(|| {
            self.calls.push(Call { index, ..Call::default() });
            self.calls.len() - 1
        });
        &mut self.calls[place]
    }

    fn opaque(&mut self, mut fields: Map<String, Value>) {
        let mut choice = take_choice(&mut fields);
        if let Some(Value::Object(delta)) = choice.shift_remove("delta") {
            for (name, value) in delta {
                match (name.as_str(), value) {
                    ("content", Value::Array(mut parts)) => self.parts.append(&mut parts),
                    ("tool_calls", Value::Array(calls)) => {
                        for mut left in calls.into_iter().filter_map(into_object) {
                            let index = left.shift_remove("index").and_then(|index| index.as_u64()).unwrap_or_default();
                            absorb(&mut self.call(usize::try_from(index).unwrap_or(usize::MAX)).left, left);
                        }
                    }
                    (_, value) => absorb(&mut self.message, Map::from_iter([(name, value)])),
                }
            }
        }
        absorb(&mut self.choice, choice);
        absorb(&mut self.extra, fields);
    }
}

impl Completion {
    /// The answer as a stream would have brought it, a block in one piece.
    #[must_use]
    pub fn into_events(self) -> Vec<StreamEvent> {
        let mut events = vec![StreamEvent::Start { id: self.id, model: self.model }];
        let mut calls = 0;
        events.extend(self.content.into_iter().map(|block| {
            StreamEvent::Delta(match block {
                // A tool's result is no part of an answer; its text is the nearest there is.
                Block::Text(text) | Block::ToolResult { content: text, .. } => Delta::Text(text),
                Block::Thinking { text, .. } => Delta::Thinking(text),
                Block::Refusal(text) => Delta::Refusal(text),
                Block::ToolUse { id, name, arguments } => {
                    calls += 1;
                    Delta::ToolUse { index: calls - 1, id: Some(id), name: Some(name), arguments }
                }
                Block::Opaque(part) => Delta::Opaque(in_delta("content", Value::Array(vec![part]))),
            })
        }));
        if !self.extra.is_empty() {
            events.push(StreamEvent::Delta(Delta::Opaque(chunk(self.extra))));
        }
        events.extend(self.usage.map(StreamEvent::Usage));
        events.push(StreamEvent::End { finish: self.finish });
        events
    }
}

/// A chunk that has nothing but this field of its first choice's delta.
pub(crate) fn in_delta(name: &str, value: Value) -> Map<String, Value> {
    let delta = Value::Object(Map::from_iter([(name.to_owned(), value)]));
    in_choice(Map::from_iter([("delta".to_owned(), delta)]))
}

/// A chunk that has nothing but these fields of its first choice.
pub(crate) fn in_choice(fields: Map<String, Value>) -> Map<String, Value> {
    Map::from_iter([("choices".to_owned(), Value::Array(vec![Value::Object(fields)]))])
}

/// The `extra` of a whole answer as that of a chunk: `message` becomes `delta`, and what is left of
/// a tool call names its call.
fn chunk(mut extra: Map<String, Value>) -> Map<String, Value> {
    let mut choice = take_choice(&mut extra);
    if let Some(Value::Object(mut message)) = choice.shift_remove("message") {
        if let Some(Value::Array(calls)) = message.shift_remove("tool_calls") {
            let indexed = calls.into_iter().enumerate().filter_map(|(index, left)| {
                let mut left = into_object(left).filter(|left| !left.is_empty())?;
                left.insert("index".to_owned(), Value::from(index));
                Some(Value::Object(left))
            });
            message.insert("tool_calls".to_owned(), indexed.collect());
        }
        choice.insert("delta".to_owned(), Value::Object(message));
    }
    if !choice.is_empty() {
        extra.extend(in_choice(choice));
    }
    extra
}

fn take_choice(fields: &mut Map<String, Value>) -> Map<String, Value> {
    match fields.shift_remove("choices") {
        Some(Value::Array(choices)) => choices.into_iter().next().and_then(into_object).unwrap_or_default(),
        _ => Map::new(),
    }
}

fn into_object(value: Value) -> Option<Map<String, Value>> {
    if let Value::Object(map) = value { Some(map) } else { None }
}

/// Objects merge, lists grow, anything else is replaced.
fn absorb(into: &mut Map<String, Value>, from: Map<String, Value>) {
    for (name, new) in from {
        match (into.get_mut(&name), new) {
            (Some(Value::Object(old)), Value::Object(new)) => absorb(old, new),
            (Some(Value::Array(old)), Value::Array(mut new)) => old.append(&mut new),
            (_, new) => {
                into.insert(name, new);
            }
        }
    }
}
