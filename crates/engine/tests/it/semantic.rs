//! The semantic cache: answers to similar inputs, once the evidence is there, within their scope.

use baton_cache::semantic::accept::Gate;
use baton_core::{SemanticDecision, Via};
use serde_json::json;

use crate::house::{House, Open, of_team, sort};
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

const MONEY: [&str; 4] = ["I was charged twice for", "please refund the invoice of", "your bill is wrong about", "what does it cost to keep"];
const BROKEN: [&str; 4] = ["the app crashes when I open", "there is an error message about", "nothing loads after I click", "the screen freezes with"];
const THINGS: [&str; 16] = [
    "my order", "the gym plan", "our report", "that upload", "the calendar", "my photos", "the big table", "her seat",
    "the export", "a backup", "the old folder", "his licence", "the new phone", "our team", "the dashboard", "my password",
];
const WHENS: [&str; 12] = [
    "today", "yesterday", "last week", "again", "this morning", "since Monday", "at night", "on the train", "in March",
    "as always", "for months", "just now",
];

/// The n-th ticket of a stream that does not repeat itself.
fn ticket(n: usize) -> String {
    let what = if n % 2 == 0 { MONEY } else { BROKEN };
    format!("{} {} {}", what[n / 2 % 4], THINGS[n / 8 % 16], WHENS[n / 128 % 12])
}

/// What the model says of a ticket.
fn truth(prompt: &str) -> &'static str {
    if MONEY.iter().any(|money| prompt.contains(money)) { "billing" } else { "bug" }
}

fn open(policy: &str) -> Open {
    let house = House::sort(policy).open();
    house.models.say("a", &[Says::Of(truth)]);
    house
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
