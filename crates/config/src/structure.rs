//! A file against its shape: every misfit reported, and the rest of the file kept.
//!
//! Deserializing stops at the first mistake. The JSON Schema that the shape generates finds them
//! all; what is wrong is taken out, so that what remains can be looked at as well.

use std::marker::PhantomData;

use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::{ValidationError, Validator};
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use schemars::transform::{RecursiveTransform, Transform};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::diagnostics::Sink;
use crate::document::Document;
use crate::json::{child, dotted, segments};
use crate::later;
use crate::suggest::did_you_mean;

/// The JSON Schema of a shape, without the nulls that TOML does not have.
pub(crate) fn json_schema<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|s| s.inline_subschemas = true);
    let tidy = RecursiveTransform(|schema: &mut schemars::Schema| {
        schema.remove("format");
        if schema.get("default") == Some(&Value::Null) {
            schema.remove("default");
        }
        if let Some(Value::Array(types)) = schema.get_mut("type") {
            types.retain(|t| t != "null");
            if let [one] = types.as_slice() {
                let one = one.clone();
                schema.insert("type".into(), one);
            }
        }
        let alternatives = schema.get_mut("anyOf").and_then(Value::as_array_mut);
        let only = alternatives.and_then(|all| {
            all.retain(|a| a.get("type").is_none_or(|t| t != "null"));
            if let [Value::Object(one)] = all.as_slice() { Some(one.clone()) } else { None }
        });
        if let Some(only) = only {
            schema.remove("anyOf");
            only.into_iter().for_each(|(key, value)| {
                if schema.get(&key).is_none() {
                    schema.insert(key, value);
                }
            });
        }
    });
    let mut schema = settings.into_generator().into_root_schema_for::<T>();
    let mut tidy = tidy;
    tidy.transform(&mut schema);
    schema.to_value()
}

/// A shape, ready to check files against.
pub(crate) struct Shape<T> {
    schema: Value,
    validator: Validator,
    shape: PhantomData<fn() -> T>,
}

impl<T: JsonSchema + DeserializeOwned> Shape<T> {
    #[expect(clippy::unwrap_used, reason = "a generated schema; every test of this crate compiles it")]
    pub(crate) fn new() -> Self {
        let schema = json_schema::<T>();
        Self { validator: jsonschema::validator_for(&schema).unwrap(), schema, shape: PhantomData }
    }

    /// The file in its shape, without what is wrong with it; `None` where too little remains, which
    /// has been reported.
    pub(crate) fn check(&self, document: &Document, sink: &mut Sink) -> Option<T> {
        let before = sink.errors();
        let mut wrong = Vec::new();
        for error in self.validator.iter_errors(&document.value) {
            self.report(document, &error, sink, &mut wrong);
        }
        let mut rest = document.value.clone();
        wrong.sort_by_key(|pointer: &String| std::cmp::Reverse(segments(pointer).collect::<Vec<_>>()));
        wrong.iter().for_each(|pointer| remove(&mut rest, pointer));
        match serde_json::from_value(rest) {
            Ok(shape) => Some(shape),
            Err(error) => {
                if sink.errors() == before {
                    sink.error(document.source.start(), format!("not as expected: {error}"), "correct the file");
                }
                None
            }
        }
    }

    fn report(&self, document: &Document, error: &ValidationError<'_>, sink: &mut Sink, wrong: &mut Vec<String>) {
        let pointer = error.instance_path().to_string();
        if let ValidationErrorKind::AdditionalProperties { unexpected } = error.kind() {
            for key in unexpected {
                let pointer = child(&pointer, key);
                let known = self.properties(error);
                let (message, help) = later::feature(&pointer).unwrap_or_else(|| unknown(&pointer, key, &known));
                sink.error(document.key(&pointer), message, help);
                wrong.push(pointer);
            }
            return;
        }
        let (message, help) = later::value(&pointer, error.instance())
            .unwrap_or_else(|| misfit(&pointer, error, self.parent(error, 1).unwrap_or(&Value::Null)));
        sink.error(document.at(&pointer), message, help);
        wrong.push(pointer);
    }

    /// The schema that holds the keyword of this error, `up` levels above the keyword.
    fn parent(&self, error: &ValidationError<'_>, up: usize) -> Option<&Value> {
        let path = error.schema_path().to_string();
        let mut path = path.as_str();
        for _ in 0..up {
            path = path.rsplit_once('/')?.0;
        }
        self.schema.pointer(path)
    }

