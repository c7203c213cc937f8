//! `[[checks]]`: each type with the fields that it has.

use serde_json::Value;

use crate::cases::Forms;
use crate::diagnostics::Sink;
use crate::document::Document;
use crate::files::{CheckFile, CheckType, UnitFile};
use crate::json::child;
use crate::plan::{CheckKind, CheckSpec, IntentKind, LengthUnit};
use crate::suggest::did_you_mean;

/// The checks; `None` where one of them is wrong, which is reported.
pub(crate) fn compile(
    document: &Document,
    files: &[CheckFile],
    forms: &Forms<'_>,
    sink: &mut Sink,
) -> Option<Vec<CheckSpec>> {
    let checks = files.iter().enumerate().map(|(n, file)| check(&Entry { document, n, file, forms }, sink));
    checks.collect::<Vec<_>>().into_iter().collect()
}

/// One entry as it is written.
struct Entry<'a> {
    document: &'a Document,
    n: usize,
    file: &'a CheckFile,
    forms: &'a Forms<'a>,
}

impl Entry<'_> {
    fn wrong(&self, key: &str, message: impl Into<String>, help: &str, sink: &mut Sink) {
        sink.error(self.document.at(&format!("/checks/{}/{key}", self.n)), message, help);
    }

    /// The value of a field that this type needs.
    fn needed<'v, T>(&self, key: &str, value: Option<&'v T>, sink: &mut Sink) -> Option<&'v T> {
        if value.is_none() {
            self.wrong("type", format!("this check has no `{key}`"), &format!("add `{key} = …`"), sink);
        }
        value
    }

    /// A field of the output as a JSON pointer.
    fn pointer(&self, key: &str, field: &str, sink: &mut Sink) -> Option<String> {
        let pointer = if field.starts_with('/') { field.to_owned() } else { child("", field) };
        let first = crate::json::segments(&pointer).next().unwrap_or_default();
        let known: Vec<&str> = match (self.forms.kind, self.forms.output) {
            (IntentKind::Classification(_), _) => vec!["label"],
            (IntentKind::Generation, _) => vec!["text"],
            (IntentKind::Extraction, Some(schema)) => {
                match schema.resolve(schema.json()).get("properties").and_then(Value::as_object) {
                    Some(properties) => properties.keys().map(String::as_str).collect(),
                    None => return Some(pointer),
                }
            }
            (IntentKind::Extraction, None) => return Some(pointer),
        };
        if known.contains(&first.as_str()) {
            return Some(pointer);
        }
        let near = did_you_mean(&first, known.iter().copied());
        let help = format!("{near}fields of the output: {}", known.join(", "));
        self.wrong(key, format!("the output has no field `{first}`"), &help, sink);
        None
    }
}

/// The fields that a type has, besides `type`, `field`, `not` and `on_fail`.
fn fields(kind: CheckType) -> &'static [&'static str] {
    match kind {
        CheckType::Regex => &["pattern"],
        CheckType::Contains => &["value"],
        CheckType::ContainsAll | CheckType::ContainsAny | CheckType::Enum => &["values"],
        CheckType::Length => &["min", "max", "unit"],
        CheckType::Range => &["min", "max"],
        CheckType::SpanInSource => &["fields"],
    }
}

fn check(entry: &Entry<'_>, sink: &mut Sink) -> Option<CheckSpec> {
    let file = entry.file;
    let before = sink.errors();
    let name = serde_json::to_value(file.kind).ok()?.as_str()?.to_owned();
    let spans = file.kind == CheckType::SpanInSource;
    for (key, written) in [
        ("pattern", file.pattern.is_some()),
        ("value", file.value.is_some()),
        ("values", file.values.is_some()),
        ("min", file.min.is_some()),
        ("max", file.max.is_some()),
        ("unit", file.unit.is_some()),
        ("fields", file.fields.is_some()),
        ("field", file.field.is_some() && spans),
    ] {
        let has = if key == "field" { !spans } else { fields(file.kind).contains(&key) };
        if written && !has {
            let help = format!("remove it; this type has {}", fields(file.kind).join(", "));
            entry.wrong(key, format!("`{key}` does nothing in a check of type `{name}`"), &help, sink);
        }
    }
    let field = file.field.as_deref().map(|field| entry.pointer("field", field, sink));
    let kind = kind(entry, sink);
    let field = match field {
        Some(field) => Some(field?),
        None => None,
    };
    let (kind, not, on_fail) = (kind?, file.not, file.on_fail.into());
    (sink.errors() == before).then_some(CheckSpec { name, field, kind, not, on_fail })
}

