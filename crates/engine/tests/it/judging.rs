//! A judge in the path: answers are given on its word, and no word is no fail.

use baton_core::{Record, ScoreResult, Status, Via};
use serde_json::{Value, json};

use crate::evaluation::{scores, verdict};
use crate::house::{House, Open, SORT, WRITE, read, sort, within, write};
use crate::models::Says;

/// The gate asks before an answer is given; nothing is drawn besides.
const IN_PATH: &str = r#"
[objective]
unproven = "judge"
latency_ms = 1000
[judge]
model = "sim/judge"
latency_ms = 5000
rate_max = 0
[[criteria]]
id = "right-team"
ask = "Does this reach the right team?"
"#;

fn open(policy: &str) -> Open {
    let house = House::sort(&format!("{SORT}{policy}")).open();
    house.models.say("a", &[Says::Text(3, "bug")]);
    house.models.say("b", &[Says::Text(3, "billing")]);
    house
}

/// Of the one call of the intent itself.
fn own(house: &Open) -> Record {
    let own: Vec<Record> = house.records().into_iter().filter(|record| record.parent.is_none()).collect();
    <[Record; 1]>::try_from(own).unwrap_or_else(|all| panic!("{} records", all.len()))[0].clone()
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_given_on_the_judges_word_and_scored_once() {
    let house = open(IN_PATH);
    house.models.say("judge", &[verdict("pass")]);
    let delivered = house.execute(sort("it broke")).await.unwrap();
    assert_eq!((delivered.answer.via, delivered.answer.quality.verified), (Via::Model, false));
    house.orchestrator.idle().await;
    assert_eq!(house.models.order(), ["a", "judge"]);
    let [score] = scores(&house).try_into().unwrap();
    let judge = house.records().into_iter().find(|record| record.parent.is_some()).unwrap();
    assert_eq!((score.drawn, score.judge, score.result.value()), (false, Some(judge.execution), Some(1.0)));
    let own = own(&house);
    assert_eq!((judge.parent, own.judged), (Some(own.execution), None));
    let judged = own.attempts[0].judged.as_ref().unwrap();
    assert_eq!((judged.judge, judged.value()), (Some(judge.execution), Some(1.0)));
    // What is remembered was judged when it was said.
    house.execute(sort("it broke")).await.unwrap();
    house.orchestrator.idle().await;
    assert_eq!((house.models.order().len(), scores(&house).len()), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn what_the_judge_fails_is_not_given() {
    let house = open(IN_PATH);
    house.models.say("judge", &[verdict("fail"), verdict("pass")]);
    let delivered = house.execute(sort("it broke")).await.unwrap();
    assert_eq!(delivered.answer.output, json!({ "label": "billing" }));
    let why = delivered.answer.attempts[0].error.as_deref().unwrap();
    assert_eq!(why, "the judge fails it: right-team");
    house.orchestrator.idle().await;
    assert_eq!(house.models.order(), ["a", "judge", "b", "judge"]);
    // The score is that of the answer that was given.
    let [score] = scores(&house).try_into().unwrap();
    assert_eq!(score.result.value(), Some(1.0));
    assert_eq!(own(&house).attempts[0].judged.as_ref().and_then(|judged| judged.value()), Some(0.0));
    let none = open(IN_PATH);
    none.models.say("judge", &[verdict("fail")]);
    let error = none.execute(sort("it broke")).await.unwrap_err();
    assert!(error.failure.message.contains("the judge fails it"), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn no_verdict_is_no_fail_and_nobody_waits_past_the_deadline() {
    let half = Says::Text(0, "{\"right-team\":{\"reasoning\":\"hm\"}}");
    for says in [Says::Text(0, "I would rather not say."), half, Says::Hangs, Says::Status(0, 500), Says::Panics] {
        let house = open(IN_PATH);
        house.models.say("judge", &[says]);
        let delivered = house.execute(sort("it broke")).await.unwrap();
        assert_eq!(delivered.answer.output, json!({ "label": "bug" }));
        assert!(!delivered.answer.quality.verified && house.now_ms() <= 1000, "at {} ms", house.now_ms());
        let reason = delivered.answer.reason.as_deref().unwrap();
        assert!(reason.contains("given without a judge's word"), "{reason}");
        house.orchestrator.idle().await;
        let [score] = scores(&house).try_into().unwrap();
        assert!(matches!(score.result, ScoreResult::Errored { .. }), "{score:?}");
        assert_eq!(house.models.order().first().map(String::as_str), Some("a"));
        assert!(!house.models.order().contains(&"b".to_owned()), "it fell back");
        assert!(house.records().len() == 2 && house.models.open() == 0);
    }
}

#[tokio::test(start_paused = true)]
async fn without_time_the_judge_is_not_asked_and_the_answer_says_so() {
    let house = open(IN_PATH);
    house.models.say("judge", &[verdict("pass")]);
    let delivered = house.execute(within(sort("it broke"), json!({ "maxLatencyMs": 4 }))).await.unwrap();
    assert_eq!(house.models.order(), ["a"]);
    let reason = delivered.answer.reason.as_deref().unwrap();
    assert!(reason.ends_with("given without a judge's word: the deadline has no room for a judge"), "{reason}");
    house.orchestrator.idle().await;
    let [score] = scores(&house).try_into().unwrap();
    assert!(matches!(score.result, ScoreResult::Skipped { .. }), "{score:?}");
}

#[tokio::test(start_paused = true)]
async fn a_drawn_answer_that_was_judged_in_the_path_is_not_judged_again() {
    let house = open(&IN_PATH.replace("rate_max = 0\n", ""));
    house.models.say("judge", &[verdict("pass")]);
    house.execute(sort("it broke")).await.unwrap();
    house.orchestrator.idle().await;
    assert_eq!(house.models.order(), ["a", "judge"]);
    let [score] = scores(&house).try_into().unwrap();
    assert_eq!((score.drawn, score.probability, score.result.value()), (true, 1.0, Some(1.0)));
    // Where it said nothing in time, there is time afterwards.
    let house = open(&IN_PATH.replace("rate_max = 0\n", ""));
    house.models.say("judge", &[Says::Hangs, verdict("pass")]);
    house.execute(sort("it broke")).await.unwrap();
    house.orchestrator.idle().await;
    let [score] = scores(&house).try_into().unwrap();
    assert_eq!((score.drawn, score.result.value(), house.records().len()), (true, Some(1.0), 3));
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_released_at_the_verdict() {
    let policy = format!("{WRITE}{IN_PATH}");
    let house = House::write(&policy).open();
    house.models.say("a", &[Says::Text(3, "one two")]);
    house.models.say("b", &[Says::Text(3, "three")]);
    house.models.say("judge", &[verdict("fail"), verdict("pass")]);
    let told = read(house.orchestrator.start(write("spring")).events).await;
    assert_eq!((told[0].as_str(), told.last().map(String::as_str)), ("start sim/b", Some("end model")));
    assert!(!told.iter().any(|text| text.contains("one")), "{told:?}");
    // A reader that leaves takes the judge along.
    let house = House::write(&policy).open();
    house.models.say("a", &[Says::Text(3, "one two")]);
    house.models.say("judge", &[Says::Hangs]);
    let execution = house.orchestrator.start(write("spring"));
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    drop(execution);
    house.orchestrator.idle().await;
    let statuses: Vec<Status> = house.statuses();
    assert_eq!((statuses, house.models.open()), (vec![Status::Cancelled; 2], 0));
    assert_eq!(house.records().iter().filter(|r| r.output.as_ref().is_some_and(Value::is_object)).count(), 0);
}

/// The record follows, and says that there was an answer.
#[tokio::test(start_paused = true)]
async fn an_answer_whose_record_came_too_late_is_scored_as_it_was() {
    for rate in ["rate_max = 0", "rate_max = 1"] {
        let policy = if rate.ends_with('0') { IN_PATH.into() } else { IN_PATH.replace("unproven = \"judge\"\n", "") };
        let house = open(&policy.replace("rate_max = 0", rate));
        house.models.say("judge", &[verdict("pass")]);
        house.journal(false, 5000);
        house.execute(sort("it broke")).await.unwrap_err();
        house.orchestrator.idle().await;
        let asked = house.models.asked().pop().unwrap().prompt;
        assert!(asked.contains("<answer>\nbug\n</answer>"), "{asked}");
        let [score] = scores(&house).try_into().unwrap();
        assert_eq!((score.drawn, score.execution), (rate.ends_with('1'), own(&house).execution));
    }
}
