//! The request, both ways.

use baton_core::Disposition;
use bytes::Bytes;
use serde_json::{Map, Value, json};

use crate::{Block, ChatRequest, Message, Params, ResponseFormat, Role, Tool, WireError};

/// Writes a request as OpenAI's chat completions want it.
#[must_use]
pub fn encode_request(request: &ChatRequest) -> Bytes {
    let mut body = Map::new();
    body.insert("model".into(), json!(request.model));
    body.insert("messages".into(), request.messages.iter().flat_map(encode_message).collect());
    let params = &request.params;
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            body.insert(name.into(), value);
        }
    };
    put("temperature", params.temperature.map(Value::from));
    put("top_p", params.top_p.map(Value::from));
    put("max_tokens", params.max_tokens.map(Value::from));
    put("seed", params.seed.map(Value::from));
    put("stop", (!params.stop.is_empty()).then(|| json!(params.stop)));
    put("tools", (!request.tools.is_empty()).then(|| request.tools.iter().map(encode_tool).collect()));
    put("tool_choice", request.tool_choice.clone());
    put("response_format", match &request.response_format {
        ResponseFormat::Text => None,
        ResponseFormat::Json => Some(json!({ "type": "json_object" })),
        ResponseFormat::Schema { name, schema } => {
            Some(json!({ "type": "json_schema", "json_schema": { "name": name, "schema": schema } }))
        }
    });
    put("stream", request.stream.then_some(Value::Bool(true)));
    for (name, value) in &request.extra {
        body.insert(name.clone(), value.clone());
    }
    // Without it a stream reports no tokens, and its cost would be a guess.
    if request.stream {
        let options = body.entry("stream_options").or_insert_with(|| json!({}));
        if let Some(options) = options.as_object_mut() {
            options.insert("include_usage".into(), Value::Bool(true));
        }
    }
    Value::Object(body).to_string().into()
}

/// One canonical message is one of OpenAI's, but for tool results, which each stand alone there.
fn encode_message(message: &Message) -> Vec<Value> {
    let role = match message.role {
        Role::System => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
        Role::Tool => "tool",
    };
    let mut parts = Vec::new();
    let mut calls = Vec::new();
    let mut results = Vec::new();
    let mut refusal = None;
    for block in &message.content {
        match block {
            Block::Text(text) => parts.push(json!({ "type": "text", "text": text })),
            Block::ToolUse { id, name, arguments } => {
                calls.push(json!({ "id": id, "type": "function", "function": { "name": name, "arguments": arguments } }));
            }
            Block::ToolResult { id, content } => {
                results.push(json!({ "role": "tool", "tool_call_id": id, "content": content }));
            }
            Block::Refusal(text) => refusal = Some(text),
            Block::Opaque(value) => parts.push(value.clone()),
            // OpenAI's chat completions take no reasoning back.
            Block::Thinking { .. } => {}
        }
    }
    if parts.is_empty() && calls.is_empty() && refusal.is_none() && !results.is_empty() {
        if let (Some(result), 1) = (results[0].as_object_mut(), message.content.len()) {
            result.extend(message.extra.clone());
        }
        return results;
    }
    let mut encoded = Map::new();
    encoded.insert("role".into(), json!(role));
    let content = match parts.as_slice() {
        [] if !calls.is_empty() || refusal.is_some() => Value::Null,
        [] => json!(""),
        [Value::Object(only)] if only.len() == 2 && only.get("type") == Some(&json!("text")) => only["text"].clone(),
        _ => Value::Array(parts),
    };
    encoded.insert("content".into(), content);
    if !calls.is_empty() {
        encoded.insert("tool_calls".into(), Value::Array(calls));
    }
    if let Some(refusal) = refusal {
        encoded.insert("refusal".into(), json!(refusal));
    }
    encoded.extend(message.extra.clone());
    results.insert(0, Value::Object(encoded));
    results
}

fn encode_tool(tool: &Tool) -> Value {
    let mut function = tool.extra.clone();
    function.insert("name".into(), json!(tool.name));
    if let Some(description) = &tool.description {
        function.insert("description".into(), json!(description));
    }
    function.insert("parameters".into(), tool.parameters.clone());
    json!({ "type": "function", "function": function })
}

/// Reads a request as OpenAI's clients send it. Unknown fields are kept in `extra`.
///
/// # Errors
/// A caller's fault that names the JSON pointer and what was expected.
pub fn decode_request(body: &[u8]) -> Result<ChatRequest, WireError> {
    let json: Value = serde_json::from_slice(body).map_err(|error| wrong("", &format!("not JSON: {error}")))?;
    let Value::Object(mut body) = json else { return Err(wrong("", "expected an object")) };
    let model = match body.remove("model") {
        Some(Value::String(model)) => model,
        _ => return Err(wrong("/model", "expected a text: provider/model, an alias, or intent:NAME")),
    };
    let Some(Value::Array(messages)) = body.remove("messages") else {
        return Err(wrong("/messages", "expected a list of messages"));
    };
    let messages: Vec<Message> =
        messages.into_iter().enumerate().map(|(n, m)| decode_message(n, m)).collect::<Result<_, _>>()?;
    if messages.is_empty() {
        return Err(wrong("/messages", "expected at least one message"));
    }
    let params = decode_params(&mut body)?;
    let tools = match body.remove("tools") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(tools)) => {
            tools.into_iter().enumerate().map(|(n, tool)| decode_tool(n, tool)).collect::<Result<_, _>>()?
        }
        Some(_) => return Err(wrong("/tools", "expected a list")),
    };
    let stream = match body.remove("stream") {
        None | Some(Value::Null) => false,
        Some(Value::Bool(stream)) => stream,
        Some(_) => return Err(wrong("/stream", "expected true or false")),
    };
    Ok(ChatRequest {
        model,
        messages,
        params,
        tools,
        tool_choice: body.remove("tool_choice"),
        response_format: decode_format(&mut body)?,
        stream,
        extra: body,
    })
}

