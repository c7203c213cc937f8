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
use crate::secrets::{INLINE_HELP, is_inline};
use crate::suggest::{did_you_mean, nearest};

/// The JSON Schema of a shape.
pub(crate) fn json_schema<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|s| s.inline_subschemas = true);
    let mut schema = settings.into_generator().into_root_schema_for::<T>();
    RecursiveTransform(tidy).transform(&mut schema);
    schema.to_value()
}

/// Drops what TOML does not have: nulls, and number formats.
fn tidy(schema: &mut schemars::Schema) {
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
    if let Some(Value::Array(alternatives)) = schema.get("anyOf") {
        let real: Vec<&Value> = alternatives.iter().filter(|a| a.get("type").is_none_or(|t| t != "null")).collect();
        if let [Value::Object(only)] = real.as_slice() {
            let only = only.clone();
            schema.remove("anyOf");
            for (key, value) in only.into_iter().filter(|(key, _)| key != "description") {
                schema.insert(key, value);
            }
        }
    }
    // What must be written has no default.
    let required: Vec<String> =
        schema.get("required").and_then(|r| serde_json::from_value(r.clone()).ok()).unwrap_or_default();
    for name in required {
        if let Some(Value::Object(property)) = schema.get_mut("properties").and_then(|p| p.get_mut(&name)) {
            property.shift_remove("default");
        }
    }
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
        if document.broken {
            return None;
        }
        let before = sink.errors();
        let mut wrong = Vec::new();
        let errors: Vec<_> = self.validator.iter_errors(&document.value).collect();
        let mistyped: Vec<String> = errors.iter().flat_map(|error| self.meant(error)).collect();
        for error in &errors {
            match error.kind() {
                // It is there, under a name that is nearly right, which is reported.
                ValidationErrorKind::Required { property } if mistyped.contains(&missing(error, property)) => {}
                _ => self.report(document, error, sink, &mut wrong),
            }
        }
        let mut rest = document.value.clone();
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
                let secret = document.value.pointer(&pointer).is_some_and(|value| is_inline(&pointer, value));
                let (message, mut help) = if secret { inline(&pointer) } else { unknown(&pointer, key, &known) };
                if !secret && let Some(key) = self.of_the_top(&pointer) {
                    help = belongs_above(&key);
                }
                sink.error(document.key(&pointer), message, help);
                wrong.push(pointer);
            }
            return;
        }
        let (message, mut help) = if is_inline(&pointer, error.instance()) {
            inline(&pointer)
        } else {
            misfit(&pointer, error, self.parent(error).unwrap_or(&Value::Null))
        };
        if names_its_keys(error)
            && let Some(key) = self.of_the_top(&pointer)
        {
            help = belongs_above(&key);
        }
        sink.error(document.at(&pointer), message, help);
        wrong.push(pointer);
    }

    /// The schema that holds the keyword of this error.
    fn parent(&self, error: &ValidationError<'_>) -> Option<&Value> {
        let path = error.schema_path().to_string();
        self.schema.pointer(path.rsplit_once('/')?.0)
    }

    /// Pointers to what the unknown keys of an error were probably meant to be.
    fn meant(&self, error: &ValidationError<'_>) -> Vec<String> {
        let path = error.instance_path().to_string();
        let ValidationErrorKind::AdditionalProperties { unexpected } = error.kind() else {
            let key = self.of_the_top(&path).filter(|_| names_its_keys(error));
            return key.map(|key| child("", &key)).into_iter().collect();
        };
        let known = self.properties(error);
        let meant = |key: &String| match self.of_the_top(&child(&path, key)) {
            Some(key) => Some(child("", &key)),
            None => nearest(key, known.iter().map(String::as_str)).map(|name| child(&path, name)),
        };
        unexpected.iter().filter_map(meant).collect()
    }

    /// The key, where one that belongs to the top of the file stands in a table: in TOML a table goes on
    /// until the next one.
    fn of_the_top(&self, pointer: &str) -> Option<String> {
        let [_, key]: [String; 2] = segments(pointer).collect::<Vec<_>>().try_into().ok()?;
        self.schema.pointer(&child("/properties", &key)).map(|_| key)
    }

    fn properties(&self, error: &ValidationError<'_>) -> Vec<String> {
        let properties = self.parent(error).and_then(|s| s.get("properties")).and_then(Value::as_object);
        properties.into_iter().flat_map(|p| p.keys().cloned()).collect()
    }
}

/// Whether what is wrong stands in a table whose keys are names of the file's own, as `[labels]`.
fn names_its_keys(error: &ValidationError<'_>) -> bool {
    error.schema_path().to_string().contains("/additionalProperties/")
}

fn belongs_above(key: &str) -> String {
    format!("`{key}` belongs to the top of the file, above the first [section]")
}

fn missing(error: &ValidationError<'_>, property: &Value) -> String {
    child(&error.instance_path().to_string(), property.as_str().unwrap_or_default())
}

/// Takes a value out; with the whole list where it is in one, so that no index shifts.
fn remove(value: &mut Value, pointer: &str) {
    let mut segments = segments(pointer).peekable();
    let mut value = value;
    while let Some(segment) = segments.next() {
        let Some(fields) = value.as_object_mut() else { return };
        if segments.peek().is_none() || fields.get(&segment).is_some_and(Value::is_array) {
            fields.shift_remove(&segment);
            return;
        }
        let Some(inner) = fields.get_mut(&segment) else { return };
        value = inner;
    }
}

fn inline(pointer: &str) -> (String, String) {
    (format!("a secret is written inline: `{}`", dotted(pointer)), INLINE_HELP.to_owned())
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
    let about = schema.get("description").and_then(Value::as_str).map(one_line);
    let must = |be: String| {
        let help = about.clone().unwrap_or_else(|| "write another value".to_owned());
        (format!("{name} must be {be}"), format!("{}{help}", percent(error)))
    };
    match error.kind() {
        ValidationErrorKind::Required { property } => {
            let about = property.as_str().and_then(|p| schema.get("properties")?.get(p)?.get("description")?.as_str());
            (format!("`{}` is missing", dotted(&missing(error, property))), one_line(about.unwrap_or("add it")))
        }
        ValidationErrorKind::Type { kind } => {
            let wanted = match kind {
                TypeKind::Single(one) => a(&one.to_string()),
                TypeKind::Multiple(_) => "of another type".to_owned(),
            };
            let otherwise = if wanted == "a string" { "write it in quotes" } else { "write another value" };
            let help = about.unwrap_or_else(|| otherwise.to_owned());
            (format!("{name} must be {wanted}, not {}", kind_of(error.instance())), help)
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
        ValidationErrorKind::MinItems { limit } => must(format!("a list of at least {limit}")),
        ValidationErrorKind::MaxItems { limit } => must(format!("a list of at most {limit}")),
        _ => (format!("{name}: {}", error.masked()), "write another value".to_owned()),
    }
}

/// How a share is written that was given in percent.
fn percent(error: &ValidationError<'_>) -> String {
    let (ValidationErrorKind::Maximum { limit } | ValidationErrorKind::ExclusiveMaximum { limit }) = error.kind()
    else {
        return String::new();
    };
    match error.instance().as_u64() {
        Some(percent @ 2..=100) if limit.as_f64() == Some(1.0) => {
            format!("{percent} % is {}. ", percent as f64 / 100.0)
        }
        _ => String::new(),
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

fn kind_of(value: &Value) -> String {
    match value {
        Value::String(_) => "a string".into(),
        Value::Array(_) => "a list".into(),
        Value::Object(_) => "a table".into(),
        plain => plain.to_string(),
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
