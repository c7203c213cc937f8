//! A person who is erased is gone: from what is read, from the files, and after a crash; nobody else is.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use baton_core::{CheckResult, Idempotency, IntentName, JobId, ReviewDraw, Severity, SubjectHash, Trace};
use serde_json::json;
use tempfile::TempDir;

use super::tests::{append, check, id, open, record, spec, team};
use super::*;
use crate::{
    Erased, FeedbackKind, ItemInput, Job, JobState, Opened, ReviewAct, Reviewer, SemanticChanges, SemanticEntry,
};

const AT_US: i64 = 1_000_000_000;

/// Stands in every field that may hold something of the person.
const SECRET: &str = "zanzibar";

fn of(name: &str, subject: &str, number: u64) -> Record {
    let mut record = record(number);
    let say = || Some(format!("about {SECRET}"));
    record.team = team(name);
    record.subject = Some(subject.to_owned());
    record.session = say();
    record.reason = say();
    record.metadata = BTreeMap::from([("customer".to_owned(), SECRET.to_owned())]);
    record.partition = vec![Some(SECRET.to_owned())];
    record.input = Some(json!({ "ticket": SECRET.repeat(1000) }));
    record.output = Some(json!({ "label": SECRET }));
    record.idempotency = Some(Idempotency { key: format!("{SECRET}{number}"), body: "b".into() });
    record.trace = Some(Trace { state: SECRET.into(), ..record.trace() });
    let check =
        CheckResult { check: "regex".into(), severity: Severity::Signal, passed: false, score: None, reason: say() };
    record.attempts[0].error = say();
    record.attempts[0].checks = vec![check];
    let rejected = Some(baton_core::Rejected { attempt: 0, output: Some(json!({ "label": SECRET })) });
    record.review = Some(ReviewDraw { probability: 0.5, double: true, adjudicator: None, rejected });
    record
}

fn erased(name: &str, subject: &str) -> Erased {
    let team = team(name);
    Erased { subject: SubjectHash::of(&team, subject), team, at_us: AT_US, by: None }
}

fn gone(mut record: Record) -> Record {
    record.erase(AT_US);
    record
}

async fn read(store: &Store, name: &str, number: u64) -> Record {
    store.execution(&team(name), id(number)).await.unwrap().unwrap()
}

/// The files of a folder that hold these bytes.
fn holding(dir: &Path, text: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for item in std::fs::read_dir(dir).unwrap() {
        let path = item.unwrap().path();
        if path.is_dir() {
            found.extend(holding(&path, text));
        } else if std::fs::read(&path).unwrap().windows(text.len()).any(|bytes| bytes == text.as_bytes()) {
            found.push(path);
        }
    }
    found
}

#[test]
fn an_erased_record_keeps_its_figures_and_nothing_else() {
    let before = of("support", "ann", 1);
    let after = gone(before.clone());
    let json = serde_json::to_string(&after).unwrap();
    assert!(!json.contains(SECRET) && !json.contains("ann"), "{json}");
    let figures = |record: &Record| {
        let attempts: Vec<_> = record.attempts.iter().map(|a| (a.model.clone(), a.outcome, a.cost, a.usage)).collect();
        let checks: Vec<_> =
            record.attempts.iter().flat_map(|a| &a.checks).map(|c| (c.check.clone(), c.passed)).collect();
        let answer = (record.status, record.via, record.model.clone(), record.cost, record.usage);
        let of = (record.execution, record.intent.clone(), record.lineage.clone(), record.duration_us);
        (of, answer, attempts, checks, record.quality.clone(), record.review.as_ref().map(|draw| draw.probability))
    };
    assert_eq!(figures(&after), figures(&before));
    assert_eq!(after.erased_at_us, Some(AT_US));
}

