//! What a stream must keep to, from `[stream]` to the record.

use baton_core::{AttemptOutcome, Status};
use baton_engine::Call;

use crate::house::{House, SORT, WRITE, read, sort, write};
use crate::models::Says;

/// Half a second to the first token, 300 ms between pieces, ten bytes in each second after the first.
const STREAM: &str =
    "[stream]\nfirst_token = \"500ms\"\nidle = \"300ms\"\ntotal = \"3s\"\nmin_bytes_per_second = 10\ngrace = \"1s\"\n";

/// What `a` says, what the reader reads, and why the attempt at `a` was ended; `b` always answers.
async fn check(says: Says, reads: &[&str], why: &str) {
    let house = House::write(&format!("{WRITE}{STREAM}")).open();
    house.models.say("a", std::slice::from_ref(&says));
    house.models.say("b", &[Says::Pieces(&[(10, "By b")])]);
    assert_eq!(read(house.orchestrator.start(write("x")).events).await, reads, "{says:?}");
    let [record] = &house.records()[..] else { panic!("one record: {says:?}") };
    let attempt = &record.attempts[0];
    assert_eq!((attempt.outcome, attempt.error.as_deref()), (AttemptOutcome::Slow, Some(why)), "{says:?}");
    let usage = attempt.usage.unwrap();
    assert!(usage.estimated && attempt.cost.unwrap().0 > 0, "it may be billed: {says:?}");
    let broken = reads.last() == Some(&"stream_interrupted");
    assert_eq!(record.status, if broken { Status::Interrupted } else { Status::Succeeded }, "{says:?}");
    assert_eq!(house.models.open(), 0, "the model was told: {says:?}");
}

#[tokio::test(start_paused = true)]
async fn each_limit_falls_back_before_the_commit_and_interrupts_after_it() {
    let by_b = &["start sim/b", "By b", "end model"];
    check(Says::Pieces(&[(501, "Dear")]), by_b, "no first token within 500 ms").await;
    let silent = "its stream was silent for 300 ms";
    check(Says::Pieces(&[(10, "Dear "), (301, "all")]), &["start sim/a", "Dear ", "stream_interrupted"], silent).await;
    let slow = Says::Pieces(&[(10, "a"), (300, "b"), (300, "c"), (300, "d"), (300, "e")]);
    let reads = ["start sim/a", "a", "b", "c", "d", "stream_interrupted"];
    check(slow, &reads, "its stream wrote less than 10 bytes a second over 1000 ms").await;
    let long: &[(u64, &str)] = Vec::leak(vec![(190, "four words of text "); 20]);
    let reads = [&["start sim/a"], &["four words of text "; 15][..], &["stream_interrupted"]].concat();
    check(Says::Pieces(long), &reads, "no answer within 3000 ms").await;
}

#[tokio::test(start_paused = true)]
async fn a_gated_stream_falls_back_unseen_at_any_limit() {
    let house = House::sort(&format!("{SORT}{STREAM}")).open();
    house.models.say("a", &[Says::Pieces(&[(10, "bi"), (400, "lling")])]);
    house.models.say("b", &[Says::Pieces(&[(10, "bug")])]);
    let stream = Call { stream: true, ..sort("x") };
    assert_eq!(read(house.orchestrator.start(stream).events).await, ["start sim/b", "bug", "end model"]);
    assert_eq!(house.now_ms(), 320, "after 300 ms of silence");
    let [record] = &house.records()[..] else { panic!("one record") };
    assert_eq!(record.attempts[0].outcome, AttemptOutcome::Slow);
}

#[tokio::test(start_paused = true)]
async fn a_whole_answer_knows_no_limit_of_streams() {
    let house = House::sort(&format!("{SORT}{STREAM}")).open();
    house.models.say("a", &[Says::Text(5000, "bug")]);
    house.execute(sort("x")).await.unwrap();
    assert_eq!((house.now_ms(), house.models.order()), (5000, vec!["a".to_owned()]));
}

#[tokio::test(start_paused = true)]
async fn what_keeps_a_connection_alive_is_no_progress() {
    let alive = |line: &str| Says::Raw(vec![(100, format!("{line}\n\n")); 40]);
    let empty = r#"data: {"id":"c","model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}"#;
    let vendor = r#"data: {"id":"c","model":"m","provider":"x","choices":[]}"#;
    for line in [": alive", empty, vendor] {
        check(alive(line), &["start sim/b", "By b", "end model"], "no first token within 500 ms").await;
    }
}

/// What the model thought and what it called are written, too; and what was reported stands, though
/// the stream broke after it.
#[tokio::test(start_paused = true)]
async fn what_was_written_unseen_is_not_free() {
    let thought =
        r#"{"id":"c","model":"m","choices":[{"index":0,"delta":{"reasoning_content":"a thought of 20 ch."}}]}"#;
    let usage = r#"{"id":"c","model":"m","choices":[],"usage":{"prompt_tokens":100,"completion_tokens":7}}"#;
    let broken = "{\"id\":";
    for (events, output, estimated) in [(&[thought, broken][..], 5, true), (&[thought, usage, broken], 7, false)] {
        let house = House::write(&format!("{WRITE}{STREAM}")).open();
        let events = events.iter().map(|event| (10, format!("data: {event}\n\n")));
        house.models.say("a", &[Says::Raw(events.collect())]);
        house.models.say("b", &[Says::Pieces(&[(10, "By b")])]);
        read(house.orchestrator.start(write("x")).events).await;
        let usage = house.records()[0].attempts[0].usage.unwrap();
        assert_eq!((usage.output_tokens, usage.estimated), (output, estimated));
    }
}

/// While the journal takes the opening of a stream, nobody reads it: that is not the model's silence.
#[tokio::test(start_paused = true)]
async fn a_slow_journal_is_not_the_models_silence() {
    let house = House::write(&format!("{WRITE}{STREAM}")).open();
    house.journal(false, 700);
    house.models.say("a", &[Says::Pieces(&[(10, "Dear "), (100, "all, "), (800, "hello")])]);
    let reads = read(house.orchestrator.start(write("x")).events).await;
    assert_eq!(reads, ["start sim/a", "Dear ", "all, ", "stream_interrupted"], "after 300 ms of silence");
    assert_eq!(house.records()[0].duration_us, 1_110_000);
}
