//! Drift on live traffic: what moved is told apart by gold answers and people, also across a restart.

use std::time::Duration;

use baton_core::Record;
use baton_engine::{DriftEvent, DriftStanding, DriftState, drift_standings};
use baton_stats::Cause;
use serde_json::json;
use tokio::time::sleep;

use crate::evaluation::{JUDGED, label_as, verdict};
use crate::house::{House, Open, SORT, sort, within};
use crate::models::Says;

const REVIEWED: &str = "[objective]\nquality = 0.8\n[review]\nper_day = 1000\ndouble = 0\n";

fn reviewed() -> House {
    House::sort(&format!("{SORT}{JUDGED}{REVIEWED}"))
}

async fn calls(house: &Open, count: usize) {
    // Others than before: a judge's word of the same answer is remembered.
    let before = house.records().len();
    for n in before..before + count {
        house.execute(within(sort(&format!("ticket {n}")), json!({ "cacheTTL": 0 }))).await.unwrap();
        house.orchestrator.idle().await;
    }
}

/// The answers that were drawn for review, from the so-manieth record on.
fn drawn(house: &Open, from: usize) -> Vec<Record> {
    let drawn = |record: &Record| record.review.as_ref().is_some_and(|draw| draw.rejected.is_none());
    house.records().into_iter().skip(from).filter(drawn).collect()
}

fn standing(house: &Open) -> DriftStanding {
    let all = house.orchestrator.drift();
    let [standing] = &all[..] else { panic!("{all:?}") };
    standing.clone()
}

fn kinds(events: &[DriftEvent]) -> Vec<&'static str> {
    events.iter().map(|event| event.kind).collect()
}

/// 600 answers, nearly all of which the judge passes; people pass those that they see.
async fn all_is_well() -> Open {
    let house = reviewed().open();
    for model in ["a", "b"] {
        house.models.say(model, &[Says::Text(0, "bug")]);
    }
    let said: Vec<Says> = (0..601).map(|n| verdict(if n % 100 == 99 { "fail" } else { "pass" })).collect();
    house.models.say("judge", &said);
    calls(&house, 600).await;
    for record in drawn(&house, 0) {
        label_as(&house, &record, true).await;
    }
    house.orchestrator.calibrate().await.unwrap();
    house.orchestrator.watch_drift().await.unwrap();
    sleep(Duration::from_secs(1)).await;
    house
}

/// The judge fails answers from now on, until it says this of the gold answers.
async fn alarmed(house: &Open, gold: &str) {
    house.models.say("judge", &[verdict("fail")]);
    calls(house, 20).await;
    assert_eq!(house.orchestrator.drift_events(), [], "nothing is said on the request path");
    house.models.say("judge", &[verdict(gold)]);
    house.orchestrator.watch_drift().await.unwrap();
    let events = house.orchestrator.drift_events();
    assert_eq!(kinds(&events), ["drift.alarm"]);
    assert_eq!(events[0].data, json!({ "by": "scores", "labelsWanted": 100, "intent": "sort", "team": "default" }));
    sleep(Duration::from_secs(1)).await;
}

/// People see so many answers more, and say this of them.
async fn labelled(house: &Open, count: usize, pass: bool) {
    let before = house.records().len();
    calls(house, count * 2 + 60).await;
    let drawn = drawn(house, before);
    assert!(drawn.len() >= count, "{} are drawn", drawn.len());
    for record in &drawn[..count] {
        label_as(house, record, pass).await;
    }
    house.orchestrator.watch_drift().await.unwrap();
}

fn wanted(house: &Open) -> Option<u64> {
    match standing(house).state {
        DriftState::Alarm { labels_wanted, .. } => Some(labels_wanted),
        _ => None,
    }
}

async fn explained(gold: &str, pass: bool) -> Open {
    let house = all_is_well().await;
    alarmed(&house, gold).await;
    labelled(&house, 99, pass).await;
    assert_eq!((wanted(&house), house.orchestrator.drift_events()), (Some(1), Vec::new()));
    let now_us = 1_767_225_600_000_000 + i64::try_from(house.now_ms() * 1000).unwrap();
    let told = drift_standings(house.orchestrator.store(), &house.orchestrator.snapshot(), now_us).await.unwrap();
    assert_eq!(told, *house.orchestrator.drift(), "another process reports the same");
    labelled(&house, 1, pass).await;
    house
}

/// The cause, and what the watch does then.
async fn cause(gold: &str, pass: bool) -> (Cause, DriftState) {
    let house = explained(gold, pass).await;
    let events = house.orchestrator.drift_events();
    assert_eq!(kinds(&events), ["drift.explained"]);
    let cause = standing(&house).explained.unwrap().cause;
    assert_eq!(events[0].data["cause"], json!(cause));
    house.orchestrator.watch_drift().await.unwrap();
    (cause, standing(&house).state)
}

