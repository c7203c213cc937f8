//! Jobs on disk: an item has one result, and what is old goes.

use std::collections::BTreeMap;
use std::time::Duration;

use baton_core::{IntentName, JobId, NanoUsd};

use super::tests::{open, team};
use super::*;
use crate::{ItemChange, ItemCost, ItemInput, ItemState, Job, JobResult, JobState};

fn job(number: u64, created_us: i64) -> Job {
    Job {
        id: JobId::new(number, [0; 10]),
        team: team("support"),
        intent: IntentName::new("classify"),
        state: JobState::Arriving,
        created_us,
        ended_us: None,
        items: 0,
        succeeded: 0,
        failed: 0,
        cost: NanoUsd(0),
        cost_known: true,
        waits: None,
        handed_in: None,
        terms: "{}".into(),
    }
}

async fn handed_in(store: &Store, job: &Job, items: u32) {
    store.begin_job(job).await.unwrap();
    let inputs: Vec<ItemInput> = (0..items).map(|n| (format!("{{\"input\":{n}}}"), None)).collect();
    store.add_items(job.id, 0, &inputs).await.unwrap();
    assert_eq!(store.open_job(job, items, None).await.unwrap(), None);
}

fn ended(place: u32, succeeded: bool, text: &str) -> ItemChange {
    let result = JobResult { place, succeeded, result: text.into() };
    ItemChange { place, now: ItemState::Ended(result), cost: ItemCost { cost: NanoUsd(5), known: true } }
}

#[tokio::test]
async fn an_item_keeps_its_first_result_and_a_job_ends_when_all_have_one() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir).await;
    let job = job(1, 7);
    handed_in(&store, &job, 3).await;
    assert!(store.take_job(job.id).await.unwrap());
    assert!(!store.take_job(job.id).await.unwrap(), "somebody has worked on it");
    let again = ItemChange { place: 1, now: ItemState::Waits { round: 1, tries: 1 }, cost: ItemCost::default() };
    store.change_items(job.id, &[ended(0, true, "first"), again]).await.unwrap();
    store.change_items(job.id, &[ended(0, false, "second")]).await.unwrap();
    store.end_job(job.id, 9).await.unwrap();
    let waiting = store.next_items(job.id, None, 10).await.unwrap();
    let told: Vec<_> = waiting.iter().map(|item| (item.place, item.round, item.tries)).collect();
    assert_eq!(told, [(1, 1, 1), (2, 0, 0)]);
    let read = store.job(&team("support"), job.id).await.unwrap().unwrap();
    assert_eq!((read.state, read.succeeded, read.failed, read.cost), (JobState::Open, 1, 0, NanoUsd(5)));
    assert!(!read.cost_known, "what the failed one cost is not known");
    assert_eq!(store.job(&team("other"), job.id).await.unwrap(), None);

    store.change_items(job.id, &[ended(1, false, "b"), ended(2, true, "c")]).await.unwrap();
    store.end_job(job.id, 9).await.unwrap();
    let results = store.job_results(job.id, 0, 10).await.unwrap();
    let told: Vec<_> = results.iter().map(|result| (result.place, result.succeeded, result.result.as_str())).collect();
    assert_eq!(told, [(0, true, "first"), (1, false, "b"), (2, true, "c")]);
    let read = store.job(&team("support"), job.id).await.unwrap().unwrap();
    assert_eq!((read.state, read.ended_us), (JobState::Done, Some(9)));
    assert_eq!(store.open_jobs().await.unwrap(), []);
    store.close().await;
}

#[tokio::test]
async fn a_page_of_results_is_bounded_in_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir).await;
    let job = job(1, 7);
    handed_in(&store, &job, 4).await;
    let long = "x".repeat(3 << 20);
    let changes: Vec<_> = (0..4).map(|place| ended(place, true, &long)).collect();
    store.change_items(job.id, &changes).await.unwrap();
    let places = |results: Vec<JobResult>| results.iter().map(|result| result.place).collect::<Vec<_>>();
    assert_eq!(places(store.job_results(job.id, 0, 10).await.unwrap()), [0, 1]);
    assert_eq!(places(store.job_results(job.id, 3, 10).await.unwrap()), [3]);
    store.close().await;
}

#[tokio::test]
async fn jobs_go_when_their_intent_s_records_do_and_what_did_not_arrive_sooner() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir).await;
    let day = 86_400_000_000;
    let (old, young, lost) = (job(1, 0), job(2, day), job(3, day));
    handed_in(&store, &old, 1).await;
    handed_in(&store, &young, 1).await;
    store.begin_job(&lost).await.unwrap();
    let keep = BTreeMap::from([(IntentName::new("classify"), Duration::from_secs(24 * 3600))]);
    let retention = Retention { intents: keep, others: Duration::from_secs(1) };
    store.prune(retention, day + day / 2).await.unwrap();
    let left: Vec<_> = store.jobs(None, None, 10).await.unwrap().into_iter().map(|job| job.id).collect();
    assert_eq!(left, [young.id]);
    assert_eq!(store.next_items(old.id, None, 10).await.unwrap(), []);
    store.close().await;
}
