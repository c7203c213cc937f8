//! A person is erased: what calls about them left is gone, also what calls in the air leave.

use std::time::Duration;

use baton_config::{Durability, StoreSpec};
use baton_core::{ExecutionId, Record, Via};
use baton_engine::{Call, Erasure, idempotency};
use baton_store::{Entry, Feedback, FeedbackKind, Store};
use serde_json::json;
use tokio::time::sleep;

use crate::house::{House, Open, SORT, WRITE, of_customer, of_team, read, settle, sort, write};
use crate::models::Says;

fn about(call: Call, subject: &str) -> Call {
    Call { subject: Some(subject.into()), session: Some("zanzibar".into()), ..call }
}

async fn via(house: &Open, call: Call) -> Via {
    house.execute(call).await.unwrap().answer.via
}

/// What is received at the same microsecond is received before.
async fn erase(house: &Open, team: &str, subject: &str) -> Erasure {
    let erasure = house.orchestrator.erase(&team.into(), subject, None).await.unwrap();
    settle().await;
    erasure
}

/// Figures stay, and nothing that says whom it was about.
fn is_erased(record: &Record) -> bool {
    let text = format!("{record:?}");
    let gone = record.input.is_none() && record.output.is_none() && !text.contains("ann") && !text.contains("zanzibar");
    assert_eq!(record.erased_at_us.is_some(), gone, "{record:#?}");
    gone
}

#[tokio::test(start_paused = true)]
async fn their_answers_are_given_no_more_in_their_team() {
    let house = House::sort(&format!("on_exhausted = \"stale\"\n{SORT}")).open();
    house.models.say("a", &[Says::Text(5, "bug")]);
    let ann = || about(of_customer(sort("same"), "zanzibar"), "ann");
    let elsewhere = || of_team(ann(), "other");
    let bob = || about(sort("of bob"), "bob");
    for call in [ann(), elsewhere(), bob()] {
        assert_eq!((via(&house, call.clone()).await, via(&house, call).await), (Via::Model, Via::CacheExact));
    }
    let erasure = erase(&house, "default", "ann").await;
    assert_eq!((erasure.records, erasure.cache_entries, erasure.semantic_entries), (2, 1, 0));
    let records = house.records();
    let erased: Vec<bool> = records.iter().map(is_erased).collect();
    assert_eq!(erased, [true, true, false, false, false, false]);
    assert_eq!((records[0].attempts.len(), records[0].usage), (1, records[4].usage));
    assert!(records[0].cost.0 > 0 && records[0].cost == records[4].cost);
    assert_eq!((via(&house, elsewhere()).await, via(&house, bob()).await), (Via::CacheExact, Via::CacheExact));
    assert_eq!(via(&house, ann()).await, Via::Model, "asked anew, and a new call");
    assert_eq!(via(&house, ann()).await, Via::CacheExact);
    assert!(!is_erased(house.records().last().unwrap()));
    // Neither is a stale answer left to give.
    erase(&house, "default", "ann").await;
    house.models.replace("a", &[Says::Status(0, 401)]);
    house.models.say("b", &[Says::Status(0, 401)]);
    assert!(house.execute(ann()).await.is_err());
    sleep(Duration::from_secs(11)).await;
    assert_eq!(via(&house, elsewhere()).await, Via::Stale);
    let nobody = erase(&house, "default", "nobody").await;
    assert_eq!(nobody, Erasure { erased_at_ms: nobody.erased_at_ms, ..Erasure::default() });
}

