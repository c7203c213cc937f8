//! The three hashes of an intent: what its answers, its audit and its evidence depend on.
//!
//! Each is blake3 over a prefix that names the format and the parts as canonical JSON, so that a
//! change of format changes every hash, and nothing else does.

use baton_core::IntentName;
use serde_json::{Value, json};

use crate::json::canonical;
use crate::plan::{Criterion, Hashes, IntentKind};
use crate::{Case, Prompt, Schema};

/// What an answer and its evidence depend on.
pub(crate) struct AnswerParts<'a> {
    pub(crate) kind: &'a IntentKind,
    pub(crate) prompt: &'a Prompt,
    pub(crate) input_schema: Option<&'a Schema>,
    pub(crate) output_schema: Option<&'a Schema>,
    pub(crate) examples: &'a [Case],
    pub(crate) params: &'a serde_json::Map<String, Value>,
    /// What answers are judged by: no answer depends on it, all evidence does.
    pub(crate) criteria: &'a [Criterion],
}

/// The three hashes. `policy` is everything that neither of the others holds: the settings in
/// effect, the models that names resolve to, the cases.
pub(crate) fn hashes(name: &IntentName, parts: &AnswerParts<'_>, policy: &Value) -> Hashes {
    let labels = match parts.kind {
        IntentKind::Classification(labels) => json!(labels),
        IntentKind::Extraction | IntentKind::Generation => Value::Null,
    };
    // Models read schemas as they are written: order counts here.
    let written = |schema: Option<&Schema>| schema.map(|s| s.json().to_string());
    let examples: Vec<_> = parts.examples.iter().map(|c| json!([c.input, c.expected])).collect();
    let answer = hash(
        "baton-answer-1",
        &json!({
            "prompt": parts.prompt.sources(),
            "labels": labels,
            "input": written(parts.input_schema),
            "output": written(parts.output_schema),
            "examples": examples,
            "params": parts.params,
        }),
    );
    let promise = match parts.kind {
        IntentKind::Classification(labels) => {
            let mut names: Vec<&str> = labels.iter().map(|(name, _)| name.as_str()).collect();
            names.sort_unstable();
            json!({ "labels": names })
        }
        IntentKind::Extraction => json!({ "output": parts.output_schema.map(Schema::json) }),
        IntentKind::Generation => json!("text"),
    };
    // Guidelines explain a question; they do not make it another one.
    let asked: Vec<_> = parts.criteria.iter().map(|criterion| json!([criterion.id, criterion.ask])).collect();
    let lineage = if asked.is_empty() { json!([name, promise]) } else { json!([name, promise, asked]) };
    let lineage = hash("baton-lineage-1", &lineage);
    let policy = hash("baton-policy-1", &json!([name, answer, lineage, policy]));
    Hashes { answer, policy, lineage }
}

/// blake3 of the prefix, a line feed and the canonical JSON; 64 hexadecimal digits.
pub(crate) fn hash(prefix: &str, parts: &Value) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(prefix.as_bytes()).update(b"\n").update(canonical(parts).as_bytes());
    hasher.finalize().to_hex().to_string()
}
