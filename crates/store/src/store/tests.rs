//! The store's promises, on disk and in memory alike: one record for each execution, seen by its
//! own team only, whatever the process did in between.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use baton_config::Durability;
use baton_core::{
    Account, Allowance, AttemptKind, AttemptOutcome, AttemptRecord, ErrorCode, Failure, Idempotency, IntentName, KeyId,
    ModelId, NanoUsd, Status, Usage, Via,
};
use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::JournalState;
use crate::{CallTally, FeedbackKind, NewKey, Opened, Permission};

const MINUTE_US: i64 = 60_000_000;

pub(super) fn spec(dir: &TempDir) -> StoreSpec {
    StoreSpec { dir: dir.path().to_owned(), durability: Durability::Process }
}

pub(super) async fn open(dir: &TempDir) -> Store {
    Store::open(&spec(dir)).await.unwrap()
}

pub(super) fn team(name: &str) -> TeamId {
    TeamId::new(name)
}

pub(super) fn id(number: u64) -> ExecutionId {
    ExecutionId::new(number, [0; 10])
}

fn opened(number: u64) -> Opened {
    Opened {
        execution: id(number),
        team: team("support"),
        key: None,
        partition: vec![Some("acme".into())],
        intent: Some(IntentName::new("classify-ticket")),
        started_at_us: i64::try_from(number).unwrap() * MINUTE_US,
        deadline_us: 2_000_000,
        reserved: NanoUsd(500),
        stream: true,
        simulated: true,
        subject: Some("ann".into()),
    }
}

fn attempt(model: &str, kind: AttemptKind, outcome: AttemptOutcome) -> AttemptRecord {
    AttemptRecord {
        model: ModelId::new(model),
        key: None,
        kind,
        outcome,
        start_us: 0,
        queued_us: 0,
        duration_us: 1000,
        first_token_us: None,
        usage: Some(Usage { input_tokens: 10, output_tokens: 2, ..Usage::default() }),
        cost: (model != "b/free").then_some(NanoUsd(100)),
        error: None,
        response: None,
        checks: Vec::new(),
        judged: None,
        batch: None,
        simulated: true,
    }
}

/// Started `number` minutes after the epoch: `a/fast` abstained, `b/free` answered.
pub(super) fn record(number: u64) -> Record {
    let attempts = vec![
        attempt("a/fast", AttemptKind::Primary, AttemptOutcome::Abstained),
        attempt("b/free", AttemptKind::Fallback, AttemptOutcome::Passed),
    ];
    Record {
        status: Status::Succeeded,
        via: Some(Via::Model),
        model: Some(ModelId::new("b/free")),
        duration_us: 5000,
        error: None,
        usage: Usage { input_tokens: 20, output_tokens: 4, ..Usage::default() },
        cost: NanoUsd(100),
        attempts,
        stream: false,
        input: Some(json!({ "ticket": "where is my refund?" })),
        output: Some(json!({ "label": "billing" })),
        ..opened(number).interrupted()
    }
}

fn failed(number: u64) -> Record {
    let error = Some(Failure::new(ErrorCode::AllCandidatesFailed, "both failed"));
    Record { status: Status::Failed, via: None, model: None, error, attempts: Vec::new(), ..record(number) }
}

pub(super) async fn append(store: &Store, record: &Record) {
    append_entry(store, Entry::Finished(Box::new(record.clone()))).await;
}

async fn append_entry(store: &Store, entry: Entry) {
    store.journal().append(&entry).unwrap().await.unwrap();
}

async fn all(store: &Store) -> Vec<Record> {
    store.executions(&team("support"), ExecutionFilter { limit: 1000, ..ExecutionFilter::default() }).await.unwrap()
}

/// The same test on both kinds of store.
pub(super) async fn check<F: Future<Output = ()>>(test: impl Fn(Store) -> F) {
    test(Store::memory()).await;
    let dir = TempDir::new().unwrap();
    test(open(&dir).await).await;
}

