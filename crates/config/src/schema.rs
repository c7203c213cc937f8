//! A JSON Schema, compiled once at load.

use jsonschema::error::ValidationErrorKind;
use jsonschema::{ValidationError, Validator};
use serde_json::Value;

use crate::json::child;

/// A compiled JSON Schema. References to other documents are not resolved: neither network nor
/// files are touched.
#[derive(Debug)]
pub struct Schema {
    json: Value,
    validator: Validator,
}

/// Where a value is not as its schema says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{pointer}: {message}")]
pub struct SchemaViolation {
    /// JSON pointer to the value; empty for the whole. A missing or unexpected property is pointed
    /// at itself, not at its object.
    pub pointer: String,
    /// What was expected. Never quotes the value, which may be private.
    pub message: String,
}

impl Schema {
    /// Compiles a schema.
    ///
    /// # Errors
    /// Where it is not a valid JSON Schema; the text says where.
    pub fn compile(json: Value) -> Result<Self, String> {
        Self::compile_at(json).map_err(|violation| violation.to_string())
    }

    /// As [`compile`](Self::compile), where `format` is not a mere note: a `date` must be one.
    ///
    /// # Errors
    /// As there.
    pub fn compile_with_formats(json: Value) -> Result<Self, String> {
        let formal = jsonschema::options().should_validate_formats(true).build(&json);
        // The error is worded in one place.
        formal.map_or_else(|_| Self::compile(json.clone()), |validator| Ok(Self { json: json.clone(), validator }))
    }

    /// Compiles a schema; the error's pointer is into the schema.
    pub(crate) fn compile_at(json: Value) -> Result<Self, SchemaViolation> {
        match jsonschema::validator_for(&json) {
            Ok(validator) => Ok(Self { json, validator }),
            Err(error) => {
                let pointer = error.instance_path().to_string();
                let keyword = pointer.rsplit('/').next().unwrap_or_default();
                let message = match error.kind() {
                    ValidationErrorKind::AnyOf { .. } | ValidationErrorKind::OneOfNotValid { .. } => {
                        format!("`{keyword}` cannot be {}", error.instance())
                    }
                    _ => error.to_string(),
                };
                Err(SchemaViolation { pointer, message })
            }
        }
    }

    /// The schema as written.
    #[must_use]
    pub fn json(&self) -> &Value {
        &self.json
    }

    /// Checks a value.
    ///
    /// # Errors
    /// The first violation.
    pub fn validate(&self, value: &Value) -> Result<(), SchemaViolation> {
        self.validator.validate(value).map_err(|error| self.violation(&error))
    }

    fn violation(&self, error: &ValidationError<'_>) -> SchemaViolation {
        let pointer = error.instance_path().to_string();
        let at = |pointer, message: &str| SchemaViolation { pointer, message: message.to_owned() };
        match error.kind() {
            ValidationErrorKind::Required { property } => {
                at(child(&pointer, property.as_str().unwrap_or_default()), "is missing")
            }
            ValidationErrorKind::AdditionalProperties { unexpected }
            | ValidationErrorKind::UnevaluatedProperties { unexpected } => {
                let name = unexpected.first().map_or("", String::as_str);
                at(child(&pointer, name), &self.not_a_property(&error.schema_path().to_string()))
            }
            ValidationErrorKind::Enum { options } => at(pointer, &one_of(options)),
            _ => at(pointer, &error.masked().to_string()),
        }
    }

    /// `keyword` forbids others than these, as a pointer into the schema.
    fn not_a_property(&self, keyword: &str) -> String {
        let object = keyword.rsplit_once('/').and_then(|(object, _)| self.json.pointer(object));
        let known = object.and_then(|object| object.get("properties")).and_then(Value::as_object);
        let known: Vec<String> = known.into_iter().flatten().map(|(name, _)| format!("`{name}`")).collect();
        let told = "is not a property of the schema";
        if known.is_empty() { told.to_owned() } else { format!("{told}, which has {}", listed(&known, "and")) }
    }

    /// The value with the `default`s of absent properties filled in, objects within objects
    /// included. Follows `properties` and local `$ref`s; an absent object is not made up.
    #[must_use]
    pub fn with_defaults(&self, mut value: Value) -> Value {
        self.fill(&self.json, &mut value);
        value
    }

