//! What makes two calls the same: scope, intent, answer hash and input, and nothing else.

use std::fmt;
use std::hash::{Hash, Hasher};

use baton_core::{IntentName, Scope};
use serde_json::Value;

/// Changes with the encoding below, so that keys of two formats never meet.
const FORMAT: &[u8] = b"baton exact cache key 1";
/// Likewise, of values.
const VALUE_FORMAT: &[u8] = b"baton cached value 1";

/// The blake3 hash of scope, intent, answer hash and canonical input.
///
/// Inputs are equal if they are equal as JSON: the order of an object's keys does not matter, all
/// else does. Numbers are exact: integers of 64 bits are not rounded, and `1` is not `1.0`, since a
/// prompt renders them differently. Text is compared byte by byte, without Unicode folding.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Key([u8; 32]);

impl Key {
    /// The key of a call. `answer_hash` is the plan's; `input` has its schema's defaults filled in.
    #[must_use]
    pub fn of(scope: &Scope, intent: &IntentName, answer_hash: &str, input: &Value) -> Self {
        let mut framed = Vec::with_capacity(2048);
        put_text(&mut framed, FORMAT);
        put_text(&mut framed, scope.team.as_str().as_bytes());
        put_length(&mut framed, scope.partition.len());
        for value in &scope.partition {
            match value {
                Some(text) => {
                    framed.push(b's');
                    put_text(&mut framed, text.as_bytes());
                }
                None => framed.push(b'n'),
            }
        }
        put_text(&mut framed, intent.as_str().as_bytes());
        put_text(&mut framed, answer_hash.as_bytes());
        put_value(&mut framed, input);
        Self(blake3::hash(&framed).into())
    }

    /// The key of a value alone: equal values have equal keys.
    #[must_use]
    pub(crate) fn of_value(value: &Value) -> Self {
        let mut framed = Vec::with_capacity(128);
        put_text(&mut framed, VALUE_FORMAT);
        put_value(&mut framed, value);
        Self(blake3::hash(&framed).into())
    }

    /// A key that was kept as its bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The thirty-two bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// As hexadecimal.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&blake3::Hash::from_bytes(self.0).to_hex())
    }
}

/// Eight bytes of a blake3 hash are as good a table hash as any, and the same in each run.
impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        state.write_u64(u64::from_le_bytes([a, b, c, d, e, f, g, h]));
    }
}

fn put_length(framed: &mut Vec<u8>, length: usize) {
    framed.extend_from_slice(&(length as u64).to_le_bytes());
}

/// A length goes first, so that `ab, c` and `a, bc` are framed differently.
fn put_text(framed: &mut Vec<u8>, bytes: &[u8]) {
    put_length(framed, bytes.len());
    framed.extend_from_slice(bytes);
}

/// Each value opens with a byte for its type.
fn put_value(framed: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Null => framed.push(b'n'),
        Value::Bool(false) => framed.push(b'f'),
        Value::Bool(true) => framed.push(b't'),
        Value::Number(number) => {
            let (tag, bits) = match (number.as_u64(), number.as_i64(), number.as_f64()) {
                (Some(positive), ..) => (b'u', positive.to_le_bytes()),
                (None, Some(negative), _) => (b'i', negative.to_le_bytes()),
                (None, None, float) => (b'd', float.unwrap_or(f64::NAN).to_bits().to_le_bytes()),
            };
            framed.push(tag);
            framed.extend_from_slice(&bits);
        }
        Value::String(text) => {
            framed.push(b's');
            put_text(framed, text.as_bytes());
        }
        Value::Array(items) => {
            framed.push(b'a');
            put_length(framed, items.len());
            for item in items {
                put_value(framed, item);
            }
        }
        Value::Object(fields) => {
            framed.push(b'o');
            put_length(framed, fields.len());
            let mut sorted: Vec<_> = fields.iter().collect();
            sorted.sort_unstable_by_key(|(name, _)| *name);
            for (name, field) in sorted {
                put_text(framed, name.as_bytes());
                put_value(framed, field);
            }
        }
    }
}