fn segments(dir: &TempDir) -> usize {
    let files = std::fs::read_dir(dir.path().join("journal")).unwrap();
    files.filter(|file| file.as_ref().unwrap().path().extension().is_some_and(|end| end == "journal")).count()
}

#[tokio::test]
async fn a_record_is_found_at_once_and_by_its_own_team_only() {
    check(async |store| {
        append(&store, &record(1)).await;
        for _ in ["perhaps before", "after ingestion"] {
            assert_eq!(store.execution(&team("support"), id(1)).await.unwrap(), Some(record(1)));
            assert_eq!(store.execution(&team("sales"), id(1)).await.unwrap(), None);
            assert_eq!(store.execution(&team("support"), id(2)).await.unwrap(), None);
            store.flush().await.unwrap();
        }
        assert_eq!(
            store.executions(&team("sales"), ExecutionFilter { limit: 9, ..Default::default() }).await.unwrap(),
            []
        );
    })
    .await;
}

/// Somebody else's transaction on `records.db`: ingestion waits for it.
async fn block(dir: &Path) -> sqlx::SqliteConnection {
    use sqlx::ConnectOptions as _;
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(dir.join("records.db"));
    let mut other = options.connect().await.unwrap();
    sqlx::query("BEGIN IMMEDIATE").execute(&mut other).await.unwrap();
    other
}

#[tokio::test]
async fn a_record_that_cannot_be_ingested_yet_is_read_from_the_journal() {
    let dir = TempDir::new().unwrap();
    let store = open(&dir).await;
    let mut other = block(dir.path()).await;
    for number in 1..=3 {
        append(&store, &record(number)).await;
    }
    assert_eq!(all(&store).await, []);
    assert_eq!(store.execution(&team("support"), id(2)).await.unwrap(), Some(record(2)));
    assert_eq!(store.execution(&team("sales"), id(2)).await.unwrap(), None);
    sqlx::query("ROLLBACK").execute(&mut other).await.unwrap();
    store.flush().await.unwrap();
    assert_eq!(all(&store).await, [record(3), record(2), record(1)]);
}

#[tokio::test]
async fn a_database_that_fails_is_reported_and_loses_nothing() {
    let dir = TempDir::new().unwrap();
    let store = open(&dir).await;
    let mut other = block(dir.path()).await;
    sqlx::query("ALTER TABLE progress RENAME TO gone").execute(&mut other).await.unwrap();
    sqlx::query("COMMIT").execute(&mut other).await.unwrap();
    append(&store, &record(1)).await;
    let error = store.flush().await.unwrap_err().to_string();
    assert!(error.contains("could not ingest records") && error.contains("progress"), "{error}");
    assert_eq!(store.ingestion().error.map(|error| error.to_string()), Some(error));
    assert_eq!(store.execution(&team("support"), id(1)).await.unwrap(), Some(record(1)));

    sqlx::query("ALTER TABLE gone RENAME TO progress").execute(&mut other).await.unwrap();
    store.flush().await.unwrap();
    assert!(store.ingestion().error.is_none());
    assert_eq!(all(&store).await, [record(1)]);
}

/// As on a full disk: SQLite ends the transaction by itself, and the library does not know.
#[tokio::test]
async fn ingestion_goes_on_after_sqlite_ended_its_transaction() {
    let dir = TempDir::new().unwrap();
    let store = open(&dir).await;
    let mut other = block(dir.path()).await;
    let full = "CREATE TRIGGER full BEFORE UPDATE ON progress BEGIN SELECT RAISE(ROLLBACK, 'the disk is full'); END";
    sqlx::query(full).execute(&mut other).await.unwrap();
    sqlx::query("COMMIT").execute(&mut other).await.unwrap();
    append(&store, &record(1)).await;
    let error = store.flush().await.unwrap_err().to_string();
    assert!(error.contains("the disk is full"), "{error}");
    sqlx::query("DROP TRIGGER full").execute(&mut other).await.unwrap();
    store.flush().await.unwrap();
    assert_eq!(all(&store).await, [record(1)]);
}

