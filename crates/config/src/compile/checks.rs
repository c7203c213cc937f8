//! `[[checks]]`: each type with the fields that it has.

use std::sync::Arc;

use serde_json::Value;

use crate::cases::Forms;
use crate::check::{CheckKind, CheckSpec, LANGUAGES, LengthUnit, LetterCase, Markup};
use crate::check_file::{CheckFile, CheckType, UnitFile};
use crate::diagnostics::Sink;
use crate::document::Document;
use crate::json::child;
use crate::plan::IntentKind;
use crate::suggest::did_you_mean;
use crate::{Expression, Schema};

/// How deep groups may be nested.
const GROUPS_MAX: usize = 4;
/// The longest text of `levenshtein`, in characters, and the most changes.
const LEVENSHTEIN_MAX: (usize, f64) = (10_000, 1000.0);

/// The checks; `None` where one of them is wrong, which is reported.
pub(crate) fn compile(
    document: &Document,
    files: &[CheckFile],
    forms: &Forms<'_>,
    sink: &mut Sink,
) -> Option<Vec<CheckSpec>> {
    let place = |n: usize| format!("/checks/{n}");
    let checks = files
        .iter()
        .enumerate()
        .map(|(n, file)| check(&Entry { document, place: place(n), depth: 0, file, forms }, sink));
    checks.collect::<Vec<_>>().into_iter().collect()
}

/// One entry as it is written.
struct Entry<'a> {
    document: &'a Document,
    /// Where it stands, as a JSON pointer.
    place: String,
    /// How many groups it is in.
    depth: usize,
    file: &'a CheckFile,
    forms: &'a Forms<'a>,
}

