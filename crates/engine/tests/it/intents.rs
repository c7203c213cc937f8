//! One call of each kind of intent, and what happens when a model does not do.

use baton_core::{AttemptKind, AttemptOutcome, ErrorCode, NanoUsd, Via};
use baton_engine::Call;
use baton_store::{Feedback, FeedbackKind};
use serde_json::json;

use crate::house::{House, SORT, WRITE, of_customer, of_team, sort, within, write};
use crate::models::Says;

const FIELDS: &str = r#"{"type":"object","properties":{"company":{"type":"string"},"total":{"type":"string"}},
    "required":["company","total"],"additionalProperties":false}"#;
const PULL: &str = r#"
models = ["a", "b"]
[[checks]]
type = "span-in-source"
fields = ["company", "total"]
on_fail = "gate"
"#;

fn pull() -> House {
    House::sort(SORT)
        .with("intents/pull/intent.toml", PULL)
        .with("intents/pull/output.schema.json", FIELDS)
        .with("intents/pull/prompt.md", "## user\n\n{{ document }}\n")
}

fn receipt() -> Call {
    Call::intent("pull", json!({ "document": "ACME Stores\nTotal 12.50" }))
}

#[tokio::test(start_paused = true)]
async fn a_classification_is_a_label() {
    let house = House::sort(SORT).open();
    house.models.say("a", &[Says::Text(30, "billing")]);
    let delivered = house.execute(sort("I paid twice")).await.unwrap();
    let answer = &delivered.answer;
    assert_eq!((&answer.output, answer.via), (&json!({ "label": "billing" }), Via::Model));
    // 100 tokens at 1 dollar a million, 10 at 2.
    assert_eq!(answer.cost_usd.as_deref(), Some("0.00012"));
    assert!(answer.quality.score.is_none() && answer.quality.needed > Some(0), "nothing is calibrated yet");
    assert!(house.models.asked()[0].prompt.contains("I paid twice"));
    let [record] = &house.records()[..] else { panic!("one record") };
    assert_eq!((record.cost, record.duration_us), (NanoUsd(120_000), 30_000));
    assert_eq!(record.execution, answer.execution_id);
    assert_eq!(record.attempts[0].kind, AttemptKind::Primary);
}

