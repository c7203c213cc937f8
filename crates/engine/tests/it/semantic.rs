//! The semantic cache: answers to similar inputs, once the evidence is there, within their scope.

use std::collections::{HashMap, HashSet};

use baton_cache::semantic::accept::Gate;
use baton_config::{Durability, StoreSpec};
use baton_core::{ErrorCode, ExecutionId, NanoUsd, SemanticDecision, TeamId, Via};
use baton_engine::Call;
use baton_store::{Feedback, FeedbackKind, Store};
use futures_util::future::join_all;
use serde_json::json;

use crate::house::{House, Open, of_customer, of_team, read, sort, within};
use crate::models::Says;

const SIMILAR: &str = r#"
models = ["a", "b"]
[labels]
billing = "money"
bug = "broken"
[cache]
ttl = "7d"
partition = ["metadata.customer"]
semantic_error_max = 0.05
"#;

const MONEY: [&str; 4] = [
    "I was charged twice for",
    "please refund the invoice of",
    "your bill is wrong about",
    "what does it cost to keep",
];
const BROKEN: [&str; 4] = [
    "the app crashes when I open",
    "there is an error message about",
    "nothing loads after I click",
    "the screen freezes with",
];
const THINGS: [&str; 16] = [
    "my order",
    "the gym plan",
    "our report",
    "that upload",
    "the calendar",
    "my photos",
    "the big table",
    "her seat",
    "the export",
    "a backup",
    "the old folder",
    "his licence",
    "the new phone",
    "our team",
    "the dashboard",
    "my password",
];
const WHENS: [&str; 12] = [
    "today",
    "yesterday",
    "last week",
    "again",
    "this morning",
    "since Monday",
    "at night",
    "on the train",
    "in March",
    "as always",
    "for months",
    "just now",
];

/// The n-th ticket of a stream that does not repeat itself.
fn ticket(n: usize) -> String {
    let what = if n.is_multiple_of(2) { MONEY } else { BROKEN };
    format!("{} {} {}", what[n / 2 % 4], THINGS[n / 8 % 16], WHENS[n / 128 % 12])
}

/// What the model says of a ticket.
fn truth(prompt: &str) -> &'static str {
    if MONEY.iter().any(|money| prompt.contains(money)) { "billing" } else { "bug" }
}

fn open(policy: &str) -> Open {
    let house = House::sort(policy).open();
    both_say(&house, 0);
    house
}

/// Whoever is asked: on a slow machine the real clock has one model hedged by the other.
fn both_say(house: &Open, after_ms: u64) {
    ["a", "b"].iter().for_each(|model| house.models.say(model, &[Says::Of(after_ms, truth)]));
}

/// The first ticket from this one on that is answered from a similar one.
async fn first_hit(house: &Open, from: usize) -> ExecutionId {
    for n in from..from + 200 {
        let answer = &house.execute(sort(&ticket(n))).await.unwrap().answer;
        if answer.via == Via::CacheSemantic {
            return answer.execution_id;
        }
    }
    panic!("none is");
}

/// How often each way, of the tickets of this range.
async fn ask(house: &Open, range: std::ops::Range<usize>) -> (usize, usize) {
    let (mut asked, mut similar) = (0, 0);
    for n in range {
        let delivered = house.execute(sort(&ticket(n))).await.unwrap();
        assert_eq!(delivered.answer.output, json!({ "label": truth(&ticket(n)) }), "{}", ticket(n));
        match delivered.answer.via {
            Via::Model => asked += 1,
            Via::CacheSemantic => similar += 1,
            via => panic!("{via:?}"),
        }
    }
    (asked, similar)
}

