//! Concurrent identical calls: one asks, the others follow, each with its own record and deadline.

use std::time::Duration;

use baton_core::{ErrorCode, NanoUsd, Status, Via};
use baton_engine::Call;
use futures_util::future::join_all;
use serde_json::json;
use tokio::time::sleep;

use crate::house::{House, Open, SORT, WRITE, of_customer, of_team, read, settle, sort, told, within, write};
use crate::models::Says;

/// Starts calls one after the other, and reads them all to the end.
async fn together(house: &Open, calls: Vec<Call>) -> Vec<Result<(serde_json::Value, Via), ErrorCode>> {
    join_all(calls.into_iter().map(|call| house.execute(call))).await.into_iter().map(told).collect()
}

#[tokio::test(start_paused = true)]
async fn many_identical_calls_ask_once() {
    let house = House::sort(SORT).open();
    house.models.say("a", &[Says::Text(50, "bug")]);
    let answers = together(&house, vec![sort("same"); 20]).await;
    let label = json!({ "label": "bug" });
    assert_eq!(answers[0], Ok((label.clone(), Via::Model)));
    assert!(answers[1..].iter().all(|answer| *answer == Ok((label.clone(), Via::Coalesced))));
    assert_eq!(house.models.order(), ["a"]);
    let records = house.records();
    assert_eq!(records.len(), 20);
    let leader = records.iter().find(|record| record.via == Some(Via::Model)).unwrap();
    for follower in records.iter().filter(|record| record.via == Some(Via::Coalesced)) {
        assert_eq!((follower.source, follower.cost), (Some(leader.execution), NanoUsd(0)), "the leader pays");
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_follows_into_another_scope() {
    let house = House::sort(SORT).open();
    house.models.say("a", &[Says::Text(50, "bug")]);
    let calls = vec![
        sort("same"),
        of_team(sort("same"), "other"),
        of_customer(sort("same"), "one"),
        of_customer(sort("same"), "two"),
        within(sort("same"), json!({ "primaryModel": "a" })),
        within(sort("same"), json!({ "cacheTTL": 0 })),
    ];
    let answers = together(&house, calls).await;
    assert!(answers.iter().all(|answer| matches!(answer, Ok((_, Via::Model)))), "{answers:?}");
    assert_eq!(house.models.asked().len(), 6);
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_leaves_lets_its_followers_be_answered() {
    let house = House::sort(SORT).open();
    house.models.say("a", &[Says::Text(50, "bug")]);
    let leader = house.orchestrator.start(sort("same"));
    settle().await;
    let follower = house.orchestrator.start(sort("same"));
    settle().await;
    drop(leader.events);
    assert_eq!(read(follower.events).await, ["end coalesced"]);
    assert_eq!(house.models.order(), ["a"]);
    assert_eq!(house.statuses(), [Status::Succeeded, Status::Succeeded]);
}

#[tokio::test(start_paused = true)]
async fn a_failed_flight_elects_one_new_leader_once() {
    let house = House::sort(&SORT.replace("[\"a\", \"b\"]", "[\"a\"]")).open();
    house.models.say("a", &[Says::Status(20, 401), Says::Text(1, "bug")]);
    let answers = together(&house, vec![sort("same"); 5]).await;
    // `a` is hard down: the new leader finds its breaker open and asks nobody.
    assert!(answers.iter().all(|answer| *answer == Err(ErrorCode::AllCandidatesFailed)), "{answers:?}");
    assert_eq!(house.models.order(), ["a"]);

    let house = House::sort(&SORT.replace("[\"a\", \"b\"]", "[\"a\"]")).open();
    house.models.say("a", &[Says::Text(20, "nonsense"), Says::Text(20, "bug")]);
    let answers = together(&house, vec![sort("same"); 5]).await;
    let via: Vec<_> = answers.iter().map(|answer| answer.as_ref().map(|(_, via)| *via).map_err(|code| *code)).collect();
    let coalesced = Ok(Via::Coalesced);
    assert_eq!(via, [Err(ErrorCode::NoAcceptableAnswer), Ok(Via::Model), coalesced, coalesced, coalesced]);
    assert_eq!(house.models.order(), ["a", "a"]);

    let house = House::sort(&SORT.replace("[\"a\", \"b\"]", "[\"a\"]")).open();
    house.models.say("a", &[Says::Text(20, "nonsense")]);
    let answers = together(&house, vec![sort("same"); 5]).await;
    assert!(answers.iter().all(|answer| *answer == Err(ErrorCode::NoAcceptableAnswer)), "{answers:?}");
    assert_eq!(house.models.order(), ["a", "a"], "one new leader, once");
}

#[tokio::test(start_paused = true)]
async fn a_follower_keeps_its_own_deadline() {
    let house = House::sort(SORT).open();
    house.models.say("a", &[Says::Text(500, "bug")]);
    let calls = vec![sort("same"), within(sort("same"), json!({ "maxLatencyMs": 100 }))];
    let answers = together(&house, calls).await;
    assert_eq!(answers, [Ok((json!({ "label": "bug" }), Via::Model)), Err(ErrorCode::DeadlineExceeded)]);
    let durations: Vec<_> = house.records().iter().map(|record| record.duration_us).collect();
    // Less the 5 ms that handing over takes.
    assert_eq!(durations, [95_000, 500_000]);
}

#[tokio::test(start_paused = true)]
async fn a_leader_with_less_time_does_not_fail_its_followers() {
    let house = House::sort(&SORT.replace("[\"a\", \"b\"]", "[\"a\"]")).open();
    house.models.say("a", &[Says::Text(300, "bug")]);
    let hurried = || within(sort("same"), json!({ "maxLatencyMs": 50 }));
    let answers = together(&house, vec![hurried(), sort("same"), hurried(), sort("same")]).await;
    let late = Err(ErrorCode::DeadlineExceeded);
    let answered: Vec<_> = answers.iter().filter(|answer| answer.is_ok()).collect();
    assert_eq!((&answers[0], &answers[2], answered.len()), (&late, &late, 2), "{answers:?}");
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_followed_as_it_comes() {
    let house = House::write(WRITE).open();
    house.models.say("a", &[Says::Pieces(&[(10, "Dear "), (10, "all, "), (10, "bye")])]);
    let leader = house.orchestrator.start(write("x"));
    sleep(Duration::from_millis(15)).await;
    let late = house.orchestrator.start(write("x"));
    let unary = house.orchestrator.start(Call { stream: false, ..write("x") });
    let pieces = ["start sim/a", "Dear ", "all, ", "bye"];
    assert_eq!(read(leader.events).await, [&pieces[..], &["end model"]].concat());
    assert_eq!(read(late.events).await, [&pieces[..], &["end coalesced"]].concat());
    assert_eq!(read(unary.events).await, ["end coalesced"]);
    assert_eq!(house.models.order(), ["a"]);
}

#[tokio::test(start_paused = true)]
async fn nobody_boards_a_flight_that_its_clients_left() {
    let house = House::write(WRITE).open();
    house.models.say("a", &[Says::Pieces(&[(10, "Dear "), (500, "all")])]);
    let first = house.orchestrator.start(write("x"));
    sleep(Duration::from_millis(20)).await;
    // Its client leaves, and its record takes a while; then somebody asks the same.
    house.journal(false, 200);
    drop(first.events);
    settle().await;
    house.journal(false, 0);
    let second = house.orchestrator.start(write("x"));
    assert_eq!(read(second.events).await, ["start sim/a", "Dear ", "all", "end model"]);
    assert_eq!(house.models.order(), ["a", "a"]);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_flows_is_not_cut_at_a_followers_deadline() {
    let house = House::write(WRITE).open();
    house.models.say("a", &[Says::Pieces(&[(10, "Dear "), (200, "all")])]);
    let leader = house.orchestrator.start(write("x"));
    settle().await;
    // The deadline bounds the commit; what was begun may end.
    let hurried = house.orchestrator.start(within(write("x"), json!({ "maxLatencyMs": 50 })));
    assert_eq!(read(hurried.events).await, ["start sim/a", "Dear ", "all", "end coalesced"]);
    assert_eq!(read(leader.events).await, ["start sim/a", "Dear ", "all", "end model"]);
}

#[tokio::test(start_paused = true)]
async fn a_verified_stream_is_followed_after_its_verdict_only() {
    let house = House::sort(SORT).open();
    house.models.say("a", &[Says::Pieces(&[(10, "b"), (10, "ug")])]);
    let stream = || Call { stream: true, ..sort("same") };
    let (leader, follower) = (house.orchestrator.start(stream()), house.orchestrator.start(stream()));
    assert_eq!(read(leader.events).await, ["start sim/a", "bug", "end model"]);
    assert_eq!(read(follower.events).await, ["start sim/a", "bug", "end coalesced"]);
    // Nothing was given before a record was kept, so nothing had to be opened.
    assert_eq!(house.entries().len(), house.records().len());
}