#[tokio::test]
async fn what_only_the_journal_holds_is_taken_over_at_the_start() {
    let dir = TempDir::new().unwrap();
    let (journal, _) = Journal::open(&dir.path().join("journal"), JournalOptions::default()).unwrap();
    for number in 1..=1500 {
        drop(journal.append(&Entry::Finished(Box::new(record(number)))).unwrap());
    }
    drop(journal.append(&Entry::Opened(opened(2000))).unwrap());
    journal.close().await;
    let store = open(&dir).await;
    let newest = all(&store).await;
    assert_eq!(newest.len(), 1000, "a page has a bound");
    assert_eq!(newest[0], opened(2000).interrupted());
    assert_eq!(newest[1], record(1500));
    let all_of_it = ReportQuery { until_us: i64::MAX, ..ReportQuery::default() };
    assert_eq!(store.report(all_of_it).await.unwrap().total.calls.calls, 1501);
    assert_eq!(segments(&dir), 1, "the segments of the last process are gone");
}

#[tokio::test]
async fn a_stream_that_was_cut_is_closed_once_and_a_finished_one_is_not() {
    let dir = TempDir::new().unwrap();
    let store = open(&dir).await;
    for number in 1..=2 {
        append_entry(&store, Entry::Opened(opened(number))).await;
        store.flush().await.unwrap();
    }
    append_entry(&store, Entry::Opened(opened(3))).await;
    append(&store, &record(2)).await;
    append(&store, &record(3)).await;
    store.close().await;
    for _ in 0..2 {
        let store = open(&dir).await;
        assert_eq!(all(&store).await, [record(3), record(2), opened(1).interrupted()]);
        store.close().await;
    }
    let cut = opened(1).interrupted();
    assert_eq!((cut.status, cut.cost, cut.cost_known), (Status::Interrupted, NanoUsd(500), false));
}

#[tokio::test]
async fn the_same_execution_twice_is_one_record() {
    let dir = TempDir::new().unwrap();
    let store = open(&dir).await;
    append(&store, &record(1)).await;
    append(&store, &failed(1)).await;
    store.flush().await.unwrap();
    append(&store, &failed(1)).await;
    store.flush().await.unwrap();
    assert_eq!(all(&store).await, [record(1)]);
    let report = store.report(ReportQuery { until_us: i64::MAX, ..ReportQuery::default() }).await.unwrap();
    assert_eq!(report.total.calls.calls, 1);
}

#[tokio::test]
async fn what_stands_around_a_repeated_record_in_one_statement_is_kept() {
    let dir = TempDir::new().unwrap();
    let store = open(&dir).await;
    // Sixteen rows are one statement.
    for number in [1, 2, 3, 1, 4, 5, 2, 6, 7, 8, 9, 10, 11, 12, 13, 13] {
        append(&store, &record(number)).await;
    }
    store.flush().await.unwrap();
    let kept: Vec<_> = (1..=13).rev().map(record).collect();
    assert_eq!(all(&store).await, kept);
    let report = store.report(ReportQuery { until_us: i64::MAX, ..ReportQuery::default() }).await.unwrap();
    assert_eq!(report.total.calls.calls, 13);
}

#[tokio::test]
async fn executions_are_filtered_and_paged() {
    check(async |store| {
        for number in 1..=6 {
            append(&store, &if number % 2 == 0 { failed(number) } else { record(number) }).await;
        }
        append(&store, &Record { intent: None, ..record(7) }).await;
        store.flush().await.unwrap();
        let list = async |filter| {
            let found = store.executions(&team("support"), filter).await.unwrap();
            found.iter().map(|record| record.started_at_us / MINUTE_US).collect::<Vec<_>>()
        };
        let filter = ExecutionFilter { limit: 100, ..ExecutionFilter::default() };
        assert_eq!(list(filter.clone()).await, [7, 6, 5, 4, 3, 2, 1]);
        assert_eq!(list(ExecutionFilter { limit: 2, before: Some(id(5)), ..filter.clone() }).await, [4, 3]);
        assert_eq!(list(ExecutionFilter { status: Some(Status::Failed), ..filter.clone() }).await, [6, 4, 2]);
        let intent = Some(IntentName::new("classify-ticket"));
        assert_eq!(list(ExecutionFilter { intent, ..filter }).await, [6, 5, 4, 3, 2, 1]);
    })
    .await;
}