impl Entry<'_> {
    fn wrong(&self, key: &str, message: impl Into<String>, help: &str, sink: &mut Sink) {
        sink.error(self.document.at(&format!("{}/{key}", self.place)), message, help);
    }

    /// The value of a field that this type needs.
    fn needed<'v, T>(&self, key: &str, value: Option<&'v T>, sink: &mut Sink) -> Option<&'v T> {
        if value.is_none() {
            self.wrong("type", format!("this check has no `{key}`"), &format!("add `{key} = …`"), sink);
        }
        value
    }

    /// `value`, which must be text.
    fn text(&self, sink: &mut Sink) -> Option<String> {
        let value = self.needed("value", self.file.value.as_ref(), sink)?;
        match value.as_str() {
            Some(text) if !text.is_empty() => Some(text.to_owned()),
            _ => {
                self.wrong("value", "the value of this check must be text", "write it in quotes", sink);
                None
            }
        }
    }

    /// `values`, which must be texts.
    fn texts(&self, sink: &mut Sink) -> Option<Vec<String>> {
        let values = self.needed("values", self.file.values.as_ref(), sink)?;
        let texts: Option<Vec<String>> = values.iter().map(|v| v.as_str().map(str::to_owned)).collect();
        if texts.is_none() {
            self.wrong("values", "the values of this check must be texts", "write them in quotes", sink);
        }
        texts
    }

    fn bounds(&self, sink: &mut Sink) -> Option<(Option<f64>, Option<f64>)> {
        let (min, max) = (self.file.min, self.file.max);
        match (min, max) {
            (None, None) => {
                self.wrong("type", "this check has neither `min` nor `max`", "add one of them", sink);
                None
            }
            (Some(least), Some(most)) if least > most => {
                self.wrong("min", format!("min {least} is above max {most}: nothing passes"), "exchange them", sink);
                None
            }
            _ => Some((min, max)),
        }
    }

    /// A bound of a length: a whole number, not below zero.
    fn count(&self, key: &str, bound: Option<f64>, sink: &mut Sink) -> Option<Option<u64>> {
        let Some(bound) = bound else { return Some(None) };
        if bound < 0.0 || bound.fract() != 0.0 || bound > 1e9 {
            self.wrong(key, format!("`{key}` of a length must be a whole number"), "write 0 or more", sink);
            return None;
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole and within 0 to 1e9")]
        Some(Some(bound as u64))
    }

    /// A bound that is a share.
    fn share(&self, key: &str, bound: Option<f64>, sink: &mut Sink) -> Option<f64> {
        let bound = *self.needed(key, bound.as_ref(), sink)?;
        if (0.0..=1.0).contains(&bound) {
            return Some(bound);
        }
        self.wrong(key, format!("`{key}` of this check is a share"), "write a number from 0 to 1", sink);
        None
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

    /// Says which of the keys that are there this type does not have.
    fn refuse_what_does_nothing(&self, name: &str, sink: &mut Sink) {
        let file = self.file;
        let own = fields(file.kind);
        for (key, written) in [
            ("pattern", file.pattern.is_some()),
            ("value", file.value.is_some()),
            ("values", file.values.is_some()),
            ("min", file.min.is_some()),
            ("max", file.max.is_some()),
            ("unit", file.unit.is_some()),
            ("fields", file.fields.is_some()),
            ("schema", file.schema.is_some()),
            ("expression", file.expression.is_some()),
            ("checks", file.checks.is_some()),
            ("threshold", file.threshold.is_some()),
            ("field", file.field.is_some()),
        ] {
            let has = match key {
                "field" => !WHOLE.contains(&file.kind),
                "threshold" => GRADED.contains(&file.kind),
                _ => own.contains(&key),
            };
            if written && !has {
                let help = match own {
                    [] => "remove it".to_owned(),
                    own => format!("remove it; this type has {}", own.join(", ")),
                };
                self.wrong(key, format!("`{key}` does nothing in a check of type `{name}`"), &help, sink);
            }
        }
        if file.weight.is_some() && self.depth == 0 {
            let help = "a weight is a check's part in its group: put the check into one, of type `all`";
            self.wrong("weight", "`weight` does nothing outside of a group", help, sink);
        }
        if self.depth > 0 && self.document.value.pointer(&format!("{}/on_fail", self.place)).is_some() {
            let help = "a group fails as a whole: write `on_fail` at the group";
            self.wrong("on_fail", "`on_fail` does nothing within a group", help, sink);
        }
    }
}

/// Types that look at more than a field.
const WHOLE: [CheckType; 7] = [
    CheckType::SpanInSource,
    CheckType::Cel,
    CheckType::FinishReason,
    CheckType::LabelMargin,
    CheckType::All,
    CheckType::AssertSet,
    CheckType::Any,
];

/// Types whose score may be between 0 and 1.
const GRADED: [CheckType; 8] = [
    CheckType::ContainsAll,
    CheckType::IcontainsAll,
    CheckType::SpanInSource,
    CheckType::NumbersInSource,
    CheckType::NamesInSource,
    CheckType::All,
    CheckType::AssertSet,
    CheckType::Any,
];

/// The fields that a type has, besides those that all have.
fn fields(kind: CheckType) -> &'static [&'static str] {
    use CheckType as T;
    match kind {
        T::Regex => &["pattern"],
        T::Equals | T::Contains | T::Icontains | T::StartsWith | T::EndsWith | T::Case => &["value"],
        T::ContainsAll | T::ContainsAny | T::IcontainsAll | T::IcontainsAny => &["values"],
        T::Enum | T::FinishReason | T::Language => &["values"],
        T::Length => &["min", "max", "unit"],
        T::Range => &["min", "max"],
        T::IsJson | T::ContainsJson => &["schema"],
        T::Levenshtein => &["value", "max"],
        T::Repetition => &["max"],
        T::SpanInSource => &["fields"],
        T::Cel => &["expression"],
        T::LabelMargin => &["min"],
        T::All | T::AssertSet | T::Any => &["checks"],
        T::NotEmpty | T::Url | T::Date | T::IsRefusal | T::NoLoop | T::NumbersInSource | T::NamesInSource => &[],
        T::IsXml | T::ContainsXml | T::IsHtml | T::ContainsHtml | T::IsSql | T::ContainsSql => &[],
    }
}

fn check(entry: &Entry<'_>, sink: &mut Sink) -> Option<CheckSpec> {
    let file = entry.file;
    let before = sink.errors();
    let name = serde_json::to_value(file.kind).ok()?.as_str()?.to_owned();
    entry.refuse_what_does_nothing(&name, sink);
    let field = file.field.as_deref().map(|field| entry.pointer("field", field, sink));
    let kind = kind(entry, sink);
    let field = match field {
        Some(field) => Some(field?),
        None => None,
    };
    let (kind, not, on_fail) = (kind?, file.not, file.on_fail.into());
    let (weight, threshold) = (file.weight.unwrap_or(1.0), file.threshold.unwrap_or(1.0));
    (sink.errors() == before).then_some(CheckSpec { name, field, kind, not, on_fail, weight, threshold })
}

