//! Baton's own lines, `{"input": …, "expected": …}`, and those of OpenAI's evals, `{"item": {…}}`.

use baton_config::Plan;
use serde::Deserialize;
use serde_json::Value;

use super::{Draft, Wrong, openai, promptfoo};
use crate::Assert;

/// A line. `expected` may be missing where checks or assertions grade the answer.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    input: Value,
    #[serde(default)]
    expected: Option<Value>,
    #[serde(default)]
    name: Option<String>,
    /// promptfoo's assertions.
    #[serde(default)]
    assert: Vec<Value>,
    /// As in cases.jsonl, where it says what a case is used for; one that is asked for by its file is
    /// used for evaluation.
    #[serde(default, rename = "share")]
    _share: Option<String>,
}

pub(super) fn read(text: &str, graders: &[openai::Template], plan: &Plan) -> Result<Vec<Draft>, Wrong> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines.map(|(n, line)| draft(line, format!("line {}", n + 1), graders, plan)).collect()
}

fn draft(line: &str, place: String, graders: &[openai::Template], plan: &Plan) -> Result<Draft, Wrong> {
    let form = "a case is {\"input\": …, \"expected\": …}, optionally with \"name\" and \"assert\"";
    let wrong = |error: serde_json::Error| (place.clone(), format!("not a case: {error}; {form}"));
    let value: Value = serde_json::from_str(line).map_err(wrong)?;
    if let Some(item) = value.get("item") {
        return openai::item(item, place, graders, plan);
    }
    let line: Line = serde_json::from_value(value).map_err(wrong)?;
    let mut asserts: Vec<Assert> = Vec::new();
    for (n, assertion) in line.assert.iter().enumerate() {
        let read = promptfoo::assertion(assertion, &line.input);
        asserts.push(read.map_err(|why| (place.clone(), format!("assert[{n}]: {why}")))?);
    }
    for grader in graders {
        asserts.push(Assert::Grader(grader.of(&line.input).map_err(|why| (place.clone(), why))?));
    }
    Ok(Draft { place, name: line.name, input: line.input, expected: line.expected, asserts })
}