#[tokio::test(start_paused = true)]
async fn it_opens_with_evidence_and_says_what_it_did() {
    let house = open(SIMILAR);
    assert_eq!(ask(&house, 0..100).await, (100, 0), "closed without evidence");
    let (_, similar) = ask(&house, 100..1000).await;
    assert!(similar > 300, "{similar} of 900");
    let states = house.orchestrator.semantic();
    let state = &states[0];
    assert_eq!((states.len(), state.intent.as_str(), state.team.as_str()), (1, "sort", "default"));
    let evidence = state.evidence.clone().unwrap();
    assert!(matches!(evidence.gate, Gate::Open { bound, .. } if bound <= 0.05), "{:?}", evidence.gate);
    assert_eq!(evidence.hits as usize, similar);

    let records = house.records();
    let of = |decision| records.iter().filter(move |r| r.semantic.as_ref().is_some_and(|l| l.decision == decision));
    let served = of(SemanticDecision::Served).next().unwrap();
    let look = served.semantic.as_ref().unwrap();
    assert_eq!(served.via, Some(Via::CacheSemantic));
    assert_eq!((look.neighbour, look.agreed, look.probability), (served.source, None, None));
    assert!(look.cosine.unwrap() > 0.0 && look.right.unwrap() > 0.9 && served.saved.is_some());
    assert!(served.reason.as_ref().unwrap().contains("similar"), "{:?}", served.reason);
    let audited: Vec<_> = of(SemanticDecision::Audited).collect();
    assert!(!audited.is_empty());
    for audit in audited {
        let look = audit.semantic.as_ref().unwrap();
        assert!(audit.via == Some(Via::Model) && look.agreed == Some(true) && look.probability.unwrap() < 1.0);
    }
    // Another team begins with nothing.
    let elsewhere = house.execute(of_team(sort(&ticket(1000)), "other")).await.unwrap();
    assert_eq!(elsewhere.answer.via, Via::Model);
}

#[tokio::test(start_paused = true)]
async fn a_call_may_tighten_the_promise_and_not_loosen_it() {
    let house = open(SIMILAR);
    ask(&house, 0..600).await;
    let loose = within(sort(&ticket(600)), json!({ "semanticErrorMax": 0.06 }));
    assert_eq!(house.told(loose).await, Err(ErrorCode::OverrideNotPermitted));
    for n in 600..620 {
        let none = within(sort(&ticket(n)), json!({ "semanticErrorMax": 0 }));
        assert_eq!(house.execute(none).await.unwrap().answer.via, Via::Model);
        assert_eq!(house.records().last().unwrap().semantic, None, "it is not even asked");
    }
    for n in 620..640 {
        let strict = within(sort(&ticket(n)), json!({ "semanticErrorMax": 0.000_001 }));
        assert_eq!(house.execute(strict).await.unwrap().answer.via, Via::Model);
        let look = house.records().last().unwrap().semantic.clone().unwrap();
        assert_eq!((look.decision, look.agreed), (SemanticDecision::Missed, Some(true)), "learnt from all the same");
    }
    first_hit(&house, 640).await;
}

#[tokio::test(start_paused = true)]
async fn a_hit_is_given_as_a_stream_where_one_is_asked_for() {
    let house = open(SIMILAR);
    ask(&house, 0..600).await;
    for n in 600..800 {
        let events = house.orchestrator.start(Call { stream: true, ..sort(&ticket(n)) }).events;
        let read = read(events).await;
        if read.last().unwrap() == "end cache-semantic" {
            return assert_eq!(read, ["start sim/a", truth(&ticket(n)), "end cache-semantic"]);
        }
    }
    panic!("no hit");
}

#[tokio::test(start_paused = true)]
async fn what_somebody_calls_bad_is_given_no_more_and_counts() {
    let house = open(SIMILAR);
    ask(&house, 0..600).await;
    let hit = first_hit(&house, 600).await;
    let record = house.records().into_iter().find(|record| record.execution == hit).unwrap();
    let source = record.source.unwrap();
    let wrong = |house: &Open| house.orchestrator.semantic()[0].evidence.clone().unwrap().wrong;
    assert_eq!(wrong(&house), 0);
    let kind = FeedbackKind::Label { value: "bad".into() };
    let (team, at_us) = (TeamId::new("default"), record.started_at_us + 1);
    let feedback = Feedback { execution: hit, team, at_us, kind, by: None, comment: None };
    house.orchestrator.store().feedback(feedback).await.unwrap();
    assert_eq!(house.orchestrator.hear().await.unwrap(), 1);
    assert_eq!(house.orchestrator.hear().await.unwrap(), 0, "once");
    assert_eq!(wrong(&house), 1);
    // Neither does the one that it came from answer again, nor is its own input answered exactly.
    let first = house.records().into_iter().find(|record| record.execution == source).unwrap();
    let again = house.execute(Call::intent("sort", first.input.unwrap())).await.unwrap();
    assert_ne!(again.answer.via, Via::CacheExact);
    let neighbours = house.records().into_iter().rev().take(1).filter_map(|r| r.semantic?.neighbour);
    assert!(neighbours.into_iter().all(|neighbour| neighbour != source));
}

/// Two teams and two customers, and which is whose.
const SCOPES: [(&str, &str); 4] = [("east", "one"), ("east", "two"), ("west", "one"), ("west", "two")];

