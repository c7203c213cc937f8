//! Taking a JSON object apart field by field, so that what is left over is what we do not know, and
//! each error names its JSON pointer.

use std::borrow::Cow;

use serde_json::{Map, Number, Value};

use super::tree::{Entries, Tree, find, into_map};
use crate::WireError;

/// An object that is being taken apart. `null` counts as absent.
pub(crate) struct Fields<'a> {
    at: String,
    left: Entries<'a>,
}

impl<'a> Fields<'a> {
    pub(crate) fn of(tree: Tree<'a>, at: String) -> Result<Self, WireError> {
        match tree {
            Tree::Object(left) => Ok(Self { at, left }),
            other => Err(wrong(at, "an object", Some(&other))),
        }
    }

    /// What was not taken.
    pub(crate) fn left(self) -> Map<String, Value> {
        into_map(self.left)
    }

    /// What was not taken, where that is wanted.
    pub(crate) fn left_if(self, wanted: bool) -> Map<String, Value> {
        if wanted { self.left() } else { Map::new() }
    }

    /// The JSON pointer of a field.
    pub(crate) fn pointer(&self, name: &str) -> String {
        [&self.at, "/", name].concat()
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Tree<'a>> {
        find(&self.left, name)
    }

    /// Puts back what is to be kept as it came; an empty object or list is not.
    pub(crate) fn put_back(&mut self, name: &'static str, value: Value) {
        let empty = match &value {
            Value::Object(map) => map.is_empty(),
            Value::Array(list) => list.iter().all(|v| v.as_object().is_some_and(Map::is_empty)),
            _ => false,
        };
        if !empty {
            self.left.push((Cow::Borrowed(name), Tree::Kept(Box::new(value))));
        }
    }

    pub(crate) fn take(&mut self, name: &str) -> Option<Tree<'a>> {
        let mut taken = None;
        while let Some(at) = self.left.iter().rposition(|(key, _)| key == name) {
            let (_, value) = self.left.remove(at);
            taken.get_or_insert(value);
        }
        taken.filter(|value| !value.is_null())
    }

    /// Gives a field another name, which no field has.
    pub(crate) fn rename(&mut self, name: &str, new: &'static str) {
        for (key, _) in self.left.iter_mut().filter(|(key, _)| key == name) {
            *key = Cow::Borrowed(new);
        }
    }

    pub(crate) fn text(&mut self, name: &str) -> Result<Option<String>, WireError> {
        match self.take(name) {
            None => Ok(None),
            Some(Tree::Text(text)) => Ok(Some(text.into_owned())),
            Some(other) => Err(wrong(self.pointer(name), "a string", Some(&other))),
        }
    }

    pub(crate) fn required_text(&mut self, name: &str) -> Result<String, WireError> {
        self.text(name)?.ok_or_else(|| wrong(self.pointer(name), "a string", None))
    }

    pub(crate) fn list(&mut self, name: &str) -> Result<Option<Vec<Tree<'a>>>, WireError> {
        match self.take(name) {
            None => Ok(None),
            Some(Tree::List(list)) => Ok(Some(list)),
            Some(other) => Err(wrong(self.pointer(name), "a list", Some(&other))),
        }
    }

    pub(crate) fn object(&mut self, name: &str) -> Result<Option<Self>, WireError> {
        self.take(name).map(|value| Fields::of(value, self.pointer(name))).transpose()
    }

    pub(crate) fn flag(&mut self, name: &str) -> Result<Option<bool>, WireError> {
        self.parsed(name, "true or false", |tree| if let Tree::Bool(flag) = tree { Some(*flag) } else { None })
    }

    pub(crate) fn number(&mut self, name: &str) -> Result<Option<f64>, WireError> {
        self.parsed_number(name, "a number", Number::as_f64)
    }

    pub(crate) fn count(&mut self, name: &str) -> Result<Option<u64>, WireError> {
        self.parsed(name, "a whole number, 0 or more", Tree::count)
    }

    pub(crate) fn integer(&mut self, name: &str) -> Result<Option<i64>, WireError> {
        self.parsed_number(name, "a whole number", Number::as_i64)
    }

    fn parsed<T>(
        &mut self,
        name: &str,
        expected: &str,
        parse: impl Fn(&Tree<'a>) -> Option<T>,
    ) -> Result<Option<T>, WireError> {
        let Some(tree) = self.take(name) else { return Ok(None) };
        parse(&tree).map(Some).ok_or_else(|| wrong(self.pointer(name), expected, Some(&tree)))
    }

    fn parsed_number<T>(
        &mut self,
        name: &str,
        expected: &str,
        parse: impl Fn(&Number) -> Option<T>,
    ) -> Result<Option<T>, WireError> {
        self.parsed(name, expected, |tree| if let Tree::Number(number) = tree { parse(number) } else { None })
    }
}

/// `/messages/0/role: expected a string, found a number`. Values are not quoted: they may be secret.
pub(crate) fn wrong(pointer: String, expected: &str, found: Option<&Tree<'_>>) -> WireError {
    let found = match found {
        None => "nothing",
        Some(Tree::Text(_)) => "a string",
        Some(Tree::List(_)) => "a list",
        Some(Tree::Object(_) | Tree::Kept(_)) => "an object",
        Some(Tree::Null) => "null",
        Some(Tree::Bool(_)) => "true or false",
        Some(Tree::Number(_)) => "a number of another kind",
    };
    let place = if pointer.is_empty() { "the document" } else { &pointer };
    let message = format!("{place}: expected {expected}, found {found}");
    WireError::at(pointer, message)
}
