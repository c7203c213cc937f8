//! `cases.jsonl`: read, checked against the schemas, and split by the hash of the input.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::diagnostics::{Sink, Source};
use crate::json::{canonical, child, locate};
use crate::{Case, IntentKind, Schema, SchemaViolation, Share};

/// More belong into the store, not into a file.
const CASES_MAX: usize = 100_000;
/// After so many mistakes in one file the rest are counted, not shown.
const MISTAKES_MAX: usize = 10;

/// A line as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    input: Value,
    expected: Value,
    #[serde(default)]
    share: Option<ShareName>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum ShareName {
    Examples,
    Evaluation,
    Calibration,
}

impl From<ShareName> for Share {
    fn from(name: ShareName) -> Self {
        match name {
            ShareName::Examples => Self::Examples,
            ShareName::Evaluation => Self::Evaluation,
            ShareName::Calibration => Self::Calibration,
        }
    }
}

/// What inputs and outputs must be.
pub(crate) struct Forms<'a> {
    pub(crate) kind: &'a IntentKind,
    pub(crate) input: Option<&'a Schema>,
    pub(crate) output: Option<&'a Schema>,
}

impl Forms<'_> {
    /// Whether a value has the shape of this intent's output. The pointer is into the value.
    pub(crate) fn output(&self, value: &Value) -> Result<(), SchemaViolation> {
        if let Some(schema) = self.output {
            return schema.validate(value);
        }
        let only_text = value.as_object().is_some_and(|o| o.len() == 1 && o.get("text").is_some_and(Value::is_string));
        let message = || "an output without labels or schema is {\"text\": \"…\"}".to_owned();
        if only_text { Ok(()) } else { Err(SchemaViolation { pointer: String::new(), message: message() }) }
    }
}

/// The share that a case belongs to: blake3 of its canonical input, the first eight bytes as a
/// big-endian number modulo 100; below 60 examples, below 80 evaluation, else calibration.
#[must_use]
pub fn share_of(input: &Value) -> Share {
    let hash = blake3::hash(canonical(input).as_bytes());
    let number = hash.as_bytes().iter().take(8).fold(0_u64, |n, byte| n << 8 | u64::from(*byte));
    match number % 100 {
        0..60 => Share::Examples,
        60..80 => Share::Evaluation,
        _ => Share::Calibration,
    }
}

/// Reads the cases; mistakes are reported with their line.
pub(crate) fn read(source: &Source, forms: &Forms<'_>, sink: &mut Sink) -> Vec<Case> {
    let before = sink.errors();
    let mut offset = 0;
    let mut cases = Vec::new();
    let mut seen = BTreeMap::new();
    let (mut unshown, mut contradictions) = (0, 0);
    for (n, text) in source.text.split('\n').enumerate() {
        let line = (n + 1, offset, text);
        offset += text.len() + 1;
        if text.trim().is_empty() {
            continue;
        }
        if cases.len() == CASES_MAX {
            let help = "keep the most telling ones: more make each load slower, not the answers better";
            sink.error(source.place(line.1..offset), format!("more than {CASES_MAX} cases"), help);
            break;
        }
        if sink.errors() - before >= MISTAKES_MAX {
            unshown += 1;
            continue;
        }
        let Some(case) = case(source, line, forms, sink) else { continue };
        let (first, expected) = seen.entry(canonical(&case.input)).or_insert_with(|| (line.0, case.expected.clone()));
        if *expected != case.expected && contradictions < MISTAKES_MAX {
            contradictions += 1;
            let message = format!("the input of line {first}, with another answer");
            sink.warn(source.place(line.1..offset), message, "one of the two is wrong: remove it");
        }
        cases.push(case);
    }
    if unshown > 0 {
        let at = source.place(source.text.len()..source.text.len());
        sink.error(at, format!("{unshown} more lines were not looked at"), "correct the ones above first");
    }
    cases
}

fn case(source: &Source, (_, offset, text): (usize, usize, &str), forms: &Forms<'_>, sink: &mut Sink) -> Option<Case> {
    let line: Line = match serde_json::from_str(text) {
        Ok(line) => line,
        Err(error) => {
            let at = offset + error.column().saturating_sub(1);
            let message = error.to_string();
            let message = message.split(" at line ").next().unwrap_or_default();
            let help = r#"a case is one line: {"input": …, "expected": …}, optionally "share": "examples""#;
            sink.error(source.place(at..offset + text.len()), format!("not a case: {message}"), help);
            return None;
        }
    };
    // As in a call: absent fields get their defaults first. The share is the written input's, so
    // that a new default moves no case.
    let share = line.share.map_or_else(|| share_of(&line.input), Share::from);
    let filled = match forms.input {
        Some(schema) => schema.with_defaults(line.input),
        None => line.input,
    };
    let mut check = |part: &str, result: Result<(), SchemaViolation>| {
        let Err(violation) = result else { return true };
        let span = locate(text, &format!("{}{}", child("", part), violation.pointer));
        let at = source.place(offset + span.start..offset + span.end);
        let of = if violation.pointer.is_empty() { String::new() } else { format!("`{}`: ", violation.pointer) };
        let form = if part == "input" { "input.schema.json" } else { "the labels or output.schema.json" };
        let help = format!("correct the case, or {form}");
        sink.error(at, format!("{part}: {of}{}", violation.message), help);
        false
    };
    let input = check("input", forms.input.map_or(Ok(()), |schema| schema.validate(&filled)));
    let expected = check("expected", forms.output(&line.expected));
    (input && expected).then_some(Case { input: filled, expected: line.expected, share })
}

/// The few-shot examples: the first of the examples share by the hash of their input; for labels in
/// rounds, one of each label, so that none is shown twice before all were shown once.
pub(crate) fn choose<'c>(cases: &'c [Case], count: usize, kind: &IntentKind) -> Vec<Case> {
    let mut pool: Vec<_> = cases.iter().filter(|c| c.share == Share::Examples).collect();
    pool.sort_by_cached_key(|c| *blake3::hash(canonical(&c.input).as_bytes()).as_bytes());
    let IntentKind::Classification(labels) = kind else {
        return pool.into_iter().take(count).cloned().collect();
    };
    let mut shown: BTreeMap<&'c str, usize> = BTreeMap::new();
    let mut place = |case: &'c Case| {
        let label = case.expected.get("label").and_then(Value::as_str).unwrap_or_default();
        let round = shown.entry(label).or_default();
        *round += 1;
        (*round, labels.iter().position(|(name, _)| name == label))
    };
    let places: Vec<_> = pool.iter().map(|c| place(c)).collect();
    let mut ranked: Vec<_> = places.into_iter().zip(pool).collect();
    ranked.sort_by_key(|(place, _)| *place);
    ranked.into_iter().take(count).map(|(_, case)| case.clone()).collect()
}
