//! Each kind of check, on values that it passes and fails.

use baton_config::{CheckKind, CheckSpec, IntentKind, LengthUnit, StoreContent};
use baton_core::Severity;
use baton_eval::{Checks, Finish};
use serde_json::{Value, json};

use crate::plan::{check as spec, plan, receipt};

/// What one check of `/v` says of a value: empty where it passes.
fn ask(kind: CheckKind, value: Value, not: bool) -> String {
    let spec = CheckSpec { not, ..spec("it", Some("/v"), kind) };
    let schema = json!({ "properties": { "v": {} } });
    let checks = Checks::compile(&plan(IntentKind::Extraction, Some(schema), vec![spec]));
    let result = checks.judge_output(&json!({ "v": value }), &json!({})).pop().unwrap();
    assert_eq!((result.check.as_str(), result.passed), ("it", result.reason.is_none()));
    result.reason.unwrap_or_default()
}

/// The reasons where the check says so, and where it says `not`.
fn check(kind: &CheckKind, value: Value, reason: &str, reason_not: &str) {
    assert_eq!(ask(kind.clone(), value.clone(), false), reason, "{value}");
    assert_eq!(ask(kind.clone(), value.clone(), true), reason_not, "not {value}");
}

#[test]
fn regex() {
    let kind = CheckKind::Regex(regex::Regex::new("^[a-z]+$").unwrap());
    check(&kind, json!("abc"), "", "/v: “abc” matches ^[a-z]+$, and must not");
    check(&kind, json!("a1"), "/v: “a1” does not match ^[a-z]+$", "");
    check(&kind, json!(["a"]), "/v: “[\"a\"]” does not match ^[a-z]+$", "");
}

#[test]
fn contains() {
    let parts = vec!["Dear".to_owned(), "refund".to_owned()];
    let all = CheckKind::ContainsAll(parts.clone());
    check(&all, json!("Dear A, a refund"), "", "/v: “Dear A, a refund” contains \"Dear\", \"refund\", and must not");
    check(&all, json!("Dear A"), "/v: “Dear A” does not contain \"refund\"", "");
    let any = CheckKind::ContainsAny(parts);
    check(&any, json!("Dear A"), "", "/v: “Dear A” contains one of \"Dear\", \"refund\", and must not");
    check(&any, json!("dear"), "/v: “dear” contains none of \"Dear\", \"refund\"", "");
}

#[test]
fn length() {
    let words = CheckKind::Length { min: Some(2), max: Some(3), unit: LengthUnit::Words };
    check(&words, json!("a"), "/v: it has 1 words, at least 2 are wanted", "");
    check(&words, json!("a b  c"), "", "/v: “a b  c” has a length within the bounds, and must not");
    check(&words, json!("a b c d"), "/v: it has 4 words, at most 3 are wanted", "");
    let characters = CheckKind::Length { min: None, max: Some(3), unit: LengthUnit::Characters };
    check(&characters, json!("äöü"), "", "/v: “äöü” has a length within the bounds, and must not");
    check(&characters, json!("äöüß"), "/v: it has 4 characters, at most 3 are wanted", "");
}

#[test]
fn range() {
    let kind = CheckKind::Range { min: Some(0.0), max: Some(10.0) };
    check(&kind, json!(0), "", "/v: “0” is within the range, and must not");
    check(&kind, json!("10.00"), "", "/v: “10.00” is within the range, and must not");
    check(&kind, json!(-0.5), "/v: “-0.5” is below 0", "");
    check(&kind, json!("10.01"), "/v: “10.01” is above 10", "");
    check(&kind, json!("ten"), "/v: “ten” is not a number", "");
    check(&kind, json!("1,000"), "/v: “1,000” is not a number", "");
    check(&kind, json!([1]), "/v: “[1]” is not a number", "");
}

#[test]
fn one_of() {
    let kind = CheckKind::Enum(vec![json!("MYR"), json!(1), json!(null)]);
    check(&kind, json!("MYR"), "", "/v: “MYR” is one of the values, and must not");
    check(&kind, json!(1.0), "", "/v: “1.0” is one of the values, and must not");
    check(&kind, json!("myr"), "/v: “myr” is none of \"MYR\", 1, null", "");
    check(&kind, json!("1"), "/v: “1” is none of \"MYR\", 1, null", "");
}