fn decode_params(body: &mut Map<String, Value>) -> Result<Params, WireError> {
    let stop = match body.remove("stop") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(many)) if many.iter().all(Value::is_string) => {
            many.iter().filter_map(Value::as_str).map(str::to_owned).collect()
        }
        Some(_) => return Err(wrong("/stop", "expected a text or a list of texts")),
    };
    Ok(Params {
        temperature: number(body, "temperature", Value::as_f64)?,
        top_p: number(body, "top_p", Value::as_f64)?,
        max_tokens: number(body, "max_tokens", Value::as_u64)?,
        stop,
        seed: number(body, "seed", Value::as_i64)?,
    })
}

fn number<T>(
    body: &mut Map<String, Value>,
    name: &str,
    read: fn(&Value) -> Option<T>,
) -> Result<Option<T>, WireError> {
    match body.remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => read(&value).map(Some).ok_or_else(|| wrong(&format!("/{name}"), "expected a number")),
    }
}

fn decode_format(body: &mut Map<String, Value>) -> Result<ResponseFormat, WireError> {
    let Some(format) = body.get("response_format") else { return Ok(ResponseFormat::Text) };
    let decoded = match (format.get("type").and_then(Value::as_str), format.get("json_schema")) {
        (Some("text"), _) => ResponseFormat::Text,
        (Some("json_object"), _) => ResponseFormat::Json,
        // With more than name and schema (strict, description) it is kept as it came.
        (Some("json_schema"), Some(Value::Object(declared))) if declared.len() == 2 => {
            match (declared.get("name").and_then(Value::as_str), declared.get("schema")) {
                (Some(name), Some(schema)) => ResponseFormat::Schema { name: name.to_owned(), schema: schema.clone() },
                _ => return Ok(ResponseFormat::Text),
            }
        }
        (Some("json_schema"), Some(_)) => return Ok(ResponseFormat::Text),
        _ => return Err(wrong("/response_format", "expected type text, json_object or json_schema")),
    };
    body.remove("response_format");
    Ok(decoded)
}

fn decode_message(n: usize, message: Value) -> Result<Message, WireError> {
    let at = |field: &str| format!("/messages/{n}{field}");
    let Value::Object(mut fields) = message else { return Err(wrong(&at(""), "expected an object")) };
    let role = match fields.remove("role").as_ref().and_then(Value::as_str) {
        Some("system" | "developer") => Role::System,
        Some("user") => Role::User,
        Some("assistant") => Role::Assistant,
        Some("tool") => Role::Tool,
        _ => return Err(wrong(&at("/role"), "expected system, developer, user, assistant or tool")),
    };
    let mut content = match fields.remove("content") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::String(text)) => vec![Block::Text(text)],
        Some(Value::Array(parts)) => parts.into_iter().map(decode_part).collect(),
        Some(_) => return Err(wrong(&at("/content"), "expected a text or a list of parts")),
    };
    if role == Role::Tool {
        let Some(Value::String(id)) = fields.remove("tool_call_id") else {
            return Err(wrong(&at("/tool_call_id"), "expected the id of the call that this answers"));
        };
        let text = content.iter().filter_map(|b| if let Block::Text(t) = b { Some(t.as_str()) } else { None });
        content = vec![Block::ToolResult { id, content: text.collect() }];
    }
    if let Some(Value::String(refusal)) = fields.remove("refusal") {
        content.push(Block::Refusal(refusal));
    }
    if let Some(Value::Array(calls)) = fields.remove("tool_calls") {
        content.extend(calls.iter().map(decode_call));
    }
    Ok(Message { role, content, extra: fields })
}

fn decode_part(part: Value) -> Block {
    match (part.get("type").and_then(Value::as_str), part.get("text").and_then(Value::as_str)) {
        (Some("text"), Some(text)) if part.as_object().is_some_and(|fields| fields.len() == 2) => {
            Block::Text(text.to_owned())
        }
        _ => Block::Opaque(part),
    }
}

/// A tool call of a message or of an answer.
pub(super) fn decode_call(call: &Value) -> Block {
    let function = call.get("function");
    let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
    Block::ToolUse {
        id: text(call.get("id")),
        name: text(function.and_then(|f| f.get("name"))),
        arguments: text(function.and_then(|f| f.get("arguments"))),
    }
}

fn decode_tool(n: usize, tool: Value) -> Result<Tool, WireError> {
    let function = match tool {
        Value::Object(mut fields) => fields.remove("function"),
        _ => None,
    };
    let Some(Value::Object(mut function)) = function else {
        return Err(wrong(&format!("/tools/{n}/function"), "expected an object"));
    };
    let Some(Value::String(name)) = function.remove("name") else {
        return Err(wrong(&format!("/tools/{n}/function/name"), "expected a text"));
    };
    let description = function.remove("description").and_then(|d| d.as_str().map(str::to_owned));
    let parameters = function.remove("parameters").unwrap_or_else(|| json!({ "type": "object", "properties": {} }));
    Ok(Tool { name, description, parameters, extra: function })
}

fn wrong(pointer: &str, expected: &str) -> WireError {
    let place = if pointer.is_empty() { "the body" } else { pointer };
    WireError::new(Disposition::CallersFault, format!("{place}: {expected}"))
}