/// Ten minutes of calls: six answered, three failed, one stream cut; and a raw call of sales.
async fn fill(store: &Store) {
    for number in 0..=5 {
        append(store, &record(number)).await;
    }
    for number in 6..=8 {
        append(store, &failed(number)).await;
    }
    append(store, &opened(9).interrupted()).await;
    append(store, &Record { team: team("sales"), intent: None, ..record(10) }).await;
    store.flush().await.unwrap();
}

#[tokio::test]
async fn a_report_adds_up() {
    check(async |store| {
        fill(&store).await;
        let query = ReportQuery { since_us: 0, until_us: 10 * MINUTE_US, ..ReportQuery::default() };
        let report = store.report(query.clone()).await.unwrap();
        assert_eq!((report.since_us, report.until_us), (0, 10 * MINUTE_US));
        let calls = &report.total.calls;
        let expected = CallTally {
            calls: 10,
            succeeded: 6,
            interrupted: 1,
            failed: BTreeMap::from([(ErrorCode::AllCandidatesFailed, 3)]),
            via: BTreeMap::from([(Via::Model, 6)]),
            fallbacks: BTreeMap::from([(AttemptOutcome::Abstained, 6)]),
            cost: NanoUsd(9 * 100 + 500),
            cost_unknown: 10,
            usage: Usage { input_tokens: 180, output_tokens: 36, ..Usage::default() },
            simulated: 10,
            latency: calls.latency.clone(),
            ..CallTally::default()
        };
        assert_eq!(calls, &expected);
        assert_eq!((calls.latency.count(), calls.latency.quantile_us(0.99)), (9, Some(4965)));
        let free = &report.total.models[&ModelId::new("b/free")];
        assert_eq!((free.attempts, free.cost_unknown, free.cost), (6, 6, NanoUsd(0)));
        assert_eq!(free.outcomes, BTreeMap::from([(AttemptOutcome::Passed, 6)]));
        let fast = &report.total.models[&ModelId::new("a/fast")];
        assert_eq!((fast.cost, &fast.fallbacks), (NanoUsd(600), &calls.fallbacks));
        assert_eq!(report.intents, BTreeMap::from([(Some(IntentName::new("classify-ticket")), report.total.clone())]));

        let until_us = 11 * MINUTE_US;
        let sales = store.report(ReportQuery { team: Some(team("sales")), until_us, ..query.clone() }).await.unwrap();
        assert_eq!(sales.intents.keys().collect::<Vec<_>>(), [&None]);
        assert_eq!(sales.total.calls.calls, 1);
        let intent = Some(IntentName::new("draft-reply"));
        assert_eq!(store.report(ReportQuery { intent, ..query }).await.unwrap().total.calls.calls, 0);
    })
    .await;
}

#[tokio::test]
async fn feedback_is_kept_once_and_for_ones_own_executions_only() {
    check(async |store| {
        append(&store, &record(1)).await;
        let said = Feedback {
            execution: id(1),
            team: team("support"),
            at_us: 5,
            kind: FeedbackKind::Label { value: "good".into() },
            by: Some("ann".into()),
            comment: Some("quick".into()),
        };
        let later =
            Feedback { at_us: 6, kind: FeedbackKind::Score { name: "stars".into(), value: 4.0 }, ..said.clone() };
        store.feedback(said.clone()).await.unwrap();
        store.feedback(later.clone()).await.unwrap();
        assert_eq!(store.feedback_of(&team("support"), id(1)).await.unwrap(), [said.clone(), later]);
        assert_eq!(store.feedback_of(&team("sales"), id(1)).await.unwrap(), []);
        for wrong in [Feedback { team: team("sales"), ..said.clone() }, Feedback { execution: id(2), ..said.clone() }] {
            let error = store.feedback(wrong).await.unwrap_err();
            assert!(matches!(error, StoreError::UnknownExecution(_)), "{error}");
        }
    })
    .await;
}

