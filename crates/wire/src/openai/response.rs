//! A whole answer.
//!
//! A body that is not JSON at all, or is cut off, says that the path is broken (a proxy's HTML page,
//! a connection that ended early): transient, another try may well do. A body that is JSON and yet
//! no completion says that the model's server answered something unusable: a bad answer.

use baton_core::Disposition;
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use serde_json::{Map, Value, json};

use super::error::{body_error, not_json};
use super::fields::{Fields, wrong};
use super::message::blocks;
use super::plain;
use super::tree::{Tree, read};
use super::usage::{self, Counted};
use super::write::{PlainMessage, answer};
use crate::{Block, Completion, FinishReason, WireError};

/// Reads the body of a 200.
///
/// # Errors
/// Transient: not JSON, or cut off. Bad answer: JSON, but no completion. Where the body is an error
/// after all, the disposition of its code or type.
pub fn decode_response(body: &[u8]) -> Result<Completion, WireError> {
    decode(body, true)
}

/// As [`decode_response`], with nothing in [`Completion::extra`], which is much of the work.
///
/// # Errors
/// As [`decode_response`].
pub fn decode_known(body: &[u8]) -> Result<Completion, WireError> {
    plain::read(body).map_or_else(|| decode(body, false), Ok)
}

fn decode(body: &[u8], keep: bool) -> Result<Completion, WireError> {
    let document: Tree<'_> = read(body).map_err(|error| not_json(body, &error))?;
    if let Some(error) = body_error(&document) {
        return Err(error);
    }
    completion(document, keep).map_err(|error| match error.disposition {
        Disposition::CallersFault => error.disposed(Disposition::BadAnswer),
        _ => error,
    })
}

fn completion(document: Tree<'_>, keep: bool) -> Result<Completion, WireError> {
    let mut fields = Fields::of(document, String::new())?;
    let id = fields.text("id")?.unwrap_or_default();
    let model = fields.text("model")?.unwrap_or_default();
    fields.take("object");
    fields.take("created");
    let usage = match fields.object("usage")? {
        None => None,
        Some(count) => {
            let counted = Counted::of(count, keep)?;
            let usage = counted.usage();
            fields.put_back("usage", Value::Object(counted.into_left()));
            Some(usage)
        }
    };
    let mut choices = fields.list("choices")?.unwrap_or_default();
    if choices.len() != 1 {
        let message = format!("/choices: expected one choice, found {}", choices.len());
        return Err(WireError::at("/choices".to_owned(), message));
    }
    let (content, finish, left) = choice(choices.remove(0), keep)?;
    if !left.is_empty() {
        fields.put_back("choices", json!([left]));
    }
    Ok(Completion { id, model, content, finish, usage, extra: fields.left_if(keep) })
}

/// What it says, why it stopped, and what is left.
type Taken = (Vec<Block>, FinishReason, Map<String, Value>);

fn choice(value: Tree<'_>, keep: bool) -> Result<Taken, WireError> {
    if let Some(error) = body_error(&value) {
        return Err(error);
    }
    let mut choice = Fields::of(value, "/choices/0".to_owned())?;
    choice.take("index");
    let finish = choice.text("finish_reason")?.unwrap_or_default();
    let finish =
        finish_reason(finish)?.ok_or_else(|| wrong(choice.pointer("finish_reason"), "why it stopped", None))?;
    let Some(mut message) = choice.object("message")? else {
        return Err(wrong(choice.pointer("message"), "an object", None));
    };
    message.take("role");
    if message.get("reasoning").is_some_and(|reasoning| reasoning.text().is_some())
        && message.get("reasoning_content").is_none()
    {
        message.rename("reasoning", "reasoning_content");
    }
    let content = blocks(&mut message)?;
    choice.put_back("message", Value::Object(message.left_if(keep)));
    Ok((content, finish, choice.left_if(keep)))
}

/// `None` where the answer does not say why it stopped.
pub(super) fn finish_reason(name: String) -> Result<Option<FinishReason>, WireError> {
    Ok(Some(match name.as_str() {
        "" => return Ok(None),
        "stop" | "eos" => FinishReason::Stop,
        "length" | "model_length" => FinishReason::Length,
        "tool_calls" => FinishReason::ToolUse,
        "content_filter" => FinishReason::ContentFilter,
        "error" => {
            return Err(WireError::new(
                Disposition::Transient,
                "the provider stopped with an error and does not say which",
            ));
        }
        _ => FinishReason::Other(name),
    }))
}

pub(super) fn finish_name(finish: &FinishReason) -> &str {
    match finish {
        FinishReason::Stop => "stop",
        FinishReason::Length => "length",
        FinishReason::ToolUse => "tool_calls",
        FinishReason::ContentFilter => "content_filter",
        FinishReason::Other(name) => name,
    }
}

/// Writes an answer; `created` is in seconds since 1970.
#[must_use]
pub fn encode_response(completion: &Completion, created: u64) -> Value {
    #[expect(clippy::unwrap_used, reason = "keys are strings: this cannot fail")]
    let mut document = serde_json::to_value(Known { completion, created }).unwrap();
    merge_object(&mut document, &completion.extra);
    document
}

/// Writes the fields of the same answer into an object that others go into as well.
///
/// # Errors
/// The serializer's.
pub fn write_response<M: SerializeMap>(completion: &Completion, created: u64, map: &mut M) -> Result<(), M::Error> {
    let known = Known { completion, created };
    if completion.extra.is_empty() {
        return known.write(map);
    }
    let document = encode_response(completion, created);
    let mut fields = document.as_object().into_iter().flatten();
    fields.try_for_each(|(name, value)| map.serialize_entry(name, value))
}

/// What the canonical form knows of an answer.
struct Known<'a> {
    completion: &'a Completion,
    created: u64,
}

impl Known<'_> {
    fn write<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        let Completion { id, model, content, finish, usage, extra } = self.completion;
        map.serialize_entry("id", id)?;
        map.serialize_entry("object", "chat.completion")?;
        map.serialize_entry("created", &self.created)?;
        map.serialize_entry("model", model)?;
        let left = extra.get("choices").and_then(|choices| choices.get(0)?.get("message"));
        let choice = Choice { index: 0, message: answer(content, left), finish_reason: finish_name(finish) };
        map.serialize_entry("choices", &[choice])?;
        usage.as_ref().map_or(Ok(()), |usage| map.serialize_entry("usage", &usage::Written::of(usage)))
    }
}

impl Serialize for Known<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        self.write(&mut map)?;
        map.end()
    }
}

#[derive(Serialize)]
struct Choice<'a> {
    index: u32,
    message: PlainMessage<'a>,
    finish_reason: &'a str,
}

/// Adds what `left` has and `document` has not, at every level; lists go element by element.
pub(super) fn merge_object(document: &mut Value, left: &Map<String, Value>) {
    let Some(fields) = document.as_object_mut() else { return };
    for (name, more) in left {
        match fields.get_mut(name) {
            None => {
                fields.insert(name.clone(), more.clone());
            }
            Some(known) => merge(known, more),
        }
    }
}

fn merge(known: &mut Value, more: &Value) {
    match (known, more) {
        (known @ Value::Object(_), Value::Object(more)) => merge_object(known, more),
        (Value::Array(known), Value::Array(more)) => known.iter_mut().zip(more).for_each(|(k, m)| merge(k, m)),
        _ => {}
    }
}
