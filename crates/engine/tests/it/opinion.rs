//! A second opinion: another model is asked the same, and where it differs the next candidate decides.

use baton_core::{ErrorCode, Record, ScoreResult, Via};
use serde_json::{Value, json};

use crate::evaluation::{label_as, scores};
use crate::house::{House, Open, sort, within};
use crate::models::Says;

const SORT: &str = r#"
models = ["a", "b"]
[labels]
billing = "money"
bug = "broken"
how-to = "asks how"
[cache]
ttl = "10s"
partition = ["metadata.customer"]
"#;

/// Before an answer is given; nothing is drawn besides.
const IN_PATH: &str = r#"
[objective]
unproven = "judge"
latency_ms = 1000
quality = 0.8
[judge]
second_opinion = true
model = "sim/c"
latency_ms = 5000
rate_max = 0
"#;

fn open(policy: &str) -> Open {
    let house = House::sort(&format!("{SORT}{policy}")).open();
    house.models.say("a", &[Says::Text(3, "bug")]);
    house.models.say("b", &[Says::Text(3, "billing")]);
    house
}

/// With one word of whoever gives the second opinion.
fn opened(word: &'static str) -> Open {
    let house = open(IN_PATH);
    house.models.say("c", &[Says::Text(3, word)]);
    house
}

/// Of the intent itself, and of the second opinion.
fn records(house: &Open) -> (Record, Record) {
    let all = house.records();
    let [one, two] = <[Record; 2]>::try_from(all).unwrap_or_else(|all| panic!("{} records", all.len()));
    if one.parent.is_some() { (two, one) } else { (one, two) }
}

