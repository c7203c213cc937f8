//! One `[[checks]]` entry, asked of one answer.

use std::borrow::Cow;
use std::cell::OnceCell;

use baton_config::{CheckKind, CheckSpec, LengthUnit};
use baton_core::CheckResult;
use serde_json::Value;

use crate::parse::plain_number;
use crate::reason::{Quote, bounded};
use crate::shape::Shape;
use crate::span::{self, Source};

/// A check of the intent, compiled.
#[derive(Debug)]
pub(crate) struct Ask {
    spec: CheckSpec,
    /// Those of its fields that the schema does not declare: if they are missing, the check fails,
    /// while a declared field may be left out where the schema says so.
    undeclared: Vec<String>,
}

/// Why a check failed, in words.
type Failed = String;

impl Ask {
    pub(crate) fn compile(spec: &CheckSpec, shape: Option<&Shape>) -> Self {
        let fields: Vec<_> = match &spec.kind {
            CheckKind::SpanInSource(fields) => fields.iter().collect(),
            _ => spec.field.iter().collect(),
        };
        let declared = |field: &str| shape.is_some_and(|shape| shape.declares(field));
        let undeclared = fields.into_iter().filter(|field| !declared(field)).cloned().collect();
        Self { spec: spec.clone(), undeclared }
    }

    pub(crate) fn needs_source(&self) -> bool {
        matches!(self.spec.kind, CheckKind::SpanInSource(_))
    }

    /// Asks the check of an answer.
    pub(crate) fn ask(&self, answer: &Answer<'_>) -> CheckResult {
        let missing = self.undeclared.iter().find(|field| answer.output.pointer(field).is_none());
        let result = match missing {
            Some(field) => Err(format!("there is no {field} in the output")),
            None => self.holds(answer),
        };
        let (passed, reason) = match result {
            Ok(()) => (true, None),
            Err(why) => (false, Some(bounded(why))),
        };
        CheckResult { check: self.spec.name.clone(), severity: self.spec.on_fail, passed, reason }
    }

    fn holds(&self, answer: &Answer<'_>) -> Result<(), Failed> {
        let (kind, quote) = (&self.spec.kind, answer.quote);
        if let CheckKind::SpanInSource(fields) = kind {
            let met = || format!("{} occurs in the input, and must not", fields.join(", "));
            return self.turned(spans(fields, answer), met);
        }
        let field = self.spec.field.as_deref();
        let (value, text) = match field.map(|field| answer.output.pointer(field)) {
            None => (answer.whole, Cow::Borrowed(answer.whole_text())),
            Some(Some(value)) => (value, text_of(value)),
            Some(None) => return Ok(()),
        };
        if value.is_null() {
            return Ok(());
        }
        let at = |why: Failed| match field {
            Some(field) => format!("{field}: {why}"),
            None => why,
        };
        let met = || at(format!("{} {}, and must not", quote.text(&text), meets(kind)));
        self.turned(meets_kind(kind, value, &text, quote).map_err(at), met)
    }

    /// Turns a result around where the check says `not`.
    fn turned(&self, result: Result<(), Failed>, met: impl Fn() -> Failed) -> Result<(), Failed> {
        match (self.spec.not, result) {
            (false, result) => result,
            (true, Ok(())) => Err(met()),
            (true, Err(_)) => Ok(()),
        }
    }
}

/// What checks are asked of.
pub(crate) struct Answer<'a> {
    pub(crate) output: &'a Value,
    /// The part that a check without a field looks at: the label, the generated text, or all.
    pub(crate) whole: &'a Value,
    /// That as text, once it was needed.
    pub(crate) text: OnceCell<Cow<'a, str>>,
    /// The input, where a check looks into it.
    pub(crate) source: Option<Source>,
    pub(crate) quote: Quote,
}

impl Answer<'_> {
    fn whole_text(&self) -> &str {
        self.text.get_or_init(|| text_of(self.whole))
    }
}

/// Text as it is, anything else as JSON.
fn text_of(value: &Value) -> Cow<'_, str> {
    match value {
        Value::String(text) => Cow::Borrowed(text),
        other => Cow::Owned(other.to_string()),
    }
}