#[tokio::test]
async fn feedback_comes_through_the_journal_too_and_a_repetition_counts_once() {
    let dir = TempDir::new().unwrap();
    let store = open(&dir).await;
    append(&store, &record(1)).await;
    let kind = FeedbackKind::Correction { output: json!({ "label": "bug" }) };
    let said = Feedback { execution: id(1), team: team("support"), at_us: 5, kind, by: None, comment: None };
    append_entry(&store, Entry::Feedback(said.clone())).await;
    store.flush().await.unwrap();
    store.feedback(said.clone()).await.unwrap();
    assert_eq!(store.feedback_of(&team("support"), id(1)).await.unwrap(), [said]);
}

fn new_key(name: &str) -> NewKey {
    let allowance = Allowance { usd_per_day: Some(NanoUsd(5)), ..Allowance::default() };
    let permissions = BTreeSet::from([Permission::Call]);
    NewKey { team: team(name), permissions, intents: None, expires_at_us: None, allowance }
}

#[tokio::test]
async fn keys_work_until_they_are_revoked_or_expire() {
    check(async |store| {
        assert!(!store.any_keys().await.unwrap());
        let (info, secret) = store.create_key(new_key("support")).await.unwrap();
        let (old, old_secret) = store.create_key(NewKey { expires_at_us: Some(1), ..new_key("sales") }).await.unwrap();
        assert_eq!(store.authenticate(&secret).await.unwrap(), Some(info.clone()));
        assert_eq!(store.authenticate(&old_secret).await.unwrap(), None);
        assert_eq!(store.authenticate("bk_0000").await.unwrap(), None);
        assert!(store.any_keys().await.unwrap());
        assert_eq!(store.list_keys(None).await.unwrap(), [info.clone(), old]);
        assert_eq!(store.list_keys(Some(&team("support"))).await.unwrap(), std::slice::from_ref(&info));

        assert!(store.revoke_key(&info.id).await.unwrap());
        assert!(!store.revoke_key("none").await.unwrap());
        assert_eq!(store.authenticate(&secret).await.unwrap(), None);
        assert!(store.any_keys().await.unwrap(), "ending the last key opens nothing");
        assert!(store.list_keys(None).await.unwrap()[0].revoked_at_us.is_some());
    })
    .await;
}

#[tokio::test]
async fn reports_and_keys_work_beside_a_running_server() {
    let dir = TempDir::new().unwrap();
    let server = open(&dir).await;
    let error = Store::open(&spec(&dir)).await.err().unwrap().to_string();
    assert!(error.contains("in use by another process"), "{error}");
    fill(&server).await;

    let beside = Store::open_read(&spec(&dir)).await.unwrap();
    let everything = ReportQuery { until_us: i64::MAX, ..ReportQuery::default() };
    assert_eq!(beside.report(everything.clone()).await.unwrap().total.calls.calls, 11);
    assert!(beside.execution(&team("support"), id(3)).await.unwrap().is_some());
    let refused = beside.journal().append(&Entry::Opened(opened(1))).err();
    assert_eq!(refused, Some(JournalError::Closed));
    let (info, secret) = beside.create_key(new_key("support")).await.unwrap();
    assert_eq!(server.authenticate(&secret).await.unwrap(), Some(info));
    server.close().await;

    let (journal, _) = Journal::open(&dir.path().join("journal"), JournalOptions::default()).unwrap();
    drop(journal.append(&Entry::Finished(Box::new(record(99)))).unwrap());
    journal.close().await;
    let alone = Store::open_read(&spec(&dir)).await.unwrap();
    assert_eq!(alone.report(everything).await.unwrap().total.calls.calls, 12, "the journal is taken over first");
}

