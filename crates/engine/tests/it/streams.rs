//! Streams: when text is given, and how they end.

use baton_core::{AttemptOutcome, ErrorCode, Status};
use baton_engine::{Call, Target};
use baton_store::Entry;
use serde_json::json;

use crate::house::{House, SORT, WRITE, read, settle, sort, within, write};
use crate::models::Says;

const GATE: &str = "[[checks]]\ntype = \"contains\"\nvalue = \"guarantee\"\nnot = true\n";

#[tokio::test(start_paused = true)]
async fn ungated_text_flows_and_is_opened_before() {
    let house = House::write(WRITE).open();
    house.models.say("a", &[Says::Pieces(&[(10, "Dear "), (10, "all")])]);
    let mut execution = house.orchestrator.start(write("x"));
    execution.events.next().await.unwrap();
    assert_eq!(house.now_ms(), 10, "with the first piece");
    let [Entry::Opened(opened)] = &house.entries()[..] else { panic!("{:?}", house.entries()) };
    assert_eq!(opened.execution, execution.id);
    assert!(opened.reserved.0 > 0, "the most that it can cost");
    assert_eq!(read(execution.events).await, ["Dear ", "all", "end model"]);
    assert_eq!(house.statuses(), [Status::Succeeded]);
}

#[tokio::test(start_paused = true)]
async fn gated_text_waits_for_its_verdict_and_falls_back_unseen() {
    let house = House::write(&format!("{WRITE}{GATE}")).open();
    house.models.say("a", &[Says::Pieces(&[(10, "We "), (10, "guarantee")])]);
    house.models.say("b", &[Says::Pieces(&[(10, "Dear "), (10, "all")])]);
    let mut execution = house.orchestrator.start(write("x"));
    execution.events.next().await.unwrap();
    assert_eq!(house.now_ms(), 40);
    assert_eq!(read(execution.events).await, ["Dear all", "end model"], "whole: it is all there");
    assert!(house.entries().iter().all(|entry| matches!(entry, Entry::Finished(_))));
}

#[tokio::test(start_paused = true)]
async fn unverified_text_flows_and_a_failed_gate_ends_it_with_an_error() {
    let house = House::write(&format!("stream_unverified = true\n{WRITE}{GATE}")).open();
    house.models.say("a", &[Says::Pieces(&[(10, "We "), (10, "guarantee")])]);
    let read = read(house.orchestrator.start(write("x")).events).await;
    assert_eq!(read, ["start sim/a", "We ", "guarantee", "no_acceptable_answer"]);
    assert_eq!(house.statuses(), [Status::Interrupted]);
    assert_eq!(house.models.order(), ["a"], "what was given cannot be taken back");
}