#[tokio::test(start_paused = true)]
async fn a_call_in_the_air_is_answered_and_leaves_nothing() {
    let house = House::write(WRITE).open();
    house.models.say("a", &[Says::Pieces(&[(5, "Dear "), (20, "you")]), Says::Text(0, "new")]);
    let call = || Call { idempotency: Some(idempotency("k", b"body").unwrap()), ..about(write("to ann"), "ann") };
    let running = house.orchestrator.start(call());
    sleep(Duration::from_millis(10)).await;
    let erasure = erase(&house, "default", "ann").await;
    assert_eq!(erasure, Erasure { erased_at_ms: erasure.erased_at_ms, ..Erasure::default() });
    assert_eq!(read(running.events).await, ["start sim/a", "Dear ", "you", "end model"], "the caller asked");
    settle().await;
    assert!(is_erased(&house.records()[0]));
    let opened =
        house.entries().into_iter().find_map(|entry| if let Entry::Opened(o) = entry { Some(o) } else { None });
    assert_eq!(opened.unwrap().subject, None);
    // Neither under its input nor under its key is anything kept.
    let again = house.execute(Call { stream: false, ..call() }).await.unwrap();
    assert_eq!((again.answer.via, again.answer.output["text"].as_str()), (Via::Model, Some("new")));
    assert!(!is_erased(&house.records()[1]), "it was received afterwards");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_made_again_is_a_new_one() {
    let house = House::sort(&SORT.replace("ttl = \"10s\"", "")).open();
    house.models.say("a", &[Says::Text(5, "bug")]);
    let call = |name: &str| Call { idempotency: Some(idempotency(name, b"body").unwrap()), ..about(sort("x"), name) };
    let id = async |name| house.execute(call(name)).await.unwrap().answer.execution_id;
    let (ann, bob) = (id("ann").await, id("bob").await);
    assert_eq!((id("ann").await, id("bob").await), (ann, bob));
    assert_eq!(erase(&house, "default", "ann").await.repeats, 1);
    assert_ne!(id("ann").await, ann);
    assert_eq!(id("bob").await, bob);
}

/// A judge's question quotes the answer: it is asked about nobody who was erased.
#[tokio::test(start_paused = true)]
async fn judges_are_not_asked_about_them_any_more() {
    let judged = format!("{SORT}[[criteria]]\nid = \"right\"\nask = \"Is it right?\"\n[judge]\nmodel = \"b\"\n");
    let house = House::sort(&judged).open();
    house.models.say("a", &[Says::Text(20, "bug")]);
    house.models.say("b", &[Says::Text(20, "{\"right\":{\"reasoning\":\"I looked.\",\"verdict\":\"pass\"}}")]);
    let ask = |ticket: &str| house.orchestrator.start(about(sort(ticket), "ann"));
    // While the judge says it, and while the model does.
    let first = ask("one");
    sleep(Duration::from_millis(25)).await;
    let second = ask("two");
    sleep(Duration::from_millis(5)).await;
    assert_eq!(house.models.order(), ["a", "b", "a"]);
    erase(&house, "default", "ann").await;
    for running in [first, second] {
        assert_eq!(read(running.events).await, ["end model"]);
    }
    house.orchestrator.idle().await;
    assert_eq!(house.models.order(), ["a", "b", "a"]);
    assert_eq!(house.records().iter().map(is_erased).collect::<Vec<_>>(), [true; 3]);
    let status = |entry| if let Entry::Score(score) = entry { Some(score.result.status()) } else { None };
    let scores: Vec<_> = house.entries().into_iter().filter_map(status).collect();
    assert_eq!(scores, ["scored", "skipped"], "the verdict stays");
}

const SIMILAR: &str = "models = [\"a\"]\n[labels]\nbilling = \"money\"\nbug = \"broken\"\n[cache]\nttl = \"7d\"\n\
    partition = [\"metadata.customer\"]\nsemantic_error_max = 0.05\n";

fn neighbour(house: &Open) -> Option<ExecutionId> {
    house.records().last().unwrap().semantic.as_ref().unwrap().neighbour
}

#[tokio::test(start_paused = true)]
async fn they_are_nobodys_neighbour() {
    let house = House::sort(SIMILAR).open();
    house.models.say("a", &[Says::Text(0, "bug")]);
    let bob = |ticket| about(sort(ticket), "bob");
    let anns = house.execute(about(sort("the app crashes when I open a photo"), "ann")).await.unwrap();
    via(&house, bob("the app crashes when I open the photo")).await;
    assert_eq!(neighbour(&house), Some(anns.answer.execution_id));
    assert_eq!(erase(&house, "default", "ann").await.semantic_entries, 1);
    via(&house, bob("the app crashes when I open my photo")).await;
    assert_ne!(neighbour(&house), Some(anns.answer.execution_id));
    erase(&house, "default", "bob").await;
    via(&house, bob("the app crashes when I open this photo")).await;
    assert_eq!(neighbour(&house), None);
}

#[tokio::test(start_paused = true)]
async fn local_unlearns_what_people_said_of_them() {
    let policy = SORT.replace(r#"["a", "b"]"#, r#"["local", "a"]"#);
    let house = House::sort(&format!("{policy}[local]\ncut = 0.9\n")).open();
    house.models.say("a", &[Says::Text(0, "billing")]);
    let ticket = |n: usize| sort(&format!("{} {n}", ["please refund the payment", "it crashes at once"][n % 2]));
    for n in 0..60 {
        house.execute(about(ticket(n), "ann")).await.unwrap();
    }
    for (n, record) in house.records().into_iter().enumerate() {
        let kind = FeedbackKind::FinalOutput { output: json!({ "label": if n % 2 == 0 { "billing" } else { "bug" } }) };
        let (execution, team, at_us) = (record.execution, record.team, record.started_at_us);
        let said = Feedback { execution, team, at_us, by: None, comment: None, kind };
        house.orchestrator.store().feedback(said).await.unwrap();
    }
    house.orchestrator.calibrate().await.unwrap();
    let by = async |n| house.execute(ticket(n)).await.unwrap().answer.model.clone().unwrap().to_string();
    assert_eq!(by(61).await, "local");
    let erasure = erase(&house, "default", "ann").await;
    assert_eq!((erasure.records, erasure.labels), (60, 30), "half of the labels were corrections");
    assert_eq!(by(63).await, "sim/a", "at once");
    house.orchestrator.calibrate().await.unwrap();
    assert_eq!(by(65).await, "sim/a", "and for good");
}

/// On disk: nothing comes back with the next process, and what people wrote about it is gone.
#[tokio::test]
async fn the_next_process_knows_nothing_of_them() {
    let dir = tempfile::tempdir().unwrap();
    let spec = StoreSpec { dir: dir.path().join("store"), durability: Durability::Process };
    let begin = async || {
        let house = House::sort(SIMILAR).open_on(Store::open(&spec).await.unwrap());
        house.models.say("a", &[Says::Text(0, "bug")]);
        let learning = house.orchestrator.clone();
        tokio::spawn(async move { learning.learn().await });
        // Until what an earlier process kept is read, nothing is looked up or learnt.
        let ready = async {
            for n in 0.. {
                if !house.orchestrator.semantic().is_empty() {
                    break;
                }
                via(&house, of_team(sort(&format!("nothing at all {n}")), "other")).await;
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), ready).await.unwrap();
        house
    };
    let end = async |house: Open| {
        house.orchestrator.idle().await;
        house.orchestrator.keep().await.unwrap();
        house.orchestrator.store().clone().close().await;
    };
    let house = begin().await;
    let mut ids = Vec::new();
    for (name, ticket) in [("ann", "the app crashes when I open a photo"), ("bob", "please refund what I paid")] {
        let call = Call { idempotency: Some(idempotency(name, b"x").unwrap()), ..about(sort(ticket), name) };
        ids.push(house.execute(call).await.unwrap().answer.execution_id);
    }
    let kind = FeedbackKind::FinalOutput { output: json!({ "label": "bug" }) };
    let comment = Some("ann is right".to_owned());
    let said = Feedback { execution: ids[0], team: "default".into(), at_us: 1, kind, by: Some("ann".into()), comment };
    house.orchestrator.store().feedback(said).await.unwrap();
    end(house).await;

    let house = begin().await;
    let erasure = house.orchestrator.erase(&"default".into(), "ann", None).await.unwrap();
    let counts = (erasure.records, erasure.semantic_entries, erasure.feedback, erasure.labels);
    assert_eq!(counts, (1, 1, 1, 1), "what was fed back is a label too");
    end(house).await;

    let store = Store::open(&spec).await.unwrap();
    let team = "default".into();
    let record = store.execution(&team, ids[0]).await.unwrap().unwrap();
    assert!(is_erased(&record));
    assert!(store.feedback_of(&team, ids[0]).await.unwrap().is_empty());
    let rows = store.semantic_entries(None, 10_000).await.unwrap();
    let of_team = rows.iter().filter(|row| row.team == team).map(|row| row.execution);
    assert_eq!(of_team.collect::<Vec<_>>(), [ids[1]]);
    store.close().await;
}
