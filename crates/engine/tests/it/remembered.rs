//! The exact cache, and what is given when nobody answered.

use std::time::Duration;

use baton_core::{ErrorCode, NanoUsd, Via};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::house::{House, Open, SORT, of_customer, of_team, sort, within};
use crate::models::Says;

async fn via(house: &Open, call: baton_engine::Call) -> Via {
    house.execute(call).await.unwrap().answer.via
}

fn label(label: &str) -> Value {
    json!({ "label": label })
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_remembered_within_its_scope() {
    let house = House::sort(SORT).open();
    house.models.say("a", &[Says::Text(20, "bug")]);
    assert_eq!(via(&house, sort("same")).await, Via::Model);
    assert_eq!(via(&house, sort("same")).await, Via::CacheExact);
    for elsewhere in [of_team(sort("same"), "other"), of_customer(sort("same"), "one"), sort("else")] {
        assert_eq!(via(&house, elsewhere.clone()).await, Via::Model);
        assert_eq!(via(&house, elsewhere).await, Via::CacheExact);
    }
    let hit = &house.records()[1];
    assert_eq!((hit.cost, hit.attempts.len(), hit.duration_us), (NanoUsd(0), 0, 0));
    assert_eq!(hit.source, Some(house.records()[0].execution));
    assert_eq!(hit.model, house.records()[0].model);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_names_models_accepts_only_theirs() {
    let house = House::sort(SORT).open();
    house.models.say("a", &[Says::Text(20, "bug")]);
    house.models.say("b", &[Says::Text(20, "billing")]);
    assert_eq!(via(&house, sort("same")).await, Via::Model);
    let by_b = || within(sort("same"), json!({ "primaryModel": "b" }));
    assert_eq!(house.told(by_b()).await, Ok((label("billing"), Via::Model)));
    assert_eq!(house.told(by_b()).await, Ok((label("billing"), Via::CacheExact)));
    let by_a = within(sort("same"), json!({ "models": ["a"] }));
    assert_eq!(house.told(by_a).await, Ok((label("bug"), Via::CacheExact)));
}

#[tokio::test(start_paused = true)]
async fn a_call_says_how_old_an_answer_it_accepts() {
    let house = House::sort(SORT).open();
    house.models.say("a", &[Says::Text(0, "bug")]);
    assert_eq!(via(&house, sort("same")).await, Via::Model);
    sleep(Duration::from_millis(2000)).await;
    assert_eq!(via(&house, within(sort("same"), json!({ "cacheTTL": 2 }))).await, Via::Model, "two seconds old");
    sleep(Duration::from_millis(1999)).await;
    assert_eq!(via(&house, within(sort("same"), json!({ "cacheTTL": 2 }))).await, Via::CacheExact);
    assert_eq!(via(&house, within(sort("same"), json!({ "cacheTTL": 0 }))).await, Via::Model, "fresh, please");
    sleep(Duration::from_secs(10)).await;
    assert_eq!(via(&house, sort("same")).await, Via::Model, "the intent's own time is over");
}

#[tokio::test(start_paused = true)]
async fn only_good_answers_are_remembered() {
    let house = House::sort(SORT).open();
    house.models.say("a", &[Says::Text(0, "nonsense"), Says::Text(0, "bug")]);
    house.models.say("b", &[Says::Text(0, "rubbish"), Says::Text(0, "bug")]);
    assert_eq!(house.told(sort("same")).await, Err(ErrorCode::NoAcceptableAnswer));
    assert_eq!(via(&house, sort("same")).await, Via::Model);
    let private = House::sort(&format!("{SORT}[privacy]\nstore = \"none\"\n")).open();
    private.models.say("a", &[Says::Text(0, "bug")]);
    assert_eq!(via(&private, sort("same")).await, Via::Model);
    assert_eq!(via(&private, sort("same")).await, Via::Model, "nothing is stored of it");
    assert!(private.records().iter().all(|record| record.input.is_none() && record.output.is_none()));
}

#[tokio::test(start_paused = true)]
async fn a_default_says_that_it_is_one() {
    let house = House::sort(&format!("on_exhausted = {{ default = {{ label = \"nobody\" }} }}\n{SORT}")).open();
    house.models.say("a", &[Says::Status(0, 401)]);
    house.models.say("b", &[Says::Status(0, 402)]);
    let delivered = house.execute(sort("x")).await.unwrap();
    assert_eq!((&delivered.answer.output, delivered.answer.via), (&label("nobody"), Via::Default));
    assert!(delivered.answer.model.is_none());
    let why = delivered.answer.reason.as_deref().unwrap();
    assert!(why.starts_with("nobody answered") && why.contains("hard down"), "{why}");
    assert_eq!(via(&house, sort("x")).await, Via::Default, "it is not remembered as an answer");
}

#[tokio::test(start_paused = true)]
async fn a_stale_answer_says_that_it_is_one() {
    let house = House::sort(&format!("on_exhausted = \"stale\"\n{SORT}")).open();
    house.models.say("a", &[Says::Text(0, "bug"), Says::Status(0, 401)]);
    house.models.say("b", &[Says::Status(0, 401)]);
    assert_eq!(house.told(sort("unknown")).await, Ok((label("bug"), Via::Model)));
    sleep(Duration::from_secs(11)).await;
    assert_eq!(house.told(sort("unknown")).await, Ok((label("bug"), Via::Stale)));
    assert_eq!(house.told(sort("never asked")).await, Err(ErrorCode::AllCandidatesFailed), "nothing to give");
    assert_eq!(house.told(of_team(sort("unknown"), "other")).await, Err(ErrorCode::AllCandidatesFailed));
}

#[tokio::test(start_paused = true)]
async fn a_fresh_answer_that_came_meanwhile_is_better_than_an_error() {
    let house = House::sort(&format!("on_exhausted = \"stale\"\n{SORT}")).open();
    // Another call, for other models, is answered while this one fails.
    house.models.say("a", &[Says::Status(50, 401)]);
    house.models.say("b", &[Says::Text(10, "bug"), Says::Status(50, 401)]);
    let by_both = house.execute(sort("same"));
    let by_b = house.execute(within(sort("same"), json!({ "primaryModel": "b" })));
    let (both, b) = futures_util::join!(by_both, by_b);
    assert_eq!(b.unwrap().answer.via, Via::Model);
    let answer = &both.unwrap().answer;
    assert_eq!((&answer.output, answer.via), (&label("bug"), Via::CacheExact));
}
