//! What each kind of check asks of a value and its text.

use baton_config::{CheckKind, LengthUnit, LetterCase, Markup, Schema};
use serde_json::Value;

use crate::ask::{Failed, Said, share};
use crate::parse::{objects_in, plain_number};
use crate::reason::Quote;
use crate::text::html::{HtmlMarks, is_html};
use crate::text::xml::{contains_xml, is_xml};
use crate::text::{
    Dialect, Refusals, contains_sql, distance_within, is_date, is_sql, is_url, language, looping, repetition,
    sentences, tokens,
};

/// What kinds need that is compiled once.
#[derive(Debug, Default)]
pub(crate) struct Tools {
    refusals: Option<Refusals>,
    html: Option<HtmlMarks>,
    /// Parts in lower case.
    lower: Vec<String>,
}

impl Tools {
    pub(crate) fn of(kind: &CheckKind) -> Self {
        let lower = match kind {
            CheckKind::IContainsAll(parts) | CheckKind::IContainsAny(parts) => {
                parts.iter().map(|part| part.to_lowercase()).collect()
            }
            _ => Vec::new(),
        };
        Self {
            refusals: matches!(kind, CheckKind::Refusal).then(Refusals::new),
            html: matches!(kind, CheckKind::Has(Markup::Html)).then(HtmlMarks::new),
            lower,
        }
    }
}

/// What a value that passed does; the reason of a check that says `not`.
pub(crate) fn meets(kind: &CheckKind) -> String {
    match kind {
        CheckKind::Equals(value) => format!("is {value}"),
        CheckKind::Regex(regex) => format!("matches {}", regex.as_str()),
        CheckKind::ContainsAll(parts) | CheckKind::IContainsAll(parts) => format!("contains {}", listed(parts)),
        CheckKind::ContainsAny(parts) | CheckKind::IContainsAny(parts) => format!("contains one of {}", listed(parts)),
        CheckKind::StartsWith(part) => format!("begins with {part:?}"),
        CheckKind::EndsWith(part) => format!("ends with {part:?}"),
        CheckKind::Case(LetterCase::Upper) => "is in upper case".into(),
        CheckKind::Case(LetterCase::Lower) => "is in lower case".into(),
        CheckKind::NotEmpty => "is not empty".into(),
        CheckKind::Length { .. } => "has a length within the bounds".into(),
        CheckKind::Range { .. } => "is within the range".into(),
        CheckKind::Enum(_) => "is one of the values".into(),
        CheckKind::Url => "is a URL".into(),
        CheckKind::Date => "is a date".into(),
        CheckKind::IsJson(_) => "is JSON as wanted".into(),
        CheckKind::ContainsJson(_) => "contains JSON as wanted".into(),
        CheckKind::Is(markup) => format!("is {}", named(*markup)),
        CheckKind::Has(markup) => format!("contains {}", named(*markup)),
        CheckKind::Refusal => "declines to answer".into(),
        CheckKind::Language(codes) => format!("is in {}", codes.join(" or ")),
        CheckKind::Levenshtein { max, .. } => format!("is within {max} changes"),
        CheckKind::Repetition(_) => "repeats itself no more than it may".into(),
        CheckKind::NoLoop => "does not end in a loop".into(),
        CheckKind::NumbersInSource => "has only numbers of the input".into(),
        CheckKind::NamesInSource => "has only names of the input".into(),
        // These have reasons of their own.
        CheckKind::SpanInSource(_) | CheckKind::Cel(_) | CheckKind::FinishReason(_) => "passes".into(),
        CheckKind::LabelMargin(_) | CheckKind::All(_) | CheckKind::Any(_) => "passes".into(),
    }
}

