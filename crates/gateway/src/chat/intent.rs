//! From OpenAI's request to a call of an intent: the one user message is the input.

use std::collections::BTreeMap;

use baton_config::Plan;
use baton_core::{ErrorCode, Failure, IntentName};
use baton_engine::{Call, Target};
use baton_wire::{Block, ChatRequest, Message, Params, ResponseFormat, Role};
use serde::Deserialize as _;
use serde_json::{Map, Value};

use crate::execute::check_metadata;
use crate::json;

/// What a call of an intent may say besides its message.
const KNOWN: [&str; 3] = ["stream_options", "metadata", "user"];

/// The call. `plan` is `None` where there is no such intent, which the engine says and records.
///
/// # Errors
/// `unsupported_feature` for what the intent itself declares, and for conversations;
/// `input_invalid`.
pub(super) fn call(
    name: IntentName,
    plan: Option<&Plan>,
    chat: ChatRequest,
    depth_max: usize,
) -> Result<Call, Failure> {
    refuse_declared(&chat)?;
    let (place, text) = only_message(&chat.messages)?;
    let schema = plan.and_then(|plan| plan.input_schema.as_ref()).map(|schema| schema.json());
    let input = input(schema, &text, depth_max).map_err(|failure| failure.at(format!("/messages/{place}/content")))?;
    let metadata = match chat.extra.get("metadata") {
        None | Some(Value::Null) => BTreeMap::new(),
        Some(metadata) => BTreeMap::<String, String>::deserialize(metadata).map_err(|_| {
            Failure::new(ErrorCode::InputInvalid, "metadata: expected an object of texts").at("metadata")
        })?,
    };
    check_metadata(&metadata)?;
    let call = Call::of(Target::Intent { name, input });
    Ok(Call { metadata, tools: chat.tools, tool_choice: chat.tool_choice, ..call })
}

/// How an intent's model writes is the intent's to say; what would be ignored is refused.
fn refuse_declared(chat: &ChatRequest) -> Result<(), Failure> {
    let Params { temperature, top_p, max_tokens, stop, seed } = &chat.params;
    let set = [
        ("temperature", temperature.is_some()),
        ("top_p", top_p.is_some()),
        ("max_tokens", max_tokens.is_some()),
        ("stop", !stop.is_empty()),
        ("seed", seed.is_some()),
        ("response_format", chat.response_format != ResponseFormat::Text),
    ];
    let set = set.into_iter().filter_map(|(name, set)| set.then_some(name));
    let extra = chat.extra.iter().filter(|(name, value)| !KNOWN.contains(&name.as_str()) && asks(value));
    let extra = extra.map(|(name, _)| name.as_str());
    match set.chain(extra).next() {
        None => Ok(()),
        Some(name) => {
            let message = format!("`{name}` cannot be given to an intent, which declares it itself: leave it out");
            Err(Failure::new(ErrorCode::UnsupportedFeature, message).at(name))
        }
    }
}

/// Whether a value says more than that nothing is wanted.
fn asks(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::Array(items) => !items.is_empty(),
        _ => true,
    }
}

/// The user's text, and its place.
fn only_message(messages: &[Message]) -> Result<(usize, String), Failure> {
    let conversation = |place: usize, what: &str| {
        let message = format!("{what} is not supported by this version: an intent takes one user message, its input");
        Err(Failure::new(ErrorCode::UnsupportedFeature, message).at(format!("/messages/{place}")))
    };
    let mut found = None;
    for (place, message) in messages.iter().enumerate() {
        match message.role {
            Role::User if found.is_none() => found = Some((place, text(place, message)?)),
            Role::User => return conversation(place, "more than one user turn"),
            Role::System => return conversation(place, "a system message beside an intent's own prompt"),
            Role::Assistant | Role::Tool => return conversation(place, "a conversation"),
        }
    }
    found.ok_or_else(|| Failure::new(ErrorCode::InputInvalid, "messages: a user message is needed").at("/messages"))
}