/// References of another time are no references.
fn begins_anew(state: &DriftState) -> bool {
    matches!(state, DriftState::Needs { what: "scores", needed: 500, .. })
}

#[tokio::test(start_paused = true)]
async fn answers_that_got_worse_are_told_from_a_judge_that_changed() {
    let (cause, state) = cause("pass", false).await;
    assert!(cause == Cause::Quality && begins_anew(&state), "{cause:?} {state:?}");
}

#[tokio::test(start_paused = true)]
async fn a_judge_that_changed_is_told_from_answers_that_got_worse() {
    let (cause, state) = cause("fail", true).await;
    assert!(cause == Cause::Judge && begins_anew(&state), "{cause:?} {state:?}");
}

#[tokio::test(start_paused = true)]
async fn both_may_have_changed() {
    let (cause, state) = cause("fail", false).await;
    assert!(cause == Cause::Both && begins_anew(&state), "{cause:?} {state:?}");
}

#[tokio::test(start_paused = true)]
async fn a_false_alarm_is_told_and_the_watch_goes_on() {
    let (cause, state) = cause("pass", true).await;
    let goes_on = matches!(state, DriftState::Watching { gold: 40.., .. });
    assert!(cause == Cause::Nothing && goes_on, "{cause:?} {state:?}");
}

#[tokio::test(start_paused = true)]
async fn an_alarm_raises_the_drawing_for_a_while_and_says_so_in_each_record() {
    let house = all_is_well().await;
    let usual = drawn(&house, 0).pop().unwrap().review.unwrap().probability;
    assert!(usual < 0.2, "{usual}");
    alarmed(&house, "pass").await;
    let before = house.records().len();
    calls(&house, 600).await;
    let raised: Vec<f64> = drawn(&house, before).iter().map(|r| r.review.as_ref().unwrap().probability).collect();
    let (half, less): (Vec<f64>, Vec<f64>) = raised.iter().partition(|probability| **probability > 0.49);
    assert_eq!(half, [0.5; 200], "twice what is wanted");
    assert!(!less.is_empty() && less.iter().all(|probability| *probability < 0.2), "{less:?}");
}

#[tokio::test(start_paused = true)]
async fn an_alarm_outlives_its_process() {
    let mut house = all_is_well().await;
    alarmed(&house, "pass").await;
    labelled(&house, 50, false).await;
    assert_eq!(wanted(&house), Some(50));
    house.restart(reviewed());
    sleep(Duration::from_secs(2 * 24 * 3600)).await;
    house.orchestrator.calibrate().await.unwrap();
    house.orchestrator.watch_drift().await.unwrap();
    let told = house.orchestrator.drift_events();
    assert_eq!(
        (wanted(&house), kinds(&told)),
        (Some(50), vec!["drift.alarm"]),
        "as of before: it may not have been sent"
    );
    assert_eq!((&told[0].data["again"], &told[0].data["intent"]), (&json!(true), &json!("sort")));
    labelled(&house, 50, false).await;
    let events = house.orchestrator.drift_events();
    assert_eq!((kinds(&events), &events[0].data["cause"]), (vec!["drift.explained"], &json!("quality")));
}

#[tokio::test(start_paused = true)]
async fn gold_answers_are_judged_again_each_day_past_the_cache() {
    let house = all_is_well().await;
    let DriftState::Watching { gold, .. } = standing(&house).state else { panic!("{:?}", standing(&house)) };
    let labelled = drawn(&house, 0).len() as u64;
    assert_eq!(gold, labelled.min(200));
    let asked = |house: &Open| house.models.order().iter().filter(|model| *model == "judge").count() as u64;
    let before = asked(&house);
    house.orchestrator.watch_drift().await.unwrap();
    assert_eq!(asked(&house), before, "they were judged today");
    house.models.say("judge", &[verdict("fail")]);
    sleep(Duration::from_secs(24 * 3600)).await;
    house.orchestrator.watch_drift().await.unwrap();
    assert_eq!(asked(&house), before + gold);
    let events = house.orchestrator.drift_events();
    assert_eq!((kinds(&events), &events[0].data["by"]), (vec!["drift.alarm"], &json!("gold")));
    assert_eq!(events[0].data["gold"]["judged"], json!(gold));
}

#[tokio::test(start_paused = true)]
async fn what_there_is_too_little_of_is_told() {
    let house = reviewed().open();
    house.models.say("a", &[Says::Text(0, "bug")]);
    house.models.say("judge", &[verdict("pass")]);
    calls(&house, 60).await;
    for record in drawn(&house, 0) {
        label_as(&house, &record, true).await;
    }
    house.orchestrator.calibrate().await.unwrap();
    house.orchestrator.watch_drift().await.unwrap();
    assert_eq!(standing(&house).state, DriftState::Needs { what: "scores", needed: 500, has: 60 });
}
