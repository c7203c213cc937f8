//! Places at models: who waits, who is turned away, and that every place comes back.

use std::time::Duration;

use baton_core::{AttemptOutcome, ErrorCode, Status};
use baton_engine::Call;
use serde_json::json;
use tokio::time::sleep;

use crate::house::{House, Open, SORT, of_team, read, settle, sort, within, write};
use crate::models::Says;

/// Two models that take so many calls at a time, so many may wait for each; team `two` has a double share.
fn house(places: u32, queue_max: u32) -> String {
    format!(
        "[server]\nqueue_max = {queue_max}\n[teams.one]\n[teams.two]\nshare = 2\n\
         [providers.sim]\nkind = \"simulated\"\nscenario = \"scenario.toml\"\nmax_concurrency = {places}\n\
         [models.a]\nid = \"sim/a\"\n[models.b]\nid = \"sim/b\"\n"
    )
}

const ONE_MODEL: &str = "models = [\"a\"]\n[labels]\nbilling = \"\"\nbug = \"\"\n";

/// One model with so many places.
fn open(places: u32, queue_max: u32) -> Open {
    House::sort(ONE_MODEL).with("baton.toml", &house(places, queue_max)).open()
}

/// Nobody has a place, and nobody waits.
fn all_free(open: &Open) {
    for lane in open.orchestrator.lanes() {
        assert_eq!((lane.in_flight, lane.waiting), (0, 0), "{}", lane.model);
    }
}

#[tokio::test(start_paused = true)]
async fn who_has_no_place_waits_for_one_and_the_record_says_how_long() {
    let open = open(1, 10);
    open.models.say("a", &[Says::Text(100, "bug")]);
    let (one, two, three) =
        tokio::join!(open.execute(sort("one")), open.execute(sort("two")), open.execute(sort("three")));
    assert!(one.is_ok() && two.is_ok() && three.is_ok());
    let records = open.records();
    let waits: Vec<_> = records.iter().map(|r| (r.attempts[0].queued_us, r.attempts[0].start_us)).collect();
    assert_eq!(waits, [(0, 0), (100_000, 100_000), (200_000, 200_000)]);
    assert!(records.iter().all(|r| r.attempts.len() == 1 && r.overhead_us == 0), "waiting is no overhead");
    assert_eq!(records[2].duration_us, 300_000);
    all_free(&open);
}

