//! What the demonstration asks, and what it makes of the answers.

use serde_json::json;

use super::table::{Side, Tally, line};
use super::traffic::{Phase, phases};
use super::*;

fn traffic(seed: u64) -> Vec<Phase> {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/helpdesk");
    phases(&Folder { dir: dir.into() }.snapshot().unwrap(), seed)
}

fn calls(phases: &[Phase]) -> Vec<&(String, Value)> {
    phases.iter().flat_map(|phase| &phase.calls).collect()
}

#[test]
fn a_seed_asks_the_same_again() {
    let (one, same, other) = (traffic(7), traffic(7), traffic(8));
    assert_eq!(calls(&one), calls(&same));
    assert_ne!(calls(&one), calls(&other));
    assert_eq!(calls(&one).len(), 80 + 48 + 24);
    assert!(one.iter().all(|phase| !phase.calls.is_empty()));
    // Some of it was asked before: there is something to remember.
    let mut asked: Vec<String> = calls(&one).iter().map(|call| format!("{call:?}")).collect();
    asked.sort();
    asked.dedup();
    assert!((100..140).contains(&asked.len()), "{} different calls", asked.len());
}

fn side(label: &str, ms: f64) -> Side {
    Side { output: Some(json!({ "label": label })), who: "local".into(), ms, ..Side::default() }
}

fn failed() -> Side {
    Side { error: Some("503".into()), ms: 900.0, ..Side::default() }
}

#[test]
fn the_tally_counts_each_side_for_itself() {
    let truth = json!({ "label": "billing" });
    let mut tally = Tally::default();
    for (mut plain, mut baton) in [
        (side("billing", 300.0), side("billing", 1.0)),
        (side("bug", 400.0), Side { fell_back: true, ..side("billing", 250.0) }),
        (failed(), Side { cached: true, ..side("bug", 0.5) }),
    ] {
        plain.judge(Some(&truth));
        baton.judge(Some(&truth));
        tally.add("classify-ticket", &plain, &baton);
    }
    tally.records = 3;
    let expected = json!({
        "simulated": true, "executions": 3, "succeeded": 3, "records": 3,
        "intents": { "classify-ticket": {
            "calls": 3, "p50_ms": 1.0, "p95_ms": 250.0, "cost_usd": "0", "cost_naive_usd": "0", "cache_hits": 1,
            "fallbacks": 1, "errors": { "baton": 0, "plain": 1 }, "wrong": { "baton": 1, "plain": 1 },
        } },
    });
    assert_eq!(tally.json(), expected);
    assert!(tally.table().contains("3 executions, 3 answered, 3 records."), "{}", tally.table());
}

#[test]
fn a_line_says_who_answered_and_what_was_wrong() {
    let mut wrong = side("bug", 300.4);
    wrong.judge(Some(&json!({ "label": "billing" })));
    let told = |plain: &Side| line("classify-ticket", plain, &side("billing", 0.6));
    insta::assert_snapshot!(told(&wrong), @"classify-ticket  bug ✗ wrong                 300 ms │ billing                       1 ms local");
    insta::assert_snapshot!(told(&failed()), @"classify-ticket  ERROR 503                   900 ms │ billing                       1 ms local");
    // White space is no difference.
    let mut same = Side { output: Some(json!({ "text": "a\n b" })), ..Side::default() };
    same.judge(Some(&json!({ "text": "a b" })));
    assert!(!same.wrong);
}
