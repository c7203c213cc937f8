//! Answers as models write them, and what becomes of them.

use baton_config::IntentKind;
use baton_core::{CheckResult, Severity, Verdict, verdict};
use baton_eval::{Checks, Finish, Judged};
use serde_json::{Value, json};

use crate::plan::{plan, receipt};

fn failed(judged: &Judged) -> String {
    let failed: Vec<_> = judged.checks.iter().filter(|c| !c.passed).map(shown).collect();
    failed.join("; ")
}

fn shown(check: &CheckResult) -> String {
    assert_eq!(check.severity, Severity::Gate);
    format!("{}: {}", check.check, check.reason.as_deref().unwrap())
}

fn labels() -> Checks {
    let labels = ["billing", "bug", "how-to", "Account", "a b", "a-b"].map(|name| (name.to_owned(), String::new()));
    Checks::compile(&plan(IntentKind::Classification(labels.to_vec()), None, vec![]))
}

#[test]
fn a_label_is_found_however_it_is_written() {
    let checks = labels();
    let check = |text: &str, label: &str, repairs: &[&str]| {
        let judged = checks.judge(text, &json!({}), Finish::Complete);
        assert_eq!(judged.output, Some(json!({ "label": label })), "{text}");
        assert_eq!(judged.repairs, repairs, "{text}");
        assert_eq!(verdict(&judged.checks), Verdict::Undecided, "{text}");
    };
    check("billing", "billing", &[]);
    check(" billing\n", "billing", &[]);
    check(r#"{"label": "billing"}"#, "billing", &[]);
    check("```json\n{\"label\": \"billing\"}\n```", "billing", &["fenced"]);
    check("```\nbilling\n```", "billing", &["fenced"]);
    check("```billing```", "billing", &["fenced"]);
    check("\"billing\"", "billing", &["quoted"]);
    check("**billing**", "billing", &["quoted"]);
    check("`billing`.", "billing", &["quoted"]);
    check("Billing", "billing", &["case"]);
    check("account", "Account", &["case"]);
    check("billing.", "billing", &["punctuation"]);
    check("Billing!", "billing", &["punctuation", "case"]);
    check("how to", "how-to", &["whitespace"]);
    check("How_To", "how-to", &["whitespace"]);
    check(r#"{"label": "Bug"}"#, "bug", &["case"]);
    check(r#"{"label": "bug", "confidence": 0.9}"#, "bug", &["extra-fields"]);
    check(r#"Sure: {"label": "bug"}"#, "bug", &["prose"]);
    check(r#"{'label': 'bug',}"#, "bug", &["single-quotes", "trailing-comma"]);
    check("a b", "a b", &[]);
}

#[test]
fn what_is_no_label_fails() {
    let checks = labels();
    let check = |text: &str, reason: &str| {
        let judged = checks.judge(text, &json!({}), Finish::Complete);
        assert_eq!((judged.output.as_ref(), failed(&judged)), (None, format!("label: {reason}")), "{text}");
    };
    check("refund", "“refund” is not one of the labels");
    check("", "“” is not one of the labels");
    check("billing or bug", "“billing or bug” is not one of the labels");
    check(r#"{"label": "refund"}"#, "“refund” is not one of the labels");
    check(r#"{"category": "bug"}"#, "“{\"category\": \"bug\"}” is not one of the labels");
    check(r#"{"label": "bu"#, "“{\"label\": \"bu” is not one of the labels");
    // Two labels have this normal form: which one was meant is unknown.
    check("A_B", "“A_B” is not one of the labels");
}

#[test]
fn fields_are_read_through_what_models_put_around_them() {
    let checks = Checks::compile(&receipt(vec![]));
    let whole = json!({ "company": "A & B", "date": "1/2", "total": "9.00" });
    let check = |text: &str, repairs: &[&str]| {
        let judged = checks.judge(text, &json!({}), Finish::Complete);
        assert_eq!((failed(&judged), judged.output), (String::new(), Some(whole.clone())), "{text}");
        assert_eq!(judged.repairs, repairs, "{text}");
    };
    let plain = r#"{"company": "A & B", "date": "1/2", "total": "9.00"}"#;
    check(plain, &[]);
    check(&format!("\n {plain} \n"), &[]);
    check(&format!("```json\n{plain}\n```"), &["fenced"]);
    check(&format!("```\n{plain}"), &["fenced"]);
    check(&format!("Here it is:\n```json\n{plain}\n```\nAnything else?"), &["fenced", "prose"]);
    check(&format!("Here it is: {plain}"), &["prose"]);
    // A draft before the answer, an example behind it.
    check(&format!("{{\"company\": 1}} no, rather {plain}"), &["prose"]);
    check(&format!("{plain} (not {{\"x\": 1}})"), &["prose"]);
    check(r#"{"company": "A & B", "date": "1/2", "total": "9.00",}"#, &["trailing-comma"]);
    check(r#"{'company': 'A & B', 'date': '1/2', 'total': '9.00'}"#, &["single-quotes"]);
    check(r#"{company: "A & B", date: "1/2", total: "9.00"}"#, &["unquoted-name"]);
    check(r#"{"company": "A \u0026 B", "date": "1\/2", "total": "9.00"}"#, &[]);
    // Digits stay as they were written.
    check(r#"{"company": "A & B", "date": "1/2", "total": 9.00}"#, &["text-from-number"]);
    check(r#"{"company": "A & B", "date": "1/2", "total": "9.00""#, &["unclosed"]);
}

#[test]
fn what_is_cut_off_is_never_mended() {
    let checks = Checks::compile(&receipt(vec![]));
    let check = |text: &str, finish: Finish, expected: &str| {
        let judged = checks.judge(text, &json!({}), finish);
        assert_eq!(failed(&judged), expected, "{text}");
        assert_eq!(verdict(&judged.checks), Verdict::Fail);
    };
    let cut = "finish: the answer was cut off after";
    let end = "the text ends before its brackets are closed";
    let text = r#"{"company": "A", "date": "1/2", "total": "9.00""#;
    let here = format!("{cut} 47 bytes; raise max_tokens; parse: not JSON at line 1, column 48: {end}");
    check(text, Finish::Truncated, &here);
    check(&format!("{text}}}"), Finish::Truncated, &format!("{cut} 48 bytes; raise max_tokens"));
    // The model was done, and still more was to come.
    let parse = |column: usize, why: &str| format!("parse: not JSON at line 1, column {column}: {why}");
    check(&format!("{text},"), Finish::Complete, &parse(49, end));
    check(r#"{"total": 9.0"#, Finish::Complete, &parse(14, end));
    check("{", Finish::Complete, &parse(2, end));
    check(r#"{"company": "A"#, Finish::Complete, &parse(13, "a text is opened here and never closed"));
    check(r#"{"company":"#, Finish::Complete, &parse(12, "the text ends where a value should stand"));
    check(r#"{"company""#, Finish::Complete, &parse(11, "a colon is missing after a field's name"));
}

#[test]
fn escapes_are_read_and_never_guessed() {
    let checks = Checks::compile(&plan(IntentKind::Extraction, Some(json!({})), vec![]));
    let check = |inside: &str, expected: Option<&str>, repairs: &[&str]| {
        let judged = checks.judge(&format!("{{\"a\": \"{inside}\"}}"), &json!({}), Finish::Complete);
        assert_eq!(judged.output, expected.map(|text| json!({ "a": text })), "{inside}");
        assert_eq!(judged.repairs, repairs, "{inside}");
    };
    check(r#"\n\t\r\b\f\\\/\""#, Some("\n\t\r\u{8}\u{c}\\/\""), &[]);
    check(r"\u00e9\ud83d\ude00", Some("é😀"), &[]);
    check("two\nlines", Some("two\nlines"), &["control-character"]);
    check(r"it\'s", Some("it's"), &["escape"]);
    for broken in [r"\ud83d", r"\ud83d\u0041", r"\ude00", r"\u00g0", r"\u00", r"\x41"] {
        check(broken, None, &[]);
    }
}

#[test]
fn a_part_of_a_broken_object_is_not_the_answer() {
    let checks = Checks::compile(&plan(IntentKind::Extraction, Some(json!({})), vec![]));
    let output = |text: &str| checks.judge(text, &json!({}), Finish::Complete).output;
    assert_eq!(output(r#"{"items": [{"x": 1}], "total":"#), None);
    assert_eq!(output(r#"{"items": [{"x": 1}], "total": }"#), None);
    assert_eq!(output(r#"{"items": "}" [{"x": 1}]}"#), None);
    assert_eq!(output(r#"{"items" [{"x": 1}]}"#), None);
    assert_eq!(output(r#"[{"x": 1}, {"x" 2}]"#), None);
    assert_eq!(output(r#"[{"x": 1}, {"x": 2}]"#), Some(json!([{ "x": 1 }, { "x": 2 }])));
    assert_eq!(output(r#"As in [1] and [a], {"x": 2}"#), Some(json!({ "x": 2 })));
    assert_eq!(output(r#"{"items": [{"x": 1} 2]}, rather {"x": 2}"#), Some(json!({ "x": 2 })));
    assert_eq!(output(r#"For {shop} {}: {"x": 2}"#), Some(json!({ "x": 2 })));
}

#[test]
fn what_is_not_the_schemas_fails_with_the_place_and_what_was_expected() {
    let checks = Checks::compile(&receipt(vec![]));
    let check = |text: &str, expected: &str| {
        let judged = checks.judge(text, &json!({}), Finish::Complete);
        assert_eq!(failed(&judged), expected, "{text}");
    };
    check("", "parse: there is no JSON object in the answer");
    check("I can't read it.", "parse: there is no JSON object in the answer");
    check("{\"a\": 1,\n \"a\": 2}", "parse: not JSON at line 2, column 8: a field stands there twice");
    check("{\"total\": 1,5}", "parse: not JSON at line 1, column 14: a colon is missing after a field's name");
    check("{\"total\": 007}", "parse: not JSON at line 1, column 11: a number is not written as JSON writes it");
    check("{\"total\": NaN}", "parse: not JSON at line 1, column 11: no value of JSON begins so");
    check(r#"{"date": null, "total": "1"}"#, "schema: /company: is missing");
    check(
        r#"{"company": ["x"], "date": null, "total": "1"}"#,
        "schema: /company: value is not of types \"null\", \"string\"",
    );
}

#[test]
fn numbers_and_their_text_are_taken_for_each_other_only_where_the_schema_leaves_no_choice() {
    let schema = json!({
        "type": "object",
        "properties": {
            "n": { "type": "number" }, "s": { "type": "string" }, "both": { "type": ["string", "number"] }, "any": {},
            "opt": { "anyOf": [{ "type": "integer" }, { "type": "null" }] }, "list": { "items": { "$ref": "#/$defs/n" } }
        },
        "$defs": { "n": { "type": "number" } }
    });
    let checks = Checks::compile(&plan(IntentKind::Extraction, Some(schema), vec![]));
    let check = |text: &str, output: Value, repairs: &[&str]| {
        let judged = checks.judge(text, &json!({}), Finish::Complete);
        assert_eq!((judged.output, judged.repairs), (Some(output), repairs.iter().map(ToString::to_string).collect()));
    };
    check(r#"{"n": "9.50"}"#, json!({ "n": 9.5 }), &["number-from-text"]);
    check(r#"{"opt": "12"}"#, json!({ "opt": 12 }), &["number-from-text"]);
    check(r#"{"list": [1, "2"]}"#, json!({ "list": [1, 2] }), &["number-from-text"]);
    check(r#"{"s": 9.50}"#, json!({ "s": "9.50" }), &["text-from-number"]);
    check(r#"{"s": 12345678901234567890123}"#, json!({ "s": "12345678901234567890123" }), &["text-from-number"]);
    check(r#"{"both": "9"}"#, json!({ "both": "9" }), &[]);
    check(r#"{"both": 9}"#, json!({ "both": 9 }), &[]);
    check(r#"{"any": "9", "other": 9}"#, json!({ "any": "9", "other": 9 }), &[]);
    // Not plainly a number: left to the schema.
    check(r#"{"n": "1,234"}"#, json!({ "n": "1,234" }), &[]);
    check(r#"{"n": "about 9"}"#, json!({ "n": "about 9" }), &[]);
    check(r#"{"n": ""}"#, json!({ "n": "" }), &[]);
}

#[test]
fn size_and_depth_are_bounded() {
    let checks = Checks::compile(&plan(IntentKind::Extraction, Some(json!({})), vec![]));
    let nested = |levels: usize| format!("{{\"a\":{}1{}}}", "[".repeat(levels), "]".repeat(levels));
    let failed = |text: &str| failed(&checks.judge(text, &json!({}), Finish::Complete));
    assert_eq!(failed(&nested(63)), "");
    assert_eq!(failed(&nested(64)), "parse: not JSON at line 1, column 69: it is nested deeper than 64 levels");
    assert_eq!(failed(&nested(100_000)), "parse: not JSON at line 1, column 69: it is nested deeper than 64 levels");
    let large = format!("{{\"a\":\"{}\"}}", "x".repeat(1 << 20));
    assert_eq!(failed(&large), "parse: the answer has 1048584 bytes; at most 1048576 are read");
}

#[test]
fn generated_text_is_taken_as_it_is_and_must_not_be_empty() {
    let checks = Checks::compile(&plan(IntentKind::Generation, None, vec![]));
    let judged = checks.judge(" Dear A,\n", &json!({}), Finish::Complete);
    assert_eq!((judged.output.clone(), failed(&judged)), (Some(json!({ "text": " Dear A,\n" })), String::new()));
    let empty = checks.judge(" \n", &json!({}), Finish::Complete);
    assert_eq!(failed(&empty), "not-empty: the answer has no text");
    let refused = checks.judge("I cannot help.", &json!({}), Finish::Refused);
    assert_eq!(failed(&refused), "finish: the model declined: “I cannot help.”");
    let filtered = checks.judge("", &json!({}), Finish::ContentFiltered);
    let reasons = "finish: the provider's content filter withheld the answer; not-empty: the answer has no text";
    assert_eq!(failed(&filtered), reasons);
}

#[test]
fn structured_outputs_are_judged_by_the_same_gates() {
    let check = |checks: &Checks, output: Value, passes: bool| {
        assert_eq!(verdict(&checks.judge_output(&output, &json!({}))) == Verdict::Undecided, passes, "{output}");
    };
    check(&labels(), json!({ "label": "bug" }), true);
    check(&labels(), json!({ "label": "Bug" }), false);
    check(&labels(), json!({ "text": "bug" }), false);
    check(&labels(), json!("bug"), false);
    let fields = Checks::compile(&receipt(vec![]));
    check(&fields, json!({ "company": "a", "date": null, "total": "1" }), true);
    check(&fields, json!({ "company": "a" }), false);
    let anything = Checks::compile(&plan(IntentKind::Extraction, Some(json!({})), vec![]));
    check(&anything, json!({}), true);
    check(&anything, json!([]), false);
    let text = Checks::compile(&plan(IntentKind::Generation, None, vec![]));
    check(&text, json!({ "text": "a" }), true);
    check(&text, json!({}), false);
}
