//! Clients that leave, and faults of our own.

use std::time::Duration;

use baton_core::{AttemptOutcome, ErrorCode, NanoUsd, Status, Via};
use serde_json::json;
use tokio::time::sleep;

use crate::house::{House, SORT, WRITE, read, settle, sort, write};
use crate::models::Says;

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_cancels_upstream_and_is_recorded() {
    let house = House::sort(SORT).open();
    house.models.say("a", &[Says::Hangs]);
    let execution = house.orchestrator.start(sort("x"));
    sleep(Duration::from_millis(20)).await;
    assert_eq!(house.models.open(), 1);
    drop(execution.events);
    settle().await;
    assert_eq!((house.models.open(), house.orchestrator.running()), (0, 0));
    let [record] = &house.records()[..] else { panic!("one record") };
    assert_eq!((record.execution, record.status, record.duration_us), (execution.id, Status::Cancelled, 20_000));
    assert_eq!(record.attempts[0].outcome, AttemptOutcome::Cancelled);
    assert!(record.cost > NanoUsd(0), "it may well be billed");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_at_once_asks_nobody() {
    let house = House::sort(SORT).open();
    house.models.say("a", &[Says::Hangs]);
    drop(house.orchestrator.start(sort("x")));
    settle().await;
    assert!(house.models.asked().is_empty());
    assert_eq!(house.statuses(), [Status::Cancelled]);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_in_the_middle_of_a_stream() {
    let house = House::write(WRITE).open();
    house.models.say("a", &[Says::Pieces(&[(10, "Dear "), (500, "all")])]);
    let mut execution = house.orchestrator.start(write("x"));
    execution.events.next().await.unwrap();
    drop(execution.events);
    settle().await;
    assert_eq!((house.models.open(), house.statuses()), (0, vec![Status::Cancelled]));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_while_the_journal_is_slow_cancels_upstream_at_once() {
    let house = House::write(WRITE).open();
    house.models.say("a", &[Says::Pieces(&[(10, "Dear "), (10, "all")])]);
    house.journal(false, 5000);
    let execution = house.orchestrator.start(write("x"));
    sleep(Duration::from_millis(50)).await;
    drop(execution.events);
    settle().await;
    assert_eq!(house.models.open(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_understood_is_not_taken_for_free() {
    let house = House::sort(SORT).open();
    // A whole answer without a reason to stop is none; its tokens were written all the same.
    house.models.say("a", &[Says::Unfinished]);
    house.models.say("b", &[Says::Text(0, "bug")]);
    let delivered = house.execute(sort("x")).await.unwrap();
    let record = &house.records()[0];
    assert_eq!(record.attempts[0].outcome, AttemptOutcome::BadAnswer);
    assert!(record.attempts[0].cost > Some(NanoUsd(0)), "{:?}", record.attempts[0].cost);
    assert!(record.attempts[0].usage.unwrap().estimated);
    assert_eq!(delivered.answer.via, Via::Model);
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_a_typed_error_with_a_record_and_ends_nobody_else() {
    let house = House::sort(SORT).open();
    house.models.say("a", &[Says::Panics, Says::Text(5, "bug")]);
    let other = house.orchestrator.start(sort("other"));
    let error = house.execute(sort("x")).await;
    let (first, second) = (read(other.events).await, error.map(|delivered| delivered.answer.via));
    // The first to ask meets the panic.
    assert_eq!(first, [ErrorCode::Internal.as_str()]);
    assert_eq!(second.unwrap(), Via::Model);
    let mut statuses = house.statuses();
    statuses.sort();
    assert_eq!(statuses, [Status::Succeeded, Status::Failed], "{:?}", house.records());
    let failed = house.records().into_iter().find(|record| record.status == Status::Failed).unwrap();
    assert_eq!(failed.error.unwrap().code, ErrorCode::Internal);
    assert_eq!(house.told(sort("other")).await, Ok((json!({ "label": "bug" }), Via::Model)), "its flight has landed");
}
