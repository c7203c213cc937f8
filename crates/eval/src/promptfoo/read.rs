//! From promptfoo's JSON to an assertion.

use baton_config::Schema;
use serde_json::{Map, Value};

use super::pattern::translate;
use super::{Assertion, Kind, NotRead, TYPES};
use crate::text::html::HtmlMarks;
use crate::text::{Dialect, Refusals};

/// How deep sets may be nested, and how many assertions one may have.
const SETS_MAX: usize = 4;
const ASSERTIONS_MAX: usize = 1000;
/// The longest text of a value, in bytes.
const TEXT_MAX: usize = 1 << 20;
/// The longest text of `levenshtein`, in bytes.
const LEVENSHTEIN_MAX: usize = 10_000;

/// What asks a model.
const GRADED: [&str; 19] = [
    "agent-rubric",
    "answer-relevance",
    "classifier",
    "context-faithfulness",
    "context-recall",
    "context-relevance",
    "conversation-relevance",
    "factuality",
    "g-eval",
    "llm-rubric",
    "model-graded-closedqa",
    "model-graded-factuality",
    "moderation",
    "pi",
    "search-rubric",
    "select-best",
    "similar",
    "trajectory:goal-success",
    "human",
];
/// What runs code or asks a server.
const CODE: [&str; 4] = ["javascript", "python", "ruby", "webhook"];
/// Keys of an assertion, `type` aside.
const KEYS: [&str; 9] =
    ["value", "threshold", "weight", "metric", "assert", "config", "provider", "rubricPrompt", "description"];

type Read<T> = Result<T, NotRead>;

fn wrong<T>(at: impl Into<String>, why: impl Into<String>) -> Read<T> {
    Err(NotRead { at: at.into(), why: why.into() })
}

impl Assertion {
    /// Reads one assertion: `type`, `value`, `threshold`, `weight`, `metric`, and `assert` of a set. Each
    /// text of `value` goes through `render`, which fills in the test's variables.
    ///
    /// # Errors
    /// What is not understood, with its place; types that ask a model or run code by name.
    pub fn read(assertion: &Value, render: &dyn Fn(&str) -> Result<String, String>) -> Result<Self, NotRead> {
        Reader { render, place: String::new(), depth: 0 }.assertion(assertion)
    }
}

struct Reader<'r> {
    render: &'r dyn Fn(&str) -> Result<String, String>,
    place: String,
    depth: usize,
}

