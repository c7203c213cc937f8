//! The review queue's promises, on disk and in memory alike: nothing that was drawn is lost, nobody
//! gets what somebody else has, and no team sees another's.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use baton_core::{LabelSource, ReviewDraw, ReviewItem, ReviewLabel, ReviewRefusal, ReviewState};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed};
use serde_json::json;
use tempfile::TempDir;

use super::tests::{append, check, id, open, record, spec, team};
use super::*;
use crate::{FeedbackKind, Label, LabelQuery, RESERVATION_US, ReviewAct, ReviewError, ReviewFilter, Reviewer};

const NOW_US: i64 = 1_000_000_000_000;

fn drawn(number: u64, double: bool) -> Record {
    let draw = ReviewDraw { probability: 0.25, double, adjudicator: None, rejected: None };
    Record { review: Some(draw), lineage: "lineage".into(), ..record(number) }
}

fn reviewer(name: &str) -> Reviewer {
    Reviewer { name: name.into(), team: team("support"), intents: None }
}

fn label(pass: bool) -> ReviewAct {
    let criteria = BTreeMap::from([("tone".to_owned(), pass)]);
    let (correction, comment) = (Some(json!({ "label": "bug" })), Some("why".to_owned()));
    let source = LabelSource::Review;
    let (reviewer, at_us) = Default::default();
    ReviewAct::Label(Box::new(ReviewLabel { reviewer, at_us, source, pass, criteria, correction, comment }))
}

async fn next(store: &Store, name: &str, now_us: i64) -> Option<u64> {
    let item = store.next_review(&reviewer(name), None, now_us).await.unwrap();
    item.map(|item| (1..=1000).find(|number| id(*number) == item.execution).unwrap())
}

async fn labels(store: &Store) -> Vec<Label> {
    let query = LabelQuery { lineage: "lineage".into(), team: None, before: None, limit: 1000 };
    let mut labels = store.labels(&query).await.unwrap();
    labels.reverse();
    labels
}

