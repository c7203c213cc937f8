//! A JSON Schema, compiled once at load.

use serde_json::Value;

/// A compiled JSON Schema. References to other documents are not resolved.
pub struct Schema {
    json: Value,
    validator: jsonschema::Validator,
}

/// Where a value is not as its schema says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{pointer}: {message}")]
pub struct SchemaViolation {
    /// JSON pointer to the value; empty for the whole.
    pub pointer: String,
    /// What was expected.
    pub message: String,
}

impl Schema {
    /// Compiles a schema.
    ///
    /// # Errors
    /// Where it is not a valid JSON Schema; the text says where.
    pub fn compile(json: Value) -> Result<Self, String> {
        let validator = jsonschema::validator_for(&json).map_err(|e| format!("{}: {e}", e.instance_path()))?;
        Ok(Self { json, validator })
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
        self.validator
            .validate(value)
            .map_err(|e| SchemaViolation { pointer: e.instance_path().to_string(), message: e.to_string() })
    }
}
