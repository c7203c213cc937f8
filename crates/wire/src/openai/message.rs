//! Messages of a request and of an answer: one form, read in one place.

use serde_json::{Map, Value};

use super::fields::{Fields, wrong};
use super::tree::{Tree, find, into_map};
use crate::{Block, Message, Role, WireError};

/// Reads one message of a conversation.
pub(super) fn message(value: Tree<'_>, at: String) -> Result<Message, WireError> {
    let mut fields = Fields::of(value, at)?;
    let name = fields.required_text("role")?;
    let role = match name.as_str() {
        "system" | "developer" => Role::System,
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "tool" | "function" => Role::Tool,
        _ => {
            let message =
                format!("{}: unknown role; one of system, developer, user, assistant, tool", fields.pointer("role"));
            return Err(WireError::at(fields.pointer("role"), message));
        }
    };
    let content = if name == "tool" && fields.get("content").is_some_and(|content| content.text().is_some()) {
        vec![Block::ToolResult { id: fields.required_text("tool_call_id")?, content: fields.required_text("content")? }]
    } else {
        blocks(&mut fields)?
    };
    if matches!(name.as_str(), "developer" | "function") {
        fields.put_back("role", Value::String(name));
    }
    Ok(Message { role, content, extra: fields.left() })
}

/// Takes out what a message says, in the order thinking, content, refusal, tool calls.
pub(super) fn blocks(fields: &mut Fields<'_>) -> Result<Vec<Block>, WireError> {
    let mut blocks = Vec::new();
    if let Some(text) = fields.text("reasoning_content")? {
        blocks.push(Block::Thinking { text, signature: None });
    }
    match fields.take("content") {
        None => {}
        Some(Tree::Text(text)) => blocks.push(Block::Text(text.into_owned())),
        Some(Tree::List(parts)) => {
            for (index, value) in parts.into_iter().enumerate() {
                blocks.push(part(value, || format!("{}/{index}", fields.pointer("content")))?);
            }
        }
        Some(other) => return Err(wrong(fields.pointer("content"), "a string or a list of parts", Some(&other))),
    }
    if let Some(text) = fields.text("refusal")? {
        blocks.push(Block::Refusal(text));
    }
    if let Some(calls) = fields.list("tool_calls")? {
        let at = fields.pointer("tool_calls");
        let mut left = Vec::with_capacity(calls.len());
        for (index, value) in calls.into_iter().enumerate() {
            left.push(Value::Object(call(value, format!("{at}/{index}"), &mut blocks)?));
        }
        fields.put_back("tool_calls", Value::Array(left));
    }
    Ok(blocks)
}

/// Text that is nothing but text, or a part kept as it came.
fn part(value: Tree<'_>, at: impl Fn() -> String) -> Result<Block, WireError> {
    let Tree::Object(entries) = value else { return Err(wrong(at(), "an object", Some(&value))) };
    let kind = find(&entries, "type");
    let Some(name) = kind.and_then(Tree::text) else { return Err(wrong(format!("{}/type", at()), "a string", kind)) };
    if let (2, "text", Some(text)) = (entries.len(), name, find(&entries, "text").and_then(Tree::text)) {
        return Ok(Block::Text(text.to_owned()));
    }
    Ok(Block::Opaque(Value::Object(into_map(entries))))
}

/// Reads one tool call and gives what is left of it: all of it, where it is of a kind that the
/// canonical form does not know.
fn call(value: Tree<'_>, at: String, blocks: &mut Vec<Block>) -> Result<Map<String, Value>, WireError> {
    let mut fields = Fields::of(value, at)?;
    if fields.get("type").is_some_and(|kind| kind.text() != Some("function")) {
        return Ok(fields.left());
    }
    fields.take("type");
    let id = fields.required_text("id")?;
    let Some(mut function) = fields.object("function")? else {
        return Err(wrong(fields.pointer("function"), "an object", None));
    };
    let name = function.required_text("name")?;
    let arguments = function.text("arguments")?.unwrap_or_default();
    fields.put_back("function", Value::Object(function.left()));
    blocks.push(Block::ToolUse { id, name, arguments });
    Ok(fields.left())
}
