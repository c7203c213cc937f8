//! Checks of form, of language, of what else is known of an answer, and groups of checks.

use std::sync::Arc;

use baton_config::{
    CheckKind, CheckSpec, Expression, IntentKind, LengthUnit, LetterCase, Markup, Schema, StoreContent,
};
use baton_core::CheckResult;
use baton_eval::{Checks, Finish, Given, TokenProbability};
use serde_json::{Value, json};

use crate::plan::{check as spec, plan};

const SOURCE: &str = "Marie Curie was born in Warsaw in 1867 and won 2 prizes.";

/// What a check says of generated text; `None` where it is not asked.
fn ask(spec: CheckSpec, text: &str) -> Option<CheckResult> {
    let checks = Checks::compile(&plan(IntentKind::Generation, None, vec![spec]));
    let results = checks.judge_output(&json!({ "text": text }), &json!({ "text": SOURCE }));
    results.into_iter().find(|result| result.check == "it")
}

/// Texts that pass and texts that fail, turned around where the check says `not`.
fn check(kind: &CheckKind, pass: &[&str], fail: &[&str]) {
    for (texts, passes) in [(pass, true), (fail, false)] {
        for text in texts {
            for not in [false, true] {
                let asked = ask(CheckSpec { not, ..spec("it", None, kind.clone()) }, text);
                let result = asked.unwrap_or_else(|| panic!("{kind:?} is not asked of {text}"));
                assert_eq!(result.passed, passes != not, "{kind:?} not: {not}, of {text}: {result:?}");
                assert_eq!(result.reason.is_none(), result.passed, "{kind:?}: {result:?}");
            }
        }
    }
}

#[test]
fn text() {
    check(&CheckKind::Equals(json!("a")), &["a"], &["A", "", "ab"]);
    check(&CheckKind::IContainsAll(vec!["ÄB".into(), "c".into()]), &["xäbC"], &["ab c", ""]);
    check(&CheckKind::IContainsAny(vec!["ÄB".into(), "q".into()]), &["xäb", "Q"], &["ab", ""]);
    check(&CheckKind::StartsWith("Dear".into()), &["Dear", "Dear A"], &["dear", " Dear"]);
    check(&CheckKind::EndsWith(".".into()), &["Yes.", "."], &["Yes", "Yes. "]);
    check(&CheckKind::Case(LetterCase::Upper), &["ÄB 1", "1"], &["Äb"]);
    check(&CheckKind::Case(LetterCase::Lower), &["äb 1", ""], &["äB"]);
    check(&CheckKind::NotEmpty, &["a"], &["", " \n"]);
    check(&CheckKind::Levenshtein { like: "kitten".into(), max: 3 }, &["sitting", "kitten"], &["dog", ""]);
    let length = |unit| CheckKind::Length { min: Some(2), max: Some(2), unit };
    check(&length(LengthUnit::Sentences), &["One. Two."], &["One.", "One. Two. Three."]);
    check(&length(LengthUnit::Tokens), &["12345678"], &["1234", "123456789"]);
}

#[test]
fn forms() {
    let schema = Arc::new(Schema::compile(json!({ "type": "object", "required": ["a"] })).unwrap());
    check(&CheckKind::Url, &["https://a.example/b?c"], &["a.example", "see https://a.example"]);
    check(&CheckKind::Date, &["2024-02-29", "2024-02-29T10:00:00Z"], &["2023-02-29", "today"]);
    check(&CheckKind::IsJson(None), &["{}", "[1]", "\"a\""], &["{", "a"]);
    check(&CheckKind::IsJson(Some(schema.clone())), &["{\"a\":1}"], &["{}", "[1]", "a"]);
    check(&CheckKind::ContainsJson(None), &["so: {\"a\":1}."], &["none"]);
    check(&CheckKind::ContainsJson(Some(schema)), &["{\"b\":1} {\"a\":1}"], &["{\"b\":1}", "none"]);
    check(&CheckKind::Is(Markup::Xml), &["<a/>"], &["<a>", "a"]);
    check(&CheckKind::Has(Markup::Xml), &["so: <a/>"], &["a < b"]);
    check(&CheckKind::Is(Markup::Html), &["<p>a</p>"], &["a", "a <b>c</b>"]);
    check(&CheckKind::Has(Markup::Html), &["a <b>c</b>"], &["a"]);
    check(&CheckKind::Is(Markup::Sql), &["SELECT a FROM t"], &["SELEC a", ""]);
    check(&CheckKind::Has(Markup::Sql), &["so:\n```sql\nSELECT a FROM t\n```"], &["so it is"]);
}

#[test]
fn what_models_do_wrong() {
    check(&CheckKind::Refusal, &["I'm sorry, I can't help with that.", ""], &["Here it is."]);
    check(&CheckKind::Repetition(0.2), &["a b c d", SOURCE], &[&"we went on and on ".repeat(9)]);
    check(&CheckKind::NoLoop, &[SOURCE], &[&"we need to check. ".repeat(9)]);
    check(&CheckKind::NumbersInSource, &["Born in 1867, two prizes, 2 of them.", "none"], &["Born in 1876."]);
    check(&CheckKind::NamesInSource, &["There Curie lived, in Warsaw.", "none"], &["There Curie lived, in Paris."]);
    let english = CheckKind::Language(vec!["eng".into()]);
    check(
        &english,
        &["The parcel was handed to the neighbour yesterday evening."],
        &["Ihr Paket wurde beim Nachbarn abgegeben und sollte inzwischen dort sein."],
    );
    assert_eq!(ask(spec("it", None, english), "OK"), None, "too short to tell");
}