/// Asks one value.
pub(crate) fn meets_kind(kind: &CheckKind, tools: &Tools, value: &Value, text: &str, quote: Quote) -> Said {
    let lacks = |why: String| Said::Fails(0.0, format!("{} {why}", quote.text(text)));
    let holds = |holds: bool, why: &dyn Fn() -> String| if holds { Said::Holds } else { lacks(why()) };
    match kind {
        CheckKind::Equals(wanted) => holds(same(wanted, value), &|| format!("is not {wanted}")),
        CheckKind::Regex(regex) => holds(regex.is_match(text), &|| format!("does not match {}", regex.as_str())),
        CheckKind::ContainsAll(parts) => contains_all(parts, parts, text, quote),
        CheckKind::IContainsAll(parts) => contains_all(parts, &tools.lower, &text.to_lowercase(), quote),
        CheckKind::ContainsAny(parts) => {
            holds(contains_any(parts, text), &|| format!("contains none of {}", listed(parts)))
        }
        CheckKind::IContainsAny(parts) => {
            holds(contains_any(&tools.lower, &text.to_lowercase()), &|| format!("contains none of {}", listed(parts)))
        }
        CheckKind::StartsWith(part) => holds(text.starts_with(part), &|| format!("does not begin with {part:?}")),
        CheckKind::EndsWith(part) => holds(text.ends_with(part), &|| format!("does not end with {part:?}")),
        CheckKind::Case(LetterCase::Upper) => {
            holds(!text.contains(char::is_lowercase), &|| "is not in upper case".into())
        }
        CheckKind::Case(LetterCase::Lower) => {
            holds(!text.contains(char::is_uppercase), &|| "is not in lower case".into())
        }
        CheckKind::NotEmpty => holds(!text.trim().is_empty(), &|| "is empty".into()),
        CheckKind::Enum(values) => holds(values.iter().any(|allowed| same(allowed, value)), &|| {
            let values: Vec<_> = values.iter().map(ToString::to_string).collect();
            format!("is none of {}", values.join(", "))
        }),
        CheckKind::Url => holds(is_url(text), &|| "is not a URL of http or https".into()),
        CheckKind::Date => holds(is_date(text), &|| "is not a date like 2024-02-29".into()),
        CheckKind::Length { min, max, unit } => said(length(text, *min, *max, *unit)),
        CheckKind::Range { min, max } => said(range(text, *min, *max, quote)),
        CheckKind::IsJson(schema) => said(is_json(value, text, schema.as_deref(), quote)),
        CheckKind::ContainsJson(schema) => said(contains_json(text, schema.as_deref())),
        CheckKind::Is(markup) => said(is_markup(*markup, text).map_err(|why| format!("{} {why}", quote.text(text)))),
        CheckKind::Has(markup) => {
            holds(has_markup(*markup, tools, text), &|| format!("does not contain {}", named(*markup)))
        }
        CheckKind::Refusal => {
            holds(tools.refusals.as_ref().is_some_and(|r| r.declines(text)), &|| "does not decline to answer".into())
        }
        CheckKind::Language(codes) => match language(text) {
            None => Said::NotAsked,
            Some(code) => {
                holds(codes.iter().any(|c| c == code), &|| format!("is in {code}, not {}", codes.join(" or ")))
            }
        },
        CheckKind::Levenshtein { like, max } => {
            let near = distance_within(text, like, usize::try_from(*max).unwrap_or(usize::MAX)).is_some();
            holds(near, &|| format!("is more than {max} changes from {like:?}"))
        }
        CheckKind::Repetition(max) => {
            let share = repetition(text);
            let why = format!("{:.0} % of it was there before, at most {:.0} % may", share * 100.0, max * 100.0);
            if share <= *max { Said::Holds } else { Said::Fails(0.0, why) }
        }
        CheckKind::NoLoop => match looping(text) {
            None => Said::Holds,
            Some(unit) => Said::Fails(0.0, format!("it ends in a loop of {}", quote.text(unit))),
        },
        // Asked for elsewhere: they look at more than one value.
        CheckKind::SpanInSource(_) | CheckKind::NumbersInSource | CheckKind::NamesInSource => Said::NotAsked,
        CheckKind::Cel(_) | CheckKind::FinishReason(_) | CheckKind::LabelMargin(_) => Said::NotAsked,
        CheckKind::All(_) | CheckKind::Any(_) => Said::NotAsked,
    }
}

fn said(result: Result<(), Failed>) -> Said {
    match result {
        Ok(()) => Said::Holds,
        Err(why) => Said::Fails(0.0, why),
    }
}

