//! Record: acknowledged before a success leaves; where the journal cannot, the deadline wins.

use std::time::Duration;

use baton_core::{ErrorCode, Status, Via};
use serde_json::json;
use tokio::time::sleep;

use crate::house::{House, SORT, WRITE, read, sort, within, write};
use crate::models::Says;

#[tokio::test(start_paused = true)]
async fn a_full_journal_refuses_work_before_a_model_is_asked() {
    let house = House::sort(SORT).open();
    house.models.say("a", &[Says::Text(10, "bug")]);
    house.journal(true, 0);
    let error = house.execute(sort("x")).await.unwrap_err();
    assert_eq!(error.failure.code, ErrorCode::JournalFull);
    assert!(house.models.asked().is_empty());
    house.journal(false, 0);
    assert_eq!(house.told(sort("x")).await, Ok((json!({ "label": "bug" }), Via::Model)));
}

#[tokio::test(start_paused = true)]
async fn a_journal_that_fills_up_meanwhile_gives_no_answer() {
    let house = House::sort(SORT).open();
    house.models.say("a", &[Says::Text(10, "bug")]);
    let execution = house.orchestrator.start(sort("x"));
    sleep(Duration::from_millis(5)).await;
    house.journal(true, 0);
    assert_eq!(read(execution.events).await, ["journal_full"]);
    house.journal(false, 0);
    assert_eq!(house.told(sort("x")).await.unwrap().1, Via::Model, "what was not recorded is not remembered");
}

#[tokio::test(start_paused = true)]
async fn a_success_waits_for_its_record() {
    let house = House::sort(SORT).open();
    house.models.say("a", &[Says::Text(10, "bug")]);
    house.journal(false, 30);
    house.told(sort("x")).await.unwrap();
    assert_eq!(house.now_ms(), 40);
}

#[tokio::test(start_paused = true)]
async fn where_the_journal_is_too_slow_the_deadline_wins_and_the_record_follows() {
    let house = House::sort(SORT).open();
    house.models.say("a", &[Says::Text(10, "bug")]);
    house.journal(false, 5000);
    let error = house.execute(within(sort("x"), json!({ "maxLatencyMs": 100 }))).await.unwrap_err();
    assert_eq!((error.failure.code, house.now_ms()), (ErrorCode::DeadlineExceeded, 100));
    let [record] = &house.records()[..] else { panic!("one record") };
    assert_eq!((record.execution, record.status), (error.execution, Status::Succeeded));
    house.journal(false, 0);
    assert_eq!(house.told(sort("x")).await.unwrap().1, Via::Model, "nor is it remembered");
}

#[tokio::test(start_paused = true)]
async fn no_byte_of_a_stream_leaves_before_it_is_opened() {
    let house = House::write(WRITE).open();
    house.models.say("a", &[Says::Pieces(&[(10, "Dear "), (10, "all")])]);
    house.journal(false, 30);
    let mut execution = house.orchestrator.start(write("x"));
    execution.events.next().await.unwrap();
    assert_eq!(house.now_ms(), 40);
    house.journal(true, 0);
    assert_eq!(read(execution.events).await, ["Dear ", "all", "journal_full"], "it cannot end as a success");
    assert!(house.records().is_empty());
    assert_eq!(house.models.open(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_refused_call_is_told_so_within_its_own_limit() {
    let house = House::sort(SORT).open();
    house.journal(false, 5000);
    let call = within(sort("x"), json!({ "maxLatencyMs": 100, "primaryModel": "o9" }));
    let error = house.execute(call).await.unwrap_err();
    assert_eq!((error.failure.code, house.now_ms()), (ErrorCode::OverrideNotPermitted, 100));
    assert_eq!(house.records().len(), 1, "recorded all the same");
}
