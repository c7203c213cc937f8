//! A remembered answer, and how many bytes it takes.

use baton_core::{ExecutionId, IntentName, ModelId, Moment, NanoUsd, SubjectHash, Usage};
use serde_json::Value;

/// An answer that was complete and passed its gates.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The intent, for eviction.
    pub intent: IntentName,
    /// `{label}`, the schema's fields, or `{text}`.
    pub output: Value,
    /// Tools that the model asked the caller to run, in OpenAI's shape.
    pub tool_calls: Vec<Value>,
    /// The model's text, for replay as a stream.
    pub text: String,
    /// What was repaired in it.
    pub repairs: Vec<String>,
    /// Who answered.
    pub model: ModelId,
    /// The execution whose answer this is.
    pub source: ExecutionId,
    /// When it was given.
    pub stored_at: Moment,
    /// When the intent's time to live ends.
    pub expires_at: Moment,
    /// Whether a simulated model gave it.
    pub simulated: bool,
    /// The tokens that it took then.
    pub usage: Usage,
    /// What it cost then, where that is known.
    pub cost: Option<NanoUsd>,
    /// Whom the call was about, for deletion.
    pub subject: Option<SubjectHash>,
}

impl Entry {
    /// Bytes of memory, estimated: the struct, its text, and its JSON with the map's overhead.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let strings: usize = self.repairs.iter().map(|r| size_of::<String>() + r.len()).sum();
        let calls: usize = self.tool_calls.iter().map(value_bytes).sum();
        (size_of::<Self>() + value_bytes(&self.output) + calls + self.text.len() + strings) as u64
    }
}

/// A map entry holds the key's `String`, its hash, and a place in the index, besides the value.
const MAP_ENTRY: usize = size_of::<String>() + 4 * size_of::<usize>();

fn value_bytes(value: &Value) -> usize {
    size_of::<Value>()
        + match value {
            Value::Null | Value::Bool(_) | Value::Number(_) => 0,
            Value::String(text) => text.len(),
            Value::Array(items) => items.iter().map(value_bytes).sum(),
            Value::Object(fields) => fields.iter().map(|(k, v)| MAP_ENTRY + k.len() + value_bytes(v)).sum(),
        }
}
