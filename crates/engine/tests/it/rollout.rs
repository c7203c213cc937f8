//! Rollouts: drawn by lot, moved by what labels and failures show, kept in the store.

use baton_core::{Basis, IntentName, Record, RolloutStage, RolloutState, TeamId};
use baton_engine::{
    RolloutAsked, RolloutError, promote_rollout, release_rollout, rollout_standings, start_rollout, stop_rollout,
};
use serde_json::json;

use crate::house::{House, Open, sort, within};
use crate::models::Says;

const POLICY: &str = r#"
models = ["a", "b"]
[labels]
billing = "money"
bug = "broken"
[objective]
quality = 0.8
latency_ms = 1000
[review]
per_day = 100000
double = 0
"#;

/// So that people see the answers.
const REVIEW: &str = "[review]\nper_day = 100000\ndouble = 0\n";

fn asked(to: &str) -> RolloutAsked {
    RolloutAsked { from: None, to: to.into(), margin: 0.2, steps: vec![0.25, 0.5], basis: None, again: false }
}

fn team() -> TeamId {
    TeamId::new("default")
}

async fn start(house: &Open, asked: &RolloutAsked) -> Result<RolloutState, RolloutError> {
    let (snapshot, store) = (house.orchestrator.snapshot(), house.orchestrator.store());
    let plan = snapshot.plan(&IntentName::new("sort")).unwrap();
    start_rollout(store, &snapshot, (&team(), plan), asked, ("ana", 1_767_225_600_000_000)).await
}

/// Calls that nobody made before; their records.
async fn calls(house: &Open, count: usize) -> Vec<Record> {
    let before = house.records().len();
    for n in 0..count {
        let call = within(sort(&format!("ticket {before} {n}")), json!({ "cacheTTL": 0 }));
        house.execute(call).await.unwrap();
    }
    house.records().split_off(before)
}

fn says(house: &Open, a: &'static str, b: &'static str) {
    house.models.say("a", &[Says::Text(3, a)]);
    house.models.say("b", &[Says::Text(3, b)]);
}

fn first(record: &Record) -> &str {
    record.attempts[0].model.as_str()
}

fn kinds(house: &Open) -> Vec<&'static str> {
    house.orchestrator.rollout_events().into_iter().map(|event| event.kind).collect()
}

async fn stage(house: &Open) -> RolloutStage {
    let (store, snapshot) = (house.orchestrator.store(), house.orchestrator.snapshot());
    rollout_standings(store, &snapshot, i64::MAX / 2).await.unwrap().pop().unwrap().state.stage
}

#[tokio::test(start_paused = true)]
async fn a_candidate_gets_its_share_by_lot_and_a_running_house_follows() {
    let house = House::sort(POLICY).open();
    says(&house, "bug", "bug");
    house.orchestrator.calibrate().await.unwrap();
    start(&house, &asked("b")).await.unwrap();
    assert!(calls(&house, 1).await[0].route.is_none(), "it was not looked yet");
    house.orchestrator.calibrate().await.unwrap();
    assert_eq!(kinds(&house), ["rollout.started"]);
    let records = calls(&house, 200).await;
    let drawn = records.iter().filter(|record| first(record) == "sim/b").count();
    assert!((35..65).contains(&drawn), "{drawn} of 200 at a quarter");
    for record in &records {
        let route = record.route.as_ref().unwrap();
        let draw = route.rollout.as_ref().unwrap();
        assert_eq!((route.basis, draw.share, draw.candidate), (Basis::Rollout, 0.25, first(record) == "sim/b"));
        assert!((route.candidates[0].propensity - if draw.candidate { 0.25 } else { 0.75 }).abs() < 1e-12);
        assert!(record.reason.as_ref().unwrap().ends_with("in the rollout of sim/b"), "{:?}", record.reason);
    }
    // Who names models is answered by them; another team has no rollout.
    let named = within(sort("named"), json!({ "models": ["a"], "cacheTTL": 0 }));
    house.execute(named).await.unwrap();
    house.execute(crate::house::of_team(sort("other"), "other")).await.unwrap();
    assert!(house.records().iter().rev().take(2).all(|record| record.route.is_none()));
    // Without labels it stays, however much is served.
    house.orchestrator.calibrate().await.unwrap();
    assert_eq!((kinds(&house), stage(&house).await), (vec![], RolloutStage::Running { step: 0 }));
}

#[tokio::test(start_paused = true)]
async fn an_equal_model_steps_up_is_promoted_and_stays_after_a_restart() {
    let mut house = House::sort(POLICY).open();
    says(&house, "bug", "bug");
    house.orchestrator.calibrate().await.unwrap();
    start(&house, &asked("b")).await.unwrap();
    house.orchestrator.calibrate().await.unwrap();
    let mut told = kinds(&house);
    for _ in 0..12 {
        let records = calls(&house, 50).await;
        house.review(&records).await;
        told.extend(kinds(&house));
    }
    assert_eq!(told, ["rollout.started", "rollout.stepped", "rollout.promoted"]);
    let record = calls(&house, 1).await.remove(0);
    assert_eq!((first(&record), stage(&house).await), ("sim/b", RolloutStage::Promoted));
    assert_eq!(record.reason.as_deref(), Some("promoted by the rollout that took sim/a over"));
    house.restart(House::sort(POLICY));
    house.orchestrator.calibrate().await.unwrap();
    assert_eq!((first(&calls(&house, 1).await[0]), kinds(&house)), ("sim/b", vec![]));
    let snapshot = house.orchestrator.snapshot();
    let plan = snapshot.plan(&IntentName::new("sort")).unwrap();
    release_rollout(house.orchestrator.store(), (&team(), plan), ("ana", 1)).await.unwrap();
    house.orchestrator.calibrate().await.unwrap();
    assert_eq!((first(&calls(&house, 1).await[0]), kinds(&house)), ("sim/a", vec!["rollout.released"]));
}