#[tokio::test]
async fn a_person_goes_from_their_team_and_nobody_else_does() {
    check(async |store| {
        for (name, subject, number) in [("support", "ann", 1), ("support", "bob", 2), ("sales", "ann", 3)] {
            append(&store, &of(name, subject, number)).await;
        }
        append(&store, &Record { subject: None, ..of("support", "-", 4) }).await;
        store.flush().await.unwrap();
        let query = ReportQuery { until_us: i64::MAX, ..ReportQuery::default() };
        let report = store.report(query.clone()).await.unwrap();
        assert_eq!(store.erase(erased("support", "ann")).await.unwrap().records, 1);
        assert_eq!(read(&store, "support", 1).await, gone(of("support", "ann", 1)));
        assert_eq!(read(&store, "support", 2).await, of("support", "bob", 2));
        assert_eq!(read(&store, "sales", 3).await, of("sales", "ann", 3));
        assert_eq!(read(&store, "support", 4).await, Record { subject: None, ..of("support", "-", 4) });
        assert_eq!(store.report(query).await.unwrap(), report, "sums stay true");
        // What comes afterwards is new, and who is not known is nobody.
        append(&store, &of("support", "ann", 5)).await;
        store.flush().await.unwrap();
        assert_eq!(read(&store, "support", 5).await, of("support", "ann", 5));
        assert_eq!(store.erase(erased("support", "cid")).await.unwrap(), ErasedCounts::default());
    })
    .await;
}

#[tokio::test]
async fn what_people_wrote_of_them_goes_and_verdicts_stay() {
    check(async |store| {
        append(&store, &of("support", "ann", 1)).await;
        store.flush().await.unwrap();
        let feedback = |kind, by: &str, at_us| Feedback {
            execution: id(1),
            team: team("support"),
            at_us,
            kind,
            by: Some(by.into()),
            comment: Some(SECRET.into()),
        };
        let wrote = FeedbackKind::Correction { output: json!({ "label": SECRET }) };
        store.feedback(feedback(wrote, "eve", 1)).await.unwrap();
        store.feedback(feedback(FeedbackKind::Label { value: "bad".into() }, "ann", 2)).await.unwrap();
        let eve = Reviewer { name: "eve".into(), team: team("support"), intents: None };
        let label = baton_core::ReviewLabel {
            reviewer: "eve".into(),
            at_us: 3,
            source: baton_core::LabelSource::Review,
            pass: false,
            criteria: BTreeMap::new(),
            correction: Some(json!({ "label": SECRET })),
            comment: Some(SECRET.into()),
        };
        store.act_on_review(&eve, id(1), &ReviewAct::Label(Box::new(label)), 3).await.unwrap();
        let counts = store.erase(erased("support", "ann")).await.unwrap();
        assert_eq!(counts.labels, 1);
        let left = store.feedback_of(&team("support"), id(1)).await.unwrap();
        let bad = FeedbackKind::Label { value: "bad".into() };
        assert_eq!(left, [Feedback { by: None, comment: None, ..feedback(bad, "ann", 2) }]);
        let item = store.review(&eve, id(1)).await.unwrap().unwrap();
        assert_eq!((item.partition.len(), item.labels.len()), (0, 1));
        let label = &item.labels[0];
        assert_eq!((label.pass, &label.correction, &label.comment), (false, &None, &None));
    })
    .await;
}

/// Whoever spoke while the person was erased had read the record before.
#[tokio::test]
async fn words_that_come_too_late_do_not_stay() {
    let dir = TempDir::new().unwrap();
    let store = open(&dir).await;
    append(&store, &Record { review: None, ..of("support", "ann", 1) }).await;
    store.flush().await.unwrap();
    store.erase(erased("support", "ann")).await.unwrap();
    let kind = FeedbackKind::Label { value: "bad".into() };
    let said =
        Feedback { execution: id(1), team: team("support"), at_us: 1, kind, by: None, comment: Some(SECRET.into()) };
    store.feedback(said.clone()).await.unwrap();
    let kept = store.feedback_of(&team("support"), id(1)).await.unwrap();
    assert_eq!(kept, [Feedback { comment: None, ..said }]);
    let eve = Reviewer { name: "eve".into(), team: team("support"), intents: None };
    let item = store.review(&eve, id(1)).await.unwrap().unwrap();
    assert!(!item.labels[0].pass && item.labels[0].comment.is_none(), "{item:?}");
}

