//! A JSON document to be taken apart: objects are lists of fields, and text is borrowed from the
//! body. A [`Value`] hashes and copies every name, which for an answer was a sixth of all work on a
//! call.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// The fields of an object in their order. Of those with the same name, the last counts.
pub(crate) type Entries<'a> = Vec<(Cow<'a, str>, Tree<'a>)>;

/// A document, or a part of one.
#[derive(Clone, Debug)]
pub(crate) enum Tree<'a> {
    Object(Entries<'a>),
    List(Vec<Tree<'a>>),
    Text(Cow<'a, str>),
    Null,
    Bool(bool),
    Number(Number),
    /// What was put back. Boxed, since a value is larger than what is read.
    Kept(Box<Value>),
}

impl<'a> Tree<'a> {
    /// A field of an object.
    pub(crate) fn get(&self, name: &str) -> Option<&Tree<'a>> {
        match self {
            Self::Object(entries) => find(entries, name),
            _ => None,
        }
    }

    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A number that is whole, and 0 or more.
    pub(crate) fn count(&self) -> Option<u64> {
        match self {
            Self::Number(number) => number.as_u64(),
            _ => None,
        }
    }

    pub(crate) fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    pub(crate) fn into_value(self) -> Value {
        match self {
            Self::Object(entries) => Value::Object(into_map(entries)),
            Self::List(list) => list.into_iter().map(Self::into_value).collect(),
            Self::Text(text) => Value::String(text.into_owned()),
            Self::Null => Value::Null,
            Self::Bool(flag) => Value::Bool(flag),
            Self::Number(number) => Value::Number(number),
            Self::Kept(value) => *value,
        }
    }
}

/// Parses a body. That it is UTF-8 is checked once and not for each text; one that is not is left to the
/// parser, which says where.
pub(crate) fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> serde_json::Result<T> {
    match std::str::from_utf8(body) {
        Ok(text) => serde_json::from_str(text),
        Err(_) => serde_json::from_slice(body),
    }
}

/// The field with this name.
pub(crate) fn find<'t, 'a>(entries: &'t Entries<'a>, name: &str) -> Option<&'t Tree<'a>> {
    entries.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value)
}

pub(crate) fn into_map(entries: Entries<'_>) -> Map<String, Value> {
    entries.into_iter().map(|(name, value)| (name.into_owned(), value.into_value())).collect()
}

impl From<Value> for Tree<'_> {
    fn from(value: Value) -> Self {
        match value {
            Value::Object(map) => {
                Self::Object(map.into_iter().map(|(name, value)| (Cow::Owned(name), value.into())).collect())
            }
            Value::Array(list) => Self::List(list.into_iter().map(Self::from).collect()),
            Value::String(text) => Self::Text(Cow::Owned(text)),
            Value::Null => Self::Null,
            Value::Bool(flag) => Self::Bool(flag),
            Value::Number(number) => Self::Number(number),
        }
    }
}

impl<'de> Deserialize<'de> for Tree<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TreeVisitor)
    }
}

/// A name, borrowed where it holds no escapes.
struct Name<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(NameVisitor).map(Self)
    }
}

struct NameVisitor;

impl<'de> Visitor<'de> for NameVisitor {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
}

struct TreeVisitor;

impl<'de> Visitor<'de> for TreeVisitor {
    type Value = Tree<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Tree::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Tree::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
        Ok(Tree::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
        Ok(Tree::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
        Ok(Number::from_f64(value).map_or(Tree::Null, Tree::Number))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Tree::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Tree::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Tree::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Self::Value, A::Error> {
        let mut entries = Entries::with_capacity(8);
        while let Some((Name(name), value)) = fields.next_entry()? {
            entries.push((name, value));
        }
        Ok(Tree::Object(entries))
    }
}
