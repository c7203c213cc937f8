//! `privacy.store = "redacted"`: what is stored has marks for personal data; the caller's answer has none.

use baton_core::{ErrorCode, Via};
use baton_engine::{Call, check_output, idempotency, kept_comment};
use serde_json::{Value, json};

use crate::house::{House, Open, SORT, WRITE, sort, write};
use crate::models::Says;

const REDACTED: &str = "[privacy]\nstore = \"redacted\"\n";
const MAIL: &str = "ana@mail.example.org";

fn topic(topic: &str) -> Call {
    Call { stream: false, ..write(topic) }
}

fn journal(house: &Open) -> String {
    format!("{:#?}", house.entries())
}

#[tokio::test(start_paused = true)]
async fn the_caller_gets_what_the_journal_does_not_hold() {
    let house = House::write(&format!("{WRITE}{REDACTED}")).open();
    let text = format!("Dear {MAIL}, call +49 30 1234567.");
    house.models.say("a", &[Says::Text(0, Box::leak(text.clone().into_boxed_str())), Says::Text(0, "Dear you.")]);
    let keyed = |call: Call| Call { idempotency: Some(idempotency("k", b"body").unwrap()), ..call };
    let delivered = house.execute(keyed(topic(&format!("{MAIL} and b@x.org")))).await.unwrap();
    assert_eq!(delivered.answer.output, json!({ "text": text }));
    let record = &house.records()[0];
    assert_eq!(record.input, Some(json!({ "topic": "[email-1] and [email-2]" })));
    assert_eq!(record.output, Some(json!({ "text": "Dear [email-1], call [phone-1]." })));
    assert!(record.redacted);
    assert_eq!(record.idempotency, None, "the record alone could not tell it again");
    let again = house.execute(keyed(topic(&format!("{MAIL} and b@x.org")))).await.unwrap();
    assert_eq!(again.answer.output, json!({ "text": text }), "while the process remembers");
    assert!(!journal(&house).contains(MAIL), "{}", journal(&house));
}

/// The cache gives only what it may keep as it is; what was asked is a hash there.
#[tokio::test(start_paused = true)]
async fn answers_are_remembered_where_nothing_of_them_is_replaced() {
    let house = House::write(&format!("{WRITE}{REDACTED}")).open();
    let via = |input: &'static str| async { house.execute(topic(input)).await.unwrap().answer.via };
    house.models.say("a", &[Says::Text(0, "it is b@x.org"), Says::Text(0, "it is b@x.org"), Says::Text(0, "yes")]);
    assert_eq!((via("whose is it").await, via("whose is it").await), (Via::Model, Via::Model));
    assert_eq!((via("of a@x.org").await, via("of a@x.org").await), (Via::Model, Via::CacheExact));
    let records = house.records();
    assert_eq!(records[3].input, Some(json!({ "topic": "of [email-1]" })));
    assert_eq!(records.iter().map(|record| record.redacted).collect::<Vec<_>>(), [true; 4]);
}

#[tokio::test(start_paused = true)]
async fn what_a_gate_held_back_is_stored_so_too() {
    let gate = "[[checks]]\ntype = \"contains\"\nvalue = \"@\"\nnot = true\non_fail = \"gate\"\n";
    let house = House::write(&format!("{WRITE}[review]\nper_day = 100\n{gate}{REDACTED}")).open();
    house.models.say("a", &[Says::Text(0, "write to ana@mail.example.org")]);
    house.models.say("b", &[Says::Text(0, "write to us")]);
    let mut held_back = Vec::new();
    for n in 0..200 {
        assert_eq!(house.execute(topic(&n.to_string())).await.unwrap().answer.output, json!({ "text": "write to us" }));
    }
    for record in house.records() {
        held_back.extend(record.review.and_then(|draw| draw.rejected?.output));
    }
    assert!(held_back.iter().all(|output| *output == json!({ "text": "write to [email-1]" })), "{held_back:?}");
    assert!(!held_back.is_empty(), "none was drawn");
    assert!(
        !journal(&house).contains(MAIL),
        "{}",
        journal(&house).lines().find(|line| line.contains(MAIL)).unwrap_or("?")
    );
}

#[test]
fn a_correction_is_in_the_marks_of_the_record() {
    let snapshot = House::sort(&format!("{SORT}{REDACTED}")).with("intents/read/intent.toml", REDACTED_READ);
    let snapshot = snapshot
        .with("intents/read/output.schema.json", MAIL_SCHEMA)
        .with("intents/read/prompt.md", "## user\n{{ text }}\n");
    let plans = snapshot.snapshot().intents;
    let plan = &plans[&"read".into()];
    check_output(plan, "correction", &json!({ "from": "[email-2]" })).unwrap();
    let refused = check_output(plan, "finalOutput", &json!({ "from": MAIL })).unwrap_err();
    assert_eq!((refused.code, refused.param.as_deref()), (ErrorCode::InputInvalid, Some("/finalOutput")));
    assert!(refused.message.contains("(email)") && !refused.message.contains(MAIL), "{}", refused.message);
    assert_eq!(kept_comment(Some(plan), format!("ask {MAIL}")), "ask [email-1]");
    assert_eq!(kept_comment(None, format!("ask {MAIL}")), format!("ask {MAIL}"));
}

const REDACTED_READ: &str = "models = [\"a\"]\n[privacy]\nstore = \"redacted\"\n";
const MAIL_SCHEMA: &str =
    r#"{ "type": "object", "properties": { "from": { "type": "string" } }, "required": ["from"] }"#;

/// `local` learns from what is stored, and so reads what would be.
#[tokio::test(start_paused = true)]
async fn local_reads_what_is_stored() {
    let line = |input: &str, label: &str| json!({ "input": { "ticket": input }, "expected": { "label": label } });
    let cases: Vec<Value> = (0..20)
        .flat_map(|n| [line(&format!("u{n}@x.org"), "billing"), line(&format!("it crashes {n}"), "bug")])
        .collect();
    let cases: String = cases.iter().map(|case| format!("{case}\n")).collect();
    let policy = format!("{}[local]\ncut = 0\n{REDACTED}", SORT.replace("[\"a\", \"b\"]", "[\"local\"]"));
    let house = House::sort(&policy).with("intents/sort/cases.jsonl", &cases).open();
    let sure = |mail: &'static str| async {
        let answer = house.execute(sort(mail)).await.unwrap();
        (answer.answer.output.clone(), answer.answer.reason.clone())
    };
    assert_eq!(sure("someone.else@other.example").await, sure("u1@x.org").await, "to it they are the same");
}