    fn fill(&self, schema: &Value, value: &mut Value) {
        let Some(object) = value.as_object_mut() else { return };
        let Some(properties) = self.resolve(schema).get("properties").and_then(Value::as_object) else { return };
        for (name, property) in properties {
            match object.get_mut(name) {
                Some(inner) => self.fill(property, inner),
                None => {
                    if let Some(default) = self.resolve(property).get("default") {
                        object.insert(name.clone(), default.clone());
                    }
                }
            }
        }
    }

    /// The schema that a chain of local references ends at.
    pub(crate) fn resolve<'a>(&'a self, mut schema: &'a Value) -> &'a Value {
        // A chain longer than this runs in a circle.
        for _ in 0..16 {
            let target = schema.get("$ref").and_then(Value::as_str).and_then(|r| r.strip_prefix('#'));
            match target.and_then(|pointer| self.json.pointer(pointer)) {
                Some(next) => schema = next,
                None => break,
            }
        }
        schema
    }
}

fn one_of(options: &Value) -> String {
    let all: Vec<String> = options.as_array().into_iter().flatten().map(Value::to_string).collect();
    format!("must be one of {}", listed(&all, "or"))
}

/// A dozen of them, and how many more there are.
fn listed(all: &[String], joined: &str) -> String {
    match all.get(12..) {
        None | Some([]) => all.join(", "),
        Some(rest) => format!("{}, {joined} {} others", all[..12].join(", "), rest.len()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn receipt() -> Schema {
        Schema::compile(json!({
            "type": "object",
            "required": ["total"],
            "additionalProperties": false,
            "properties": {
                "total": {"type": "number", "minimum": 0},
                "currency": {"enum": ["EUR", "USD"], "default": "EUR"},
                "seller/shop": {"$ref": "#/$defs/seller"},
            },
            "$defs": {"seller": {"type": "object", "required": ["name"], "properties": {
                "name": {"type": "string"}, "country": {"default": "DE"},
            }}},
        }))
        .unwrap()
    }

    #[test]
    fn a_violation_points_at_the_value_and_does_not_quote_it() {
        for (value, pointer, message) in [
            (json!({}), "/total", "is missing"),
            (json!({"total": 1, "seller/shop": {}}), "/seller~1shop/name", "is missing"),
            (
                json!({"total": 1, "tax": "secret"}),
                "/tax",
                "is not a property of the schema, which has `total`, `currency`, `seller/shop`",
            ),
            (json!({"total": "secret"}), "/total", "value is not of type \"number\""),
            (json!({"total": -7}), "/total", "value is less than the minimum of 0"),
            (json!({"total": 1, "currency": "secret"}), "/currency", "must be one of \"EUR\", \"USD\""),
            (json!("secret"), "", "value is not of type \"object\""),
        ] {
            let violation = receipt().validate(&value).unwrap_err();
            assert_eq!((violation.pointer.as_str(), violation.message.as_str()), (pointer, message));
        }
        receipt().validate(&json!({"total": 1, "currency": "USD"})).unwrap();
    }

    #[test]
    fn defaults_fill_what_is_absent_and_nothing_else() {
        let fill = |value| receipt().with_defaults(value);
        assert_eq!(fill(json!({"total": 1})), json!({"total": 1, "currency": "EUR"}));
        assert_eq!(
            fill(json!({"currency": null, "seller/shop": {"name": "x"}})),
            json!({"currency": null, "seller/shop": {"name": "x", "country": "DE"}})
        );
        assert_eq!(fill(json!("text")), json!("text"));
    }

    #[test]
    fn references_that_run_in_a_circle_end() {
        let schema = Schema::compile(json!({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}}));
        if let Ok(schema) = schema {
            assert_eq!(schema.with_defaults(json!({})), json!({}));
        }
    }

    #[test]
    fn other_documents_are_not_fetched() {
        for reference in ["http://127.0.0.1:9/x.json", "file:///etc/hostname", "other.json"] {
            assert!(Schema::compile(json!({"$ref": reference})).is_err(), "{reference}");
        }
    }
}