impl Reader<'_> {
    fn at(&self, key: &str) -> String {
        format!("{}/{key}", self.place)
    }

    fn assertion(&self, value: &Value) -> Read<Assertion> {
        let Some(fields) = value.as_object() else {
            return wrong(self.place.clone(), "an assertion is an object with a `type`");
        };
        let Some(name) = fields.get("type").and_then(Value::as_str) else {
            return wrong(self.at("type"), "an assertion needs a `type`, which is text");
        };
        if let Some(key) = fields.keys().find(|key| *key != "type" && !KEYS.contains(&key.as_str())) {
            let why = match key.as_str() {
                "transform" => "`transform` runs code, which is not done here: remove it".to_owned(),
                key => format!("`{key}` is not known here; known are type, {}", KEYS.join(", ")),
            };
            return wrong(self.at(key), why);
        }
        let (not, base) = match name.strip_prefix("not-") {
            Some(base) => (true, base),
            None => (false, name),
        };
        let threshold = self.number(fields, "threshold")?;
        let weight = self.number(fields, "weight")?.unwrap_or(1.0);
        if weight < 0.0 {
            return wrong(self.at("weight"), "a weight is 0 or more");
        }
        let metric = fields.get("metric").and_then(Value::as_str).map(str::to_owned);
        let kind = match base {
            "assert-set" if !not => Kind::Set(self.set(fields)?),
            _ => self.kind(base, fields, threshold)?,
        };
        Ok(Assertion { kind, not, threshold, weight, metric })
    }

    fn number(&self, fields: &Map<String, Value>, key: &str) -> Read<Option<f64>> {
        match fields.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => match value.as_f64() {
                Some(number) => Ok(Some(number)),
                None => wrong(self.at(key), format!("`{key}` is a number")),
            },
        }
    }

    fn set(&self, fields: &Map<String, Value>) -> Read<Vec<Assertion>> {
        let at = self.at("assert");
        if self.depth == SETS_MAX {
            return wrong(at, format!("sets are nested deeper than {SETS_MAX}"));
        }
        let Some(assertions) = fields.get("assert").and_then(Value::as_array) else {
            return wrong(at, "a set needs a list `assert` of assertions");
        };
        if assertions.len() > ASSERTIONS_MAX {
            return wrong(at, format!("a set has at most {ASSERTIONS_MAX} assertions"));
        }
        let inner = |(n, assertion)| {
            let place = format!("{at}/{n}");
            Reader { render: self.render, place, depth: self.depth + 1 }.assertion(assertion)
        };
        assertions.iter().enumerate().map(inner).collect()
    }

    fn kind(&self, name: &str, fields: &Map<String, Value>, threshold: Option<f64>) -> Read<Kind> {
        let value = self.rendered(fields.get("value"))?;
        let value = value.as_ref();
        let contains = |any, fold| Ok(Kind::Contains { parts: self.parts(value)?, any, fold });
        let one = |fold| Ok(Kind::Contains { parts: vec![self.part(value)?], any: false, fold });
        match name {
            "equals" => match value {
                Some(value) => Ok(Kind::Equals(value.clone())),
                None => wrong(self.at("value"), "`equals` needs a value"),
            },
            "contains" => one(false),
            "icontains" => one(true),
            "contains-all" => contains(false, false),
            "contains-any" => contains(true, false),
            "icontains-all" => contains(false, true),
            "icontains-any" => contains(true, true),
            "starts-with" => self.text(value).map(Kind::StartsWith),
            "regex" => self.regex(value),
            "is-json" => self.schema(value).map(Kind::IsJson),
            "contains-json" => self.schema(value).map(Kind::ContainsJson),
            "is-xml" => self.elements(value).map(Kind::IsXml),
            "contains-xml" => self.elements(value).map(Kind::ContainsXml),
            "is-html" => Ok(Kind::IsHtml),
            "contains-html" => Ok(Kind::ContainsHtml(HtmlMarks::new())),
            "is-sql" => self.dialect(value).map(Kind::IsSql),
            "contains-sql" => self.dialect(value).map(Kind::ContainsSql),
            "is-refusal" => Ok(Kind::IsRefusal(Refusals::new())),
            "is-valid-openai-tools-call" => Ok(Kind::ToolsCall),
            "is-valid-function-call" | "is-valid-openai-function-call" => Ok(Kind::FunctionCall),
            "tool-call-f1" => self.names(value).map(Kind::ToolCallF1),
            "levenshtein" => self.levenshtein(value),
            "rouge-n" => self.text(value).map(Kind::Rouge),
            "bleu" => self.references(value).map(Kind::Bleu),
            "gleu" => self.references(value).map(Kind::Gleu),
            "word-count" => self.word_count(value),
            "finish-reason" => self.text(value).map(Kind::FinishReason),
            "guardrails" => Ok(Kind::Guardrails),
            "perplexity" => Ok(Kind::Perplexity),
            "perplexity-score" => Ok(Kind::PerplexityScore),
            "latency" => self.needed_threshold(threshold, "milliseconds").map(Kind::Latency),
            "cost" => self.needed_threshold(threshold, "dollars").map(Kind::Cost),
            other => wrong(self.at("type"), refusal(other)),
        }
    }

    /// The value with its variables filled in, in text and in lists of text.
    fn rendered(&self, value: Option<&Value>) -> Read<Option<Value>> {
        let text = |text: &str, at: String| {
            if text.starts_with("file://") || text.starts_with("package:") {
                return wrong(at, "values from files or packages are not read here: write the value itself");
            }
            let text = (self.render)(text).map_err(|why| NotRead { at: at.clone(), why })?;
            if text.len() > TEXT_MAX {
                wrong(at, format!("the text is longer than {TEXT_MAX} bytes"))
            } else {
                Ok(Value::String(text))
            }
        };
        match value {
            None => Ok(None),
            Some(Value::String(written)) => text(written, self.at("value")).map(Some),
            Some(Value::Array(items)) => {
                let item = |(n, item): (usize, &Value)| match item {
                    Value::String(written) => text(written, format!("{}/{n}", self.at("value"))),
                    other => Ok(other.clone()),
                };
                items.iter().enumerate().map(item).collect::<Read<Vec<_>>>().map(|items| Some(Value::Array(items)))
            }
            Some(other) => Ok(Some(other.clone())),
        }
    }

    fn text(&self, value: Option<&Value>) -> Read<String> {
        match value.and_then(Value::as_str) {
            Some(text) if !text.is_empty() => Ok(text.to_owned()),
            _ => wrong(self.at("value"), "this type needs a `value` of text"),
        }
    }

    /// Text or a number.
    fn part(&self, value: Option<&Value>) -> Read<String> {
        match value.and_then(as_text) {
            Some(text) if !text.is_empty() => Ok(text),
            _ => wrong(self.at("value"), "this type needs a `value` of text or a number"),
        }
    }

    /// A list, or text with commas.
    fn parts(&self, value: Option<&Value>) -> Read<Vec<String>> {
        let at = self.at("value");
        match value {
            Some(Value::Array(items)) => match items.iter().map(as_text).collect() {
                Some(parts) => Ok(parts),
                None => wrong(at, "the items of this list are texts or numbers"),
            },
            Some(Value::String(text)) if !text.is_empty() => match split(text) {
                Some(parts) => Ok(parts),
                None => wrong(at, "a quotation mark is opened and not closed before a comma or the end"),
            },
            _ => wrong(at, "this type needs a `value`: a list, or text with commas"),
        }
    }

    fn references(&self, value: Option<&Value>) -> Read<Vec<String>> {
        let texts = match value {
            Some(Value::String(text)) => Some(vec![text.clone()]),
            Some(Value::Array(items)) => items.iter().map(|item| item.as_str().map(str::to_owned)).collect(),
            _ => None,
        };
        match texts {
            Some(texts) if !texts.is_empty() => Ok(texts),
            _ => wrong(self.at("value"), "this type needs a `value`: text or a list of texts"),
        }
    }

    fn names(&self, value: Option<&Value>) -> Read<Vec<String>> {
        let names: Option<Vec<String>> = match value {
            Some(Value::String(text)) => Some(text.split(',').map(|name| name.trim().to_owned()).collect()),
            Some(Value::Array(items)) => items.iter().map(as_text).collect(),
            _ => None,
        };
        match names {
            Some(names) if !names.is_empty() => Ok(names),
            _ => wrong(self.at("value"), "this type needs a `value`: names of tools, as a list or with commas"),
        }
    }

    fn regex(&self, value: Option<&Value>) -> Read<Kind> {
        match translate(&self.text(value)?) {
            Ok(regex) => Ok(Kind::Regex(regex)),
            Err(why) => wrong(self.at("value"), why),
        }
    }

    fn schema(&self, value: Option<&Value>) -> Read<Option<Box<Schema>>> {
        let at = self.at("value");
        let schema = match value {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::String(text)) if text.is_empty() => return Ok(None),
            Some(Value::String(text)) => match serde_json::from_str(text) {
                Ok(schema) => schema,
                Err(_) => return wrong(at, "a schema as text is read as JSON: write it as an object"),
            },
            Some(schema @ Value::Object(_)) => schema.clone(),
            Some(_) => return wrong(at, "the `value` of this type is a JSON Schema"),
        };
        match Schema::compile_with_formats(schema) {
            Ok(schema) => Ok(Some(Box::new(schema))),
            Err(why) => wrong(at, format!("not a JSON Schema: {why}")),
        }
    }

    fn elements(&self, value: Option<&Value>) -> Read<Vec<String>> {
        let list = match value {
            None | Some(Value::Null) => return Ok(Vec::new()),
            Some(Value::String(text)) => return Ok(text.split(',').map(|path| path.trim().to_owned()).collect()),
            Some(Value::Object(fields)) => fields.get("requiredElements").unwrap_or(&Value::Null),
            Some(other) => other,
        };
        match list.as_array().and_then(|items| items.iter().map(as_text).collect()) {
            Some(paths) => Ok(paths),
            None => wrong(self.at("value"), "required elements are paths like `order.item`, as a list or with commas"),
        }
    }

    fn dialect(&self, value: Option<&Value>) -> Read<Dialect> {
        let fields = match value {
            None | Some(Value::Null) => return Ok(Dialect::MySql),
            Some(Value::Object(fields)) => fields,
            Some(_) => return wrong(self.at("value"), "the `value` of this type is an object with `databaseType`"),
        };
        if let Some(key) = fields.keys().find(|key| *key != "databaseType") {
            return wrong(
                self.at(&format!("value/{key}")),
                format!("`{key}` is not supported by this version: remove it"),
            );
        }
        match fields.get("databaseType").map(|name| name.as_str().and_then(Dialect::named)) {
            None => Ok(Dialect::MySql),
            Some(Some(dialect)) => Ok(dialect),
            Some(None) => {
                wrong(self.at("value/databaseType"), "no database that is known: MySQL, PostgreSQL, Sqlite, …")
            }
        }
    }

    fn levenshtein(&self, value: Option<&Value>) -> Read<Kind> {
        match value.and_then(Value::as_str) {
            Some(text) if text.len() <= LEVENSHTEIN_MAX => Ok(Kind::Levenshtein(text.to_owned())),
            Some(_) => wrong(self.at("value"), format!("the text is longer than {LEVENSHTEIN_MAX} bytes")),
            None => wrong(self.at("value"), "this type needs a `value` of text"),
        }
    }

    fn word_count(&self, value: Option<&Value>) -> Read<Kind> {
        let at = self.at("value");
        let exact = match value {
            Some(Value::Number(number)) => number.as_f64(),
            Some(Value::String(text)) => text.trim().parse().ok(),
            _ => None,
        };
        if let Some(exact) = exact {
            return Ok(Kind::WordCount { min: Some(exact), max: Some(exact) });
        }
        let Some(fields) = value.and_then(Value::as_object) else {
            return wrong(at, "a count is a number, or an object with `min` and `max`");
        };
        let bound = |key: &str| fields.get(key).map(Value::as_f64);
        match (bound("min"), bound("max")) {
            (None, None) => wrong(at, "a count has `min`, `max` or both"),
            (Some(None), _) | (_, Some(None)) => wrong(at, "`min` and `max` are numbers"),
            (Some(Some(min)), Some(Some(max))) if min > max => wrong(at, "`min` is above `max`: nothing passes"),
            (min, max) => Ok(Kind::WordCount { min: min.flatten(), max: max.flatten() }),
        }
    }

    fn needed_threshold(&self, threshold: Option<f64>, unit: &str) -> Read<f64> {
        match threshold {
            Some(threshold) => Ok(threshold),
            None => wrong(self.at("threshold"), format!("this type needs a `threshold` in {unit}")),
        }
    }
}

