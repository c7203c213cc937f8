//! promptfoo's tests, as YAML or JSON: their variables are the intent's input, their assertions grade
//! the answer. Prompts and providers are the intent's, so those of the file are not read.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{Draft, Wrong};
use crate::Assert;
use crate::assert::Asserted;

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

/// One assertion.
#[derive(Clone, Debug)]
pub struct Assertion {
    pub(crate) name: String,
    kind: Kind,
    not: bool,
    value: Value,
}

#[derive(Clone, Debug)]
enum Kind {
    Equals,
    Contains,
    IContains,
    StartsWith,
    Regex(regex::Regex),
}

/// Reads one, with the variables that its value may name.
pub(super) fn assertion(value: &Value, vars: &Value) -> Result<Assert, String> {
    let _ = (vars, BTreeMap::<String, String>::new());
    let name = value.get("type").and_then(Value::as_str).ok_or("an assertion has a `type`")?;
    let (not, base) = name.strip_prefix("not-").map_or((false, name), |base| (true, base));
    let value = value.get("value").cloned().unwrap_or_default();
    let kind = match base {
        "equals" => Kind::Equals,
        "contains" => Kind::Contains,
        "icontains" => Kind::IContains,
        "starts-with" => Kind::StartsWith,
        "regex" => Kind::Regex(regex::Regex::new(value.as_str().unwrap_or_default()).map_err(|e| e.to_string())?),
        _ => return Err(format!("the assertion `{name}` is not supported: take it out")),
    };
    Ok(Assert::Assertion(Assertion { name: name.to_owned(), kind, not, value }))
}

impl Assertion {
    pub(crate) fn judge(&self, _output: &Value, text: &str, _input: &Value) -> Asserted {
        let value = self.value.as_str().map_or_else(|| self.value.to_string(), str::to_owned);
        let holds = match &self.kind {
            Kind::Equals => text == value,
            Kind::Contains => text.contains(&value),
            Kind::IContains => text.to_lowercase().contains(&value.to_lowercase()),
            Kind::StartsWith => text.starts_with(&value),
            Kind::Regex(regex) => regex.is_match(text),
        };
        let passed = holds != self.not;
        let reason = (!passed).then(|| format!("“{value}”"));
        Asserted { passed, score: f64::from(passed), reason }
    }
}
