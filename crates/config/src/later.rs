//! What the design promises and this version does not have: refused by name, never ignored.

use serde_json::Value;

/// Values, by pointer.
const VALUES: [(&str, &str); 1] = [("/privacy/store", "redacted")];

/// Message and help for a value of a later version.
pub(crate) fn value(pointer: &str, value: &Value) -> Option<(String, String)> {
    let (pattern, later) = VALUES.iter().find(|(pattern, later)| *pattern == pointer && value == later)?;
    let key = pattern.rsplit('/').next().unwrap_or_default();
    Some(refusal(&format!("`{key} = \"{later}\"`")))
}

/// Message and help for anything of a later version.
pub(crate) fn refusal(name: &str) -> (String, String) {
    (
        format!("{name} is not supported by this version"),
        "remove it; leaving it in would promise what is not done".into(),
    )
}