fn kind(entry: &Entry<'_>, sink: &mut Sink) -> Option<CheckKind> {
    use CheckType as T;
    let file = entry.file;
    Some(match file.kind {
        T::Equals => CheckKind::Equals(entry.needed("value", file.value.as_ref(), sink)?.clone()),
        T::Regex => CheckKind::Regex(pattern(entry, sink)?),
        T::Contains => CheckKind::ContainsAll(vec![entry.text(sink)?]),
        T::ContainsAll => CheckKind::ContainsAll(entry.texts(sink)?),
        T::ContainsAny => CheckKind::ContainsAny(entry.texts(sink)?),
        T::Icontains => CheckKind::IContainsAll(vec![entry.text(sink)?]),
        T::IcontainsAll => CheckKind::IContainsAll(entry.texts(sink)?),
        T::IcontainsAny => CheckKind::IContainsAny(entry.texts(sink)?),
        T::StartsWith => CheckKind::StartsWith(entry.text(sink)?),
        T::EndsWith => CheckKind::EndsWith(entry.text(sink)?),
        T::Case => CheckKind::Case(case(entry, sink)?),
        T::NotEmpty => CheckKind::NotEmpty,
        T::Enum => CheckKind::Enum(entry.needed("values", file.values.as_ref(), sink)?.clone()),
        T::Length => length(entry, sink)?,
        T::Range => entry.bounds(sink).map(|(min, max)| CheckKind::Range { min, max })?,
        T::Url => CheckKind::Url,
        T::Date => CheckKind::Date,
        T::IsJson => CheckKind::IsJson(schema(entry, sink)?),
        T::ContainsJson => CheckKind::ContainsJson(schema(entry, sink)?),
        T::IsXml => CheckKind::Is(Markup::Xml),
        T::ContainsXml => CheckKind::Has(Markup::Xml),
        T::IsHtml => CheckKind::Is(Markup::Html),
        T::ContainsHtml => CheckKind::Has(Markup::Html),
        T::IsSql => CheckKind::Is(Markup::Sql),
        T::ContainsSql => CheckKind::Has(Markup::Sql),
        T::FinishReason => CheckKind::FinishReason(entry.texts(sink)?),
        T::IsRefusal => CheckKind::Refusal,
        T::Language => CheckKind::Language(languages(entry, sink)?),
        T::Levenshtein => levenshtein(entry, sink)?,
        T::Repetition => CheckKind::Repetition(entry.share("max", file.max, sink)?),
        T::NoLoop => CheckKind::NoLoop,
        T::SpanInSource => CheckKind::SpanInSource(spans(entry, sink)?),
        T::NumbersInSource => CheckKind::NumbersInSource,
        T::NamesInSource => CheckKind::NamesInSource,
        T::Cel => CheckKind::Cel(expression(entry, sink)?),
        T::LabelMargin => label_margin(entry, sink)?,
        T::All | T::AssertSet => CheckKind::All(group(entry, sink)?),
        T::Any => CheckKind::Any(group(entry, sink)?),
    })
}

fn pattern(entry: &Entry<'_>, sink: &mut Sink) -> Option<regex::Regex> {
    let pattern = entry.needed("pattern", entry.file.pattern.as_ref(), sink)?;
    match regex::Regex::new(pattern) {
        Ok(regex) => Some(regex),
        Err(error) => {
            let text = error.to_string();
            let last = text.lines().last().unwrap_or_default().trim_start_matches("error: ");
            let help = "the syntax is that of Rust's regex crate: no look-around, no back-references";
            entry.wrong("pattern", format!("not a regular expression: {last}"), help, sink);
            None
        }
    }
}

fn case(entry: &Entry<'_>, sink: &mut Sink) -> Option<LetterCase> {
    match entry.text(sink)?.as_str() {
        "upper" => Some(LetterCase::Upper),
        "lower" => Some(LetterCase::Lower),
        _ => {
            entry.wrong("value", "there is no such case", "write \"upper\" or \"lower\"", sink);
            None
        }
    }
}

