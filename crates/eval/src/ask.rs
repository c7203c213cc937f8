//! One `[[checks]]` entry, asked of one answer.

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

    /// Asks the check. `whole` is the output as text: the label, the generated text, or the JSON.
    pub(crate) fn ask(&self, output: &Value, whole: &Value, source: Option<&Source>, quote: Quote) -> CheckResult {
        let missing = self.undeclared.iter().find(|field| output.pointer(field).is_none());
        let result = match (missing, &self.spec.kind) {
            (Some(field), _) => Err(format!("there is no {field} in the output")),
            (None, CheckKind::SpanInSource(fields)) => {
                self.turned(spans(fields, output, source, quote), "occurs in the input")
            }
            (None, kind) => match self.spec.field.as_deref().map_or(Some(whole), |field| output.pointer(field)) {
                None | Some(Value::Null) => Ok(()),
                Some(value) => {
                    let at = self.spec.field.as_deref().map_or(String::new(), |field| format!("{field}: "));
                    let answered = answer(kind, value, quote).map_err(|why| format!("{at}{why}"));
                    self.turned(answered, &format!("{at}{} {}", quote.value(value), meets(kind)))
                }
            },
        };
        let (passed, reason) = match result {
            Ok(()) => (true, None),
            Err(why) => (false, Some(bounded(why))),
        };
        CheckResult { check: self.spec.name.clone(), severity: self.spec.on_fail, passed, reason }
    }

    /// Turns a result around where the check says `not`.
    fn turned(&self, result: Result<(), Failed>, met: &str) -> Result<(), Failed> {
        match (self.spec.not, result) {
            (false, result) => result,
            (true, Ok(())) => Err(format!("{met}, and must not")),
            (true, Err(_)) => Ok(()),
        }
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

fn answer(kind: &CheckKind, value: &Value, quote: Quote) -> Result<(), Failed> {
    let json;
    let text = match value {
        Value::String(text) => text.as_str(),
        other => {
            json = other.to_string();
            &json
        }
    };
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
            format!("{} is none of {}", quote.value(value), values.join(", "))
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

fn spans(fields: &[String], output: &Value, source: Option<&Source>, quote: Quote) -> Result<(), Failed> {
    let Some(source) = source else { return Err("there is no input to look in".into()) };
    let missing = |field: &String| {
        let value = output.pointer(field)?;
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