/// `parts` as written for the reason; `wanted` as compared.
fn contains_all(parts: &[String], wanted: &[String], text: &str, quote: Quote) -> Said {
    let missing: Vec<_> = wanted.iter().zip(parts).filter(|(wanted, _)| !text.contains(wanted.as_str())).collect();
    let Some((_, first)) = missing.first() else { return Said::Holds };
    let why = format!("{} does not contain {first:?}", quote.text(text));
    Said::Fails(share(parts.len() - missing.len(), parts.len()), why)
}

fn contains_any(parts: &[String], text: &str) -> bool {
    parts.iter().any(|part| text.contains(part.as_str()))
}

fn length(text: &str, min: Option<u64>, max: Option<u64>, unit: LengthUnit) -> Result<(), Failed> {
    let (length, unit) = match unit {
        LengthUnit::Characters => (text.chars().count() as u64, "characters"),
        LengthUnit::Words => (text.split_whitespace().count() as u64, "words"),
        LengthUnit::Sentences => (sentences(text), "sentences"),
        LengthUnit::Tokens => (tokens(text), "tokens"),
    };
    let low = min.filter(|min| length < *min).map(|min| format!("it has {length} {unit}, at least {min} are wanted"));
    let high = max.filter(|max| length > *max).map(|max| format!("it has {length} {unit}, at most {max} are wanted"));
    low.or(high).map_or(Ok(()), Err)
}

fn range(text: &str, min: Option<f64>, max: Option<f64>, quote: Quote) -> Result<(), Failed> {
    let number = plain_number(text.trim()).and_then(|number| number.as_f64());
    let Some(number) = number else { return Err(format!("{} is not a number", quote.text(text))) };
    let low = min.filter(|min| number < *min).map(|min| format!("{} is below {min}", quote.text(text)));
    let high = max.filter(|max| number > *max).map(|max| format!("{} is above {max}", quote.text(text)));
    low.or(high).map_or(Ok(()), Err)
}

/// Structured output is JSON already.
fn is_json(value: &Value, text: &str, schema: Option<&Schema>, quote: Quote) -> Result<(), Failed> {
    let parsed;
    let value = if value.is_string() {
        parsed = serde_json::from_str(text).map_err(|_| format!("{} is not JSON", quote.text(text)))?;
        &parsed
    } else {
        value
    };
    schema.map_or(Ok(()), |schema| violation(schema, value))
}

fn contains_json(text: &str, schema: Option<&Schema>) -> Result<(), Failed> {
    let objects = objects_in(text);
    if objects.is_empty() {
        return Err("there is no JSON object in it".into());
    }
    let Some(schema) = schema else { return Ok(()) };
    objects.iter().map(|object| violation(schema, object)).reduce(Result::or).unwrap_or(Ok(()))
}

/// Messages show no values, and the place only where the schema may name it.
fn violation(schema: &Schema, value: &Value) -> Result<(), Failed> {
    schema.validate(value).map_err(|violation| format!("it is not as its schema says: {}", violation.message))
}

fn is_markup(markup: Markup, text: &str) -> Result<(), Failed> {
    match markup {
        Markup::Xml => is_xml(text, &[]),
        Markup::Html => is_html(text).map_err(|why| format!("is not HTML: {why}")),
        Markup::Sql => is_sql(text, Dialect::Any),
    }
}

fn has_markup(markup: Markup, tools: &Tools, text: &str) -> bool {
    match markup {
        Markup::Xml => contains_xml(text, &[]),
        Markup::Html => tools.html.as_ref().is_some_and(|marks| marks.found_in(text)),
        Markup::Sql => contains_sql(text, Dialect::Any),
    }
}

fn named(markup: Markup) -> &'static str {
    match markup {
        Markup::Xml => "XML",
        Markup::Html => "HTML",
        Markup::Sql => "SQL",
    }
}

fn listed(parts: &[String]) -> String {
    parts.iter().map(|part| format!("{part:?}")).collect::<Vec<_>>().join(", ")
}

/// Equal, where 1 is also 1.0, within lists and objects too.
pub(crate) fn same(a: &Value, b: &Value) -> bool {
    let integer = |value: &Value| value.is_i64() || value.is_u64();
    match (a, b) {
        (Value::Number(x), Value::Number(y)) if integer(a) != integer(b) => x.as_f64() == y.as_f64(),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(name, a)| b.get(name).is_some_and(|b| same(a, b)))
        }
        _ => a == b,
    }
}
