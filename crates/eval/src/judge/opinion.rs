//! A second opinion: what another model answered to the same question, held against an answer.

use std::collections::BTreeMap;

use baton_core::{ScoreResult, says_the_same};
use serde_json::{Map, Value};

/// All fields that a schema does not declare, as one: their names are content.
const UNDECLARED: &str = "undeclared fields";

/// Whether two outputs say the same, field by field, by [`says_the_same`]. Fields that neither fills say
/// nothing; those that are not `declared` count as one. What is no object is no opinion: `None`.
pub(crate) fn compared(answer: &Value, other: &Value, declared: impl Fn(&str) -> bool) -> Option<ScoreResult> {
    let (answer, other) = (answer.as_object()?, other.as_object()?);
    let value = |of: &Map<String, Value>, name: &str| of.get(name).cloned().unwrap_or(Value::Null);
    let mut fields = BTreeMap::new();
    for name in answer.keys().chain(other.keys()) {
        let (ours, theirs) = (value(answer, name), value(other, name));
        if ours.is_null() && theirs.is_null() {
            continue;
        }
        let same = f64::from(says_the_same(&ours, &theirs));
        let shown = if declared(name) { name.as_str() } else { UNDECLARED };
        let before = fields.entry(shown.to_owned()).or_insert(same);
        *before = before.min(same);
    }
    Some(ScoreResult::compared(fields))
}