#[tokio::test(start_paused = true)]
async fn a_worse_model_is_rolled_back_and_pinned() {
    let mut house = House::sort(POLICY).open();
    says(&house, "bug", "billing");
    start(&house, &asked("b")).await.unwrap();
    house.orchestrator.calibrate().await.unwrap();
    for _ in 0..6 {
        let records = calls(&house, 50).await;
        house.review(&records).await;
    }
    let events = house.orchestrator.rollout_events();
    let [event] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!((event.kind, &event.data["by"]), ("rollout.rolled_back", &json!("baton")));
    assert_eq!(event.data["why"], json!("sim/b is worse by more than 0.200, by labels"));
    assert!(calls(&house, 20).await.iter().all(|record| first(record) == "sim/a"));
    house.restart(House::sort(&POLICY.replace("[\"a\", \"b\"]", "[\"b\", \"a\"]")));
    house.orchestrator.calibrate().await.unwrap();
    assert_eq!(first(&calls(&house, 1).await[0]), "sim/a", "whatever the file says");
    let again = RolloutAsked { from: Some("a".into()), ..asked("b") };
    let refusal = start(&house, &again).await.unwrap_err().to_string();
    assert_eq!(refusal, "sim/b was rolled back here: --again tries it once more");
    start(&house, &RolloutAsked { again: true, ..again }).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_model_that_gives_no_answers_is_rolled_back_without_a_label() {
    let house = House::sort(POLICY).open();
    house.models.say("a", &[Says::Text(3, "bug")]);
    house.models.say("b", &[Says::Status(1, 500)]);
    start(&house, &asked("b")).await.unwrap();
    for _ in 0..4 {
        house.orchestrator.calibrate().await.unwrap();
        let records = calls(&house, 50).await;
        assert!(records.iter().all(|record| record.output == Some(json!({ "label": "bug" }))), "callers get answers");
    }
    assert_eq!(kinds(&house), ["rollout.rolled_back"]);
}

#[tokio::test(start_paused = true)]
async fn whose_answer_is_held_gave_one() {
    // Where models are asked in turn, two that agree outvote `b`, which fails one call of twenty.
    let b = |n: usize| if n.is_multiple_of(20) { Says::Status(1, 500) } else { Says::Text(3, "billing") };
    let text = |word| vec![Says::Text(3, word)];
    let house = crate::cascade::with(REVIEW, [text("bug"), (0..1000).map(b).collect(), text("bug")]);
    start(&house, &asked("b")).await.unwrap();
    for _ in 0..6 {
        house.orchestrator.calibrate().await.unwrap();
        let records = calls(&house, 50).await;
        assert!(records.iter().all(|record| record.output == Some(json!({ "label": "bug" }))));
    }
    assert_eq!((kinds(&house), stage(&house).await), (vec![], RolloutStage::Running { step: 0 }));
    // Labels are of the answer that was given, which is not that of `b`.
    let records = calls(&house, 50).await;
    house.review(&records).await;
    let (store, snapshot) = (house.orchestrator.store(), house.orchestrator.snapshot());
    let standing = rollout_standings(store, &snapshot, i64::MAX / 2).await.unwrap().pop().unwrap();
    let to = |of: &str| standing.figures.iter().find(|figures| figures.of == of).map(|figures| figures.to);
    assert_eq!(to("labels").unwrap_or_default(), 0);
    assert!(to("served").unwrap() > 50, "{:?}", standing.figures);
}

#[tokio::test(start_paused = true)]
async fn what_people_order_is_checked() {
    let house = House::sort(POLICY).open();
    let check = async |asked: RolloutAsked, says: &str| {
        let told = start(&house, &asked).await.unwrap_err().to_string();
        assert!(told.contains(says), "{told}");
    };
    check(asked("c"), "--to: `c` is no model of `sort`, which has sim/a, sim/b").await;
    check(RolloutAsked { from: Some("b".into()), ..asked("b") }, "both sim/b").await;
    check(RolloutAsked { margin: 0.0, ..asked("b") }, "--margin: 0 is no margin").await;
    check(RolloutAsked { margin: f64::NAN, ..asked("b") }, "--margin").await;
    for steps in [vec![], vec![0.5, 0.5], vec![0.0, 0.5], vec![0.5, 1.0], vec![f64::NAN], vec![0.01; 11]] {
        check(RolloutAsked { steps, ..asked("b") }, "--steps").await;
    }
    check(RolloutAsked { basis: Some(baton_core::RolloutBasis::Judge), ..asked("b") }, "has no [judge]").await;
    let (snapshot, store) = (house.orchestrator.snapshot(), house.orchestrator.store());
    let plan = snapshot.plan(&IntentName::new("sort")).unwrap();
    let told = stop_rollout(store, (&team(), plan), ("ana", 1)).await.unwrap_err().to_string();
    assert_eq!(told, "there is no rollout of `sort` for team default");
    start(&house, &asked("b")).await.unwrap();
    check(asked("b"), "a rollout of sim/b runs").await;
    promote_rollout(store, (&team(), plan), ("ana", 2)).await.unwrap();
    stop_rollout(store, (&team(), plan), ("ana", 3)).await.unwrap();
    let told = stop_rollout(store, (&team(), plan), ("ana", 4)).await.unwrap_err().to_string();
    assert_eq!(told, "the rollout of sim/b was rolled back: nothing to do");
}