fn label(name: &str) -> Value {
    json!({ "label": name })
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_another_model_gives_too_is_given() {
    let house = opened("bug");
    let delivered = house.execute(sort("it broke")).await.unwrap();
    assert_eq!((&delivered.answer.output, delivered.answer.via), (&label("bug"), Via::Model));
    let reason = delivered.answer.reason.as_deref().unwrap();
    assert_eq!(reason, "first in the intent's order; the second opinion of sim/c is the same");
    house.orchestrator.idle().await;
    // It was asked the same question, and does not see the answer.
    let [a, c] = <[_; 2]>::try_from(house.models.asked()).unwrap();
    assert_eq!((a.model.as_str(), c.model.as_str(), &a.prompt), ("a", "c", &c.prompt));
    // It has a record of its own, as any judge has, and its cost.
    let (own, opinion) = records(&house);
    assert_eq!((opinion.parent, opinion.intent.as_ref().unwrap().as_str()), (Some(own.execution), "sort.judge"));
    assert_eq!((&opinion.output, opinion.usage), (&own.output, own.usage));
    let judged = own.attempts[0].judged.as_ref().unwrap();
    assert_eq!((judged.judge, judged.took_us), (Some(opinion.execution), 3000));
    assert_eq!(delivered.answer.attempts[0].judged_ms, Some(3.0));
    let [score] = scores(&house).try_into().unwrap();
    assert_eq!(score.result, ScoreResult::compared([("label".to_owned(), 1.0)].into()));
    let version = opinion.answer_hash.get(..8).unwrap();
    assert_eq!(score.evaluator, format!("second opinion of sim/c@{version}"));
    // What is remembered was held against it when it was said.
    house.execute(sort("it broke")).await.unwrap();
    assert_eq!(house.models.order().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn where_it_differs_the_next_decides_and_it_is_not_asked_again() {
    // It is confirmed, or not; it is given either way.
    for (word, value, why) in [
        ("billing", 1.0, "; the second opinion of sim/c is the same"),
        ("how-to", 0.0, "differs in label; given though it differs here too, in label"),
    ] {
        let house = opened(word);
        let delivered = house.execute(sort("it broke")).await.unwrap();
        assert_eq!(delivered.answer.output, label("billing"));
        let held = delivered.answer.attempts[0].error.as_deref().unwrap();
        assert_eq!(held, "the second opinion of sim/c differs in label");
        let reason = delivered.answer.reason.as_deref().unwrap();
        assert!(reason.ends_with(why) && !delivered.answer.quality.verified, "{reason}");
        house.orchestrator.idle().await;
        assert_eq!((house.models.order(), house.now_ms()), (vec!["a".into(), "c".into(), "b".into()], 9));
        let [score] = scores(&house).try_into().unwrap();
        let (own, opinion) = records(&house);
        assert_eq!((score.result.value(), score.judge), (Some(value), Some(opinion.execution)));
        assert_eq!(own.attempts[0].judged.as_ref().and_then(|judged| judged.value()), Some(0.0));
    }
}

#[tokio::test(start_paused = true)]
async fn where_nobody_is_left_to_decide_there_is_no_answer() {
    let house = opened("billing");
    let error = house.execute(within(sort("it broke"), json!({ "models": ["a"] }))).await.unwrap_err();
    assert_eq!(error.failure.code, ErrorCode::NoAcceptableAnswer);
    assert!(error.failure.message.contains("the second opinion of sim/c differs in label"), "{error:?}");
}

/// What is no answer of this intent is no opinion.
#[tokio::test(start_paused = true)]
async fn no_opinion_is_no_disagreement_and_nobody_waits_past_the_deadline() {
    for says in [Says::Text(0, "I would rather not say."), Says::Hangs, Says::Status(0, 500), Says::Panics] {
        let house = open(IN_PATH);
        house.models.say("c", &[says]);
        let delivered = house.execute(sort("it broke")).await.unwrap();
        assert_eq!(delivered.answer.output, label("bug"));
        assert!(!delivered.answer.quality.verified && house.now_ms() <= 1000, "at {} ms", house.now_ms());
        let reason = delivered.answer.reason.as_deref().unwrap();
        assert!(reason.contains("; given without the second opinion of sim/c: "), "{reason}");
        house.orchestrator.idle().await;
        let [score] = scores(&house).try_into().unwrap();
        assert!(matches!(score.result, ScoreResult::Errored { .. }), "{score:?}");
        assert!(!house.models.order().contains(&"b".to_owned()) && house.models.open() == 0, "it fell back");
    }
    let house = opened("billing");
    let delivered = house.execute(within(sort("it broke"), json!({ "maxLatencyMs": 4 }))).await.unwrap();
    assert_eq!((house.models.order(), &delivered.answer.output), (vec!["a".to_owned()], &label("bug")));
}

#[tokio::test(start_paused = true)]
async fn off_the_path_it_gives_the_same_score() {
    for (word, value) in [("bug", 1.0), ("billing", 0.0)] {
        let policy = IN_PATH.replace("unproven = \"judge\"\n", "").replace("rate_max = 0\n", "");
        let house = open(&policy);
        house.models.say("c", &[Says::Text(3, word)]);
        let delivered = house.execute(sort("it broke")).await.unwrap();
        assert_eq!((&delivered.answer.output, house.now_ms()), (&label("bug"), 3), "nobody waits");
        house.orchestrator.idle().await;
        let [score] = scores(&house).try_into().unwrap();
        assert_eq!((score.drawn, score.probability), (true, 1.0));
        assert_eq!(score.result, ScoreResult::compared([("label".to_owned(), value)].into()));
    }
}

#[tokio::test(start_paused = true)]
async fn of_an_extraction_every_field_has_to_agree_and_the_share_is_the_score() {
    let schema = r#"{"type":"object","properties":{"total":{"type":"number"},"date":{"type":"string"},
        "shop":{"type":"string"}},"required":["total"]}"#;
    let house = House::sort(&format!("models = [\"a\", \"b\"]\n{IN_PATH}"))
        .with("intents/sort/prompt.md", "{{ ticket }}")
        .with("intents/sort/output.schema.json", schema)
        .open();
    house.models.say("a", &[Says::Text(3, r#"{"total":12,"date":"2026-01-02","shop":"The Mill"}"#)]);
    house.models.say("b", &[Says::Text(3, r#"{"total":12.5,"date":"2026-01-02","shop":"The Mill"}"#)]);
    house.models.say("c", &[Says::Text(3, r#"{"total":12.50,"shop":"The  Mill","date":"2026-01-02"}"#)]);
    let delivered = house.execute(sort("a receipt")).await.unwrap();
    assert_eq!(delivered.answer.output["total"], json!(12.5));
    let held = delivered.answer.attempts[0].error.as_deref().unwrap();
    assert_eq!(held, "the second opinion of sim/c differs in total");
    house.orchestrator.idle().await;
    let own = records(&house).0;
    let values: Vec<Option<f64>> = own.attempts.iter().map(|a| a.judged.as_ref().and_then(|j| j.value())).collect();
    assert_eq!(values, [Some(2.0 / 3.0), Some(1.0)]);
}

/// Where both agree the label is right but once; where they do not, `b` is asked, and is right.
async fn labelled(count: usize) -> Open {
    let house = House::sort(&format!("{SORT}{IN_PATH}[review]\nper_day = 100000\ndouble = 0\n")).open();
    let says = |word: fn(usize) -> &'static str| (0..count).map(|n| Says::Text(0, word(n))).collect::<Vec<_>>();
    house.models.say("a", &says(|n| if n % 3 == 2 { "billing" } else { "bug" }));
    house.models.say("c", &says(|_| "bug"));
    house.models.say("b", &[Says::Text(0, "how-to")]);
    for n in 0..count {
        house.execute(sort(&format!("ticket {n}"))).await.unwrap();
    }
    house.orchestrator.idle().await;
    for (n, record) in house.records().iter().filter(|record| record.parent.is_none()).enumerate() {
        label_as(&house, record, n > 0).await;
    }
    assert_eq!(house.orchestrator.calibrate().await.unwrap(), 1);
    house
}

/// That what `b` says is good says nothing of what `a` says where the opinion differs.
#[tokio::test(start_paused = true)]
async fn labels_say_what_agreement_means_and_nothing_of_what_is_held_back() {
    let house = labelled(90).await;
    house.models.replace("a", &[Says::Text(0, "bug"), Says::Text(0, "billing")]);
    house.models.replace("c", &[Says::Text(0, "bug")]);
    let agreed = house.execute(sort("agreed")).await.unwrap();
    let quality = &agreed.answer.quality;
    assert!(quality.verified && quality.score > Some(0.9), "{quality:?}");
    assert_eq!((quality.basis.as_str(), quality.labels), ("checks+judge", 60));
    let differs = house.execute(sort("differs")).await.unwrap();
    assert_eq!((&differs.answer.output, differs.answer.quality.verified), (&label("how-to"), false));
    let held = differs.answer.attempts[0].error.as_deref().unwrap();
    assert!(held.contains("labels show"), "{held}");
}
