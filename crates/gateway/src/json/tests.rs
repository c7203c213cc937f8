//! Errors that name the place, and bounds that hold before parsing.

use proptest::prelude::*;
use serde::Deserialize;
use serde_json::Value;

use super::*;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only what cannot be read is of interest")]
struct Asked {
    intent: String,
    #[serde(default)]
    config: Config,
    #[serde(default)]
    list: Vec<Config>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Config {
    retries: u32,
    name: String,
}

#[track_caller]
fn check(body: &str, code: ErrorCode, param: Option<&str>, says: &str) {
    let failure = read::<Asked>(body.as_bytes(), 4).unwrap_err();
    assert_eq!((failure.code, failure.param.as_deref()), (code, param), "{body}: {}", failure.message);
    assert!(failure.message.contains(says), "{body}: {}", failure.message);
}

#[test]
fn what_is_not_json_is_told_with_line_and_column() {
    use ErrorCode::InvalidJson;
    check("", InvalidJson, None, "the body is empty");
    check(" \n", InvalidJson, None, "the body is empty");
    check("{\n  \"intent\": oops}", InvalidJson, None, "line 2 column 13");
    check("{\"intent\":\"a\"", InvalidJson, None, "EOF");
    check("{\"intent\":\"a\"} x", InvalidJson, None, "trailing characters");
    check("[[[[[1]]]]]", InvalidJson, None, "deeper than 4 levels at line 1 column 5");
    check("{\"intent\":1e999}", InvalidJson, None, "out of range");
}

#[test]
fn what_is_not_as_expected_is_told_with_its_pointer() {
    use ErrorCode::InputInvalid;
    check(r#"{"intent":5}"#, InputInvalid, Some("/intent"), "expected a string");
    check(
        r#"{"intent":"a","config":{"retries":"2"}}"#,
        InputInvalid,
        Some("/config/retries"),
        "expected a whole number",
    );
    check(r#"{"intent":"a","config":{"retries":2,"name":7},"list":[]}"#, InputInvalid, Some("/config/name"), "string");
    check(
        r#"{"intent":"a","list":[{},{"retries":-1}]}"#,
        InputInvalid,
        Some("/list/1/retries"),
        "expected a whole number from 0 to",
    );
    check(r#"{"intent":"a","list":[{},{"retires":1}]}"#, InputInvalid, Some("/list/1/retires"), "unknown field");
    check(r#"{"intent":"a","list":[{},true,{}]}"#, InputInvalid, Some("/list/1"), "boolean");
    check(r#"{"intent":"a","config":7}"#, InputInvalid, Some("/config"), "integer `7`, expected an object at line 1");
    check(r#"{"config":{}}"#, InputInvalid, Some("/intent"), "missing field `intent`");
    check(r#"{"intent":"a","intent":"b"}"#, InputInvalid, Some("/intent"), "duplicate field");
    check(r#"{"intent":"a","a/b~\"c":1}"#, InputInvalid, Some(r#"/a~1b~0\"c"#), "unknown field");
    check(r#"[1]"#, InputInvalid, Some("/0"), "invalid type");
}

#[test]
fn integers_that_would_be_changed_are_refused() {
    let depth_max = 4;
    for whole in ["18446744073709551615", "-9223372036854775808", "0", "-1", "123456789012345678"] {
        let body = format!("{{\"n\":{whole}}}");
        assert_eq!(read::<Value>(body.as_bytes(), depth_max).unwrap()["n"].to_string(), whole);
    }
    for (changed, place) in [("18446744073709551616", "/a/1"), ("-9223372036854775809", "/a/1")] {
        let body = format!("{{\"a\":[0,{changed}]}}");
        let failure = read::<Value>(body.as_bytes(), depth_max).unwrap_err();
        assert_eq!((failure.code, failure.param.as_deref()), (ErrorCode::InputInvalid, Some(place)));
        assert!(failure.message.contains("as a string"));
    }
    for untouched in [r#""18446744073709551616""#, "1.0000000000000000000000001", "1e30", "-0.5"] {
        read::<Value>(untouched.as_bytes(), depth_max).unwrap();
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        ".*".prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 48, 5, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            proptest::collection::vec((".*", inner), 0..5).prop_map(|fields| fields.into_iter().collect()),
        ]
    })
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(fields) => 1 + fields.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

/// Seeded and without files, so that a failure replays.
fn config() -> proptest::test_runner::Config {
    let rng_seed = proptest::test_runner::RngSeed::Fixed(7);
    proptest::test_runner::Config {
        failure_persistence: None,
        rng_seed,
        ..proptest::test_runner::Config::with_cases(300)
    }
}

proptest! {
    #![proptest_config(config())]

    /// The bound is exactly the depth, whatever strings hold; what is within it reads unchanged.
    #[test]
    fn exactly_what_is_too_deep_is_refused(value in any_json(), limit in 1..8_usize) {
        let body = value.to_string();
        let read = read::<Value>(body.as_bytes(), limit);
        prop_assert_eq!(read.is_ok(), depth(&value) <= limit);
        if let Ok(read) = read {
            prop_assert_eq!(read, value);
        }
    }

    /// Whatever the bytes are: an answer, no panic.
    #[test]
    fn no_bytes_are_too_strange(body in proptest::collection::vec(prop_oneof![any::<u8>(), prop::sample::select(b"{}[]\",:\\-1e.".to_vec())], 0..60), end in 0..70_usize) {
        let _ = read::<Asked>(&body, 4);
        let _ = pointer(&body, end);
    }
}
