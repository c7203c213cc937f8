//! The server's side of a request: read it, or say which field is wrong.

use baton_core::Disposition;
use serde_json::{Map, Value};

use super::fields::{Fields, wrong};
use super::message::message;
use super::tree::{Tree, read};
use crate::{ChatRequest, Params, ResponseFormat, Tool, WireError};

/// Reads a request. Documents nested deeper than 127 levels are refused.
///
/// # Errors
/// Caller's fault: the body is not JSON (code `invalid_json`), or the field that `param` points at
/// (JSON pointer) is not as the format says.
pub fn decode_request(body: &[u8]) -> Result<ChatRequest, WireError> {
    let document: Tree<'_> = read(body).map_err(|error| WireError {
        code: Some("invalid_json".to_owned()),
        ..WireError::new(Disposition::CallersFault, format!("the body is not JSON: {error}"))
    })?;
    let mut fields = Fields::of(document, String::new())?;
    let model = fields.required_text("model")?;
    let messages = fields.list("messages")?.filter(|list| !list.is_empty());
    let messages = messages.ok_or_else(|| wrong(fields.pointer("messages"), "a list of at least one message", None))?;
    let messages = each(messages, "/messages", message)?;
    let params = take_fields(&mut fields)?;
    let tools = each(fields.list("tools")?.unwrap_or_default(), "/tools", tool)?;
    let tool_choice = fields.take("tool_choice").map(Tree::into_value);
    let response_format = response_format(&mut fields)?;
    let stream = fields.flag("stream")?.unwrap_or(false);
    if fields.count("n")?.is_some_and(|n| n != 1) {
        return Err(WireError::at("/n".to_owned(), "/n: one completion a request; send several requests".to_owned()));
    }
    Ok(ChatRequest { model, messages, params, tools, tool_choice, response_format, stream, extra: fields.left() })
}

/// Whether the request asks for usage at the end of its stream (`stream_options.include_usage`).
#[must_use]
pub fn include_usage(request: &ChatRequest) -> bool {
    let option = request.extra.get("stream_options").and_then(|options| options.get("include_usage"));
    option.and_then(Value::as_bool).unwrap_or(false)
}

/// Takes the parameters that the canonical form knows out of a map of OpenAI's names; what is left
/// is `extra` to the request.
///
/// # Errors
/// Caller's fault: the parameter that `param` points at is of the wrong type.
pub fn take_params(map: &mut Map<String, Value>) -> Result<Params, WireError> {
    let mut fields = Fields::of(Value::Object(std::mem::take(map)).into(), String::new())?;
    let params = take_fields(&mut fields);
    *map = fields.left();
    params
}

fn take_fields(fields: &mut Fields<'_>) -> Result<Params, WireError> {
    let max_tokens = match (fields.count("max_completion_tokens")?, fields.count("max_tokens")?) {
        (Some(new), Some(old)) if new != old => {
            let message = "/max_tokens: max_completion_tokens says otherwise; give one of them".to_owned();
            return Err(WireError::at(fields.pointer("max_tokens"), message));
        }
        (new, old) => new.or(old),
    };
    Ok(Params {
        temperature: fields.number("temperature")?,
        top_p: fields.number("top_p")?,
        max_tokens,
        stop: stop(fields)?,
        seed: fields.integer("seed")?,
    })
}

fn stop(fields: &mut Fields<'_>) -> Result<Vec<String>, WireError> {
    match fields.take("stop") {
        None => Ok(Vec::new()),
        Some(Tree::Text(one)) => Ok(vec![one.into_owned()]),
        Some(Tree::List(list)) => each(list, &fields.pointer("stop"), |value, at| match value {
            Tree::Text(text) => Ok(text.into_owned()),
            other => Err(wrong(at, "a string", Some(&other))),
        }),
        Some(other) => Err(wrong(fields.pointer("stop"), "a string or a list of strings", Some(&other))),
    }
}

/// A function; any other tool is kept whole in `extra`, its `type` included.
fn tool(value: Tree<'_>, at: String) -> Result<Tool, WireError> {
    let mut fields = Fields::of(value, at)?;
    if fields.get("type").is_some_and(|kind| kind.text() != Some("function")) {
        return Ok(Tool { name: String::new(), description: None, parameters: Value::Null, extra: fields.left() });
    }
    fields.take("type");
    let Some(mut function) = fields.object("function")? else {
        return Err(wrong(fields.pointer("function"), "an object", None));
    };
    let name = function.required_text("name")?;
    let description = function.text("description")?;
    let parameters = function.take("parameters").map_or(Value::Null, Tree::into_value);
    fields.put_back("function", Value::Object(function.left()));
    Ok(Tool { name, description, parameters, extra: fields.left() })
}

/// Text, JSON or a schema; any other form is kept whole in `extra`, its `type` included.
fn response_format(fields: &mut Fields<'_>) -> Result<ResponseFormat, WireError> {
    let Some(mut form) = fields.object("response_format")? else { return Ok(ResponseFormat::Text) };
    let kind = form.get("type").and_then(Tree::text).map(str::to_owned);
    let format = match kind.as_deref() {
        None => return Err(wrong(form.pointer("type"), "a string", form.get("type"))),
        Some("text") => ResponseFormat::Text,
        Some("json_object") => ResponseFormat::Json,
        Some("json_schema") => {
            let Some(mut inner) = form.object("json_schema")? else {
                return Err(wrong(form.pointer("json_schema"), "an object", None));
            };
            let name = inner.required_text("name")?;
            let schema = inner.take("schema").map_or(Value::Null, Tree::into_value);
            form.put_back("json_schema", Value::Object(inner.left()));
            ResponseFormat::Schema { name, schema }
        }
        Some(_) => {
            fields.put_back("response_format", Value::Object(form.left()));
            return Ok(ResponseFormat::Text);
        }
    };
    form.take("type");
    fields.put_back("response_format", Value::Object(form.left()));
    Ok(format)
}

fn each<'a, T>(
    list: Vec<Tree<'a>>,
    at: &str,
    read: impl Fn(Tree<'a>, String) -> Result<T, WireError>,
) -> Result<Vec<T>, WireError> {
    list.into_iter().enumerate().map(|(index, value)| read(value, [at, "/", &index.to_string()].concat())).collect()
}
