//! Whatever the text: no panic, nothing made up, and JSON is read as JSON.

use baton_config::{CheckKind, IntentKind};
use baton_eval::{Checks, Finish};
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

proptest! {
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
