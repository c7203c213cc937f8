//! `input.schema.json` and `output.schema.json`.

use serde_json::{Value, json};

use crate::diagnostics::{Sink, Source};
use crate::json::{child, locate};
use crate::plan::IntentKind;
use crate::prompt::RESERVED;
use crate::{Schema, SchemaViolation};

/// The input's schema; the outer `None` where it is wrong, which is reported.
pub(crate) fn input(source: Option<&Source>, sink: &mut Sink) -> Option<Option<Schema>> {
    let Some(source) = source else { return Some(None) };
    let schema = compile(source, sink)?;
    let properties = schema.resolve(schema.json()).get("properties").and_then(Value::as_object);
    for name in properties.into_iter().flat_map(|p| p.keys()).filter(|name| RESERVED.contains(&name.as_str())) {
        let span = locate(&source.text, &child("/properties", name));
        let help = "rename the field: prompts know another thing by this name";
        sink.error(source.place(span), format!("an input cannot have a field `{name}`"), help);
    }
    Some(Some(schema))
}

/// The output's schema, made from the labels of a classification; `None` in it for a generation.
pub(crate) fn output(source: Option<&Source>, kind: Option<&IntentKind>, sink: &mut Sink) -> Option<Option<Schema>> {
    if let Some(IntentKind::Classification(labels)) = kind {
        let names: Vec<_> = labels.iter().map(|(name, _)| name).collect();
        let schema = json!({
            "type": "object",
            "properties": {"label": {"enum": names}},
            "required": ["label"],
            "additionalProperties": false,
        });
        return Schema::compile(schema).ok().map(Some);
    }
    let Some(source) = source else { return Some(None) };
    let schema = compile(source, sink)?;
    if schema.resolve(schema.json()).get("type") != Some(&json!("object")) {
        let help = "write `\"type\": \"object\"` and put what you want under `properties`";
        sink.error(source.place(locate(&source.text, "/type")), "an output is always an object", help);
        return None;
    }
    Some(Some(schema))
}

/// What a file of JSON holds; `None` where it is none, which is reported.
pub(super) fn parse(source: &Source, sink: &mut Sink) -> Option<Value> {
    match serde_json::from_str(&source.text) {
        Ok(json) => Some(json),
        Err(error) => {
            let before: usize =
                source.text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
            let at = before + error.column().saturating_sub(1);
            let message = error.to_string();
            let message = message.split(" at line ").next().unwrap_or_default();
            sink.error(source.place(at..at + 1), format!("not valid JSON: {message}"), "correct the syntax");
            None
        }
    }
}

fn compile(source: &Source, sink: &mut Sink) -> Option<Schema> {
    let json = parse(source, sink)?;
    let outside = foreign(&json, String::new());
    match Schema::compile_at(json) {
        Ok(schema) => Some(schema),
        Err(SchemaViolation { pointer, message }) => {
            let (pointer, message, help) = match outside {
                Some(pointer) => (
                    pointer,
                    "this $ref points outside of the file, which is not followed".to_owned(),
                    "copy the schema under `$defs`, and write `#/$defs/NAME`",
                ),
                None => (pointer, format!("not a JSON Schema: {message}"), "correct the schema"),
            };
            sink.error(source.place(locate(&source.text, &pointer)), message, help);
            None
        }
    }
}

/// The first reference that does not point into its own document.
fn foreign(schema: &Value, pointer: String) -> Option<String> {
    match schema {
        Value::Object(fields) => fields.iter().find_map(|(key, value)| {
            let here = child(&pointer, key);
            let outside = key.ends_with("$ref") || key == "$dynamicRef";
            let outside = outside && value.as_str().is_some_and(|r| !r.starts_with('#'));
            if outside { Some(here) } else { foreign(value, here) }
        }),
        Value::Array(items) => {
            items.iter().enumerate().find_map(|(n, item)| foreign(item, child(&pointer, &n.to_string())))
        }
        _ => None,
    }
}