fn job(number: u64) -> Job {
    Job {
        id: JobId::new(number, [0; 10]),
        team: team("support"),
        intent: IntentName::new("classify"),
        state: JobState::Arriving,
        created_us: 1,
        ended_us: None,
        items: 0,
        succeeded: 0,
        failed: 0,
        cost: baton_core::NanoUsd(0),
        cost_known: true,
        waits: None,
        handed_in: None,
        terms: "{}".into(),
    }
}

/// Something of a person in each database.
async fn fill(store: &Store) {
    append(store, &of("support", "ann", 1)).await;
    store.flush().await.unwrap();
    let job = job(1);
    store.begin_job(&job).await.unwrap();
    let hash = |name| SubjectHash::of(&team("support"), name);
    let item = |name| -> ItemInput { (format!("{{\"input\":\"{SECRET} {name}\"}}"), Some(hash(name))) };
    store.add_items(job.id, 0, &["ann", "bob", "ann"].map(item)).await.unwrap();
    store.open_job(&job, 3, None).await.unwrap();
    let result = crate::JobResult { place: 2, succeeded: true, result: format!("{{\"answer\":\"{SECRET}\"}}") };
    let now = crate::ItemState::Ended(result);
    store.change_items(job.id, &[crate::ItemChange { place: 2, now, cost: Default::default() }]).await.unwrap();
    let entry = |number, name| SemanticEntry {
        execution: id(number),
        team: team("support"),
        intent: IntentName::new("classify"),
        embedding: "e".into(),
        at_us: 1,
        expires_us: i64::MAX,
        vector: vec![0.6, 0.8],
        body: format!("{{\"text\":\"{SECRET} {name}\"}}"),
        subject: Some(hash(name)),
    };
    let entries = vec![entry(1, "ann"), entry(2, "bob")];
    store.keep_semantic(&SemanticChanges { entries, ..SemanticChanges::default() }).await.unwrap();
}

#[tokio::test]
async fn jobs_and_the_semantic_cache_forget_them_too() {
    let dir = TempDir::new().unwrap();
    let store = open(&dir).await;
    fill(&store).await;
    let all = ErasedCounts { records: 1, items: 2, semantic: 1, ..ErasedCounts::default() };
    assert_eq!(store.about(&erased("support", "ann")).await.unwrap(), all);
    assert_eq!(store.erase(erased("support", "ann")).await.unwrap(), all);
    assert_eq!(store.about(&erased("support", "ann")).await.unwrap(), ErasedCounts::default());
    let job = store.job(&team("support"), job(1).id).await.unwrap().unwrap();
    assert_eq!((job.succeeded, job.failed), (1, 1), "the one that waited is over, so that the job can end");
    let results = store.job_results(job.id, 0, 10).await.unwrap();
    let line = |place| format!("{{\"place\":{place},\"status\":\"erased\",\"erasedAtMs\":1000000}}");
    assert_eq!(results.iter().map(|r| r.result.clone()).collect::<Vec<_>>(), [line(0), line(2)]);
    let waiting = store.next_items(job.id, None, 9).await.unwrap();
    assert_eq!(waiting.iter().map(|item| item.place).collect::<Vec<_>>(), [1]);
    // An execution that was in the air then comes too late.
    let late = crate::ItemState::Ended(crate::JobResult { place: 0, succeeded: true, result: SECRET.into() });
    store.change_items(job.id, &[crate::ItemChange { place: 0, now: late, cost: Default::default() }]).await.unwrap();
    assert_eq!(store.job_results(job.id, 0, 1).await.unwrap()[0].result, line(0));
    let left = store.semantic_entries(None, 9).await.unwrap();
    assert_eq!(left.iter().map(|entry| entry.execution).collect::<Vec<_>>(), [id(2)]);
}