#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T, ReviewError>) -> ReviewRefusal {
    match result {
        Err(ReviewError::Refused(refusal)) => refusal,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_explains_an_open_alarm_is_given_first() {
    check(async |store| {
        for number in 1..=4 {
            append(&store, &drawn(number, false)).await;
        }
        store.flush().await.unwrap();
        let drift = |kind: &str, at_us| DriftEntry {
            team: team("support"),
            intent: "sort".into(),
            lineage: "lineage".into(),
            at_us,
            kind: kind.into(),
            detail: "{}".into(),
            state: "{}".into(),
        };
        store.add_drift(&drift("alarm", 2_000)).await.unwrap();
        assert_eq!(next(&store, "ann", NOW_US).await, Some(3));
        assert_eq!(next(&store, "ann", NOW_US).await, Some(3), "and keeps it");
        assert_eq!(next(&store, "bob", NOW_US).await, Some(4));
        assert_eq!(next(&store, "cyd", NOW_US).await, Some(1), "then the others");
        store.add_drift(&drift("explained", 9_000)).await.unwrap();
        store.act_on_review(&reviewer("ann"), id(3), &ReviewAct::Release, NOW_US).await.unwrap();
        assert_eq!(next(&store, "ann", NOW_US).await, Some(2), "nothing is open any more");
    })
    .await;
}

#[tokio::test]
async fn what_was_drawn_is_given_to_one_of_its_team() {
    check(async |store| {
        append(&store, &drawn(1, false)).await;
        append(&store, &record(2)).await;
        store.flush().await.unwrap();
        let sales = Reviewer { team: team("sales"), ..reviewer("sam") };
        assert_eq!(store.next_review(&sales, None, NOW_US).await.unwrap(), None);
        assert_eq!(store.review(&sales, id(1)).await.unwrap(), None);
        let limited = Reviewer { intents: Some(vec!["other".into()]), ..reviewer("lim") };
        assert_eq!(store.next_review(&limited, None, NOW_US).await.unwrap(), None);

        assert_eq!(next(&store, "ann", NOW_US).await, Some(1));
        assert_eq!(next(&store, "bob", NOW_US).await, None, "ann has it");
        assert_eq!(next(&store, "ann", NOW_US).await, Some(1), "and keeps it");
        assert_eq!(next(&store, "bob", NOW_US + RESERVATION_US).await, Some(1), "until her time is over");
        let late = store.act_on_review(&reviewer("ann"), id(1), &label(true), NOW_US + RESERVATION_US).await;
        assert_eq!(refused(late), ReviewRefusal::Held);
        let unknown = store.act_on_review(&sales, id(1), &label(true), NOW_US).await;
        assert!(matches!(unknown, Err(ReviewError::Unknown(_))), "{unknown:?}");
    })
    .await;
}

#[tokio::test]
async fn a_label_says_with_which_probability_it_was_asked_for() {
    check(async |store| {
        for (number, double) in [(1, false), (2, true), (3, true)] {
            append(&store, &drawn(number, double)).await;
        }
        store.flush().await.unwrap();
        for (name, passes) in [("ann", [true, true, false]), ("bob", [true, true, true])] {
            for (number, pass) in (1..).zip(passes) {
                let _done = store.act_on_review(&reviewer(name), id(number), &label(pass), NOW_US).await;
            }
        }
        let found = labels(&store).await;
        let told: Vec<_> =
            found.iter().map(|l| (l.execution, l.probability, l.pass, l.settled, l.criteria.len())).collect();
        let p = Some(0.25);
        let expected = [(id(1), p, true, true, 1), (id(2), p, true, true, 1), (id(3), p, false, false, 0)];
        assert_eq!(told, expected, "while two disagree the answer does not pass, and its criterion is open");
        assert_eq!(found[0].partition, [Some("acme".to_owned())]);

        assert_eq!(next(&store, "ann", NOW_US).await, None, "who disagrees does not decide");
        assert_eq!(next(&store, "cid", NOW_US).await, Some(3));
        store.act_on_review(&reviewer("cid"), id(3), &label(true), NOW_US + 1).await.unwrap();
        let decided = &labels(&store).await[2];
        assert_eq!((decided.pass, decided.settled, decided.source), (true, true, LabelSource::Adjudication));

        let of = |team: Option<TeamId>, lineage: &str, before| LabelQuery {
            lineage: lineage.into(),
            team,
            before,
            limit: 2,
        };
        for (query, count) in [
            (of(Some(team("support")), "lineage", None), 2),
            (of(None, "lineage", Some(id(2))), 1),
            (of(Some(team("sales")), "lineage", None), 0),
            (of(None, "other", None), 0),
        ] {
            assert_eq!(store.labels(&query).await.unwrap().len(), count, "{query:?}");
        }
        let latest = store.labels(&of(None, "lineage", Some(id(3)))).await.unwrap();
        assert_eq!(latest.iter().map(|label| label.execution).collect::<Vec<_>>(), [id(2), id(1)]);
    })
    .await;
}

#[tokio::test]
async fn the_last_act_of_a_reviewer_is_undone() {
    check(async |store| {
        for number in 1..=3 {
            append(&store, &drawn(number, false)).await;
        }
        store.flush().await.unwrap();
        let ann = reviewer("ann");
        assert_eq!(refused(store.undo_review(&ann, NOW_US).await), ReviewRefusal::NothingToUndo);
        // In another order than the executions'.
        for (number, act, at_us) in [(3, label(true), 1), (1, label(false), 2), (2, ReviewAct::Skip, 3)] {
            store.act_on_review(&ann, id(number), &act, NOW_US + at_us).await.unwrap();
        }
        assert_eq!(next(&store, "ann", NOW_US + 4).await, None, "a skipped item is not given again");
        for expected in [2, 1, 3] {
            assert_eq!(store.undo_review(&ann, NOW_US + 5).await.unwrap().execution, id(expected));
        }
        assert_eq!(refused(store.undo_review(&ann, NOW_US + 6).await), ReviewRefusal::NothingToUndo);
        assert_eq!(next(&store, "bob", NOW_US + 6).await, None, "ann has all three again");
    })
    .await;
}

fn said(number: u64, kind: FeedbackKind) -> Feedback {
    Feedback { execution: id(number), team: team("support"), at_us: NOW_US, kind, by: None, comment: None }
}

#[tokio::test]
async fn what_a_person_really_sent_is_a_label() {
    check(async |store| {
        for number in 1..=6 {
            append(&store, &drawn(number, false)).await;
        }
        append(&store, &Record { review: None, ..drawn(7, false) }).await;
        append(&store, &Record { output: None, ..drawn(8, false) }).await;
        let sent = |output| FeedbackKind::FinalOutput { output };
        let word = |value: &str| FeedbackKind::Label { value: value.into() };
        for (number, kind) in [
            (1, sent(json!({ "label": "billing" }))),
            (2, sent(json!({ "label": "bug" }))),
            (3, FeedbackKind::Correction { output: json!({ "label": "bug" }) }),
            (4, word("good")),
            (5, word("purple")),
            (6, FeedbackKind::Score { name: "stars".into(), value: 1.0 }),
            (7, sent(json!({ "label": "bug" }))),
            (8, sent(json!({ "label": "bug" }))),
        ] {
            store.feedback(said(number, kind)).await.unwrap();
        }
        store.flush().await.unwrap();
        let found = labels(&store).await;
        let told: Vec<_> = found.iter().map(|l| (l.execution, l.probability, l.pass, l.source)).collect();
        let p = Some(0.25);
        assert_eq!(
            told,
            [
                (id(1), p, true, LabelSource::FinalOutput),
                (id(2), p, false, LabelSource::FinalOutput),
                (id(3), p, false, LabelSource::Correction),
                (id(4), p, true, LabelSource::Label),
                (id(7), None, false, LabelSource::FinalOutput),
            ]
        );
        assert_eq!(next(&store, "ann", NOW_US).await, Some(5), "what is labelled needs no reviewer");
        let item = store.review(&reviewer("ann"), id(2)).await.unwrap().unwrap();
        assert_eq!(item.labels[0].correction, Some(json!({ "label": "bug" })));
    })
    .await;
}

#[tokio::test]
async fn what_was_drawn_outlives_the_process() {
    let dir = TempDir::new().unwrap();
    let (journal, _) = Journal::open(&dir.path().join("journal"), JournalOptions::default()).unwrap();
    for number in 1..=600 {
        drop(journal.append(&Entry::Finished(Box::new(drawn(number, false)))).unwrap());
    }
    journal.close().await;
    let store = open(&dir).await;
    store.act_on_review(&reviewer("ann"), id(2), &label(true), NOW_US).await.unwrap();
    let filter = ReviewFilter { state: Some(ReviewState::Open), limit: 1000, ..ReviewFilter::default() };
    assert_eq!(store.reviews(&reviewer("ann"), &filter).await.unwrap().len(), 599);
    store.close().await;

    // The same record again, as after a crash between the two databases, changes nothing.
    let store = open(&dir).await;
    append(&store, &drawn(2, false)).await;
    store.flush().await.unwrap();
    assert_eq!(labels(&store).await.len(), 1);
    let filter = ReviewFilter { labelled_by: Some("ann".into()), limit: 10, ..ReviewFilter::default() };
    assert_eq!(store.reviews(&reviewer("bob"), &filter).await.unwrap()[0].execution, id(2));
}

#[tokio::test]
async fn what_people_wrote_goes_with_its_record() {
    let dir = TempDir::new().unwrap();
    let store = open(&dir).await;
    append(&store, &drawn(1, false)).await;
    append(&store, &drawn(2, false)).await;
    store.flush().await.unwrap();
    store.act_on_review(&reviewer("ann"), id(1), &label(false), NOW_US).await.unwrap();
    let retention = Retention { intents: BTreeMap::new(), others: std::time::Duration::from_secs(3600) };
    assert_eq!(store.prune(retention, NOW_US * 2).await.unwrap(), 2);
    assert_eq!(store.review(&reviewer("ann"), id(2)).await.unwrap(), None, "nobody could label it");
    let item = store.review(&reviewer("ann"), id(1)).await.unwrap().unwrap();
    assert!(item.labels[0].comment.is_none() && item.labels[0].correction.is_none() && !item.labels[0].pass);
    assert!(!std::fs::read(dir.path().join("control.db")).unwrap().windows(5).any(|bytes| bytes == b"\"why\""));
}

#[tokio::test]
async fn labels_from_elsewhere_are_taken_once() {
    check(async |store| {
        let (one, two) = (drawn(1, false), Record { review: None, ..drawn(2, false) });
        append(&store, &one).await;
        append(&store, &two).await;
        store.flush().await.unwrap();
        let ReviewAct::Label(given) = label(true) else { unreachable!("made so") };
        let given = ReviewLabel { reviewer: "eve".into(), at_us: 5, source: LabelSource::Import, ..*given };
        let lines = vec![(one, given.clone()), (two, given)];
        assert_eq!(store.import_labels(lines.clone()).await.unwrap(), 2);
        assert_eq!(store.import_labels(lines).await.unwrap(), 0, "they are known");
        let told: Vec<_> = labels(&store).await.iter().map(|l| (l.probability, l.source)).collect();
        assert_eq!(told, [(Some(0.25), LabelSource::Import), (None, LabelSource::Import)]);
    })
    .await;
}

/// Everything that was given out: the item, whether it was to decide, and to whom.
type Given = Arc<Mutex<Vec<(ReviewItem, bool, String)>>>;

/// Takes items until there are none, labels most, and leaves some in hand.
async fn work(store: Store, name: String, choices: Vec<u8>, given: Given) {
    let who = reviewer(&name);
    for (turn, choice) in (0..).zip(choices) {
        let now_us = NOW_US + turn;
        let Some(item) = store.next_review(&who, None, now_us).await.unwrap() else { continue };
        given.lock().unwrap().push((item.clone(), item.state() == ReviewState::Disputed, name.clone()));
        let act = match choice % 8 {
            0 => continue,
            1 => ReviewAct::Skip,
            verdict => label(verdict > 3),
        };
        store.act_on_review(&who, item.execution, &act, now_us).await.unwrap();
    }
}

fn worlds(cases: u32) -> Config {
    let config = Config { failure_persistence: None, ..Config::with_cases(cases) };
    match config.rng_seed {
        RngSeed::Random => Config { rng_seed: RngSeed::Fixed(20_260), ..config },
        RngSeed::Fixed(_) => config,
    }
}

proptest! {
    #![proptest_config(worlds(6))]

    /// Four people at once, two of them through another process's handle: an item that wants one
    /// label is never in two hands, one that wants two in two different ones, and a dispute in one
    /// more. Nobody's time runs out here.
    #[test]
    fn two_reviewers_never_get_the_same_item_except_on_purpose(
        doubles in proptest::collection::vec(any::<bool>(), 4..12),
        choices in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 12), 4),
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap();
        let given = Given::default();
        let items: Vec<ReviewItem> = runtime.block_on(async {
            let dir = TempDir::new().unwrap();
            let store = open(&dir).await;
            for (number, double) in (1..).zip(&doubles) {
                append(&store, &drawn(number, *double)).await;
            }
            store.flush().await.unwrap();
            let beside = Store::open_read(&spec(&dir)).await.unwrap();
            let mut tasks = tokio::task::JoinSet::new();
            for (n, choices) in choices.into_iter().enumerate() {
                let handle = if n % 2 == 0 { store.clone() } else { beside.clone() };
                tasks.spawn(work(handle, format!("r{n}"), choices, Arc::clone(&given)));
            }
            tasks.join_all().await;
            let filter = ReviewFilter { limit: 100, ..ReviewFilter::default() };
            store.reviews(&reviewer("ann"), &filter).await.unwrap()
        });
        prop_assert_eq!(items.len(), doubles.len(), "nothing is lost");
        let given = given.lock().unwrap();
        for item in &items {
            // Who passed it over made room for another.
            let hands = |decides: bool| {
                let of = given.iter().filter(|(i, d, who)| i.execution == item.execution && *d == decides && !item.is_skipped_by(who));
                of.map(|(_, _, who)| who.as_str()).collect::<std::collections::BTreeSet<_>>()
            };
            let wanted = 1 + usize::from(item.draw.as_ref().is_some_and(|draw| draw.double));
            prop_assert!(hands(false).len() <= wanted, "{:?} {item:?}", hands(false));
            prop_assert!(hands(true).len() <= 1 && hands(true).is_disjoint(&hands(false)), "{item:?}");
            prop_assert!(item.independent().count() <= wanted);
        }
    }
}