#[tokio::test(start_paused = true)]
async fn nothing_crosses_a_scope() {
    let house = House::sort(SIMILAR).open();
    // Long enough for flights to meet.
    both_say(&house, 20);
    let of = |scope: (&str, &str), n: usize| of_customer(of_team(sort(&ticket(n)), scope.0), scope.1);
    let mut dice = baton_stats::SplitMix64::new(11);
    // 10,000 calls, eight at a time: the same inputs in all scopes, most of them asked for again.
    for round in 0..1250_u64 {
        let upto = 40 + round / 3;
        let same = dice.below(upto);
        let calls = (0..8).map(|_| {
            let n = if dice.below(2) == 0 { same } else { dice.below(upto) };
            house.execute(of(SCOPES[dice.below(4) as usize], n as usize))
        });
        for done in join_all(calls).await {
            done.unwrap();
        }
    }
    let records = house.records();
    assert_eq!(records.len(), 10_000);
    let scope = |record: &baton_core::Record| (record.team.clone(), record.partition.clone());
    let scopes: HashMap<ExecutionId, _> = records.iter().map(|record| (record.execution, scope(record))).collect();
    assert_eq!(scopes.values().collect::<HashSet<_>>().len(), 4);
    let mut ways: HashMap<Via, usize> = HashMap::new();
    for record in &records {
        *ways.entry(record.via.unwrap()).or_default() += 1;
        let neighbour = record.semantic.as_ref().and_then(|look| look.neighbour);
        for other in [record.source, neighbour].into_iter().flatten() {
            assert_eq!(scopes[&other], scope(record), "{record:?}");
        }
    }
    let all = [Via::Model, Via::CacheExact, Via::CacheSemantic, Via::Coalesced];
    assert!(all.iter().all(|via| ways.get(via).is_some_and(|count| *count > 20)), "{ways:?}");
}

