//! Judges, labels, and what they change: scores of drawn answers, quality in every answer, a gate that
//! holds bad ones back.

use std::time::Duration;

use baton_core::{IntentName, LabelSource, Record, ReviewLabel, Score, ScoreResult, Status, TeamId, Via};
use baton_engine::{release, roll_back};
use baton_store::Entry;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::house::{House, Open, SORT, sort, within};
use crate::models::Says;

pub(crate) const JUDGED: &str = r#"
[judge]
model = "sim/judge"
latency_ms = 5000
[[criteria]]
id = "right-team"
ask = "Does this reach the right team?"
"#;

/// A check that fails says something of an answer, and holds none back by itself.
const SIGNAL: &str = r#"
[[checks]]
type = "equals"
value = "bug"
on_fail = "signal"
[[criteria]]
id = "right-team"
ask = "Does this reach the right team?"
[objective]
quality = 0.8
[review]
per_day = 100000
double = 0
"#;

pub(crate) fn verdict(word: &str) -> Says {
    let said = json!({ "right-team": { "reasoning": "I looked.", "verdict": word } });
    Says::Verbatim(
        json!({ "id": "1", "model": "judge", "choices": [{ "index": 0, "finish_reason": "stop",
        "message": { "role": "assistant", "content": said.to_string() } }] })
        .to_string(),
    )
}

fn judged() -> House {
    House::sort(&format!("{SORT}{JUDGED}"))
}

pub(crate) fn scores(house: &Open) -> Vec<Score> {
    let score = |entry| if let Entry::Score(score) = entry { Some(*score) } else { None };
    house.entries().into_iter().filter_map(score).collect()
}

#[tokio::test(start_paused = true)]
async fn a_drawn_answer_is_judged_by_an_intent_of_its_own_and_scored_once() {
    let house = judged().open();
    house.models.say("a", &[Says::Text(3, "bug")]);
    house.models.say("judge", &[verdict("pass")]);
    house.execute(sort("it broke")).await.unwrap();
    house.orchestrator.idle().await;
    let [own, judge] = house.records().try_into().unwrap_or_else(|all: Vec<Record>| panic!("{} records", all.len()));
    let [score] = scores(&house).try_into().unwrap();
    assert_eq!((own.judged, score.probability, score.drawn), (Some(1.0), 1.0, true));
    assert_eq!((score.execution, score.judge), (own.execution, Some(judge.execution)));
    assert_eq!((judge.parent, judge.intent), (Some(own.execution), Some(IntentName::new("sort.judge"))));
    assert_eq!(score.result, ScoreResult::scored([("right-team".to_owned(), 1.0)].into()));
    assert!(score.evaluator.starts_with("sim/judge@") && score.evaluator.len() > "sim/judge@".len(), "{score:?}");
    let asked = house.models.asked().pop().unwrap().prompt;
    assert!(asked.contains("it broke") && asked.contains("<answer>\nbug\n</answer>"), "{asked}");
    // What is remembered was judged when it was said.
    house.execute(sort("it broke")).await.unwrap();
    house.orchestrator.idle().await;
    assert_eq!((house.records().pop().unwrap().via, scores(&house).len()), (Some(Via::CacheExact), 1));
}