#[tokio::test]
async fn no_file_holds_what_was_erased() {
    let dir = TempDir::new().unwrap();
    let store = open(&dir).await;
    fill(&store).await;
    for number in 10..40 {
        append(&store, &of("support", "ann", number)).await;
    }
    store.flush().await.unwrap();
    let files = |text: &str| {
        let names = holding(dir.path(), text).into_iter().map(|path| path.file_name().unwrap().to_owned());
        names.collect::<Vec<_>>()
    };
    assert!(files(SECRET).len() >= 4, "{:?}", files(SECRET));
    store.erase(erased("support", "bob")).await.unwrap();
    store.erase(erased("support", "ann")).await.unwrap();
    assert!(files(SECRET).is_empty(), "while the store is open: {:?}", files(SECRET));
    store.close().await;
    assert!(files(SECRET).is_empty(), "{:?}", files(SECRET));
}

/// The journal has the erasure, and the process ends before any database does.
#[tokio::test]
async fn a_replay_of_the_journal_brings_nothing_back() {
    let dir = TempDir::new().unwrap();
    let store = open(&dir).await;
    fill(&store).await;
    store.close().await;
    // Of the process that crashed there is the journal alone.
    let (journal, _) = Journal::open(&dir.path().join("journal"), JournalOptions::default()).unwrap();
    let opened = Opened {
        execution: id(3),
        team: team("support"),
        key: None,
        partition: vec![Some(SECRET.into())],
        intent: None,
        started_at_us: 1,
        deadline_us: 1,
        reserved: baton_core::NanoUsd(1),
        stream: true,
        simulated: false,
        subject: Some("ann".into()),
    };
    for entry in [
        Entry::Finished(Box::new(of("support", "ann", 2))),
        Entry::Opened(opened),
        Entry::Erased(erased("support", "ann")),
        Entry::Finished(Box::new(of("support", "ann", 4))),
    ] {
        journal.append(&entry).unwrap().await.unwrap();
    }
    journal.close().await;
    for _ in 0..2 {
        let store = open(&dir).await;
        for number in [1, 2] {
            assert_eq!(read(&store, "support", number).await, gone(of("support", "ann", number)));
        }
        let cut = read(&store, "support", 3).await;
        assert_eq!((cut.status, cut.subject, cut.partition), (baton_core::Status::Interrupted, None, vec![]));
        assert_eq!(read(&store, "support", 4).await, of("support", "ann", 4), "that came afterwards");
        let left = store.semantic_entries(None, 9).await.unwrap();
        assert_eq!(left.iter().map(|entry| entry.execution).collect::<Vec<_>>(), [id(2)]);
        assert_eq!(store.next_items(job(1).id, None, 9).await.unwrap().len(), 1);
        store.close().await;
    }
}

/// Records from before there was a column for it say whom they are about in their body alone.
#[tokio::test]
async fn records_of_an_older_version_are_found() {
    let dir = TempDir::new().unwrap();
    let store = open(&dir).await;
    for (number, subject) in [(1, "ann"), (2, "bob"), (3, "ann")] {
        append(&store, &of("support", subject, number)).await;
    }
    append(&store, &of("sales", "ann", 4)).await;
    store.close().await;
    let path = spec(&dir).dir.join("records.db");
    let mut connection =
        sqlx::ConnectOptions::connect(&sqlx::sqlite::SqliteConnectOptions::new().filename(path)).await.unwrap();
    for statement in ["UPDATE executions SET subject = NULL", "UPDATE progress SET unnamed = sequence"] {
        sqlx::query(statement).execute(&mut connection).await.unwrap();
    }
    sqlx::Connection::close(connection).await.unwrap();
    let store = open(&dir).await;
    assert_eq!(store.about(&erased("support", "ann")).await.unwrap().records, 2);
    assert_eq!(store.erase(erased("support", "ann")).await.unwrap().records, 2);
    assert_eq!(read(&store, "support", 3).await, gone(of("support", "ann", 3)));
    assert_eq!(read(&store, "support", 2).await, of("support", "bob", 2));
    assert_eq!(read(&store, "sales", 4).await, of("sales", "ann", 4));
}
