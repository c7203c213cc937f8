//! A second opinion held against an answer.

use baton_config::IntentKind;
use baton_core::ScoreResult;
use baton_eval::Checks;
use serde_json::{Value, json};

use crate::plan::{plan, receipt};

/// What is said of an answer and its second opinion, whichever of them comes first.
fn check(checks: &Checks, [answer, other]: [Value; 2], value: f64, differs: &str) {
    for (one, two) in [(&answer, &other), (&other, &answer)] {
        let said = checks.compare(one, two).unwrap_or_else(|| panic!("nothing is said of {one} and {two}"));
        assert_eq!((said.value(), said.failed().as_str()), (Some(value), differs), "{one} {two}");
    }
}

#[test]
fn labels_are_the_same_or_they_differ() {
    let labels = ["billing", "bug"].map(|name| (name.to_owned(), String::new()));
    let checks = Checks::compile(&plan(IntentKind::Classification(labels.to_vec()), None, Vec::new()));
    check(&checks, [json!({ "label": "bug" }), json!({ "label": "bug" })], 1.0, "");
    check(&checks, [json!({ "label": "bug" }), json!({ "label": "billing" })], 0.0, "label");
}

#[test]
fn of_fields_the_share_that_agrees_counts_and_those_that_differ_are_named() {
    let checks = Checks::compile(&receipt(Vec::new()));
    let answer = || json!({ "total": 12.5, "company": "The  Mill" });
    check(&checks, [answer(), answer()], 1.0, "");
    check(&checks, [answer(), json!({ "company": "The Mill", "total": 12.50 })], 1.0, "");
    check(&checks, [answer(), json!({ "total": 13, "company": "The Mill" })], 0.5, "total");
    check(&checks, [answer(), json!({ "total": 13, "company": "the mill" })], 0.0, "company, total");
    check(&checks, [answer(), json!({ "total": 12.5 })], 0.5, "company");
    // What neither fills says nothing.
    check(&checks, [json!({ "total": 1, "date": null }), json!({ "total": 1 })], 1.0, "");
    check(&checks, [json!({}), json!({ "date": null })], 1.0, "");
}

#[test]
fn names_that_the_schema_does_not_declare_are_content_and_not_told() {
    let checks = Checks::compile(&receipt(Vec::new()));
    let answer = json!({ "total": 1, "Ann owes": 3, "Bob owes": 4 });
    check(&checks, [answer.clone(), json!({ "total": 1, "Ann owes": 3, "Bob owes": 5 })], 0.5, "undeclared fields");
    check(&checks, [answer.clone(), answer], 1.0, "");
}

#[test]
fn of_texts_and_of_what_is_no_output_nothing_is_said() {
    let text = Checks::compile(&plan(IntentKind::Generation, None, Vec::new()));
    assert_eq!(text.compare(&json!({ "text": "a" }), &json!({ "text": "a" })), None::<ScoreResult>);
    assert_eq!(Checks::compile(&receipt(Vec::new())).compare(&json!({ "total": 1 }), &json!("no")), None);
}