    fn properties(&self, error: &ValidationError<'_>) -> Vec<String> {
        let properties = self.parent(error, 1).and_then(|s| s.get("properties")).and_then(Value::as_object);
        properties.into_iter().flat_map(|p| p.keys().cloned()).collect()
    }
}

fn remove(value: &mut Value, pointer: &str) {
    let Some((parent, last)) = pointer.rsplit_once('/') else { return };
    let last = segments(&format!("/{last}")).next().unwrap_or_default();
    match value.pointer_mut(parent) {
        Some(Value::Object(fields)) => drop(fields.shift_remove(&last)),
        Some(Value::Array(items)) => {
            if let Some(index) = last.parse().ok().filter(|n: &usize| *n < items.len()) {
                items.remove(index);
            }
        }
        _ => {}
    }
}

fn unknown(pointer: &str, key: &str, known: &[String]) -> (String, String) {
    let section = pointer.rsplit_once('/').map(|(parent, _)| dotted(parent)).unwrap_or_default();
    let place = if section.is_empty() { String::new() } else { format!(" in [{section}]") };
    let near = did_you_mean(key, known.iter().map(String::as_str));
    (format!("unknown key `{key}`{place}"), format!("{near}known here: {}", known.join(", ")))
}

/// What a value must be, in words.
fn misfit(pointer: &str, error: &ValidationError<'_>, schema: &Value) -> (String, String) {
    let name = dotted(pointer);
    let name = if name.is_empty() { "the file".to_owned() } else { format!("`{name}`") };
    let must = |be: String| (format!("{name} must be {be}"), "write another value".to_owned());
    match error.kind() {
        ValidationErrorKind::Required { property } => {
            let property = property.as_str().unwrap_or_default();
            let missing = dotted(&child(pointer, property));
            let about = schema.pointer(&format!("/properties/{property}/description")).and_then(Value::as_str);
            (format!("`{missing}` is missing"), one_line(about.unwrap_or("add it")))
        }
        ValidationErrorKind::Type { kind } => {
            let wanted = match kind {
                TypeKind::Single(one) => a(&one.to_string()),
                TypeKind::Multiple(_) => "of another type".to_owned(),
            };
            let about = schema.get("description").and_then(Value::as_str).unwrap_or("write another value");
            (format!("{name} must be {wanted}, not {}", kind_of(error.instance())), one_line(about))
        }
        ValidationErrorKind::Enum { .. }
        | ValidationErrorKind::Constant { .. }
        | ValidationErrorKind::AnyOf { .. }
        | ValidationErrorKind::OneOfNotValid { .. }
        | ValidationErrorKind::OneOfMultipleValid { .. } => {
            let forms = forms(schema);
            let written = error.instance().as_str();
            let near = written.map(|w| did_you_mean(w, forms.iter().map(|f| f.trim_matches('"')))).unwrap_or_default();
            let written = written.map(|w| format!(", not \"{w}\"")).unwrap_or_default();
            (format!("{name} must be {}{written}", forms.join(" or ")), format!("{near}write one of these"))
        }
        ValidationErrorKind::Minimum { limit } => must(format!("at least {limit}")),
        ValidationErrorKind::Maximum { limit } => must(format!("at most {limit}")),
        ValidationErrorKind::ExclusiveMinimum { limit } => must(format!("more than {limit}")),
        ValidationErrorKind::ExclusiveMaximum { limit } => must(format!("less than {limit}")),
        ValidationErrorKind::MinItems { limit } => must(format!("at least {limit} long")),
        ValidationErrorKind::MaxItems { limit } => must(format!("at most {limit} long")),
        _ => (format!("{name}: {}", error.masked()), "write another value".to_owned()),
    }
}

/// The forms that a schema of alternatives accepts, as they are written in TOML.
fn forms(schema: &Value) -> Vec<String> {
    let list = |key: &str| schema.get(key).and_then(Value::as_array).into_iter().flatten();
    let mut forms: Vec<String> = list("enum").map(Value::to_string).collect();
    forms.extend(schema.get("const").map(Value::to_string));
    forms.extend(list("oneOf").chain(list("anyOf")).flat_map(self::forms));
    if let Some(fields) = schema.get("properties").and_then(Value::as_object) {
        forms.extend(fields.keys().map(|key| format!("{{ {key} = … }}")));
    }
    forms
}

fn a(kind: &str) -> String {
    match kind {
        "object" => "a table".into(),
        "array" => "a list".into(),
        "integer" => "a whole number".into(),
        other => format!("a {other}"),
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "a table",
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