/// What a value that passed does; the reason of a check that says `not`.
fn meets(kind: &CheckKind) -> String {
    match kind {
        CheckKind::Regex(regex) => format!("matches {}", regex.as_str()),
        CheckKind::ContainsAll(parts) => format!("contains {}", listed(parts)),
        CheckKind::ContainsAny(parts) => format!("contains one of {}", listed(parts)),
        CheckKind::Length { .. } => "has a length within the bounds".into(),
        CheckKind::Range { .. } => "is within the range".into(),
        CheckKind::Enum(_) => "is one of the values".into(),
        CheckKind::SpanInSource(_) => "occurs in the input".into(),
    }
}

fn meets_kind(kind: &CheckKind, value: &Value, text: &str, quote: Quote) -> Result<(), Failed> {
    let holds = |holds: bool, why: &dyn Fn() -> Failed| if holds { Ok(()) } else { Err(why()) };
    match kind {
        CheckKind::Regex(regex) => {
            holds(regex.is_match(text), &|| format!("{} does not match {}", quote.text(text), regex.as_str()))
        }
        CheckKind::ContainsAll(parts) => match parts.iter().find(|part| !text.contains(part.as_str())) {
            Some(part) => Err(format!("{} does not contain {part:?}", quote.text(text))),
            None => Ok(()),
        },
        CheckKind::ContainsAny(parts) => holds(parts.iter().any(|part| text.contains(part.as_str())), &|| {
            format!("{} contains none of {}", quote.text(text), listed(parts))
        }),
        CheckKind::Length { min, max, unit } => {
            let (length, unit) = match unit {
                LengthUnit::Characters => (text.chars().count() as u64, "characters"),
                LengthUnit::Words => (text.split_whitespace().count() as u64, "words"),
            };
            let low =
                min.filter(|min| length < *min).map(|min| format!("it has {length} {unit}, at least {min} are wanted"));
            let high =
                max.filter(|max| length > *max).map(|max| format!("it has {length} {unit}, at most {max} are wanted"));
            low.or(high).map_or(Ok(()), Err)
        }
        CheckKind::Range { min, max } => {
            let number = plain_number(text.trim()).and_then(|number| number.as_f64());
            let Some(number) = number else { return Err(format!("{} is not a number", quote.text(text))) };
            let low = min.filter(|min| number < *min).map(|min| format!("{} is below {min}", quote.text(text)));
            let high = max.filter(|max| number > *max).map(|max| format!("{} is above {max}", quote.text(text)));
            low.or(high).map_or(Ok(()), Err)
        }
        CheckKind::Enum(values) => holds(values.iter().any(|allowed| same(allowed, value)), &|| {
            let values: Vec<_> = values.iter().map(ToString::to_string).collect();
            format!("{} is none of {}", quote.text(text), values.join(", "))
        }),
        // Asked for by `spans`: it has fields of its own.
        CheckKind::SpanInSource(_) => Ok(()),
    }
}

fn listed(parts: &[String]) -> String {
    parts.iter().map(|part| format!("{part:?}")).collect::<Vec<_>>().join(", ")
}

/// Equal, where 1 is also 1.0.
fn same(a: &Value, b: &Value) -> bool {
    let integer = |value: &Value| value.is_i64() || value.is_u64();
    match (a, b) {
        (Value::Number(x), Value::Number(y)) if integer(a) != integer(b) => x.as_f64() == y.as_f64(),
        _ => a == b,
    }
}

fn spans(fields: &[String], answer: &Answer<'_>) -> Result<(), Failed> {
    let quote = answer.quote;
    let Some(source) = &answer.source else { return Err("there is no input to look in".into()) };
    let missing = |field: &String| {
        let value = answer.output.pointer(field)?;
        let (leaf, why) = span::find(source, value).err()?;
        let why = if quote.content { why.to_string() } else { "does not stand in the input".into() };
        Some(format!("{field}: {} {why}", quote.value(leaf)))
    };
    let mut missing = fields.iter().filter_map(missing);
    let Some(first) = missing.next() else { return Ok(()) };
    match missing.count() {
        0 => Err(first),
        others => Err(format!("{first} (and {others} more)")),
    }
}
