//! Reasons: what a person can act on, bounded, and without content where privacy forbids it.

use serde_json::Value;

/// The longest reason, in characters.
pub(crate) const REASON_CHARS_MAX: usize = 200;
/// The longest quoted value, in characters.
const QUOTE_CHARS_MAX: usize = 60;

/// How values are quoted in reasons, which are stored with the record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Quote {
    /// Whether all content may be stored: a piece of what was replaced is not told by its form.
    pub(crate) content: bool,
}

impl Quote {
    /// Text between quotation marks, shortened; or that it is hidden.
    pub(crate) fn text(self, text: &str) -> String {
        if !self.content {
            return "(hidden by privacy)".into();
        }
        match text.char_indices().nth(QUOTE_CHARS_MAX) {
            Some((end, _)) => format!("“{}…”", &text[..end]),
            None => format!("“{text}”"),
        }
    }

    /// Text as text, anything else as JSON.
    pub(crate) fn value(self, value: &Value) -> String {
        match value {
            Value::String(text) => self.text(text),
            other => self.text(&other.to_string()),
        }
    }
}

/// At most [`REASON_CHARS_MAX`] characters: what is too much is taken from the middle, since the
/// start says where and the end often says what was expected.
pub(crate) fn bounded(reason: String) -> String {
    let length = reason.chars().count();
    if length <= REASON_CHARS_MAX {
        return reason;
    }
    let head: String = reason.chars().take(120).collect();
    let tail: String = reason.chars().skip(length - (REASON_CHARS_MAX - 121)).collect();
    format!("{head}…{tail}")
}
