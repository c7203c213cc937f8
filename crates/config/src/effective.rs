//! Every setting in effect, with where it comes from.

use std::fmt;

use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::document::Document;
use crate::json::{child, dotted};

/// One setting in effect.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Effective {
    /// `store.durability`; settings of an intent begin with `intents.NAME.`.
    pub key: String,
    /// Its value. Never a secret: those are named by variable or file.
    pub value: Value,
    /// Who said so.
    pub origin: Origin,
}

/// Who said so. Later ones yield to earlier ones: flag, environment, file, default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A flag of the command line, without its dashes.
    Flag(String),
    /// An environment variable.
    Environment(String),
    /// A file.
    File {
        /// As in diagnostics.
        file: String,
        /// From 1.
        line: usize,
    },
    /// Nobody: the built-in value.
    Default,
}

/// `--store-url`, `BATON_STORE_URL`, `baton.toml:3`, `default`.
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => write!(f, "--{flag}"),
            Self::Environment(variable) => f.write_str(variable),
            Self::File { file, line } => write!(f, "{file}:{line}"),
            Self::Default => f.write_str("default"),
        }
    }
}

impl Serialize for Origin {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The leaves of a file's value, defaults filled in.
pub(crate) fn settings(document: &Document, prefix: &str, value: &Value) -> Vec<Effective> {
    let mut all = Vec::new();
    leaves(document, prefix, ("", value), &mut all);
    all
}

fn leaves(document: &Document, prefix: &str, (pointer, value): (&str, &Value), all: &mut Vec<Effective>) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (key, field) in fields {
                leaves(document, prefix, (&child(pointer, key), field), all);
            }
        }
        Value::Array(items) if items.iter().any(Value::is_object) => {
            for (n, item) in items.iter().enumerate() {
                leaves(document, prefix, (&child(pointer, &n.to_string()), item), all);
            }
        }
        Value::Null | Value::Object(_) => {}
        leaf => {
            let key = format!("{prefix}{}", dotted(pointer));
            // As it is written, where it is: 5, not 5.0.
            let value = document.value.pointer(pointer).unwrap_or(leaf).clone();
            all.push(Effective { key, value, origin: document.origin(pointer) });
        }
    }
}
