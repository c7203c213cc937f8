//! Jobs, on a store on disk and so on the real clock: what is waited for is told, never timed.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use baton_config::{Durability, StoreSpec};
use baton_core::{ErrorCode, Failure, Status};
use baton_engine::{Caller, JobInput, JobView, Jobs, Orchestrator, Terms, Within};
use baton_store::{ExecutionFilter, NewKey, Permission, Store};
use serde_json::{Value, json};

use crate::house::{House, SORT};
use crate::models::Says;
use crate::vendor::Vendor;

const BATON: &str = r#"
[providers.sim]
kind = "simulated"
scenario = "scenario.toml"
[models.a]
id = "sim/a"
price = { input = "1 USD/M", output = "2 USD/M", batch_percent = 50 }
[models.b]
id = "sim/b"
price = { input = "1 USD/M", output = "2 USD/M" }
[teams.small]
jobs = 1
"#;

/// One process after another on the same folder.
struct Place {
    dir: tempfile::TempDir,
    vendor: Vendor,
    policy: String,
}

impl Place {
    fn new(vendor: Vendor) -> Self {
        Self { dir: tempfile::tempdir().unwrap(), vendor, policy: SORT.replace("ttl = \"10s\"", "") }
    }

    async fn store(&self) -> Store {
        store(self.dir.path()).await
    }

    fn over(&self, store: &Store) -> Orchestrator {
        let snapshot = House::sort(&self.policy).with("baton.toml", BATON).snapshot();
        let builder = Orchestrator::builder(snapshot, store.clone());
        builder.transport("sim", Arc::new(self.vendor.clone())).build().unwrap()
    }

