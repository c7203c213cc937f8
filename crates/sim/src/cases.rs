//! What is true: the cases that the simulated models know, and how a prompt is recognised as one of them.

use std::collections::{BTreeSet, HashMap};

use serde::Deserialize;
use serde_json::Value;

/// One line of a truth file.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(crate) struct Case {
    pub(crate) input: Value,
    pub(crate) expected: Value,
}

/// The cases of one truth file.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Group {
    pub(crate) cases: Vec<Case>,
    /// Distinct labels, sorted; empty unless every expected output is `{"label": …}`.
    pub(crate) labels: Vec<String>,
}

impl Group {
    /// # Errors
    /// The line (from 1) at fault, and what is wrong with it.
    pub(crate) fn new(cases: Vec<Case>) -> Result<Self, (usize, String)> {
        for (n, case) in cases.iter().enumerate() {
            if !case.expected.is_object() {
                return Err((n + 1, "\"expected\" is an object, as {\"label\": …} or {\"text\": …}".to_owned()));
            }
            if strings(&case.input).is_empty() {
                return Err((n + 1, "\"input\" has no text by which its prompt could be recognised".to_owned()));
            }
        }
        let labels: Option<BTreeSet<String>> =
            cases.iter().map(|c| sole(&c.expected, "label").map(str::to_owned)).collect();
        let labels = Vec::from_iter(labels.unwrap_or_default());
        if labels.len() == 1 {
            return Err((1, format!("all cases have the label \"{}\": a wrong answer needs another", labels[0])));
        }
        Ok(Self { cases, labels })
    }
}

/// The string of an object whose only field is `key`.
pub(crate) fn sole<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    let object = value.as_object()?;
    if object.len() == 1 { object.get(key)?.as_str() } else { None }
}

/// All strings within a value, trimmed; empty ones left out.
pub(crate) fn strings(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) if !text.trim().is_empty() => vec![text.trim()],
        Value::Array(items) => items.iter().flat_map(strings).collect(),
        Value::Object(fields) => fields.values().flat_map(strings).collect(),
        _ => Vec::new(),
    }
}

/// A recognised case and the file that it is from.
#[derive(Clone, Copy)]
pub(crate) struct Known<'a> {
    pub(crate) group: &'a Group,
    pub(crate) case: &'a Case,
}

/// All cases, indexed by the beginning of their longest string (only ever looked up, so that the
/// map's random order decides nothing).
#[derive(Debug, Default)]
pub(crate) struct Cases {
    groups: Vec<Group>,
    by_prefix: HashMap<[u8; PREFIX], Vec<Entry>>,
    /// Those whose longest string is shorter than the prefix.
    short: Vec<Entry>,
}

/// A case by its place, with its longest string.
#[derive(Debug)]
struct Entry {
    anchor: String,
    group: usize,
    case: usize,
}

const PREFIX: usize = 8;

impl Cases {
    pub(crate) fn new(groups: Vec<Group>) -> Self {
        let mut index = Self::default();
        for (g, group) in groups.iter().enumerate() {
            for (c, case) in group.cases.iter().enumerate() {
                let entry = Entry { anchor: longest(&case.input).to_owned(), group: g, case: c };
                match entry.anchor.as_bytes().first_chunk::<PREFIX>() {
                    Some(prefix) => index.by_prefix.entry(*prefix).or_default().push(entry),
                    None => index.short.push(entry),
                }
            }
        }
        Self { groups, ..index }
    }

    pub(crate) fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// The case of exactly this input.
    pub(crate) fn of_input(&self, input: &Value) -> Option<Known<'_>> {
        let mut all = self.groups.iter().flat_map(|group| group.cases.iter().map(move |case| Known { group, case }));
        all.find(|known| known.case.input == *input)
    }

    /// The case whose strings all occur in `text`, as they are or inside JSON. Of several the one whose
    /// longest string ends last (what comes before it are examples), then the one whose output the
    /// `whole` request speaks of, then the one with most text.
    pub(crate) fn in_prompt(&self, text: &str, whole: &str) -> Option<Known<'_>> {
        self.in_text(text, whole).or_else(|| {
            let decoded = json_strings(text);
            if decoded.is_empty() { None } else { self.in_text(&decoded, whole) }
        })
    }

    fn in_text(&self, text: &str, whole: &str) -> Option<Known<'_>> {
        let prefixed = text.as_bytes().windows(PREFIX).enumerate().flat_map(|(at, window)| {
            let found = window.first_chunk::<PREFIX>().and_then(|prefix| self.by_prefix.get(prefix));
            found.into_iter().flatten().map(move |entry| (at, entry))
        });
        let prefixed = prefixed.filter(|(at, entry)| stands_at(text, *at, &entry.anchor));
        let last = |anchor: &str| text.rmatch_indices(anchor).map(|(at, _)| at).find(|at| stands_at(text, *at, anchor));
        let short = self.short.iter().filter_map(|entry| Some((last(&entry.anchor)?, entry)));
        let matches = prefixed.chain(short).filter_map(|(at, entry)| {
            let group = &self.groups[entry.group];
            let known = Known { group, case: &group.cases[entry.case] };
            let all = strings(&known.case.input);
            let length: usize = all.iter().map(|s| s.len()).sum();
            let rank = (at + entry.anchor.len(), speaks_of(known, whole), length);
            all.iter().all(|s| text.contains(s)).then_some((rank, known))
        });
        matches.max_by_key(|(rank, _)| *rank).map(|(_, known)| known)
    }
}

/// Whether `anchor` is in `text` at this byte, and not as a part of longer words ("hi" is not in "something").
fn stands_at(text: &str, at: usize, anchor: &str) -> bool {
    let (text, anchor, end) = (text.as_bytes(), anchor.as_bytes(), at + anchor.len());
    let within_word = |left: Option<&u8>, right: Option<&u8>| {
        left.is_some_and(u8::is_ascii_alphanumeric) && right.is_some_and(u8::is_ascii_alphanumeric)
    };
    text[at..].starts_with(anchor)
        && !within_word(text[..at].last(), anchor.first())
        && !within_word(anchor.last(), text.get(end))
}

/// The longest string of an input; the first of equals.
fn longest(input: &Value) -> &str {
    strings(input).into_iter().rev().max_by_key(|s| s.len()).unwrap_or_default()
}

/// Whether a request mentions the labels, or the fields, of this case's output.
fn speaks_of(known: Known<'_>, whole: &str) -> bool {
    if !known.group.labels.is_empty() {
        return known.group.labels.iter().all(|label| whole.contains(label));
    }
    known.case.expected.as_object().is_some_and(|fields| fields.keys().all(|key| whole.contains(key)))
}

/// All strings of all JSON objects and strings that stand in `text`, one a line.
fn json_strings(text: &str) -> String {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find(['{', '"']) {
        rest = &rest[start..];
        let mut values = serde_json::Deserializer::from_str(rest).into_iter::<Value>();
        let skip = match values.next() {
            Some(Ok(value)) => {
                found.extend(strings(&value).into_iter().map(str::to_owned));
                values.byte_offset()
            }
            _ => 1,
        };
        rest = &rest[skip..];
    }
    found.join("\n")
}