fn text(place: usize, message: &Message) -> Result<String, Failure> {
    let mut whole = String::new();
    for block in &message.content {
        let Block::Text(text) = block else {
            let message = "an intent's input is text: images, audio and files are not supported by this version";
            let param = format!("/messages/{place}/content");
            return Err(Failure::new(ErrorCode::UnsupportedFeature, message).at(param));
        };
        whole.push_str(text);
    }
    Ok(whole)
}

/// The input that a text stands for: where the schema wants an object, the object that it is as
/// JSON, else the text under the one field that the schema requires; where not, the text.
fn input(schema: Option<&Value>, text: &str, depth_max: usize) -> Result<Value, Failure> {
    let Some(schema) = schema.filter(|schema| wants_object(schema)) else {
        return Ok(Value::String(text.to_owned()));
    };
    let parsed = serde_json::from_str::<Map<String, Value>>(text);
    match (parsed, only_text(schema)) {
        (Ok(object), _) => {
            json::bound(text.as_bytes(), depth_max)?;
            Ok(Value::Object(object))
        }
        (Err(_), Some(field)) => {
            Ok(Value::Object(Map::from_iter([(field.to_owned(), Value::String(text.to_owned()))])))
        }
        (Err(error), None) => {
            let message = format!("the message must be a JSON object, as the intent's input schema wants one: {error}");
            Err(Failure::new(ErrorCode::InputInvalid, message))
        }
    }
}

fn wants_object(schema: &Value) -> bool {
    match schema.get("type") {
        Some(Value::String(only)) => only == "object",
        Some(Value::Array(any)) => any.iter().any(|t| t == "object") && !any.iter().any(|t| t == "string"),
        _ => schema.get("properties").is_some(),
    }
}

/// The field of a schema that requires exactly one, a text.
fn only_text(schema: &Value) -> Option<&str> {
    let [only] = schema.get("required")?.as_array()?.as_slice() else { return None };
    let only = only.as_str()?;
    let kind = schema.get("properties")?.get(only)?.get("type")?;
    (kind == "string").then_some(only)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(schema: Option<Value>, text: &str, expected: Result<Value, &str>) {
        let given = input(schema.as_ref(), text, 8).map_err(|failure| failure.message);
        match (given, expected) {
            (Ok(given), Ok(expected)) => assert_eq!(given, expected),
            (Err(message), Err(says)) => assert!(message.contains(says), "{message}"),
            (given, expected) => panic!("{given:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn a_message_becomes_the_input_that_the_schema_wants() {
        let one = || {
            Some(json!({"type": "object", "required": ["ticket"], "properties": {
                "ticket": {"type": "string"}, "urgent": {"type": "boolean"},
            }}))
        };
        let two = || Some(json!({"type": "object", "required": ["a", "b"], "properties": {}}));
        check(None, "help", Ok(json!("help")));
        check(None, "{\"a\":1}", Ok(json!("{\"a\":1}")));
        check(Some(json!({"type": "string"})), "{\"a\":1}", Ok(json!("{\"a\":1}")));
        check(one(), "help", Ok(json!({"ticket": "help"})));
        check(one(), "{ not json", Ok(json!({"ticket": "{ not json"})));
        check(one(), "[1]", Ok(json!({"ticket": "[1]"})));
        check(one(), " {\"ticket\":\"a\",\"urgent\":true}", Ok(json!({"ticket": "a", "urgent": true})));
        check(two(), "{\"a\":1,\"b\":2}", Ok(json!({"a": 1, "b": 2})));
        check(two(), "help", Err("must be a JSON object"));
        check(two(), "{\"a\":18446744073709551616}", Err("as a string"));
        check(two(), "{\"a\":[[[[[[[[[1]]]]]]]]]}", Err("deeper than 8"));
        check(Some(json!({"properties": {"n": {"type": "number"}}, "required": ["n"]})), "5", Err("JSON object"));
    }
}