    /// Works until this holds of the job, and ends in order.
    async fn until(&self, id: &str, holds: impl Fn(&JobView) -> bool) -> JobView {
        let store = self.store().await;
        let baton = self.over(&store);
        let jobs = jobs(&baton, "default");
        let looked = async {
            loop {
                let view = jobs.get(id).await.unwrap();
                if holds(&view) {
                    return view;
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        let view = tokio::select! {
            view = looked => view,
            () = baton.work() => panic!("nobody told it to stop"),
        };
        baton.idle().await;
        store.close().await;
        view
    }

    /// The results, and how often each execution of the team has a record.
    async fn read(&self, id: &str) -> (Vec<Value>, Vec<(String, Status)>) {
        let store = self.store().await;
        let baton = self.over(&store);
        let (lines, _) = jobs(&baton, "default").results(id, 0, 1000).await.unwrap();
        let filter = ExecutionFilter { limit: 1000, ..ExecutionFilter::default() };
        let records = store.executions(&"default".into(), filter).await.unwrap();
        store.close().await;
        let lines = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        (lines, records.iter().map(|record| (record.execution.to_string(), record.status)).collect())
    }

    /// How often a model was asked.
    fn asked(&self) -> usize {
        self.vendor.models.asked().len()
    }

    async fn submit(&self, items: usize, terms: Terms) -> String {
        let store = self.store().await;
        let view = submit(&jobs(&self.over(&store), "default"), items, terms).await.unwrap();
        store.close().await;
        view.id.to_string()
    }
}

async fn store(dir: &Path) -> Store {
    Store::open(&StoreSpec { dir: dir.to_owned(), durability: Durability::Process }).await.unwrap()
}

fn jobs(baton: &Orchestrator, team: &str) -> Jobs {
    let caller = Caller { team: team.into(), ..Caller::default() };
    let now_us = i64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_micros()).unwrap();
    Jobs::new(baton.store().clone(), baton.snapshot(), caller, now_us)
}

fn item(n: usize) -> JobInput {
    serde_json::from_value(json!({ "input": { "ticket": format!("ticket {n}.") }, "id": format!("t{n}") })).unwrap()
}

async fn submit(jobs: &Jobs, items: usize, terms: Terms) -> Result<JobView, Failure> {
    let mut handing_in = jobs.hand_in(&"sort".into(), terms, None).await?;
    for n in 0..items {
        handing_in.add(item(n)).await?;
    }
    handing_in.finish().await
}

fn bugs() -> Vendor {
    let vendor = Vendor::new(|_| Some("bug"));
    vendor.models.say("a", &[Says::Text(1, "bug")]);
    vendor
}

/// Each item has its result, in order, from an execution of its own.
fn complete(lines: &[Value], items: usize) {
    assert_eq!(lines.len(), items);
    let mut executions = std::collections::BTreeSet::new();
    for (n, line) in lines.iter().enumerate() {
        assert_eq!((&line["place"], &line["id"]), (&json!(n), &json!(format!("t{n}"))));
        assert_eq!(line["answer"]["output"], json!({ "label": "bug" }), "{line}");
        assert!(executions.insert(line["answer"]["executionId"].to_string()), "{line}");
    }
}

#[tokio::test]
async fn a_job_that_is_cut_off_again_and_again_answers_each_item_once() {
    let place = Place::new(bugs());
    let id = place.submit(120, Terms::default()).await;
    for some in [20, 50, 90] {
        place.until(&id, |view| view.succeeded >= some).await;
    }
    let view = place.until(&id, |view| view.status == "done").await;
    assert_eq!((view.succeeded, view.failed, view.waiting), (120, 0, 0));
    let (lines, records) = place.read(&id).await;
    complete(&lines, 120);
    let answered = records.iter().filter(|(_, status)| *status == Status::Succeeded).count();
    assert_eq!(answered, 120, "one answer each, whatever was cancelled when it was cut off");
    assert_eq!(records.iter().collect::<std::collections::BTreeSet<_>>().len(), records.len());
}

#[tokio::test]
async fn an_item_whose_record_is_there_is_not_asked_again() {
    let place = Place::new(bugs());
    let id = place.submit(40, Terms::default()).await;
    let store = place.store().await;
    let parsed = baton_core::JobId::parse(&id).unwrap();
    assert!(store.take_job(parsed).await.unwrap() && !store.take_job(parsed).await.unwrap());
    store.close().await;
    let file = place.dir.path().join("jobs.db");
    let before = std::fs::read(&file).unwrap();
    place.until(&id, |view| view.status == "done").await;
    let (first, _) = place.read(&id).await;
    let asked = place.vendor.models.asked().len();
    // All results are lost, as if the process had ended before they were written.
    std::fs::write(&file, before).unwrap();
    place.until(&id, |view| view.status == "done").await;
    let (second, records) = place.read(&id).await;
    assert_eq!((place.vendor.models.asked().len(), asked, records.len()), (40, 40, 40));
    let same = |lines: &[Value]| lines.iter().map(|l| l["answer"]["executionId"].to_string()).collect::<Vec<_>>();
    assert_eq!(same(&first), same(&second));
    complete(&second, 40);
}

#[tokio::test]
async fn a_failure_is_the_item_s_alone_and_ends_it_where_asking_again_would_not_help() {
    let vendor = Vendor::new(|_| None);
    let says = |prompt: &str| if prompt.contains("ticket 3.") { "no label" } else { "bug" };
    vendor.models.say("a", &[Says::Of(1, says)]);
    vendor.models.say("b", &[Says::Of(1, says)]);
    let place = Place::new(vendor);
    let id = place.submit(6, Terms::default()).await;
    let view = place.until(&id, |view| view.status == "done").await;
    assert_eq!((view.succeeded, view.failed), (5, 1));
    let (lines, _) = place.read(&id).await;
    assert_eq!(lines[3]["status"], "failed");
    assert_eq!(lines[3]["error"]["code"], ErrorCode::NoAcceptableAnswer.as_str());
    assert!(lines[3]["error"]["executionId"].is_string());
}

#[tokio::test]
async fn others_do_not_see_it_and_what_is_wrong_is_said_before_it_is_one() {
    let place = Place::new(bugs());
    let id = place.submit(2, Terms::default()).await;
    let store = place.store().await;
    let baton = place.over(&store);
    let small = jobs(&baton, "small");
    let code = |result: Result<JobView, Failure>| result.map(drop).map_err(|failure| failure.code);
    assert_eq!(code(small.get(&id).await), Err(ErrorCode::UnknownJob));
    assert_eq!(code(small.cancel(&id).await), Err(ErrorCode::UnknownJob));
    assert_eq!(small.delete(&id).await.map_err(|failure| failure.code), Err(ErrorCode::UnknownJob));
    assert!(small.list(None, 10).await.unwrap().0.is_empty());
    // Nothing that was begun and abandoned counts.
    assert_eq!(code(submit(&small, 0, Terms::default()).await), Err(ErrorCode::InputInvalid));
    let first = submit(&small, 1, Terms::default()).await.unwrap();
    assert_eq!(code(submit(&small, 1, Terms::default()).await), Err(ErrorCode::QueueFull), "it may have one");
    assert_eq!(small.cancel(&first.id.to_string()).await.unwrap().status, "cancelled");
    // The same under one name is one job, and another under it is refused.
    for (items, expected) in [(1, Ok(())), (1, Ok(())), (2, Err(ErrorCode::IdempotencyConflict))] {
        let mut handing_in = small.hand_in(&"sort".into(), Terms::default(), Some("k")).await;
        if let Err(failure) = &handing_in {
            assert_eq!(failure.code, ErrorCode::QueueFull);
            small.cancel(&small.list(None, 1).await.unwrap().0[0].id.to_string()).await.unwrap();
            handing_in = small.hand_in(&"sort".into(), Terms::default(), Some("k")).await;
        }
        let mut handing_in = handing_in.unwrap();
        for n in 0..items {
            handing_in.add(item(n)).await.unwrap();
        }
        assert_eq!(code(handing_in.finish().await), expected);
    }
    assert_eq!(small.list(None, 10).await.unwrap().0.len(), 2);
    store.close().await;
}

#[tokio::test]
async fn what_stores_nothing_is_no_job_and_in_memory_there_are_none() {
    let mut place = Place::new(bugs());
    place.policy += "[privacy]\nstore = \"none\"\n";
    let store = place.store().await;
    let error = submit(&jobs(&place.over(&store), "default"), 1, Terms::default()).await.unwrap_err();
    assert_eq!((error.code, error.param.as_deref()), (ErrorCode::UnsupportedFeature, Some("/intent")));
    store.close().await;
    let place = Place::new(bugs());
    let error = submit(&jobs(&place.over(&Store::memory()), "default"), 1, Terms::default()).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::UnsupportedFeature);
}

#[tokio::test]
async fn a_job_leaves_half_of_the_places_to_calls() {
    let vendor = Vendor::new(|_| None);
    vendor.models.say("a", &[Says::Hangs]);
    let mut place = Place::new(vendor);
    place.policy = place.policy.replace("models = [\"a\", \"b\"]", "models = [\"a\"]");
    let id = place.submit(30, Terms::default()).await;
    let store = place.store().await;
    let config = BATON.replace("scenario = \"scenario.toml\"", "scenario = \"scenario.toml\"\nmax_concurrency = 8");
    let snapshot = House::sort(&place.policy).with("baton.toml", &config).snapshot();
    let builder = Orchestrator::builder(snapshot, store.clone());
    let baton = builder.transport("sim", Arc::new(place.vendor.clone())).build().unwrap();
    let models = &place.vendor.models;
    let full = async {
        while models.open() < 4 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        // It has looked many times since.
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert_eq!(models.open(), 4, "of eight places");
    };
    tokio::select! {
        () = full => {}
        () = baton.work() => panic!("nobody told it to stop"),
    }
    baton.idle().await;
    assert_eq!(jobs(&baton, "default").get(&id).await.unwrap().succeeded, 0);
    store.close().await;
}

/// So many US dollars a day, in a policy of one model.
fn budget(usd: &str) -> String {
    let policy = SORT.replace("ttl = \"10s\"", "").replace("models = [\"a\", \"b\"]", "models = [\"a\"]");
    format!("{policy}[params]\nmax_tokens = 40\n[budget]\nusd_per_day = {usd}\n")
}

async fn looked(jobs: &Jobs, id: &str, holds: impl Fn(&JobView) -> bool) -> JobView {
    loop {
        let view = jobs.get(id).await.unwrap();
        if holds(&view) {
            return view;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// So much time passes at once.
async fn passes(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

/// Of ten items two fit a day: each costs 0.00012 USD, and another 0.0001 USD are too little to begin one.
#[tokio::test]
async fn a_job_over_its_budget_goes_on_with_the_next_day_and_with_more_money() {
    let mut place = Place::new(bugs());
    place.policy = budget("0.00034");
    let id = place.submit(10, Terms::default()).await;
    let store = place.store().await;
    let house = |usd: &str| House::sort(&budget(usd)).with("baton.toml", BATON).snapshot();
    let builder = Orchestrator::builder(house("0.00034"), store.clone());
    let baton = builder.transport("sim", Arc::new(place.vendor.clone())).simulated(7).build().unwrap();
    let jobs = jobs(&baton, "default");
    let told = async {
        for day in 1..=3 {
            let waits = |view: &JobView| view.succeeded == 2 * day && view.waits.is_some();
            // An item that was refused while the day turned is looked at again after a minute.
            let view = loop {
                match tokio::time::timeout(Duration::from_millis(500), looked(&jobs, &id, waits)).await {
                    Ok(view) => break view,
                    Err(_) => passes(Duration::from_secs(61)).await,
                }
            };
            let why = view.waits.unwrap();
            assert!(why.contains("intent `sort` may spend 0.00034 USD a day (UTC)"), "{why}");
            assert_eq!((view.status, view.failed), ("running", 0));
            if day < 3 {
                passes(Duration::from_secs(24 * 3600)).await;
            }
        }
        let asked = place.vendor.models.asked().len();
        assert_eq!(asked, 6, "whom no budget has room for is not asked");
        baton.reload(house("1")).unwrap();
        // By itself it would look again in a minute.
        let done = looked(&jobs, &id, |view| view.status == "done");
        let view = tokio::time::timeout(Duration::from_secs(30), done).await.unwrap();
        assert_eq!((view.succeeded, view.failed, view.waits), (10, 0, None));
    };
    tokio::select! {
        () = told => {}
        () = baton.work() => panic!("nobody told it to stop"),
    }
    baton.idle().await;
    store.close().await;
    let (lines, records) = place.read(&id).await;
    complete(&lines, 10);
    let refused = records.iter().filter(|(_, status)| *status == Status::Failed).count();
    assert!(refused < 40, "one looks whether there is room, not all of them: {refused} records");
}

#[tokio::test]
async fn a_job_whose_key_is_revoked_asks_no_more_and_says_why() {
    let mut place = Place::new(bugs());
    place.policy = place.policy.replace("models = [\"a\", \"b\"]", "models = [\"a\"]");
    let store = place.store().await;
    let baton = place.over(&store);
    let new = NewKey {
        team: "default".into(),
        permissions: BTreeSet::from([Permission::Call]),
        intents: None,
        expires_at_us: None,
        allowance: Default::default(),
    };
    let (key, _) = store.create_key(new).await.unwrap();
    let now_us = i64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_micros()).unwrap();
    let jobs = Jobs::new(store.clone(), baton.snapshot(), Caller::of(&key, &baton.snapshot()), now_us);
    let id = submit(&jobs, 500, Terms::default()).await.unwrap().id.to_string();
    let told = async {
        looked(&jobs, &id, |view| view.succeeded > 0).await;
        assert!(store.revoke_key(&key.id).await.unwrap());
        let view = looked(&jobs, &id, |view| view.waits.is_some() && view.succeeded as usize == place.asked()).await;
        let why = view.waits.unwrap();
        assert!(why.contains(&key.id) && why.contains("revoked: cancel it"), "{why}");
        assert_eq!((view.status, view.failed), ("running", 0), "what was in the air has its result");
        // It has looked again since, and asked nobody.
        passes(Duration::from_secs(3600)).await;
        looked(&jobs, &id, |_| true).await;
        assert_eq!((jobs.get(&id).await.unwrap().succeeded, place.asked()), (view.succeeded, view.succeeded as usize));
        assert!(view.succeeded < 500, "it was revoked too late to show anything");
        assert_eq!(jobs.cancel(&id).await.unwrap().status, "cancelled");
    };
    tokio::select! {
        () = told => {}
        () = baton.work() => panic!("nobody told it to stop"),
    }
    baton.idle().await;
    store.close().await;
}

fn day() -> Terms {
    Terms { within: Some(Within::Day), ..Terms::default() }
}

#[tokio::test]
async fn a_batch_is_handed_in_once_although_nobody_hears_of_it_and_costs_half() {
    let place = Place::new(Vendor::new(|prompt| (!prompt.contains("ticket 4.")).then_some("bug")));
    place.vendor.models.say("a", &[Says::Text(1, "bug")]);
    place.vendor.breaks();
    place.vendor.stands("in_progress");
    let id = place.submit(10, day()).await;
    // It was made, the exchange broke, and the process ends before it looks.
    place.until(&id, |_| place.vendor.made().0 == 1).await;
    let view = place.until(&id, |view| view.batches.first().is_some_and(|batch| batch.status == "handed_in")).await;
    assert_eq!((place.vendor.made().0, view.batches[0].batch.as_deref(), view.succeeded), (1, Some("batch-1"), 0));
    place.vendor.stands("completed");
    let view = place.until(&id, |view| view.status == "done").await;
    assert_eq!((place.vendor.made(), view.succeeded), ((1, 2), 10), "and its files are deleted");
    assert_eq!(place.vendor.models.asked().len(), 1, "the one that failed there");
    // 100 tokens read and 10 written, at half of 1 and 2 USD a million; one of them at the whole.
    assert_eq!(view.cost_usd.as_deref(), Some("0.00066"));
    let (lines, records) = place.read(&id).await;
    complete(&lines, 10);
    assert_eq!(records.len(), 10);
    let kinds: Vec<&Value> = lines.iter().map(|line| &line["answer"]["attempts"][0]["kind"]).collect();
    assert_eq!(kinds.iter().filter(|kind| **kind == "batch").count(), 9);
    assert_eq!(lines[4]["answer"]["attempts"][0]["kind"], "primary");
    assert_eq!(lines[0]["answer"]["reason"], "answered in a batch of sim");
}

#[tokio::test]
async fn an_answer_of_a_batch_is_judged_as_any_is() {
    let place = Place::new(Vendor::new(|prompt| Some(if prompt.contains("ticket 1.") { "no label" } else { "bug" })));
    place.vendor.models.say("b", &[Says::Text(1, "bug")]);
    let id = place.submit(3, day()).await;
    let view = place.until(&id, |view| view.status == "done").await;
    assert_eq!(view.succeeded, 3);
    let (lines, records) = place.read(&id).await;
    complete(&lines, 3);
    assert_eq!(records.len(), 3);
    let attempts = lines[1]["answer"]["attempts"].as_array().unwrap();
    let told: Vec<_> =
        attempts.iter().map(|a| [&a["model"], &a["kind"], &a["outcome"]].map(|t| t.as_str().unwrap())).collect();
    assert_eq!(told, [["sim/a", "batch", "bad_answer"], ["sim/b", "fallback", "passed"]]);
}

#[tokio::test]
async fn a_batch_that_fails_or_is_cancelled_is_over() {
    let place = Place::new(bugs());
    place.vendor.stands("failed");
    let id = place.submit(3, day()).await;
    let view = place.until(&id, |view| view.status == "done").await;
    assert_eq!((view.succeeded, view.batches[0].status), (3, "over"));

    let place = Place::new(bugs());
    place.vendor.stands("in_progress");
    let id = place.submit(3, day()).await;
    let store = place.store().await;
    let baton = place.over(&store);
    let cancelled = async {
        let jobs = jobs(&baton, "default");
        while jobs.get(&id).await.unwrap().batches.first().is_none_or(|batch| batch.status != "handed_in") {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        jobs.cancel(&id).await.unwrap();
        baton.stop_work();
    };
    tokio::join!(baton.work(), cancelled);
    store.close().await;
    assert_eq!(place.vendor.made().0, 1);
}

/// Whether an item waits, is asked just now or was answered: of an erased person nothing is left, and the job
/// ends all the same.
#[tokio::test]
async fn items_about_somebody_who_was_erased_are_over() {
    let place = Place::new(bugs());
    let store = place.store().await;
    let baton = place.over(&store);
    let all = jobs(&baton, "default");
    let mut handing_in = all.hand_in(&"sort".into(), Terms::default(), None).await.unwrap();
    for n in 0..6 {
        let subject = Some(if n % 2 == 0 { "ann" } else { "bob" }.to_owned());
        handing_in.add(JobInput { subject, ..item(n) }).await.unwrap();
    }
    let id = handing_in.finish().await.unwrap().id.to_string();
    let erasure = baton.erase(&"default".into(), "ann", None).await.unwrap();
    assert_eq!((erasure.job_items, erasure.records), (3, 0));
    store.close().await;
    let done = place.until(&id, |job| job.status == "done").await;
    assert_eq!((done.succeeded, done.failed), (3, 3));
    let (lines, records) = place.read(&id).await;
    let told: Vec<_> = lines.iter().map(|line| (line["status"].as_str().unwrap(), line["id"].as_str())).collect();
    let (gone, bob) = (("erased", None), |id| ("succeeded", Some(id)));
    assert_eq!(told, [gone, bob("t1"), gone, bob("t3"), gone, bob("t5")]);
    assert_eq!((records.len(), place.asked()), (3, 3), "nobody is asked about them");

    // What was answered goes too.
    let store = place.store().await;
    let erasure = place.over(&store).erase(&"default".into(), "bob", None).await.unwrap();
    assert_eq!((erasure.job_items, erasure.records), (3, 3));
    store.close().await;
    let (lines, _) = place.read(&id).await;
    let erased = lines.iter().filter(|line| line["status"] == "erased" && line["erasedAtMs"].is_i64()).count();
    assert_eq!((erased, lines.len()), (6, 6), "{lines:?}");
}
