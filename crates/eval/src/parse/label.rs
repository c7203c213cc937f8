//! Finds the label that an answer names.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::{BYTES_MAX, Repairs, extract};

/// The labels of a classification, ready to be looked up.
#[derive(Debug)]
pub(crate) struct Labels {
    exact: HashSet<String>,
    /// By normal form; `None` where two labels share one.
    normal: HashMap<String, Option<String>>,
}

impl Labels {
    pub(crate) fn of<'a>(names: impl Iterator<Item = &'a str>) -> Self {
        let mut labels = Self { exact: HashSet::new(), normal: HashMap::new() };
        for name in names {
            labels.exact.insert(name.to_owned());
            labels
                .normal
                .entry(normal(name))
                .and_modify(|shared| *shared = None)
                .or_insert_with(|| Some(name.to_owned()));
        }
        labels
    }

    /// All labels.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> + Clone {
        self.exact.iter().map(String::as_str)
    }

    /// Whether this is a label, letter by letter.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.exact.contains(name)
    }

    /// The label that the text names: bare, quoted, fenced, or as JSON `{"label": …}`.
    ///
    /// # Errors
    /// The text that stands where the label should.
    pub(crate) fn find(&self, text: &str, may_close: bool) -> Result<(String, Repairs), String> {
        if self.has(text.trim()) {
            return Ok((text.trim().to_owned(), Repairs::default()));
        }
        if text.len() > BYTES_MAX {
            return Err(text.chars().take(100).collect());
        }
        let has_label = |value: &Value| value.get("label").is_some_and(Value::is_string);
        if text.contains('{')
            && let Ok((value, mut repairs)) = extract(text, None, may_close, has_label)
            && let Some(given) = value.get("label").and_then(Value::as_str)
        {
            if value.as_object().is_some_and(|fields| fields.len() > 1) {
                repairs.mark("extra-fields");
            }
            return self.known(given, repairs);
        }
        let mut repairs = Repairs::default();
        let bare = unwrap(text, &mut repairs);
        self.known(bare, repairs)
    }

    fn known(&self, given: &str, mut repairs: Repairs) -> Result<(String, Repairs), String> {
        let given = given.trim();
        if self.has(given) {
            return Ok((given.to_owned(), repairs));
        }
        let whole = given.trim_end_matches(['.', ',', ';', ':', '!', '?', '。']).trim_end();
        let label =
            if self.has(whole) { Some(whole) } else { self.normal.get(&normal(whole)).and_then(Option::as_deref) };
        let Some(label) = label else { return Err(given.to_owned()) };
        if whole != given {
            repairs.mark("punctuation");
        }
        if label.to_lowercase() != whole.to_lowercase() {
            repairs.mark("whitespace");
        } else if label != whole {
            repairs.mark("case");
        }
        Ok((label.to_owned(), repairs))
    }
}

/// Without code fence, quotation marks and emphasis.
fn unwrap<'a>(text: &'a str, repairs: &mut Repairs) -> &'a str {
    let mut text = text.trim();
    if let Some(inner) = text.strip_prefix("```").and_then(|rest| rest.strip_suffix("```")) {
        // The first line names the language.
        text = inner.split_once('\n').map_or(inner, |(_, body)| body).trim();
        repairs.mark("fenced");
    }
    for (open, close) in [("**", "**"), ("\"", "\""), ("'", "'"), ("`", "`"), ("“", "”"), ("*", "*")] {
        // A full stop may stand behind the closing mark.
        let bare = text.strip_suffix('.').unwrap_or(text);
        if let Some(inner) = bare.strip_prefix(open).and_then(|rest| rest.strip_suffix(close)) {
            text = inner.trim();
            repairs.mark("quoted");
        }
    }
    text
}

/// Lower case, with one hyphen for each run of white space, hyphens and underscores.
fn normal(name: &str) -> String {
    let lower = name.trim().to_lowercase();
    let words = lower.split(|c: char| c.is_whitespace() || c == '-' || c == '_').filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("-")
}