#[tokio::test]
async fn old_records_go_and_their_sums_stay() {
    let dir = TempDir::new().unwrap();
    let store = open(&dir).await;
    for number in 0..1200 {
        append(&store, &record(number)).await;
    }
    append(&store, &Record { intent: None, ..record(0x10000) }).await;
    let kind = FeedbackKind::FinalOutput { output: json!({ "label": "bug" }) };
    let said = Feedback { execution: id(1), team: team("support"), at_us: 5, kind, by: None, comment: None };
    let good = FeedbackKind::Label { value: "good".into() };
    let label = Feedback { kind: good, comment: Some("they wrote".into()), ..said.clone() };
    store.feedback(said).await.unwrap();
    store.feedback(label.clone()).await.unwrap();
    store.flush().await.unwrap();
    let everything = ReportQuery { until_us: i64::MAX, ..ReportQuery::default() };
    let before = store.report(everything.clone()).await.unwrap();

    let keep = Duration::from_secs(3 * 24 * 3600);
    let intents = BTreeMap::from([(IntentName::new("classify-ticket"), keep)]);
    let now_us = i64::try_from(keep.as_micros()).unwrap() + 1100 * MINUTE_US;
    let retention = Retention { intents, others: Duration::MAX };
    assert_eq!(store.prune(retention.clone(), now_us).await.unwrap(), 1100);
    assert_eq!(store.prune(retention, now_us).await.unwrap(), 0);

    assert_eq!(all(&store).await.len(), 101);
    assert_eq!(store.execution(&team("support"), id(1099)).await.unwrap(), None);
    assert_eq!(store.execution(&team("support"), id(1100)).await.unwrap(), Some(record(1100)));
    assert_eq!(store.feedback_of(&team("support"), id(1)).await.unwrap(), [Feedback { comment: None, ..label }]);
    let after = store.report(everything).await.unwrap();
    assert_eq!(after.total, before.total);
    let window = ReportQuery { since_us: 70 * MINUTE_US, until_us: 80 * MINUTE_US, ..ReportQuery::default() };
    let hour = store.report(window).await.unwrap();
    assert_eq!((hour.since_us, hour.until_us, hour.total.calls.calls), (60 * MINUTE_US, 120 * MINUTE_US, 60));
}

#[tokio::test]
async fn segments_go_once_they_are_ingested() {
    let dir = TempDir::new().unwrap();
    let options = JournalOptions { bytes_max: 256 << 10, segment_bytes: 8 << 10, ..JournalOptions::default() };
    let store = Store::open_with(&spec(&dir), options).await.unwrap();
    for number in 0..2000 {
        append(&store, &record(number)).await;
        if number % 100 == 0 {
            store.flush().await.unwrap();
        }
    }
    store.flush().await.unwrap();
    assert_eq!(segments(&dir), 1);
    let JournalState { bytes, .. } = store.journal().state();
    assert!(bytes <= 8 << 10, "{bytes} bytes left");
    assert_eq!(all(&store).await.len(), 1000);
    store.prune(Retention { intents: BTreeMap::new(), others: Duration::ZERO }, i64::MAX).await.unwrap();
    append_entry(&store, Entry::Opened(opened(9999))).await;
    store.flush().await.unwrap();
    let text = std::fs::read_dir(dir.path().join("journal")).unwrap().fold(String::new(), |text, file| {
        text + &String::from_utf8_lossy(&std::fs::read(file.unwrap().path()).unwrap())
    });
    assert!(text.contains("ann") && !text.contains("refund"), "pruned content is not in the journal either");
}

#[tokio::test]
async fn an_entry_of_a_newer_version_is_kept_for_it() {
    let dir = TempDir::new().unwrap();
    let store = open(&dir).await;
    append(&store, &record(1)).await;
    store.close().await;
    let path = dir.path().join("journal").join(format!("{:016}.journal", 9));
    std::fs::write(&path, crate::journal::segment_of(2, 9, b"{\"new\":1}")).unwrap();
    let store = open(&dir).await;
    append(&store, &record(2)).await;
    store.flush().await.unwrap();
    assert_eq!(all(&store).await, [record(2), record(1)]);
    let mut other = block(dir.path()).await;
    let kept: (i64, i64, Vec<u8>) =
        sqlx::query_as("SELECT row, version, payload FROM unreadable").fetch_one(&mut other).await.unwrap();
    assert_eq!(kept, (2, 9, b"{\"new\":1}".to_vec()));
}

