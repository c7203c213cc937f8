//! What stands in the source, and what only looks as if it did.

use baton_config::CheckKind;
use baton_eval::Checks;
use serde_json::{Value, json};

use crate::plan::{check as spec, plan};

fn reason(value: Value, source: &Value) -> Option<String> {
    let schema = json!({ "properties": { "v": {} } });
    let span = spec("span-in-source", None, CheckKind::SpanInSource(vec!["/v".into()]));
    let checks = Checks::compile(&plan(baton_config::IntentKind::Extraction, Some(schema), vec![span]));
    checks.judge_output(&json!({ "v": value }), source).pop().unwrap().reason
}

#[test]
fn numbers_stand_there_literally() {
    let check = |value: Value, text: &str, found: bool| {
        assert_eq!(reason(value.clone(), &json!({ "text": text })).is_none(), found, "{value} in {text}");
    };
    for (value, text, found) in [
        ("9.00", "TOTAL 9.00", true),
        ("9.00", "TOTAL:9.00 RM", true),
        ("9.00", "TOTAL RM9.00.", true),
        ("9.00", "TOTAL 19.00", false),
        ("9.00", "TOTAL 9.001", false),
        ("9.00", "TOTAL 9", false),
        ("9.00", "TOTAL 9,00", false),
        ("9.00", "TOTAL 1.9.00", false),
        ("9.00", "TOTAL 9 00", false),
        ("9", "TOTAL 9.00", false),
        ("RM9.00", "TOTAL 9.00", true),
        ("RM 9.00", "TOTAL 9.00", true),
        ("$9.00", "TOTAL 9.00", true),
        ("9.00 EUR", "TOTAL 9.00", true),
        ("10%", "10 % off", true),
        ("A9.00", "TOTAL 9.00", false),
        ("1234.50", "TOTAL 1,234.50", true),
        ("1,234.50", "TOTAL 1234.50", true),
        ("1,23", "TOTAL 123", false),
        ("-5.59", "DISC -5.59", true),
        ("-5.59", "DISC -RM 5.59", true),
        ("-5.59", "DISC 5.59", false),
        ("5.59", "DISC -5.59", true),
        ("25/12/2018", "DATE 25/12/2018 8:13", true),
        ("25/12/2018", "DATE 25/12/2018-08:13", true),
        ("25/12/2018", "DATE 25-12-2018", false),
        ("25/12/2018", "DATE 125/12/2018", false),
        ("12/2018", "DATE 25/12/2018", false),
        ("25/12/2018 08:13", "DATE 25/12/2018\n08:13", true),
        ("25/12/2018 08:14", "DATE 25/12/2018\n08:13", false),
        ("-", "a - b", true),
        ("-", "a b", false),
        ("", "a", true),
    ] {
        check(json!(value), text, found);
    }
    // A number of JSON has no spelling of its own.
    check(json!(9.0), "TOTAL 9.00", true);
    check(json!(9), "TOTAL 9.00", true);
    check(json!(9), "TOTAL 09", true);
    check(json!(9), "TOTAL 19.00", false);
    check(json!(9.5), "TOTAL 9,50", true);
    check(json!(1234), "TOTAL 1,234", true);
    check(json!(1.234), "TOTAL 1,234", true);
    check(json!(1234.5), "TOTAL 1.234,50", true);
    check(json!(1234.5), "TOTAL 1,234.50", true);
    check(json!(-5.59), "DISC (5.59)", true);
    check(json!(-5.59), "DISC 5.59", false);
    check(json!(0), "TOTAL 0.00", true);
    check(json!(0), "TOTAL 10", false);
}