#[test]
fn nothing_is_asked_of_null_or_of_a_declared_field_that_is_left_out() {
    let kind = CheckKind::Range { min: Some(1.0), max: None };
    check(&kind, json!(null), "", "");
    let asked = |field: &str| {
        let checks = Checks::compile(&receipt(vec![spec("range", Some(field), kind.clone())]));
        let output = json!({ "company": "a", "date": "b", "total": "1" });
        checks.judge_output(&output, &json!({})).pop().unwrap().reason
    };
    assert_eq!(asked("/address"), None);
    assert_eq!(asked("address").as_deref(), Some("there is no address in the output"));
    assert_eq!(asked("/adress").as_deref(), Some("there is no /adress in the output"));
    assert_eq!(asked("/address/0").as_deref(), Some("there is no /address/0 in the output"));
}

#[test]
fn without_a_field_the_whole_output_is_asked() {
    let reason = |kind: IntentKind, text: &str, check: CheckKind| {
        let schema = (kind == IntentKind::Extraction).then(|| json!({}));
        let checks = Checks::compile(&plan(kind, schema, vec![spec("it", None, check)]));
        checks.judge(text, &json!({}), Finish::Complete).checks.pop().unwrap().reason
    };
    let regex = |pattern: &str| CheckKind::Regex(regex::Regex::new(pattern).unwrap());
    let labels = || IntentKind::Classification(vec![("bug".into(), String::new())]);
    assert_eq!(reason(labels(), "Bug", regex("^bug$")), None);
    assert_eq!(reason(labels(), "bug", CheckKind::Enum(vec![json!("bug")])), None);
    assert_eq!(reason(IntentKind::Generation, "Dear A", regex("^Dear A$")), None);
    assert_eq!(reason(IntentKind::Extraction, "{\"a\": 1}", regex(r#"^\{"a":1\}$"#)), None);
    assert_eq!(reason(IntentKind::Generation, "x", regex("y")).as_deref(), Some("“x” does not match y"));
}

#[test]
fn reasons_are_bounded_and_a_signal_stays_a_signal() {
    let mut signal = spec("regex", Some("/v"), CheckKind::Regex(regex::Regex::new(&"x".repeat(500)).unwrap()));
    signal.on_fail = Severity::Signal;
    let checks = Checks::compile(&plan(IntentKind::Extraction, Some(json!({})), vec![signal]));
    let result = checks.judge_output(&json!({ "v": "ä".repeat(500) }), &json!({})).pop().unwrap();
    assert_eq!((result.severity, result.passed), (Severity::Signal, false));
    let reason = result.reason.unwrap();
    assert_eq!(reason.chars().count(), 200);
    assert!(reason.starts_with("/v: “ä") && reason.ends_with('x'), "{reason}");
}

#[test]
fn reasons_show_no_content_where_privacy_forbids_to_store_it() {
    let secret = "SECRETIVE";
    let fields = Some("/company".to_owned());
    let mut plan = receipt(vec![
        spec("regex", fields.as_deref(), CheckKind::Regex(regex::Regex::new("^a").unwrap())),
        spec("enum", fields.as_deref(), CheckKind::Enum(vec![json!("a")])),
        spec("range", fields.as_deref(), CheckKind::Range { min: None, max: None }),
        spec("contains", fields.as_deref(), CheckKind::ContainsAll(vec!["a".into()])),
        spec("span-in-source", None, CheckKind::SpanInSource(vec!["/company".into()])),
    ]);
    plan.privacy.store = StoreContent::Nothing;
    let checks = Checks::compile(&plan);
    let mut named = json!({ "company": "a", "date": null, "total": "1" });
    named[secret] = json!(1);
    let schema = checks.judge_output(&named, &json!({})).swap_remove(0).reason;
    let hidden =
        "(hidden by privacy): is not a property of the schema, which has `company`, `date`, `address`, `total`";
    assert_eq!(schema.as_deref(), Some(hidden));
    let output = json!({ "company": secret, "date": [secret], "total": "1" });
    for finish in [Finish::Complete, Finish::Refused] {
        let judged = checks.judge(&output.to_string(), &json!({ "text": "input" }), finish);
        let reasons: Vec<_> = judged.checks.iter().filter_map(|c| c.reason.clone()).collect();
        assert_eq!(reasons.len(), 6 + usize::from(finish == Finish::Refused), "{reasons:?}");
        assert!(reasons.iter().all(|reason| !reason.to_uppercase().contains(secret)), "{reasons:?}");
    }
}