/// Why a type is not read.
fn refusal(name: &str) -> String {
    let family = name.split(':').next().unwrap_or_default();
    if GRADED.contains(&name) || family == "similar" {
        format!("`{name}` asks a model: declare a judge instead")
    } else if CODE.contains(&name) {
        format!("`{name}` runs code, which is not done here: write it as a check of type `cel`, or remove it")
    } else if matches!(family, "trajectory" | "skill-used") || name.starts_with("trace-") {
        format!("`{name}` reads traces, which are not recorded: remove it")
    } else if name == "meteor" {
        "`meteor` needs a dictionary of synonyms, which is not shipped: use `rouge-n`, `bleu` or `gleu`".into()
    } else if name.starts_with("promptfoo:") {
        format!("`{name}` is a red-team grader, which asks a model: remove it")
    } else {
        format!("there is no type `{name}`; known are {}", TYPES.join(", "))
    }
}

/// A text, or a number as JavaScript writes it.
fn as_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(super::grade::javascript_text(value)),
        _ => None,
    }
}

/// Fields with commas between, in quotation marks where they have commas themselves; `None` where a
/// quoted field does not end.
fn split(text: &str) -> Option<Vec<String>> {
    let mut fields = Vec::new();
    let mut rest = text.trim_start_matches(|c: char| c.is_whitespace() || c == ',');
    while !rest.is_empty() {
        if let Some(quoted) = rest.strip_prefix('"') {
            let (mut field, mut chars, mut closed) = (String::new(), quoted.char_indices().peekable(), None);
            while let Some((at, c)) = chars.next() {
                match (c, chars.peek().map(|(_, next)| *next)) {
                    ('\\', Some(next @ ('"' | '\\'))) | ('"', Some(next @ '"')) => {
                        field.push(next);
                        chars.next();
                    }
                    ('"', _) => {
                        closed = Some(at + 1);
                        break;
                    }
                    _ => field.push(c),
                }
            }
            fields.push(field);
            rest = quoted[closed?..].trim_start();
            if !rest.is_empty() && !rest.starts_with(',') {
                return None;
            }
        } else {
            let end = rest.find(',').unwrap_or(rest.len());
            fields.push(rest[..end].trim().to_owned());
            rest = &rest[end..];
        }
        rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == ',');
    }
    Some(fields)
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn lists_with_commas() {
        let parts = |text: &str| split(text).map(|parts| parts.join("|"));
        for (text, wanted) in [
            ("a, b ,c", Some("a|b|c")),
            (",a,,b,", Some("a|b")),
            ("\"a, b\", c", Some("a, b|c")),
            ("\"say \"\"hi\"\"\", \"x\\\"y\"", Some("say \"hi\"|x\"y")),
            ("\"open", None),
            ("\"a\" b", None),
        ] {
            assert_eq!(parts(text).as_deref(), wanted, "{text}");
        }
    }
}
