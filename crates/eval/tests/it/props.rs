//! Whatever the text: no panic, nothing made up, and JSON is read as JSON.

use std::sync::LazyLock;

use baton_config::{CheckKind, Expression, IntentKind, LetterCase, Markup};
use baton_eval::{Assertion, Checks, Facts, Finish, PROMPTFOO_TYPES};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::plan::{check, plan, receipt};

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-1e9..1e9f64).prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map(any::<String>(), inner, 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect()))
        ]
    })
}

fn any_object() -> impl Strategy<Value = Value> {
    proptest::collection::btree_map("[a-z]{1,3}", any_json(), 1..4)
        .prop_map(|fields| Value::Object(fields.into_iter().collect()))
}

fn fields() -> Checks {
    Checks::compile(&plan(IntentKind::Extraction, Some(json!({})), vec![]))
}

/// Whether `part` could be `whole` with something left out at its end.
fn is_start_of(part: &Value, whole: &Value) -> bool {
    match (part, whole) {
        (Value::Array(part), Value::Array(whole)) => {
            part.len() <= whole.len() && part.iter().zip(whole).all(|(p, w)| is_start_of(p, w))
        }
        (Value::Object(part), Value::Object(whole)) => {
            part.iter().all(|(name, p)| whole.get(name).is_some_and(|w| is_start_of(p, w)))
        }
        _ => part == whole,
    }
}

/// Every kind that looks at text by rules of its own.
fn every_kind() -> Vec<CheckKind> {
    let cel = |source: &str| CheckKind::Cel(std::sync::Arc::new(Expression::compile(source).unwrap()));
    let mut kinds = vec![
        CheckKind::Equals(json!("a")),
        CheckKind::IContainsAll(vec!["a".into()]),
        CheckKind::Case(LetterCase::Upper),
        CheckKind::NotEmpty,
        CheckKind::Url,
        CheckKind::Date,
        CheckKind::IsJson(None),
        CheckKind::ContainsJson(None),
        CheckKind::Refusal,
        CheckKind::Language(vec!["eng".into()]),
        CheckKind::NoLoop,
        CheckKind::Repetition(0.5),
        CheckKind::Levenshtein { like: "kitten".into(), max: 3 },
        CheckKind::NumbersInSource,
        CheckKind::NamesInSource,
        cel("size(output.text) > 3 && output.text.contains('a')"),
    ];
    for markup in [Markup::Xml, Markup::Html, Markup::Sql] {
        kinds.extend([CheckKind::Is(markup), CheckKind::Has(markup)]);
    }
    kinds
}

static EVERY_KIND: LazyLock<Checks> = LazyLock::new(|| {
    let specs: Vec<_> = every_kind().into_iter().map(|kind| check("it", None, kind)).collect();
    let all = check("all", None, CheckKind::All(specs.clone()));
    Checks::compile(&plan(IntentKind::Generation, None, [specs, vec![all]].concat()))
});

/// Text of the marks that forms are made of.
const MARKS: &str = "([<>/!?&;#='\"a-zA-Z0-9 .,:{}()\\[\\]`~*\n-]|<p>|</p>|<!--|-->|```sql\n|SELECT |FROM |https://|é|日|\u{2019}){0,60}";

proptest! {
    #[test]
    fn no_text_makes_a_kind_panic(text in MARKS, other in any::<String>(), source in MARKS) {
        let checks = &*EVERY_KIND;
        for text in [text, other] {
            for result in checks.judge(&text, &json!(source), Finish::Complete).checks {
                prop_assert_eq!(result.passed, result.reason.is_none());
                prop_assert!(result.reason.is_none_or(|reason| reason.chars().count() <= 200));
                prop_assert!(result.score.is_none_or(|score| score > 0.0 && score < 1.0));
            }
        }
    }

    #[test]
    fn no_assertion_makes_it_panic(kind in proptest::sample::select(&PROMPTFOO_TYPES[..]), not in any::<bool>(), value in any_json(), pattern in MARKS, output in any_json()) {
        let name = if not { format!("not-{kind}") } else { kind.to_owned() };
        for value in [value, json!(pattern)] {
            let assertion = json!({ "type": name, "value": value.clone(), "threshold": 0.5, "assert": [value] });
            if let Ok(assertion) = Assertion::read(&assertion, &|text| Ok(text.to_owned()))
                && let Ok(grade) = assertion.grade(&Facts::of(&output))
            {
                prop_assert!((0.0..=1.0).contains(&grade.score), "{:?}", grade);
                prop_assert!(grade.pass == grade.reason.is_empty(), "{:?}", grade);
            }
        }
    }

    #[test]
    fn json_is_read_as_json(object in any_object(), pretty in any::<bool>()) {
        let text = if pretty { serde_json::to_string_pretty(&object) } else { serde_json::to_string(&object) }.unwrap();
        let read: Value = serde_json::from_str(&text).unwrap();
        let judged = fields().judge(&text, &json!({}), Finish::Complete);
        prop_assert_eq!(judged.output, Some(read));
        prop_assert!(judged.repairs.is_empty());
    }

    #[test]
    fn a_cut_object_is_no_object_or_at_most_its_start(object in any_object(), cut in any::<proptest::sample::Index>()) {
        let text = object.to_string();
        let ends: Vec<_> = text.char_indices().map(|(at, _)| at).collect();
        let part = &text[..ends[cut.index(ends.len())]];
        let judged = fields().judge(part, &json!({}), Finish::Truncated);
        prop_assert!(judged.checks.iter().any(|c| c.check == "finish" && !c.passed));
        if let Some(mended) = fields().judge(part, &json!({}), Finish::Complete).output {
            prop_assert!(is_start_of(&mended, &object), "{} became {}", part, mended);
        }
    }

    #[test]
    fn no_text_makes_it_panic(text in "[{}\\[\\]\"'`:,a-z0-9é\\\\ .\n-]{0,80}", source in any::<String>()) {
        let spans = CheckKind::SpanInSource(vec!["/company".into(), "/date".into(), "/total".into()]);
        let checks = Checks::compile(&receipt(vec![check("span-in-source", None, spans)]));
        for finish in [Finish::Complete, Finish::Truncated] {
            let judged = checks.judge(&text, &json!(source), finish);
            for check in &judged.checks {
                prop_assert!(check.reason.as_ref().is_none_or(|reason| reason.chars().count() <= 200));
            }
        }
    }

    #[test]
    fn what_was_copied_from_the_source_is_found(words in proptest::collection::vec("[a-zé]{1,8}|[0-9]{1,4}", 3..40), from in any::<proptest::sample::Index>(), length in 1usize..20) {
        let source = words.join(" ");
        let from = from.index(words.len());
        let copied = words[from..(from + length).min(words.len())].join(", ").to_uppercase();
        let spans = CheckKind::SpanInSource(vec!["/company".into()]);
        let checks = Checks::compile(&receipt(vec![check("span-in-source", None, spans)]));
        let result = checks.judge_output(&json!({ "company": copied }), &json!(source)).pop().unwrap();
        prop_assert!(result.passed, "{:?} in {:?}: {:?}", copied, source, result.reason);
    }

    #[test]
    fn what_has_no_word_in_common_with_the_source_is_not(source in "[a-m ]{0,80}", value in "[n-z]{3,9}( [n-z]{3,9}){0,4}") {
        let spans = CheckKind::SpanInSource(vec!["/company".into()]);
        let checks = Checks::compile(&receipt(vec![check("span-in-source", None, spans)]));
        let result = checks.judge_output(&json!({ "company": value }), &json!(source)).pop().unwrap();
        prop_assert!(!result.passed);
    }
}