fn length(entry: &Entry<'_>, sink: &mut Sink) -> Option<CheckKind> {
    let (min, max) = entry.bounds(sink)?;
    let unit = match entry.file.unit {
        None | Some(UnitFile::Characters) => LengthUnit::Characters,
        Some(UnitFile::Words) => LengthUnit::Words,
        Some(UnitFile::Sentences) => LengthUnit::Sentences,
        Some(UnitFile::Tokens) => LengthUnit::Tokens,
    };
    let (min, max) = (entry.count("min", min, sink), entry.count("max", max, sink));
    Some(CheckKind::Length { min: min?, max: max?, unit })
}

fn schema(entry: &Entry<'_>, sink: &mut Sink) -> Option<Option<Arc<Schema>>> {
    let Some(schema) = &entry.file.schema else { return Some(None) };
    match Schema::compile(Value::Object(schema.clone())) {
        Ok(schema) => Some(Some(Arc::new(schema))),
        Err(why) => {
            entry.wrong("schema", format!("not a JSON Schema: {why}"), "correct the schema", sink);
            None
        }
    }
}

fn languages(entry: &Entry<'_>, sink: &mut Sink) -> Option<Vec<String>> {
    let codes = entry.texts(sink)?;
    let before = sink.errors();
    for (n, code) in codes.iter().enumerate() {
        if LANGUAGES.binary_search(&code.as_str()).is_err() {
            let help = format!("codes are those of ISO 639-3: {}", LANGUAGES.join(", "));
            entry.wrong(&format!("values/{n}"), format!("`{code}` is no language that can be told"), &help, sink);
        }
    }
    (sink.errors() == before).then_some(codes)
}

fn levenshtein(entry: &Entry<'_>, sink: &mut Sink) -> Option<CheckKind> {
    let (longest, most) = LEVENSHTEIN_MAX;
    let like = entry.text(sink)?;
    if like.chars().count() > longest {
        entry.wrong("value", format!("the text is longer than {longest} characters"), "shorten it", sink);
        return None;
    }
    // promptfoo's default.
    let max = entry.file.max.unwrap_or(5.0);
    if max < 0.0 || max.fract() != 0.0 || max > most {
        entry.wrong("max", format!("`max` is a whole number up to {most}"), "write how many changes may be", sink);
        return None;
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole and within 0 to 1000")]
    Some(CheckKind::Levenshtein { like, max: max as u32 })
}

fn spans(entry: &Entry<'_>, sink: &mut Sink) -> Option<Vec<String>> {
    let names = entry.needed("fields", entry.file.fields.as_ref(), sink)?;
    let pointer = |(n, name): (usize, &String)| entry.pointer(&format!("fields/{n}"), name, sink);
    let pointers: Vec<_> = names.iter().enumerate().map(pointer).collect();
    pointers.into_iter().collect()
}

fn expression(entry: &Entry<'_>, sink: &mut Sink) -> Option<Arc<Expression>> {
    let source = entry.needed("expression", entry.file.expression.as_ref(), sink)?;
    match Expression::compile(source) {
        Ok(expression) => Some(Arc::new(expression)),
        Err(why) => {
            let help = "an expression of CEL over `output` and `input`: `output.net + output.tax == output.total`";
            entry.wrong("expression", format!("not an expression: {why}"), help, sink);
            None
        }
    }
}

fn label_margin(entry: &Entry<'_>, sink: &mut Sink) -> Option<CheckKind> {
    if !matches!(entry.forms.kind, IntentKind::Classification(_)) {
        entry.wrong("type", "only a classification has labels", "remove this check", sink);
        return None;
    }
    entry.share("min", entry.file.min, sink).map(CheckKind::LabelMargin)
}

fn group(entry: &Entry<'_>, sink: &mut Sink) -> Option<Vec<CheckSpec>> {
    let files = entry.needed("checks", entry.file.checks.as_ref(), sink)?;
    if entry.depth == GROUPS_MAX {
        let help = "write fewer groups within groups";
        entry.wrong("checks", format!("groups are nested deeper than {GROUPS_MAX}"), help, sink);
        return None;
    }
    let inner = |(n, file)| {
        let place = format!("{}/checks/{n}", entry.place);
        check(&Entry { document: entry.document, place, depth: entry.depth + 1, file, forms: entry.forms }, sink)
    };
    let checks: Vec<_> = files.iter().enumerate().map(inner).collect();
    let checks = checks.into_iter().collect::<Option<Vec<_>>>()?;
    if checks.iter().all(|check| check.weight == 0.0) {
        entry.wrong("checks", "all checks of this group weigh nothing", "give one of them a weight", sink);
        return None;
    }
    Some(checks)
}
