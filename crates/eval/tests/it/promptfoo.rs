//! promptfoo's assertions: what its documentation says, and what is refused by name.

use baton_eval::{Assertion, Facts, PROMPTFOO_TYPES};
use serde_json::{Value, json};

/// Written by hand from promptfoo's documentation; `cargo xtask measure checks` asks promptfoo itself.
const FIXTURES: &str = include_str!("../promptfoo.json");

fn read(assertion: &Value) -> Result<Assertion, String> {
    Assertion::read(assertion, &|text| Ok(text.to_owned())).map_err(|error| error.to_string())
}

#[test]
fn fixtures_pass_and_fail_as_documented() {
    let fixtures: Vec<Value> = serde_json::from_str(FIXTURES).unwrap();
    let tools = json!([{ "type": "function", "function": { "name": "weather", "parameters": {
        "type": "object", "properties": { "city": { "type": "string" } }, "required": ["city"],
    } } }]);
    let mut seen: Vec<&str> = Vec::new();
    for fixture in &fixtures {
        let assertion = read(&fixture["assertion"]).unwrap_or_else(|error| panic!("{fixture}: {error}"));
        let logprobs: Vec<f64> =
            fixture["logProbs"].as_array().into_iter().flatten().filter_map(Value::as_f64).collect();
        let facts = Facts {
            latency_ms: fixture["latencyMs"].as_f64(),
            cost_usd: fixture["cost"].as_f64(),
            finish_reason: fixture["finishReason"].as_str(),
            logprobs: &logprobs,
            tools: fixture.get("tools").map(|_| &tools),
            flagged: fixture["flagged"] == true,
            ..Facts::of(&fixture["output"])
        };
        let grade = assertion.grade(&facts).unwrap();
        assert_eq!(Some(grade.pass), fixture["pass"].as_bool(), "{fixture}: {grade:?}");
        assert_eq!(grade.pass, grade.reason.is_empty(), "{fixture}: {grade:?}");
        assert!((0.0..=1.0).contains(&grade.score), "{fixture}: {grade:?}");
        let name = fixture["assertion"]["type"].as_str().unwrap();
        seen.push(name.strip_prefix("not-").unwrap_or(name));
    }
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen, PROMPTFOO_TYPES, "each type has fixtures");
}

#[test]
fn what_is_not_read_is_refused_by_name() {
    for (assertion, why) in [
        (json!("contains"), ": an assertion is an object with a `type`"),
        (json!({ "value": "a" }), "/type: an assertion needs a `type`, which is text"),
        (json!({ "type": "llm-rubric", "value": "kind" }), "/type: `llm-rubric` asks a model: declare a judge instead"),
        (
            json!({ "type": "not-similar:cosine", "value": "a" }),
            "/type: `similar:cosine` asks a model: declare a judge instead",
        ),
        (
            json!({ "type": "meteor", "value": "a" }),
            "/type: `meteor` needs a dictionary of synonyms, which is not shipped: use `rouge-n`, `bleu` or `gleu`",
        ),
        (
            json!({ "type": "trace-span-count" }),
            "/type: `trace-span-count` reads traces, which are not recorded: remove it",
        ),
        (json!({ "type": "contains" }), "/value: this type needs a `value` of text or a number"),
        (
            json!({ "type": "contains", "value": "a", "tranform": "x" }),
            "/tranform: `tranform` is not known here; known are type, value, threshold, weight, metric, assert, config, provider, rubricPrompt, description",
        ),
        (
            json!({ "type": "contains", "value": "a", "transform": "x" }),
            "/transform: `transform` runs code, which is not done here: remove it",
        ),
        (
            json!({ "type": "contains", "value": "file://a.txt" }),
            "/value: values from files or packages are not read here: write the value itself",
        ),
        (json!({ "type": "contains-all", "value": ["a", {}] }), "/value: the items of this list are texts or numbers"),
        (
            json!({ "type": "regex", "value": "a(?=b)" }),
            "/value: look-around (`(?=`, `(?!`) is not supported: write the pattern without it, or two assertions",
        ),
        (json!({ "type": "latency" }), "/threshold: this type needs a `threshold` in milliseconds"),
        (
            json!({ "type": "is-json", "value": { "type": "objekt" } }),
            "/value: not a JSON Schema: /type: `type` cannot be \"objekt\"",
        ),
        (
            json!({ "type": "is-sql", "value": { "allowedTables": [] } }),
            "/value/allowedTables: `allowedTables` is not supported by this version: remove it",
        ),
        (
            json!({ "type": "word-count", "value": { "min": 2, "max": 1 } }),
            "/value: `min` is above `max`: nothing passes",
        ),
        (
            json!({ "type": "assert-set", "assert": [{ "type": "python", "value": "x" }] }),
            "/assert/0/type: `python` runs code, which is not done here: write it as a check of type `cel`, or remove it",
        ),
        (json!({ "type": "contains", "value": "a", "weight": -1 }), "/weight: a weight is 0 or more"),
    ] {
        assert_eq!(read(&assertion).err().as_deref(), Some(why), "{assertion}");
    }
    let unknown = read(&json!({ "type": "contain", "value": "a" })).unwrap_err();
    assert!(unknown.starts_with("/type: there is no type `contain`; known are assert-set, bleu,"), "{unknown}");
}

#[test]
fn variables_are_filled_in_and_facts_that_are_not_known_are_said() {
    let render = |text: &str| match text {
        "{{ bad }}" => Err("no variable `bad`".to_owned()),
        text => Ok(text.replace("{{ city }}", "Oslo")),
    };
    let read = |assertion: Value| Assertion::read(&assertion, &render);
    let output = json!("In Oslo it rains.");
    let contains = read(json!({ "type": "contains-all", "value": ["{{ city }}", "rain"], "metric": "place" })).unwrap();
    assert!(contains.grade(&Facts::of(&output)).unwrap().pass);
    assert_eq!((contains.metric.as_deref(), contains.weight.to_string().as_str()), (Some("place"), "1"));
    assert_eq!(
        read(json!({ "type": "equals", "value": "{{ bad }}" })).unwrap_err().to_string(),
        "/value: no variable `bad`"
    );
    let cost = read(json!({ "type": "cost", "threshold": 1 })).unwrap();
    assert_eq!(cost.grade(&Facts::of(&output)), Err("the cost of this answer is not known".into()));
}
