//! The whole answer, both ways.

use baton_core::Usage;
use serde_json::{Value, json};

use super::request::decode_call;
use crate::error::decode_error_body;
use crate::{Block, Completion, FinishReason, WireError};

/// Reads the body of a 200.
///
/// # Errors
/// Transient where the body is cut off or no JSON (a proxy's page, a broken exchange); a bad answer
/// where it is JSON but no completion; what the provider says where it is an error after all.
pub fn decode_response(body: &[u8]) -> Result<Completion, WireError> {
    let json: Value = serde_json::from_slice(body).map_err(|error| {
        let start = String::from_utf8_lossy(&body[..body.len().min(60)]);
        WireError::broken(format!("the body is no JSON ({error}): `{}`", start.trim()))
    })?;
    if let Some(error) = json.get("error").filter(|error| !error.is_null()) {
        return Err(decode_error_body(error));
    }
    let Some(choice) = json.pointer("/choices/0") else {
        return Err(WireError::bad_answer("the body has no choices/0"));
    };
    let Some(message) = choice.get("message").filter(|message| message.is_object()) else {
        return Err(WireError::bad_answer("the body has no choices/0/message"));
    };
    let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
    Ok(Completion {
        id: text(json.get("id")),
        model: text(json.get("model")),
        content: content(message),
        finish: finish(choice.get("finish_reason").and_then(Value::as_str)),
        usage: json.get("usage").and_then(usage),
    })
}

fn content(message: &Value) -> Vec<Block> {
    let mut blocks = Vec::new();
    let field = |name: &str| message.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    if let Some(thinking) = field("reasoning_content").or_else(|| field("reasoning")) {
        blocks.push(Block::Thinking { text: thinking.to_owned(), signature: None });
    }
    match message.get("content") {
        Some(Value::String(text)) if !text.is_empty() => blocks.push(Block::Text(text.clone())),
        Some(Value::Array(parts)) => blocks.extend(parts.iter().map(|part| {
            part.get("text").and_then(Value::as_str).map_or_else(|| Block::Opaque(part.clone()), |t| Block::Text(t.into()))
        })),
        _ => {}
    }
    if let Some(refusal) = field("refusal") {
        blocks.push(Block::Refusal(refusal.to_owned()));
    }
    blocks.extend(message.get("tool_calls").and_then(Value::as_array).into_iter().flatten().map(decode_call));
    blocks
}

pub(super) fn finish(reason: Option<&str>) -> FinishReason {
    match reason {
        Some("stop") | None => FinishReason::Stop,
        Some("length") => FinishReason::Length,
        Some("tool_calls" | "function_call") => FinishReason::ToolUse,
        Some("content_filter") => FinishReason::ContentFilter,
        Some(other) => FinishReason::Other(other.to_owned()),
    }
}

pub(super) fn finish_name(finish: &FinishReason) -> &str {
    match finish {
        FinishReason::Stop => "stop",
        FinishReason::Length => "length",
        FinishReason::ToolUse => "tool_calls",
        FinishReason::ContentFilter => "content_filter",
        FinishReason::Other(other) => other,
    }
}

/// `None` where the provider reported no tokens.
pub(super) fn usage(json: &Value) -> Option<Usage> {
    let count = |pointer: &str| json.pointer(pointer).and_then(Value::as_u64);
    Some(Usage {
        input_tokens: count("/prompt_tokens")?,
        output_tokens: count("/completion_tokens").unwrap_or(0),
        cached_tokens: count("/prompt_tokens_details/cached_tokens").unwrap_or(0),
        reasoning_tokens: count("/completion_tokens_details/reasoning_tokens").unwrap_or(0),
        estimated: false,
    })
}

pub(super) fn encode_usage(usage: &Usage) -> Value {
    json!({
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
        "prompt_tokens_details": { "cached_tokens": usage.cached_tokens },
        "completion_tokens_details": { "reasoning_tokens": usage.reasoning_tokens },
    })
}

/// Writes a completion as OpenAI does. `created` is in Unix seconds.
#[must_use]
pub fn encode_response(completion: &Completion, created: u64) -> Value {
    let mut text = None;
    let mut refusal = None;
    let mut calls = Vec::new();
    for block in &completion.content {
        match block {
            Block::Text(piece) => text.get_or_insert_with(String::new).push_str(piece),
            Block::Refusal(words) => refusal = Some(words),
            Block::ToolUse { id, name, arguments } => {
                calls.push(json!({ "id": id, "type": "function", "function": { "name": name, "arguments": arguments } }));
            }
            Block::Thinking { .. } | Block::ToolResult { .. } | Block::Opaque(_) => {}
        }
    }
    let mut message = json!({ "role": "assistant", "content": text, "refusal": refusal });
    if !calls.is_empty() {
        message["tool_calls"] = Value::Array(calls);
    }
    let choice = json!({ "index": 0, "message": message, "logprobs": null, "finish_reason": finish_name(&completion.finish) });
    json!({
        "id": completion.id,
        "object": "chat.completion",
        "created": created,
        "model": completion.model,
        "choices": [choice],
        "usage": completion.usage.as_ref().map(encode_usage),
    })
}