fn kind(entry: &Entry<'_>, sink: &mut Sink) -> Option<CheckKind> {
    let file = entry.file;
    match file.kind {
        CheckType::Regex => {
            let pattern = entry.needed("pattern", file.pattern.as_ref(), sink)?;
            match regex::Regex::new(pattern) {
                Ok(regex) => Some(CheckKind::Regex(regex)),
                Err(error) => {
                    let text = error.to_string();
                    let last = text.lines().last().unwrap_or_default().trim_start_matches("error: ");
                    let help = "the syntax is that of Rust's regex crate: no look-around, no back-references";
                    entry.wrong("pattern", format!("not a regular expression: {last}"), help, sink);
                    None
                }
            }
        }
        CheckType::Contains => {
            entry.needed("value", file.value.as_ref(), sink).map(|text| CheckKind::ContainsAll(vec![text.clone()]))
        }
        CheckType::ContainsAll => texts(entry, sink).map(CheckKind::ContainsAll),
        CheckType::ContainsAny => texts(entry, sink).map(CheckKind::ContainsAny),
        CheckType::Enum => entry.needed("values", file.values.as_ref(), sink).cloned().map(CheckKind::Enum),
        CheckType::Length => {
            let (min, max) = bounds(entry, sink)?;
            let unit = match file.unit {
                None | Some(UnitFile::Characters) => LengthUnit::Characters,
                Some(UnitFile::Words) => LengthUnit::Words,
            };
            let (min, max) = (count(entry, "min", min, sink), count(entry, "max", max, sink));
            Some(CheckKind::Length { min: min?, max: max?, unit })
        }
        CheckType::Range => bounds(entry, sink).map(|(min, max)| CheckKind::Range { min, max }),
        CheckType::SpanInSource => {
            let names = entry.needed("fields", file.fields.as_ref(), sink)?;
            let pointer = |(n, name): (usize, &String)| entry.pointer(&format!("fields/{n}"), name, sink);
            let pointers: Vec<_> = names.iter().enumerate().map(pointer).collect();
            pointers.into_iter().collect::<Option<_>>().map(CheckKind::SpanInSource)
        }
    }
}

fn texts(entry: &Entry<'_>, sink: &mut Sink) -> Option<Vec<String>> {
    let values = entry.needed("values", entry.file.values.as_ref(), sink)?;
    let texts: Option<Vec<String>> = values.iter().map(|v| v.as_str().map(str::to_owned)).collect();
    if texts.is_none() {
        entry.wrong("values", "the values of this check must be texts", "write them in quotes", sink);
    }
    texts
}

fn bounds(entry: &Entry<'_>, sink: &mut Sink) -> Option<(Option<f64>, Option<f64>)> {
    let (min, max) = (entry.file.min, entry.file.max);
    match (min, max) {
        (None, None) => {
            entry.wrong("type", "this check has neither `min` nor `max`", "add one of them", sink);
            None
        }
        (Some(least), Some(most)) if least > most => {
            entry.wrong("min", format!("min {least} is above max {most}: nothing passes"), "exchange them", sink);
            None
        }
        _ => Some((min, max)),
    }
}

/// A bound of a length: a whole number, not below zero.
fn count(entry: &Entry<'_>, key: &str, bound: Option<f64>, sink: &mut Sink) -> Option<Option<u64>> {
    let Some(bound) = bound else { return Some(None) };
    if bound < 0.0 || bound.fract() != 0.0 || bound > 1e9 {
        entry.wrong(key, format!("`{key}` of a length must be a whole number"), "write 0 or more", sink);
        return None;
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole and within 0 to 1e9")]
    Some(Some(bound as u64))
}
