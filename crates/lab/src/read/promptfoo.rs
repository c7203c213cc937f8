//! promptfoo's tests, as YAML or JSON: their variables are the intent's input, their assertions grade
//! the answer. Prompts and providers are the intent's, so those of the file are not read.

use std::sync::Arc;

use baton_eval::Facts;
use serde_json::{Map, Value};

use super::{Draft, Wrong};
use crate::assert::Asserted;
use crate::{Assert, Given};

/// Keys of a configuration that say nothing of the tests.
const NOT_TESTS: [&str; 10] = [
    "description",
    "prompts",
    "providers",
    "targets",
    "env",
    "outputPath",
    "sharing",
    "evaluateOptions",
    "commandLineOptions",
    "tags",
];
/// Keys of a test that say nothing of what is right.
const NOT_GRADED: [&str; 2] = ["metadata", "description"];

/// Reads a YAML file: a configuration with `tests`, or a list of tests.
pub(super) fn read_yaml(text: &str) -> Result<Vec<Draft>, Wrong> {
    let value = serde_saphyr::from_str::<Value>(text);
    let value = value.map_err(|error| (String::new(), format!("not YAML: {error}")))?;
    read_value(&value)
}

/// The same of the parsed value.
pub(super) fn read_value(value: &Value) -> Result<Vec<Draft>, Wrong> {
    let mut default = Map::new();
    let tests = match value {
        Value::Array(tests) => tests,
        Value::Object(file) => {
            for key in file.keys().map(String::as_str) {
                if !["tests", "defaultTest"].contains(&key) && !NOT_TESTS.contains(&key) {
                    return Err((key.into(), refused(&format!("`{key}`"))));
                }
            }
            if let Some(given) = file.get("defaultTest") {
                let object = given.as_object();
                default = object.cloned().ok_or_else(|| ("defaultTest".to_owned(), refused("a default in a file")))?;
            }
            match file.get("tests") {
                Some(Value::Array(tests)) => tests,
                Some(Value::String(_)) => {
                    return Err(("tests".into(), "the tests are in another file: name that one with --cases".into()));
                }
                _ => return Err(("tests".into(), "there are no `tests`, which is a list".into())),
            }
        }
        _ => return Err((String::new(), "neither a list of tests nor a configuration with `tests`".into())),
    };
    let number = |(n, test): (usize, &Value)| {
        let place = format!("tests[{n}]");
        draft(test, &default, &place).map_err(|why| (place, why))
    };
    tests.iter().enumerate().map(number).collect()
}

fn draft(test: &Value, default: &Map<String, Value>, place: &str) -> Result<Draft, String> {
    let Some(test) = test.as_object() else {
        return Err("a test is an object; a file of tests is not supported".into());
    };
    let name = test.get("description").and_then(Value::as_str).map(str::to_owned);
    let (mut vars, mut written) = (Map::new(), Vec::new());
    for (part, value) in default.iter().chain(test) {
        match (part.as_str(), value) {
            ("vars", Value::Object(given)) => vars.extend(given.clone()),
            ("assert", Value::Array(given)) => written.extend(given.clone()),
            (key, _) if NOT_GRADED.contains(&key) => {}
            (key @ ("vars" | "assert"), _) => {
                return Err(format!("`{key}` is not what it should be: an object of variables, a list of assertions"));
            }
            (key, _) => return Err(refused(&format!("`{key}`"))),
        }
    }
    for (variable, value) in &vars {
        // One test for each item in promptfoo; and files and scripts are not run here.
        let file = value.as_str().is_some_and(|text| text.starts_with("file://"));
        if file || value.is_array() {
            return Err(format!(
                "the variable `{variable}` is a {}, which is not supported: write its value",
                if file { "file" } else { "list" }
            ));
        }
    }
    let input = Value::Object(vars);
    let read = |(n, value): (usize, &Value)| assertion(value, &input).map_err(|why| format!("assert[{n}]: {why}"));
    let asserts = written.iter().enumerate().map(read).collect::<Result<Vec<Assert>, String>>()?;
    if asserts.is_empty() {
        return Err("no assertion says what is right".into());
    }
    Ok(Draft { place: place.to_owned(), name, input, expected: None, asserts })
}

fn refused(what: &str) -> String {
    format!("{what} is not supported: take it out")
}

/// What these look at is not known of an answer that the engine gave.
const UNKNOWN: [&str; 8] = [
    "finish-reason",
    "guardrails",
    "is-valid-function-call",
    "is-valid-openai-function-call",
    "is-valid-openai-tools-call",
    "perplexity",
    "perplexity-score",
    "tool-call-f1",
];

/// One assertion.
#[derive(Clone, Debug)]
pub struct Assertion {
    pub(crate) name: String,
    inner: Arc<baton_eval::Assertion>,
}

/// Reads one, with the variables that its value may name.
pub(super) fn assertion(value: &Value, vars: &Value) -> Result<Assert, String> {
    answerable(value, 0)?;
    let name = value.get("type").and_then(Value::as_str).unwrap_or("assertion");
    let inner = baton_eval::Assertion::read(value, &|text| render(text, vars)).map_err(|wrong| wrong.to_string())?;
    let name = inner.metric.clone().unwrap_or_else(|| name.to_owned());
    Ok(Assert::Assertion(Assertion { name, inner: Arc::new(inner) }))
}

/// Those within a set too. How deep sets are is the reader's to refuse.
fn answerable(value: &Value, depth: usize) -> Result<(), String> {
    let name = value.get("type").and_then(Value::as_str).unwrap_or_default();
    if UNKNOWN.contains(&name.strip_prefix("not-").unwrap_or(name)) {
        return Err(format!("`{name}` looks at what is not known here of an answer: take it out"));
    }
    let inner = value.get("assert").and_then(Value::as_array).filter(|_| depth < 8);
    inner.into_iter().flatten().try_for_each(|value| answerable(value, depth + 1))
}

/// Fills in `{{ variable }}` and `{{ variable.field }}`. More of promptfoo's templates is refused.
fn render(text: &str, vars: &Value) -> Result<String, String> {
    if text.contains("{%") || text.contains("{#") {
        return Err("blocks and comments of templates are not supported: write what they give".into());
    }
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, tail)) = rest.split_once("{{") {
        let Some((path, after)) = tail.split_once("}}") else { return Err("a `{{` is never closed".into()) };
        let path = path.trim();
        let found = vars.pointer(&format!("/{}", path.replace('.', "/")));
        let found = found.ok_or_else(|| format!("`{path}` is no variable of the test; filters are not supported"))?;
        filled.push_str(before);
        filled.push_str(&found.as_str().map_or_else(|| found.to_string(), str::to_owned));
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled)
}

impl Assertion {
    pub(crate) fn weight(&self) -> f64 {
        self.inner.weight
    }

    pub(crate) fn judge(&self, text: &str, given: &Given) -> Asserted {
        let output = Value::from(text);
        let cost_usd = given.cost.map(|cost| cost.0 as f64 / 1e9);
        let facts = Facts { latency_ms: Some(given.ms), cost_usd, ..Facts::of(&output) };
        match self.inner.grade(&facts) {
            Ok(grade) => {
                let reason = (!grade.pass).then_some(grade.reason);
                Asserted { passed: grade.pass, score: grade.score, reason }
            }
            Err(why) => Asserted { passed: false, score: 0.0, reason: Some(why) },
        }
    }
}