#[tokio::test]
async fn what_was_learnt_outlives_the_process() {
    let dir = tempfile::tempdir().unwrap();
    let spec = StoreSpec { dir: dir.path().join("store"), durability: Durability::Process };
    let begin = async || {
        let house = House::sort(SIMILAR).open_on(Store::open(&spec).await.unwrap());
        both_say(&house, 0);
        // Reads in the background what there is.
        let before = house.execute(sort("a ticket about nothing at all")).await.unwrap();
        assert_eq!(before.answer.via, Via::Model);
        house
    };
    let states = async |house: &Open, entries: usize| {
        let all = async {
            loop {
                let states = house.orchestrator.semantic();
                if states.first().is_some_and(|state| state.entries >= entries) {
                    return states;
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(60), all).await.unwrap()
    };
    let house = begin().await;
    let end = async |house: Open| {
        house.orchestrator.keep().await.unwrap();
        house.orchestrator.store().clone().close().await;
    };
    ask(&house, 0..500).await;
    let hit = first_hit(&house, 500).await;
    let before = house.orchestrator.semantic();
    end(house).await;

    let house = begin().await;
    let after = states(&house, before[0].entries).await;
    assert_eq!(after[0].evidence.as_ref().unwrap().hits, before[0].evidence.as_ref().unwrap().hits);
    let (_, similar) = ask(&house, 800..850).await;
    assert!(similar > 10, "{similar} of 50, at once");
    // What was called bad while nobody ran, or just before the end, is gone too.
    let kind = FeedbackKind::Label { value: "bad".into() };
    let feedback =
        Feedback { execution: hit, team: "default".into(), at_us: i64::MAX / 2, kind, by: None, comment: None };
    house.orchestrator.store().feedback(feedback).await.unwrap();
    assert_eq!(house.orchestrator.hear().await.unwrap(), 1);
    let source = house.orchestrator.store().execution(&"default".into(), hit).await.unwrap().unwrap().source.unwrap();
    end(house).await;
    let store = Store::open(&spec).await.unwrap();
    let rows = store.semantic_entries(None, 10_000).await.unwrap();
    assert!(rows.len() > 50 && rows.iter().all(|row| row.execution != source));
}

/// What was nearest to the last call, where anything may stand in for it.
fn nearest(house: &Open) -> Option<ExecutionId> {
    house.records().last().unwrap().semantic.as_ref().unwrap().neighbour
}

const FIELDS: &str = r#"{"type":"object","properties":{"what":{"type":"string"}},"required":["what"]}"#;

#[tokio::test(start_paused = true)]
async fn other_numbers_and_other_slots_are_no_neighbours() {
    let cache = "[cache]\nttl = \"7d\"\npartition = []\nsemantic_error_max = 0.05\nslots = [\"shop\"]\n";
    let house = House::sort(&format!("models = [\"a\", \"b\"]\n{cache}"))
        .with("intents/sort/output.schema.json", FIELDS)
        .with("intents/sort/prompt.md", "## user\n\n{{ shop }}: {{ text }}\n")
        .open();
    ["a", "b"].iter().for_each(|model| house.models.say(model, &[Says::Of(0, |_| "{\"what\":\"bread\"}")]));
    let pull = |shop: &str, text: &str| Call::intent("sort", json!({ "shop": shop, "text": text }));
    for (shop, text, near) in [
        ("north", "two loaves of bread, 12.50 in all", false),
        ("north", "Two loaves of bread; 12.50 in all.", true),
        ("north", "two loaves of bread, 12.51 in all", false),
        ("south", "two loaves of bread: 12.50 in all", false),
    ] {
        house.execute(pull(shop, text)).await.unwrap();
        assert_eq!(nearest(&house).is_some(), near, "{shop}: {text}");
    }
}

#[tokio::test(start_paused = true)]
async fn texts_are_not_compared() {
    let policy = "models = [\"a\"]\n[cache]\nttl = \"7d\"\npartition = []\nsemantic_error_max = 0.05\n";
    let house = House::write(policy).open();
    house.models.say("a", &[Says::Of(0, |_| "Dear Ann")]);
    for topic in ["a letter to Ann", "a letter to Ann, please"] {
        house.execute(Call::intent("write", json!({ "topic": topic }))).await.unwrap();
        assert_eq!(house.records().last().unwrap().semantic, None);
    }
    assert_eq!(house.orchestrator.semantic(), []);
}

/// The vectors come from a provider, at 1 USD for a million tokens: 7 tokens each.
fn remote() -> Open {
    let house = House::sort(&format!("{SIMILAR}embedding = \"eyes\"\n")).open();
    both_say(&house, 0);
    house
}

#[tokio::test(start_paused = true)]
async fn vectors_of_a_provider_are_looked_up_and_paid_for() {
    let house = remote();
    house.models.say("eyes", &[Says::Vector(20)]);
    let (_, similar) = ask(&house, 0..1000).await;
    assert!(similar > 300, "{similar} of 1000");
    for record in house.records() {
        let embedded = record.semantic.as_ref().unwrap().embedded.unwrap();
        let own: NanoUsd = record.attempts.iter().filter_map(|attempt| attempt.cost).sum();
        assert_eq!((embedded.usage.input_tokens, embedded.cost), (7, Some(NanoUsd(7_000))));
        assert_eq!((record.cost, record.cost_known), (own + NanoUsd(7_000), true));
    }
    // Another length is near to nothing, and harms nothing.
    house.models.say("eyes", &[Says::Verbatim(r#"{"data":[{"embedding":[1,2]}]}"#.into())]);
    house.execute(sort(&ticket(1000))).await.unwrap();
    let delivered = house.execute(sort(&ticket(1001))).await.unwrap();
    assert_eq!(delivered.answer.via, Via::Model);
}

#[tokio::test(start_paused = true)]
async fn without_its_vector_a_call_goes_on_and_a_failed_provider_rests() {
    for (says, waited_ms, why) in [
        (Says::Status(3, 500), 3, "scripted"),
        (Says::Hangs, 500, "longer than 500 ms"),
        (Says::Verbatim("{}".into()), 0, "no embedding"),
    ] {
        let house = remote();
        house.models.say("eyes", &[says]);
        house.execute(sort(&ticket(0))).await.unwrap();
        let look = || house.records().last().unwrap().semantic.clone().unwrap();
        let reason = look().reason.unwrap();
        assert_eq!((house.now_ms(), look().decision), (waited_ms, SemanticDecision::Skipped));
        assert!(reason.contains(why), "{reason}");
        let asked = || house.models.order().iter().filter(|model| *model == "eyes").count();
        house.execute(sort(&ticket(1))).await.unwrap();
        assert_eq!((asked(), house.now_ms(), look().embedded), (1, waited_ms, None), "{:?}", look().reason);
        tokio::time::sleep(std::time::Duration::from_secs(5)).await;
        house.execute(sort(&ticket(2))).await.unwrap();
        assert_eq!(asked(), 2, "it is asked again");
    }
}
