//! Taking a JSON object apart field by field, so that what is left over is what we do not know, and
//! each error names its JSON pointer.

use serde_json::{Map, Value};

use crate::WireError;

/// An object that is being taken apart. `null` counts as absent.
pub(crate) struct Fields {
    at: String,
    left: Map<String, Value>,
}

impl Fields {
    pub(crate) fn of(value: Value, at: String) -> Result<Self, WireError> {
        match value {
            Value::Object(left) => Ok(Self { at, left }),
            other => Err(wrong(at, "an object", Some(&other))),
        }
    }

    /// What was not taken.
    pub(crate) fn left(self) -> Map<String, Value> {
        self.left
    }

    /// The JSON pointer of a field.
    pub(crate) fn pointer(&self, name: &str) -> String {
        format!("{}/{name}", self.at)
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Value> {
        self.left.get(name)
    }

    /// Puts back what is to be kept as it came; an empty object or list is not.
    pub(crate) fn put_back(&mut self, name: &str, value: Value) {
        let empty = match &value {
            Value::Object(map) => map.is_empty(),
            Value::Array(list) => list.iter().all(|v| v.as_object().is_some_and(Map::is_empty)),
            _ => false,
        };
        if !empty {
            self.left.insert(name.to_owned(), value);
        }
    }

    pub(crate) fn take(&mut self, name: &str) -> Option<Value> {
        self.left.shift_remove(name).filter(|v| !v.is_null())
    }

    pub(crate) fn text(&mut self, name: &str) -> Result<Option<String>, WireError> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(wrong(self.pointer(name), "a string", Some(&other))),
        }
    }

    pub(crate) fn required_text(&mut self, name: &str) -> Result<String, WireError> {
        self.text(name)?.ok_or_else(|| wrong(self.pointer(name), "a string", None))
    }

    pub(crate) fn list(&mut self, name: &str) -> Result<Option<Vec<Value>>, WireError> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Array(list)) => Ok(Some(list)),
            Some(other) => Err(wrong(self.pointer(name), "a list", Some(&other))),
        }
    }

    pub(crate) fn object(&mut self, name: &str) -> Result<Option<Fields>, WireError> {
        self.take(name).map(|value| Fields::of(value, self.pointer(name))).transpose()
    }

    pub(crate) fn flag(&mut self, name: &str) -> Result<Option<bool>, WireError> {
        self.parsed(name, "true or false", Value::as_bool)
    }

    pub(crate) fn number(&mut self, name: &str) -> Result<Option<f64>, WireError> {
        self.parsed(name, "a number", Value::as_f64)
    }

    pub(crate) fn count(&mut self, name: &str) -> Result<Option<u64>, WireError> {
        self.parsed(name, "a whole number, 0 or more", Value::as_u64)
    }

    pub(crate) fn integer(&mut self, name: &str) -> Result<Option<i64>, WireError> {
        self.parsed(name, "a whole number", Value::as_i64)
    }

    fn parsed<T>(
        &mut self,
        name: &str,
        expected: &str,
        parse: impl Fn(&Value) -> Option<T>,
    ) -> Result<Option<T>, WireError> {
        let Some(value) = self.take(name) else { return Ok(None) };
        parse(&value).map(Some).ok_or_else(|| wrong(self.pointer(name), expected, Some(&value)))
    }
}

/// `/messages/0/role: expected a string, found a number`. Values are not quoted: they may be secret.
pub(crate) fn wrong(pointer: String, expected: &str, found: Option<&Value>) -> WireError {
    let found = match found {
        None => "nothing",
        Some(Value::Null) => "null",
        Some(Value::Bool(_)) => "true or false",
        Some(Value::Number(_)) => "a number of another kind",
        Some(Value::String(_)) => "a string",
        Some(Value::Array(_)) => "a list",
        Some(Value::Object(_)) => "an object",
    };
    let place = if pointer.is_empty() { "the document" } else { &pointer };
    let message = format!("{place}: expected {expected}, found {found}");
    WireError::at(pointer, message)
}
