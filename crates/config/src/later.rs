//! What the design promises and this version does not have: refused by name, never ignored.

use serde_json::Value;

/// Keys, by pointer (`*` is any one segment), with the name that a person knows them by.
const KEYS: [(&str, &str); 1] = [("/batch", "[batch]")];

/// Values, by pointer.
const VALUES: [(&str, &str); 1] = [("/privacy/store", "redacted")];

/// Message and help for a key of a later version.
pub(crate) fn feature(pointer: &str) -> Option<(String, String)> {
    let (_, name) = KEYS.iter().find(|(pattern, _)| matches(pattern, pointer))?;
    Some(refusal(name))
}

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

fn matches(pattern: &str, pointer: &str) -> bool {
    let (mut pattern, mut pointer) = (pattern.split('/'), pointer.split('/'));
    loop {
        match (pattern.next(), pointer.next()) {
            (None, None) => return true,
            (Some(p), Some(s)) if p == "*" || p == s => {}
            _ => return false,
        }
    }
}