#[test]
fn text_stands_there_word_by_word() {
    let shop = "TAN WOON YANN\nBOOK TA .K(TAMAN DAYA) SDN BND\nNO.53 55,57 & 59, JALAN SAGU 18,\nTAMAN DAYA,\n\
                81100 JOHOR BAHRU,\nJOHOR.\nDATE: 19 MAR 2018\nTIME LESS KITCHENETTE\n3 PCS ITEM 18\nCAFÉ MÜLLER";
    let check = |value: &str, found: bool| {
        let reason = reason(json!(value), &json!({ "text": shop }));
        assert_eq!(reason.is_none(), found, "{value}: {reason:?}");
    };
    check("Book Ta K (Taman Daya) Sdn Bnd", true);
    check("BOOK TA .K (TAMAN DAYA) SDN BHD", true);
    check("BOOK TA .K (TAMAN SETIA) SDN BHD", false);
    check("BOOKS ARE US SDN BHD", false);
    check("JALAN SAGU 18, TAMAN DAYA, 81100 JOHOR BAHRU, JOHOR", true);
    check("JALAN SAGU 18, TAMAN DAYA, 81101 JOHOR BAHRU, JOHOR", false);
    check("JALAN SAGU 19, TAMAN DAYA", false);
    // The number stands in the text, but not there.
    check("NO.53 55,57 & 59, JALAN SAGU 3, TAMAN DAYA", false);
    // A word of the text is one word: it cannot stand in for another one too.
    check("NO.53 55,57 & 59, NO SAGU 18, TAMAN DAYA", false);
    check("BOOK TA .K (TAMAN DAYA) SDN SDN", false);
    check("TAMAN DAYA TAMAN DAYA JOHOR BAHRU JOHOR", true);
    // OCR parts and joins words, and misreads a letter.
    check("TIMELESS KITCHENETTE", true);
    check("TIMELESS KITCHENETTES", false);
    check("BY TIMELESS KITCHENETTE", false);
    check("JALAN SAGU 18, TAMAN DAYAH, 81100 JOHOR BAHRU", true);
    // A month is not a misread month.
    check("19 MAR 2018", true);
    check("19 MAY 2018", false);
    check("MAY 2018", false);
    // All words are there, from all over the place.
    check("DATE BOOK JOHOR ITEM NO TAN", false);
    check("café müller", true);
    check("Cafe\u{301} Müller", false);
}

#[test]
fn all_leaves_of_the_value_are_looked_for_in_all_leaves_of_the_input() {
    let source = json!({ "lines": [{ "item": "Blue lamp", "price": 55.9 }, { "item": "Card" }], "shop": "Indah Gift" });
    assert_eq!(reason(json!(["Blue lamp", "Card"]), &source), None);
    assert_eq!(reason(json!({ "shop": "INDAH GIFT", "price": "55.9", "paid": null }), &source), None);
    assert_eq!(
        reason(json!(["Blue lamp", "Red lamp"]), &source).unwrap(),
        "/v: “Red lamp” has the word “red”, which the input does not have there"
    );
    assert_eq!(reason(json!(56.9), &source).unwrap(), "/v: “56.9” does not stand in the input literally");
    // The names of fields are not what the input says.
    assert!(reason(json!("price"), &source).is_some());
    assert!(reason(json!(true), &json!({ "a": true })).is_some());
}

#[test]
fn scripts_without_spaces_are_compared_sign_by_sign() {
    let source = json!("合計金額は東京駅前店で支払いました");
    assert_eq!(reason(json!("東京駅前店"), &source), None);
    assert!(reason(json!("大阪駅前店"), &source).is_some());
}

#[test]
fn several_fields_are_named_together() {
    let span = CheckKind::SpanInSource(vec!["/a".into(), "/b".into(), "/c".into()]);
    let schema = json!({ "properties": { "a": {}, "b": {}, "c": {} } });
    let checks = Checks::compile(&plan(
        baton_config::IntentKind::Extraction,
        Some(schema),
        vec![spec("span-in-source", None, span)],
    ));
    let reason = |output: Value| checks.judge_output(&output, &json!("here")).pop().unwrap().reason;
    assert_eq!(reason(json!({ "a": "here" })), None);
    let wrong = reason(json!({ "a": "here", "b": "1.00", "c": "gone" })).unwrap();
    assert_eq!(wrong, "/b: “1.00” does not stand in the input literally (and 1 more)");
}

#[test]
fn long_values_are_refused_rather_than_searched_forever() {
    let check = |value: String, source: String| {
        let reason = reason(json!(value), &json!(source)).unwrap();
        assert!(reason.ends_with("is too long to be looked for in this input"), "{reason}");
    };
    check("word ".repeat(600), "word ".repeat(600));
    check("a ".repeat(400) + "b", "a ".repeat(100_000));
}