#[tokio::test]
async fn what_was_spent_is_known_after_a_restart_by_team_intent_and_key() {
    let key = |name: &str| Some(KeyId::new(name));
    let now_us = now_us();
    let minutes = |ago: i64| u64::try_from(now_us / MINUTE_US - ago).unwrap();
    let today = |cost: i64, by: Option<KeyId>| Record { cost: NanoUsd(cost), key: by, ..record(minutes(0)) };
    let of = |record: Record, number: u64| Record { execution: id(number), ..record };
    let records = [
        of(today(10, key("a")), 1),
        of(today(200, key("b")), 2),
        of(Record { intent: None, ..today(3000, key("a")) }, 3),
        of(Record { team: team("sales"), ..today(40_000, None) }, 4),
        of(Record { cost: NanoUsd(7), ..record(minutes(3 * 24 * 60)) }, 5),
    ];
    let spent = |spends: &[Spend], account: Account| {
        let of = spends.iter().filter(|spend| spend.account == account);
        of.map(|spend| spend.cost).sum::<NanoUsd>().0
    };
    let dir = TempDir::new().unwrap();
    for store in [open(&dir).await, Store::memory()] {
        for record in &records {
            append(&store, record).await;
        }
        append_entry(&store, Entry::Opened(Opened { key: key("c"), ..opened(minutes(0)) })).await;
        store.flush().await.unwrap();
        let spends = store.spends(now_us).await.unwrap();
        assert_eq!(spent(&spends, Account::Team(team("support"))), 3210);
        let again = if store.0.disk.is_some() {
            store.close().await;
            open(&dir).await
        } else {
            store
        };
        let past = again.past(now_us).spends;
        // The stream that was open is charged at its reservation.
        let orphan = if again.0.disk.is_some() { 500 } else { 0 };
        assert_eq!(spent(&past, Account::Team(team("support"))), 3210 + orphan);
        assert_eq!(spent(&past, Account::Team(team("sales"))), 40_000);
        assert_eq!(spent(&past, Account::Intent("classify-ticket".into())), 40_210 + orphan);
        assert_eq!(["a", "b", "c"].map(|k| spent(&past, Account::Key(k.into()))), [3010, 200, orphan]);
    }
}

#[tokio::test]
async fn calls_that_are_made_again_are_known_for_a_day() {
    let call = |key: &str| Some(Idempotency { key: key.into(), body: "b".into() });
    let now_us = now_us();
    let at = |number: u64, ago_us: i64, key: &str| Record {
        started_at_us: now_us - ago_us,
        idempotency: call(key),
        ..record(number)
    };
    let dir = TempDir::new().unwrap();
    for store in [open(&dir).await, Store::memory()] {
        for record in [at(1, 2 * MINUTE_US, "x"), at(2, 25 * 60 * MINUTE_US, "old"), record(3), at(4, MINUTE_US, "y")] {
            append(&store, &record).await;
        }
        let again = if store.0.disk.is_some() {
            store.close().await;
            open(&dir).await
        } else {
            store
        };
        let known: Vec<_> = again.past(now_us).repeats.into_iter().map(|r| (r.call.key, r.execution)).collect();
        assert_eq!(known, [("x".to_owned(), id(1)), ("y".to_owned(), id(4))]);
        if let Some(disk) = &again.0.disk {
            let retention = Retention { intents: BTreeMap::new(), others: Duration::from_secs(3600 * 24 * 365 * 100) };
            again.prune(retention, now_us).await.unwrap();
            let rows = disk.records.repeats(0).await.unwrap();
            assert_eq!(rows.len(), 2, "what is older is forgotten");
        }
    }
}
