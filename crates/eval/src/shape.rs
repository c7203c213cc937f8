//! Which JSON types a schema wants where: enough to read `"9"` as 9 where only a number will do.

use std::collections::HashMap;

use serde_json::Value;

/// How deep schemas are followed; a recursive schema ends here.
const DEPTH_MAX: usize = 8;

/// The part of a schema that tells types apart. What it does not understand allows everything.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Shape {
    /// Whether text is allowed.
    pub(crate) text: bool,
    /// Whether numbers are allowed (`number` or `integer`).
    pub(crate) number: bool,
    fields: HashMap<String, Shape>,
    items: Option<Box<Shape>>,
}

impl Shape {
    /// The shape of a schema.
    pub(crate) fn of(schema: &Value) -> Self {
        let mut shape = Self::default();
        shape.add(schema, schema, DEPTH_MAX);
        shape
    }

    /// The shape of a field, where the schema declares it.
    pub(crate) fn field(&self, name: &str) -> Option<&Shape> {
        self.fields.get(name)
    }

    /// The shape of an array's items.
    pub(crate) fn items(&self) -> Option<&Shape> {
        self.items.as_deref()
    }

    /// Whether a number must have been meant where text stands.
    pub(crate) fn only_number(&self) -> bool {
        self.number && !self.text
    }

    /// Whether text must have been meant where a number stands.
    pub(crate) fn only_text(&self) -> bool {
        self.text && !self.number
    }

    /// Whether the schema declares what a JSON pointer points at.
    pub(crate) fn declares(&self, pointer: &str) -> bool {
        if !pointer.is_empty() && !pointer.starts_with('/') {
            return false;
        }
        let mut shape = self;
        for part in pointer.split('/').skip(1) {
            let part = part.replace("~1", "/").replace("~0", "~");
            let inner = shape.field(&part).or_else(|| part.parse::<usize>().ok().and_then(|_| shape.items()));
            let Some(inner) = inner else { return false };
            shape = inner;
        }
        true
    }

    /// Adds what a schema allows to what is allowed already.
    fn add(&mut self, schema: &Value, root: &Value, depth: usize) {
        if depth == 0 {
            self.allow_any();
            return;
        }
        if let Some(target) = schema.get("$ref").and_then(Value::as_str) {
            match target.strip_prefix('#').and_then(|pointer| root.pointer(pointer)) {
                Some(target) => self.add(target, root, depth - 1),
                None => self.allow_any(),
            }
            return;
        }
        let branches = ["anyOf", "oneOf"].iter().find_map(|key| schema.get(key)).and_then(Value::as_array);
        match (schema.get("type"), branches) {
            (Some(Value::String(name)), _) => self.allow(name),
            (Some(Value::Array(names)), _) => names.iter().filter_map(Value::as_str).for_each(|name| self.allow(name)),
            (None, Some(branches)) => branches.iter().for_each(|branch| self.add(branch, root, depth - 1)),
            _ => self.allow_any(),
        }
        if let Some(fields) = schema.get("properties").and_then(Value::as_object) {
            for (name, field) in fields {
                self.fields.entry(name.clone()).or_default().add(field, root, depth - 1);
            }
        }
        if let Some(items) = schema.get("items").filter(|items| items.is_object()) {
            self.items.get_or_insert_default().add(items, root, depth - 1);
        }
    }

    fn allow(&mut self, name: &str) {
        match name {
            "string" => self.text = true,
            "number" | "integer" => self.number = true,
            _ => {}
        }
    }

    fn allow_any(&mut self) {
        (self.text, self.number) = (true, true);
    }
}