#[test]
fn a_share_that_was_found_is_the_score_and_the_threshold_decides() {
    let parts = vec!["one".into(), "two".into(), "three".into(), "four".into()];
    let asked = |threshold, not| {
        let spec = spec("it", None, CheckKind::ContainsAll(parts.clone()));
        ask(CheckSpec { threshold, not, ..spec }, "one two three").unwrap()
    };
    assert_eq!((asked(1.0, false).passed, asked(1.0, false).score), (false, Some(0.75)));
    assert_eq!((asked(0.75, false).passed, asked(0.75, false).reason), (true, None));
    assert!(!asked(0.75, true).passed, "turned around");
    assert!(asked(1.0, true).passed, "turned around");
    let numbers = ask(spec("it", None, CheckKind::NumbersInSource), "1867, 1868").unwrap();
    assert_eq!((numbers.passed, numbers.score), (false, Some(0.5)));
    assert_eq!(numbers.reason.as_deref(), Some("the number “1868” does not stand in the input"));
}

fn contains(part: &str, weight: f64) -> CheckSpec {
    CheckSpec { weight, ..spec(part, None, CheckKind::ContainsAll(vec![part.into()])) }
}

#[test]
fn groups() {
    let all = CheckKind::All(vec![contains("a", 1.0), contains("b", 3.0), contains("c", 0.0)]);
    check(&all, &["ab", "abc"], &["a", "b", ""]);
    let any = CheckKind::Any(vec![contains("a", 1.0), contains("b", 1.0)]);
    check(&any, &["a", "b"], &["", "c"]);
    let nested = CheckKind::All(vec![spec("any", None, any.clone()), CheckSpec { not: true, ..contains("c", 1.0) }]);
    check(&nested, &["a"], &["ac", "x"]);
    let scored = |text: &str, threshold| ask(CheckSpec { threshold, ..spec("it", None, all.clone()) }, text).unwrap();
    assert_eq!((scored("b", 0.75).passed, scored("b", 0.75).score), (true, Some(0.75)));
    assert_eq!(scored("a", 0.75).reason.as_deref(), Some("b: “a” does not contain \"b\""));
    let none = ask(spec("it", None, any), "x").unwrap().reason;
    assert_eq!(none.as_deref(), Some("none passes: a: “x” does not contain \"a\"; b: “x” does not contain \"b\""));
}

#[test]
fn invariants_across_fields() {
    let cel = |source: &str| CheckKind::Cel(Arc::new(Expression::compile(source).unwrap()));
    let asked = |source: &str, content| {
        let mut plan = plan(IntentKind::Extraction, Some(json!({})), vec![spec("it", None, cel(source))]);
        plan.privacy.store = if content { StoreContent::Full } else { StoreContent::Nothing };
        let output = json!({ "net": 100, "tax": 19, "total": 119, "of": "SECRET" });
        Checks::compile(&plan).judge_output(&output, &json!({ "n": 1 })).pop().unwrap().reason
    };
    assert_eq!(asked("output.net + output.tax == output.total && input.n == 1", true), None);
    assert_eq!(asked("output.net > output.total", true).as_deref(), Some("output.net > output.total is false"));
    assert_eq!(
        asked("output.lost > 1", true).as_deref(),
        Some("output.lost > 1 cannot be evaluated: No such key: lost")
    );
    let hidden = asked("output.of + 1 > 0", false).unwrap();
    assert!(!hidden.contains("SECRET"), "{hidden}");
}

#[test]
fn what_nobody_knows_is_not_asked() {
    let labels = IntentKind::Classification(vec![("bug".into(), String::new()), ("idea".into(), String::new())]);
    let specs = vec![
        spec("finish-reason", None, CheckKind::FinishReason(vec!["stop".into()])),
        spec("label-margin", None, CheckKind::LabelMargin(0.3)),
        spec("all", None, CheckKind::All(vec![spec("in", None, CheckKind::LabelMargin(0.3))])),
    ];
    let checks = Checks::compile(&plan(labels, None, specs));
    assert!(checks.need_probabilities());
    let said = |finish_reason, tokens: &[TokenProbability]| {
        let given = Given { finish_reason, tokens, ..Given::text("bug", Finish::Complete) };
        let results = checks.judge_given(&given, &json!({})).checks;
        results[2..].iter().map(|result| (result.check.clone(), result.passed)).collect::<Vec<_>>()
    };
    let token = |p: f64| {
        let top = vec![("bug".to_owned(), p.ln()), ("idea".to_owned(), (1.0 - p).ln())];
        [TokenProbability { token: "bug".into(), logprob: p.ln(), top }]
    };
    assert_eq!(said(None, &[]), []);
    assert_eq!(said(Some("STOP"), &[]), [("finish-reason".to_owned(), true)]);
    let [sure, unsure] = [token(0.9), token(0.6)].map(|tokens| said(Some("end"), &tokens));
    assert_eq!(sure, [("finish-reason".into(), false), ("label-margin".into(), true), ("all".into(), true)]);
    assert_eq!(unsure, [("finish-reason".into(), false), ("label-margin".into(), false), ("all".into(), false)]);
}

#[test]
fn kinds_that_are_asked_of_a_value_take_it_as_it_is() {
    let asked = |kind: CheckKind, value: Value| {
        let schema = json!({ "properties": { "v": {} } });
        let checks = Checks::compile(&plan(IntentKind::Extraction, Some(schema), vec![spec("it", Some("/v"), kind)]));
        checks.judge_output(&json!({ "v": value }), &json!({})).pop().unwrap().passed
    };
    assert!(asked(CheckKind::Equals(json!({ "a": [1, 2.0] })), json!({ "a": [1.0, 2] })));
    assert!(!asked(CheckKind::Equals(json!(1)), json!("1")));
    assert!(asked(CheckKind::IsJson(None), json!({ "a": 1 })), "structured output is JSON");
}