#[tokio::test(start_paused = true)]
async fn an_extraction_is_its_fields_and_an_invention_falls_back() {
    let house = pull().open();
    house.models.say("a", &[Says::Text(10, r#"{"company":"ACME Stores","total":"99.99"}"#)]);
    house.models.say("b", &[Says::Text(10, "```json\n{\"company\":\"ACME Stores\",\"total\":\"12.50\"}\n```")]);
    let delivered = house.execute(receipt()).await.unwrap();
    assert_eq!(delivered.answer.output, json!({ "company": "ACME Stores", "total": "12.50" }));
    assert_eq!(delivered.answer.repairs, ["fenced"]);
    let outcomes: Vec<_> = delivered.answer.attempts.iter().map(|attempt| attempt.outcome).collect();
    assert_eq!(outcomes, [AttemptOutcome::BadAnswer, AttemptOutcome::Passed]);
    let why = delivered.answer.reason.as_deref().unwrap();
    assert!(why.contains("span-in-source"), "{why}");
    assert_eq!(delivered.answer.cost_usd.as_deref(), Some("0.00024"), "both are paid");
}

#[tokio::test(start_paused = true)]
async fn a_generation_is_a_text() {
    let house = House::write(WRITE).open();
    house.models.say("a", &[Says::Text(5, "Dear all")]);
    let unary = Call { stream: false, ..write("greetings") };
    assert_eq!(house.told(unary).await, Ok((json!({ "text": "Dear all" }), Via::Model)));
}

#[tokio::test(start_paused = true)]
async fn an_outage_falls_back_and_says_so() {
    let house = House::sort(SORT).open();
    house.models.say("a", &[Says::Status(5, 401)]);
    house.models.say("b", &[Says::Text(5, "bug")]);
    let delivered = house.execute(sort("It crashes")).await.unwrap();
    assert_eq!(delivered.answer.output, json!({ "label": "bug" }));
    assert!(delivered.answer.reason.as_deref().unwrap().contains("sim/a hard down"));
    // A lane that is hard down is not asked again while its breaker is open, and costs no time.
    let second = house.execute(sort("It crashes again")).await.unwrap();
    assert_eq!(second.answer.attempts[0].outcome, AttemptOutcome::BreakerOpen);
    assert_eq!(house.models.order(), ["a", "b", "b"]);
    assert_eq!(house.records()[1].duration_us, 5000);
}

#[tokio::test(start_paused = true)]
async fn a_callers_fault_is_told_at_once() {
    let house = House::sort(&format!("on_exhausted = {{ default = {{ label = \"nobody\" }} }}\n{SORT}")).open();
    house.models.say("a", &[Says::Status(5, 400)]);
    let error = house.execute(sort("?")).await.unwrap_err();
    assert_eq!(error.failure.code, ErrorCode::UpstreamRejected);
    assert_eq!(house.models.order(), ["a"], "neither again nor the next");
}

#[tokio::test(start_paused = true)]
async fn local_abstains_and_the_next_candidate_answers() {
    let cases: String = (0..12)
        .map(|n| {
            let (text, label) = [("refund the payment", "billing"), ("it crashes at once", "bug")][n % 2];
            json!({ "input": { "ticket": format!("{text} {n}") }, "expected": { "label": label }, "share": "examples" })
                .to_string()
                + "\n"
        })
        .collect();
    let policy =
        "models = [\"local\", \"a\"]\n[labels]\nbilling = \"money\"\nbug = \"broken\"\n[local]\ncut = 0.999999\n";
    let house = House::sort(policy).with("intents/sort/cases.jsonl", &cases).open();
    house.models.say("a", &[Says::Text(5, "billing")]);
    let unsure = house.execute(sort("good morning")).await.unwrap();
    assert_eq!(unsure.answer.model.as_ref().unwrap().as_str(), "sim/a");
    let why = unsure.answer.reason.as_deref().unwrap();
    assert!(why.starts_with("local abstained: 0.") && why.ends_with("< 1.00"), "{why}");

    let sure = House::sort(&policy.replace("0.999999", "0.0")).with("intents/sort/cases.jsonl", &cases).open();
    let answered = sure.execute(sort("refund the payment, please")).await.unwrap();
    assert_eq!(answered.answer.output, json!({ "label": "billing" }));
    assert_eq!(answered.answer.cost_usd.as_deref(), Some("0"));
    assert!(!answered.answer.simulated && sure.models.asked().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_call_that_asks_for_too_much_is_refused_by_name() {
    let house =
        House::sort(&SORT.replace("[cache]", "[objective]\nlatency_ms = 2000\n[retry]\nmax = 1\n[cache]")).open();
    for (config, field) in [
        (json!({ "maxLatencyMs": 2001 }), "/config/maxLatencyMs"),
        (json!({ "retries": 2 }), "/config/retries"),
        (json!({ "cacheTTL": 11 }), "/config/cacheTTL"),
        (json!({ "primaryModel": "o9" }), "/config/primaryModel"),
    ] {
        let error = house.execute(within(sort("x"), config)).await.unwrap_err();
        assert_eq!(error.failure.code, ErrorCode::OverrideNotPermitted);
        assert_eq!(error.failure.param.as_deref(), Some(field));
    }
    assert!(house.models.asked().is_empty());
    assert_eq!(house.records().len(), 4, "refusals are recorded too");
}

#[tokio::test(start_paused = true)]
async fn no_answer_after_the_deadline() {
    let house = House::sort(SORT).open();
    house.models.say("a", &[Says::Hangs]);
    house.models.say("b", &[Says::Text(70, "bug")]);
    // 60 ms are for `a` at most, so that `b` has its turn; it is too slow for what is left.
    let error = house.execute(within(sort("x"), json!({ "maxLatencyMs": 100 }))).await.unwrap_err();
    assert_eq!(error.failure.code, ErrorCode::DeadlineExceeded);
    assert!(house.now_ms() <= 100, "{} ms", house.now_ms());
    assert_eq!((house.models.order(), house.models.open()), (vec!["a".into(), "b".into()], 0));
    let [record] = &house.records()[..] else { panic!("one record") };
    assert!(record.cost > NanoUsd(0), "what may be billed is estimated: {}", record.cost);
}

/// Tickets of two kinds; the number makes each one new.
fn ticket(n: usize) -> Call {
    sort(&format!("{} {n}", ["please refund the payment", "it crashes at once"][n % 2]))
}

#[tokio::test(start_paused = true)]
async fn local_learns_what_people_verified_in_its_scope_and_nowhere_else() {
    let policy = SORT.replace(r#"["a", "b"]"#, r#"["local", "a"]"#);
    let house = House::sort(&format!("{policy}[local]\ncut = 0.9\n")).open();
    // The model is right on the first kind alone: the other is corrected.
    house.models.say("a", &[Says::Text(0, "billing")]);
    for n in 0..60 {
        house.execute(of_customer(ticket(n), "one")).await.unwrap();
    }
    for (n, record) in house.records().into_iter().enumerate() {
        assert!(record.attempts[0].error.as_deref().unwrap().contains("no cases"), "it has nothing to learn from");
        let right = json!({ "label": if n % 2 == 0 { "billing" } else { "bug" } });
        let kind = FeedbackKind::FinalOutput { output: right };
        let at_us = record.started_at_us;
        let said = Feedback { execution: record.execution, team: record.team, at_us, by: None, comment: None, kind };
        house.orchestrator.store().feedback(said).await.unwrap();
    }
    house.orchestrator.calibrate().await.unwrap();
    let by = |call| async {
        let answer = house.execute(call).await.unwrap();
        (answer.answer.model.clone().unwrap().to_string(), answer.answer.output.clone())
    };
    assert_eq!(by(of_customer(ticket(60), "one")).await, ("local".into(), json!({ "label": "billing" })));
    assert_eq!(by(of_customer(ticket(61), "one")).await, ("local".into(), json!({ "label": "bug" })));
    for elsewhere in [of_customer(ticket(61), "two"), ticket(61), of_team(of_customer(ticket(61), "one"), "other")] {
        assert_eq!(by(elsewhere).await, ("sim/a".into(), json!({ "label": "billing" })));
    }
}