#[tokio::test(start_paused = true)]
async fn a_broken_stream_is_never_reported_complete() {
    let house = House::write(WRITE).open();
    house.models.say("a", &[Says::Broken(&[(10, "Dear "), (10, "a")])]);
    let events = read(house.orchestrator.start(write("x")).events).await;
    assert_eq!(events, ["start sim/a", "Dear ", "a", "stream_interrupted"]);
    assert_eq!(house.statuses(), [Status::Interrupted]);
    let again = read(house.orchestrator.start(write("x")).events).await;
    assert_eq!(again.last().unwrap(), "stream_interrupted", "half an answer is not remembered");
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_breaks_before_its_first_piece_falls_back_unseen() {
    let house = House::write(WRITE).open();
    house.models.say("a", &[Says::Broken(&[])]);
    house.models.say("b", &[Says::Pieces(&[(10, "Dear")])]);
    let call = within(write("x"), json!({ "retries": 0 }));
    assert_eq!(read(house.orchestrator.start(call).events).await, ["start sim/b", "Dear", "end model"]);
}

#[tokio::test(start_paused = true)]
async fn the_deadline_bounds_the_first_piece_and_not_the_last() {
    let house = House::write(WRITE).open();
    house.models.say("a", &[Says::Pieces(&[(40, "Dear "), (400, "all")])]);
    let in_time = house.orchestrator.start(within(write("x"), json!({ "maxLatencyMs": 100 })));
    assert_eq!(read(in_time.events).await, ["start sim/a", "Dear ", "all", "end model"]);
    house.models.say("a", &[Says::Hangs]);
    house.models.say("b", &[Says::Hangs]);
    let late = house.orchestrator.start(within(write("y"), json!({ "maxLatencyMs": 100, "cacheTTL": 0 })));
    assert_eq!(read(late.events).await.last().map(String::as_str), Some("end model"), "what was said before");
    let late = house.orchestrator.start(within(write("z"), json!({ "maxLatencyMs": 100 })));
    let begun = house.now_ms();
    assert_eq!(read(late.events).await, [ErrorCode::DeadlineExceeded.as_str()]);
    assert!(house.now_ms() - begun <= 100);
}

#[tokio::test(start_paused = true)]
async fn a_remembered_answer_is_replayed_as_a_stream() {
    let house = House::write(WRITE).open();
    house.models.say("a", &[Says::Pieces(&[(10, "Dear "), (10, "all")])]);
    read(house.orchestrator.start(write("x")).events).await;
    let replayed = read(house.orchestrator.start(write("x")).events).await;
    assert_eq!(replayed, ["start sim/a", "Dear all", "end cache-exact"]);
    let label = House::sort(SORT).open();
    label.models.say("a", &[Says::Text(10, "bug")]);
    let stream = Call { stream: true, ..sort("x") };
    assert_eq!(read(label.orchestrator.start(stream).events).await, ["start sim/a", "bug", "end model"]);
}

/// What a model costs is recorded however its stream ends; what nobody counted is estimated, and
/// says so.
#[tokio::test(start_paused = true)]
async fn every_end_of_a_stream_has_its_usage_and_its_cost() {
    use AttemptOutcome::{Cancelled, Passed, Transient};
    // What is said, whether the reader leaves after the first piece, then outcome, output tokens,
    // whether they are estimated.
    for (says, leaves, outcome, output, estimated) in [
        (Says::Pieces(&[(10, "Dear "), (10, "all, hi")]), false, Passed, 10, false),
        (Says::NoUsage(&[(10, "Dear "), (10, "all, hi")]), false, Passed, 3, true),
        (Says::Broken(&[(10, "Dear "), (10, "all, hi")]), false, Transient, 3, true),
        (Says::Pieces(&[(10, "Dear "), (500, "all, hi")]), true, Cancelled, 2, true),
    ] {
        let house = House::write(WRITE).open();
        house.models.say("a", std::slice::from_ref(&says));
        let mut execution = house.orchestrator.start(write("x"));
        execution.events.next().await.unwrap();
        if leaves {
            execution.events.next().await.unwrap();
            drop(execution.events);
            settle().await;
        } else {
            read(execution.events).await;
        }
        let [record] = &house.records()[..] else { panic!("one record: {says:?}") };
        let attempt = &record.attempts[0];
        let usage = attempt.usage.unwrap();
        assert_eq!((attempt.outcome, usage.output_tokens, usage.estimated), (outcome, output, estimated), "{says:?}");
        let cost = usage.input_tokens * 1000 + output * 2000;
        assert_eq!(attempt.cost.unwrap().0, i64::try_from(cost).unwrap(), "{says:?}");
        assert_eq!(record.usage, usage, "{says:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_does_not_read_never_holds_the_model_up() {
    static PIECE: std::sync::LazyLock<String> = std::sync::LazyLock::new(|| "x".repeat(512 << 10));
    let house = House::write(WRITE).open();
    let pieces: &[(u64, &str)] = Vec::leak(vec![(10, PIECE.as_str()); 12]);
    house.models.say("a", &[Says::Pieces(pieces)]);
    let mut execution = house.orchestrator.start(write("x"));
    house.orchestrator.idle().await;
    assert_eq!((house.statuses(), house.models.open()), (vec![Status::Succeeded], 0), "it ended all the same");
    assert!(execution.events.next().await.is_none(), "what it did not read is no longer kept");
}

#[tokio::test(start_paused = true)]
async fn whoever_is_limited_to_intents_calls_no_model() {
    let house = House::write(WRITE).open();
    let chat = baton_wire::ChatRequest { model: "sim/a".into(), ..Default::default() };
    let mut call = Call { target: Target::Model(Box::new(chat)), ..write("x") };
    call.caller.intents = Some(["write".into()].into());
    assert_eq!(read(house.orchestrator.start(call).events).await, [ErrorCode::IntentNotAllowed.as_str()]);
    assert!(house.models.asked().is_empty());
}