#[tokio::test(start_paused = true)]
async fn the_next_model_that_has_a_place_is_better_than_waiting() {
    let open = House::sort(SORT).with("baton.toml", &house(1, 10)).open();
    open.models.say("a", &[Says::Text(100, "bug")]);
    open.models.say("b", &[Says::Text(100, "bug")]);
    let (one, two) = tokio::join!(open.execute(sort("one")), open.execute(sort("two")));
    assert!(one.is_ok() && two.is_ok());
    let outcomes: Vec<_> = open.records()[1].attempts.iter().map(|a| a.outcome).collect();
    assert_eq!(outcomes, [AttemptOutcome::NoRoom, AttemptOutcome::Passed]);
    assert_eq!(open.records()[1].reason.as_deref(), Some("sim/a no room"));
    all_free(&open);
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_and_a_deadline_out_of_reach_are_refused_at_once() {
    let open = open(1, 1);
    open.models.say("a", &[Says::Text(1000, "bug")]);
    for n in 0..8 {
        open.execute(sort(&format!("before {n}"))).await.unwrap();
    }
    let slow = open.orchestrator.start(sort("slow"));
    settle().await;
    let hurried = open.execute(within(sort("hurried"), json!({ "maxLatencyMs": 1500 }))).await.unwrap_err();
    assert_eq!(hurried.failure.code, ErrorCode::DeadlineUnreachable);
    assert!(hurried.failure.retry_after_ms.is_some_and(|ms| ms > 0), "{:?}", hurried.failure);
    let waits = open.orchestrator.start(sort("waits"));
    settle().await;
    let one_more = open.execute(sort("one more")).await.unwrap_err();
    assert_eq!(one_more.failure.code, ErrorCode::QueueFull);
    assert!(one_more.failure.retry_after_ms.is_some_and(|ms| ms > 0), "{:?}", one_more.failure);
    let refused: Vec<_> = open.records().into_iter().filter(|r| r.status == Status::Failed).collect();
    assert_eq!(refused.iter().map(|r| r.duration_us).collect::<Vec<_>>(), [0, 0]);
    assert_eq!(read(slow.events).await.last().unwrap(), "end model");
    assert_eq!(read(waits.events).await.last().unwrap(), "end model");
    all_free(&open);
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_past_its_deadline() {
    let open = open(1, 10);
    open.models.say("a", &[Says::Hangs]);
    let hangs = open.orchestrator.start(within(sort("hangs"), json!({ "maxLatencyMs": 60_000 })));
    settle().await;
    let late = open.execute(within(sort("late"), json!({ "maxLatencyMs": 200 }))).await.unwrap_err();
    assert_eq!(late.failure.code, ErrorCode::DeadlineExceeded);
    let record = &open.records()[0];
    assert_eq!(record.attempts[0].outcome, AttemptOutcome::NoRoom);
    assert!(record.duration_us <= 200_000 && record.attempts[0].queued_us >= 190_000, "{record:?}");
    drop(hangs);
    settle().await;
    all_free(&open);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_gives_its_place_to_the_next() {
    let open = open(1, 10);
    open.models.say("a", &[Says::Hangs, Says::Text(10, "bug")]);
    let first = open.orchestrator.start(sort("first"));
    settle().await;
    let second = open.orchestrator.start(sort("second"));
    let third = open.orchestrator.start(sort("third"));
    settle().await;
    assert_eq!(open.orchestrator.lanes()[0].waiting, 2);
    drop(second);
    settle().await;
    assert_eq!(open.orchestrator.lanes()[0].waiting, 1);
    drop(first);
    assert_eq!(read(third.events).await.last().unwrap(), "end model");
    assert_eq!(open.records()[0].attempts[0].outcome, AttemptOutcome::NoRoom, "it left the queue");
    all_free(&open);
}

#[tokio::test(start_paused = true)]
async fn a_fault_of_ours_gives_its_place_back() {
    let open = open(1, 10);
    open.models.say("a", &[Says::Panics, Says::Text(10, "bug")]);
    let (fault, next) = tokio::join!(open.execute(sort("fault")), open.execute(sort("next")));
    assert_eq!(fault.unwrap_err().failure.code, ErrorCode::Internal);
    assert!(next.is_ok());
    all_free(&open);
}

#[tokio::test(start_paused = true)]
async fn more_places_are_given_to_who_waits() {
    let open = open(1, 10);
    open.models.say("a", &[Says::Hangs, Says::Text(10, "bug")]);
    let hangs = open.orchestrator.start(sort("hangs"));
    settle().await;
    let waits = open.orchestrator.start(sort("waits"));
    settle().await;
    open.orchestrator.reload(House::sort(ONE_MODEL).with("baton.toml", &house(2, 10)).snapshot()).unwrap();
    assert_eq!(read(waits.events).await.last().unwrap(), "end model");
    drop(hangs);
    settle().await;
    all_free(&open);
}

#[tokio::test(start_paused = true)]
async fn a_limit_is_learnt_from_refusals() {
    let open = open(100, 100);
    open.models.say("a", &[Says::Status(5, 429)]);
    let limit = || open.orchestrator.lanes()[0].limit.unwrap();
    assert_eq!(limit(), 100);
    for _ in 0..20 {
        let calls = (0..8).map(|n| open.execute(sort(&format!("{n}"))));
        futures_util::future::join_all(calls).await;
    }
    assert!(limit() < 8, "{}", limit());
    all_free(&open);
}

/// Both teams ask as fast as they may: places go by share, within a tenth.
#[tokio::test(start_paused = true)]
async fn under_overload_teams_get_their_shares() {
    let open = open(4, 400);
    open.models.say("a", &[Says::Text(100, "bug")]);
    let call = |n: usize, team| of_team(within(sort(&format!("{team} {n}")), json!({ "maxLatencyMs": 5000 })), team);
    let calls: Vec<_> = (0..300).map(|n| open.orchestrator.start(call(n, ["one", "two"][n % 2]))).collect();
    sleep(Duration::from_millis(3050)).await;
    let served = |team: &str| open.records().iter().filter(|r| r.team.as_str() == team && r.via.is_some()).count();
    let (one, two) = (served("one"), served("two"));
    assert_eq!(one + two, 120, "no place is idle");
    assert!((36..=44).contains(&one) && (72..=88).contains(&two), "{one} and {two} of 120");
    drop(calls);
    settle().await;
    all_free(&open);
}

const POOL: &str = "models = [\"a\"]\n";

/// One model, and a provider with these keys.
fn pool(dir: &tempfile::TempDir, keys: &[&str]) -> House {
    let files: Vec<String> = keys
        .iter()
        .map(|key| {
            let path = dir.path().join(key);
            std::fs::write(&path, key).unwrap();
            format!("{{ file = \"{}\" }}", path.display())
        })
        .collect();
    let baton = format!(
        "[providers.sim]\nkind = \"openai-compatible\"\nbase_url = \"http://127.0.0.1:1/v1\"\n\
         api_keys = [{}]\nmax_concurrency = 2\n[models.a]\nid = \"sim/a\"\n",
        files.join(", ")
    );
    House::write(POOL).with("baton.toml", &baton)
}

fn whole(topic: &str) -> Call {
    Call { stream: false, ..write(topic) }
}

#[tokio::test(start_paused = true)]
async fn load_is_spread_over_the_keys_of_a_provider() {
    let dir = tempfile::tempdir().unwrap();
    let open = pool(&dir, &["red", "green", "blue"]).open();
    open.models.say("a", &[Says::Text(100, "once")]);
    let calls = (0..6).map(|n| open.execute(whole(&format!("{n}"))));
    assert!(futures_util::future::join_all(calls).await.iter().all(Result::is_ok));
    let mut keys: Vec<_> = open.models.asked().into_iter().map(|asked| asked.key.unwrap()).collect();
    keys.sort();
    assert_eq!(keys, ["blue", "blue", "green", "green", "red", "red"]);
    let mut numbers: Vec<_> = open.records().iter().map(|r| r.attempts[0].key.unwrap()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, [1, 1, 2, 2, 3, 3]);
    let records = serde_json::to_string(&open.records()).unwrap();
    assert!(!["red", "green", "blue"].iter().any(|key| records.contains(key)), "no key is in a record");
    all_free(&open);
}

#[tokio::test(start_paused = true)]
async fn a_dead_key_is_dropped_and_not_the_provider() {
    for status in [401, 402, 403] {
        let dir = tempfile::tempdir().unwrap();
        let open = pool(&dir, &["dead", "good"]).open();
        open.models.say("a", &[Says::Text(10, "once")]);
        open.models.say("a dead", &[Says::Status(10, status)]);
        for n in 0..20 {
            assert!(open.execute(whole(&format!("{n}"))).await.is_ok(), "{status}");
        }
        let dead = open.models.asked().iter().filter(|asked| asked.key.as_deref() == Some("dead")).count();
        assert_eq!(dead, 1, "{status}: it is asked once in its breaker's first period");
        let lanes = open.orchestrator.lanes();
        let open_for: Vec<_> = lanes.iter().map(|lane| (lane.key, lane.open_for.is_some())).collect();
        assert_eq!(open_for, [(Some(1), true), (Some(2), false)]);
        all_free(&open);
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_added_or_taken_out_leaves_the_others_as_they_are() {
    let dir = tempfile::tempdir().unwrap();
    let open = pool(&dir, &["dead", "good"]).open();
    open.models.say("a", &[Says::Text(10, "once")]);
    open.models.say("a dead", &[Says::Status(10, 401)]);
    for n in 0..5 {
        open.execute(whole(&format!("{n}"))).await.unwrap();
    }
    open.orchestrator.reload(pool(&dir, &["new", "dead", "good"]).snapshot()).unwrap();
    let down: Vec<_> = open.orchestrator.lanes().iter().map(|lane| lane.open_for.is_some()).collect();
    assert_eq!(down, [false, true, false]);
}