#[tokio::test(start_paused = true)]
async fn no_verdict_is_no_verdict_and_nobody_waits_for_one() {
    let nonsense = Says::Text(0, "I would rather not say.");
    let half = Says::Text(0, "{\"right-team\":{\"reasoning\":\"hm\"}}");
    for (says, reason) in [
        (nonsense, "checks"),
        (half, "checks"),
        (Says::Hangs, "deadline"),
        (Says::Status(0, 500), "failed"),
        (Says::Panics, "fault"),
    ] {
        let house = judged().open();
        house.models.say("a", &[Says::Text(3, "bug")]);
        house.models.say("judge", &[says]);
        let delivered = house.execute(sort("it broke")).await.unwrap();
        assert_eq!((house.now_ms(), delivered.answer.via), (3, Via::Model));
        house.orchestrator.idle().await;
        let [score] = scores(&house).try_into().unwrap();
        let ScoreResult::Errored { reason: why } = &score.result else { panic!("{score:?}") };
        assert!(why.contains(reason), "{why}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_nobody_answered_is_not_judged() {
    let house = judged().open();
    house.models.say("a", &[Says::Status(0, 400)]);
    house.execute(sort("it broke")).await.unwrap_err();
    house.orchestrator.idle().await;
    assert_eq!((house.statuses(), scores(&house).len()), (vec![Status::Failed], 0));
}

#[tokio::test(start_paused = true)]
async fn more_than_can_wait_are_skipped_and_said_so() {
    let house = judged().open();
    house.models.say("a", &[Says::Text(0, "bug")]);
    house.models.say("judge", &[Says::Hangs]);
    for n in 0..300 {
        house.execute(within(sort(&format!("ticket {n}")), json!({ "cacheTTL": 0 }))).await.unwrap();
    }
    sleep(Duration::from_secs(600)).await;
    house.orchestrator.idle().await;
    let all = scores(&house);
    let skipped = all.iter().filter(|score| score.result.status() == "skipped").count();
    assert_eq!((all.len(), skipped), (300, 300 - 256));
}

/// Labels an answer as a reviewer would: good where it is the label `bug`.
async fn label(house: &Open, record: &Record) {
    label_as(house, record, record.output == Some(json!({ "label": "bug" }))).await;
}

pub(crate) async fn label_as(house: &Open, record: &Record, pass: bool) {
    let label = ReviewLabel {
        reviewer: "ana".into(),
        at_us: record.started_at_us,
        pass,
        source: LabelSource::Review,
        criteria: [("right-team".to_owned(), pass)].into(),
        correction: None,
        comment: None,
    };
    let given = house.orchestrator.store().import_labels(vec![(record.clone(), label)]).await.unwrap();
    assert_eq!(given, 1);
}

/// `a` says `bug` where it is right; every third answer of it is wrong.
async fn labelled(count: usize) -> Open {
    labelled_with(count, "").await
}

async fn labelled_with(count: usize, policy: &str) -> Open {
    let house = House::sort(&format!("{SORT}{SIGNAL}{policy}")).open();
    house.models.say("judge", &[verdict("pass")]);
    let says: Vec<Says> = (0..count)
        .map(|n| Says::Text(0, if n % 3 == 2 { "billing" } else { "bug" }))
        .chain([Says::Text(0, "bug")])
        .collect();
    house.models.say("a", &says);
    house.models.say("b", &[Says::Text(0, "bug")]);
    for n in 0..count {
        house.execute(sort(&format!("ticket {n}"))).await.unwrap();
    }
    house.orchestrator.idle().await;
    for record in house.records().iter().filter(|record| record.parent.is_none()) {
        label(&house, record).await;
    }
    house
}

fn team() -> (TeamId, IntentName) {
    (TeamId::new("default"), IntentName::new("sort"))
}

#[tokio::test(start_paused = true)]
async fn before_there_are_labels_quality_is_not_known() {
    let house = labelled(10).await;
    assert!(house.orchestrator.calibrate().await.unwrap() <= 1);
    let delivered = house.execute(sort("next")).await.unwrap();
    let quality = &delivered.answer.quality;
    assert_eq!((quality.score, quality.labels, quality.verified), (None, 10, false));
    assert_eq!((delivered.answer.output.clone(), quality.needed), (json!({ "label": "bug" }), Some(11)));
}

#[tokio::test(start_paused = true)]
async fn labels_move_the_gate_bad_answers_stop_and_a_roll_back_stays() {
    let house = labelled(90).await;
    let before = house.execute(sort("before")).await.unwrap();
    assert_eq!(before.answer.quality.score, None);
    assert_eq!(house.orchestrator.calibrate().await.unwrap(), 1);
    assert_eq!(house.orchestrator.calibrate().await.unwrap(), 0, "nothing new was said");

    house.models.say("a", &[Says::Text(0, "bug"), Says::Text(0, "billing")]);
    house.execute(sort("uses up what was said before")).await.unwrap();
    let good = house.execute(sort("good")).await.unwrap();
    assert_eq!(good.answer.output, json!({ "label": "bug" }));
    let quality = &good.answer.quality;
    assert!(quality.verified && quality.score > Some(0.9) && quality.lower > Some(0.8), "{quality:?}");
    assert_eq!((quality.basis.as_str(), quality.labels), ("checks", 90));
    let held = house.execute(sort("bad")).await.unwrap();
    assert_eq!((held.answer.output.clone(), held.answer.attempts.len()), (json!({ "label": "bug" }), 2), "b answered");
    let why = held.answer.attempts[0].error.as_deref().unwrap();
    assert!(why.contains("labels show"), "{why}");

    let (team, intent) = team();
    let store = house.orchestrator.store();
    let versions = store.calibrations_of(&team, &intent, 9).await.unwrap();
    assert_eq!(versions.len(), 1);
    assert!(versions[0].why.contains("90 labels"), "{}", versions[0].why);
    let error = roll_back(store, (&team, &intent), None, ("ana", 1)).await.unwrap_err();
    assert!(error.to_string().contains("before the one in force"), "{error}");

    // Another label, another version; back to the one before it, where it stays.
    label(&house, &house.records().into_iter().rfind(|r| r.execution == good.answer.execution_id).unwrap()).await;
    assert_eq!(house.orchestrator.calibrate().await.unwrap(), 1);
    let back = roll_back(store, (&team, &intent), None, ("ana", 1)).await.unwrap();
    assert_eq!((back.version, back.pinned, back.calibration == versions[0].calibration), (3, true, true));
    label(&house, &house.records().into_iter().rfind(|r| r.execution == held.answer.execution_id).unwrap()).await;
    assert_eq!(house.orchestrator.calibrate().await.unwrap(), 0, "pinned");
    let in_force = house.orchestrator.calibration(&team, &intent).unwrap();
    assert_eq!((in_force.version, in_force.calibration.labels), (3, 90));
    release(store, (&team, &intent), ("ana", 2)).await.unwrap();
    label(&house, &house.records().into_iter().rfind(|r| r.execution == before.answer.execution_id).unwrap()).await;
    assert_eq!(house.orchestrator.calibrate().await.unwrap(), 1);
    assert_eq!(house.orchestrator.calibration(&team, &intent).unwrap().calibration.labels, 93);
}

/// The judge spoke of all of them, after they were given: the gate in the path sees none of it.
#[tokio::test(start_paused = true)]
async fn labels_of_judged_answers_move_the_gate_that_sees_no_judge() {
    let house = labelled_with(90, "[judge]\nmodel = \"sim/judge\"\n").await;
    assert_eq!(scores(&house).len(), 90);
    assert_eq!(house.orchestrator.calibrate().await.unwrap(), 1);
    house.models.say("a", &[Says::Text(0, "bug"), Says::Text(0, "billing")]);
    house.execute(sort("uses up what was said before")).await.unwrap();
    assert!(house.execute(sort("good")).await.unwrap().answer.quality.verified);
    let held = house.execute(sort("bad")).await.unwrap();
    assert_eq!((held.answer.output.clone(), held.answer.attempts.len()), (json!({ "label": "bug" }), 2), "b answered");
}

#[tokio::test(start_paused = true)]
async fn what_one_team_learns_is_not_anothers() {
    let house = labelled(90).await;
    house.orchestrator.calibrate().await.unwrap();
    let other = house.execute(crate::house::of_team(sort("theirs"), "others")).await.unwrap();
    assert_eq!((other.answer.quality.score, other.answer.quality.labels), (None, 0));
}

#[tokio::test(start_paused = true)]
async fn a_remembered_answer_is_held_to_what_is_in_force_now() {
    let house = labelled(90).await;
    let wrong = house.records().into_iter().find(|r| r.output == Some(json!({ "label": "billing" }))).unwrap();
    let ticket = wrong.input.as_ref().and_then(|input| input["ticket"].as_str()).unwrap().to_owned();
    assert_eq!(house.told(sort(&ticket)).await.unwrap().1, Via::CacheExact);
    house.orchestrator.calibrate().await.unwrap();
    let (output, via): (Value, Via) = house.told(sort(&ticket)).await.unwrap();
    assert_eq!((output, via), (json!({ "label": "bug" }), Via::Model));
}

/// An answer that is asked for often is one answer: any word on it is a word on when it was given, once, and
/// no sample of answers.
#[tokio::test(start_paused = true)]
async fn labels_of_a_remembered_answer_count_once_for_the_answer() {
    let house = House::sort(&format!("{SORT}{SIGNAL}")).open();
    house.models.say("a", &[Says::Text(0, "bug")]);
    for _ in 0..4 {
        house.execute(sort("again and again")).await.unwrap();
    }
    let records = house.records();
    let [given, remembered @ ..] = records.as_slice() else { panic!("{} records", records.len()) };
    assert!(remembered.len() == 3 && remembered.iter().all(|record| record.source == Some(given.execution)));
    let learnt = async || {
        house.orchestrator.calibrate().await.unwrap();
        let (team, intent) = team();
        let calibration = house.orchestrator.calibration(&team, &intent).unwrap().calibration.clone();
        (calibration.labels, calibration.plain.tested)
    };
    for record in remembered {
        label(&house, record).await;
    }
    assert_eq!(learnt().await, (1, 0));
    // The word on itself is of a draw.
    label(&house, given).await;
    assert_eq!(learnt().await, (1, 1));
}
