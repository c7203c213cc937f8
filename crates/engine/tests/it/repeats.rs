//! Calls that are made again under the same key.

use std::sync::Arc;

use baton_core::{ErrorCode, Status};
use baton_engine::{Call, Orchestrator, idempotency};
use baton_store::Store;
use serde_json::json;

use crate::house::{House, SORT, WRITE, of_team, read, settle, sort, write};
use crate::models::{Models, Says};

/// Without a cache, so that nothing else gives the same answer again.
fn fresh(policy: &str) -> String {
    policy.replace("ttl = \"10s\"", "")
}

fn keyed(call: Call, key: &str, body: &str) -> Call {
    Call { idempotency: Some(idempotency(key, body.as_bytes()).unwrap()), ..call }
}

#[tokio::test(start_paused = true)]
async fn the_same_call_again_is_the_same_execution() {
    let house = House::sort(&fresh(SORT)).open();
    house.models.say("a", &[Says::Text(20, "bug")]);
    let call = || keyed(sort("x"), "k", "body");
    let (one, two) = (house.orchestrator.start(call()), house.orchestrator.start(call()));
    assert_eq!(one.id, two.id, "while it runs");
    assert_eq!(read(one.events).await, ["end model"]);
    assert_eq!(read(two.events).await, ["end model"]);
    let first = house.execute(call()).await.unwrap();
    let again = house.execute(call()).await.unwrap();
    assert_eq!(first.answer, again.answer);
    assert_eq!((house.models.order().len(), house.records().len()), (1, 1));
    for other in [keyed(sort("x"), "k2", "body"), of_team(call(), "other")] {
        assert_ne!(house.execute(other).await.unwrap().answer.execution_id, first.answer.execution_id);
    }
    let error = house.execute(keyed(sort("y"), "k", "another body")).await.unwrap_err();
    assert_eq!(error.failure.code, ErrorCode::IdempotencyConflict);
    assert_eq!(error.failure.param.as_deref(), Some("Idempotency-Key"));
    assert_eq!(house.records().last().unwrap().execution, error.execution, "a refusal has its record");
    tokio::time::sleep(std::time::Duration::from_secs(24 * 3600)).await;
    assert_ne!(house.execute(call()).await.unwrap().answer.execution_id, first.answer.execution_id, "a day later");
}

#[tokio::test(start_paused = true)]
async fn a_stream_again_is_a_stream() {
    let house = House::write(&fresh(WRITE)).open();
    house.models.say("a", &[Says::Pieces(&[(5, "one "), (5, "two")])]);
    let call = || keyed(write("x"), "k", "body");
    let first = house.orchestrator.start(call());
    settle().await;
    let joined = house.orchestrator.start(call());
    assert_eq!(read(first.events).await, ["start sim/a", "one ", "two", "end model"]);
    assert_eq!(read(joined.events).await, ["start sim/a", "one ", "two", "end model"]);
    let again = house.orchestrator.start(call());
    assert_eq!(again.id, first.id);
    assert_eq!(read(again.events).await, ["start sim/a", "one two", "end model"]);
}

#[tokio::test(start_paused = true)]
async fn what_may_go_better_is_tried_anew() {
    let house =
        House::sort(&fresh("models = [\"a\"]\n[labels]\nbug = \"\"\nbilling = \"\"\n[retry]\nmax = 0\n")).open();
    house.models.say("a", &[Says::Status(5, 500), Says::Text(5, "bug")]);
    let call = || keyed(sort("x"), "k", "body");
    assert_eq!(house.told(call()).await, Err(ErrorCode::AllCandidatesFailed));
    house.told(call()).await.unwrap();
    // Nobody waited for it to the end: there is no answer to give.
    house.models.say("a", &[Says::Hangs, Says::Text(5, "bug")]);
    let hanging = house.orchestrator.start(keyed(sort("z"), "k3", "body"));
    settle().await;
    drop(hanging);
    house.orchestrator.idle().await;
    assert_eq!(house.statuses().last(), Some(&Status::Cancelled));
    house.told(keyed(sort("z"), "k3", "body")).await.unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn what_would_be_the_same_error_is_the_same_execution() {
    let house = House::sort(&fresh(SORT)).open();
    house.models.say("a", &[Says::Status(5, 400)]);
    let call = || keyed(sort("x"), "k", "body");
    let (one, two) = (house.execute(call()).await.unwrap_err(), house.execute(call()).await.unwrap_err());
    assert_eq!((one.failure.code, one.execution), (ErrorCode::UpstreamRejected, two.execution));
    assert_eq!(house.models.order().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn who_may_not_call_it_learns_nothing_of_it() {
    let house = House::sort(&fresh(SORT)).open();
    house.models.say("a", &[Says::Text(5, "bug")]);
    house.execute(keyed(sort("x"), "k", "body")).await.unwrap();
    let mut call = keyed(sort("x"), "k", "body");
    call.caller.intents = Some(["other".into()].into());
    assert_eq!(house.told(call).await, Err(ErrorCode::IntentNotAllowed));
}

#[tokio::test(start_paused = true)]
async fn answers_and_final_errors_survive_a_restart() {
    let (store, models) = (Store::memory(), Models::default());
    models.say("a", &[Says::Text(5, "bug"), Says::Status(5, 400), Says::Text(5, "bug")]);
    let open = || {
        Orchestrator::builder(House::sort(&fresh(SORT)).snapshot(), store.clone())
            .transport("sim", Arc::new(models.clone()))
            .simulated(7)
            .build()
            .unwrap()
    };
    let (answered, rejected) = (|| keyed(sort("x"), "k", "body"), || keyed(sort("y"), "k2", "body"));
    let first = open();
    let answer = first.execute(answered()).await.unwrap();
    let error = first.execute(rejected()).await.unwrap_err();
    let second = open();
    let again = second.execute(answered()).await.unwrap();
    assert_eq!(
        (again.answer.execution_id, &again.answer.output),
        (answer.answer.execution_id, &json!({"label": "bug"}))
    );
    assert_eq!(second.execute(rejected()).await.unwrap_err().execution, error.execution);
    let conflict = second.execute(keyed(sort("z"), "k", "other")).await.unwrap_err();
    assert_eq!(conflict.failure.code, ErrorCode::IdempotencyConflict);
    assert_eq!(models.order().len(), 2);
}

#[test]
fn a_key_is_a_short_text() {
    for wrong in ["", "a\nb", &"x".repeat(256)] {
        assert_eq!(idempotency(wrong, b"").unwrap_err().code, ErrorCode::InputInvalid);
    }
    idempotency(&"x".repeat(255), b"").unwrap();
}
