//! What the demonstration asks, and what it makes of the answers.

use std::collections::BTreeMap;

use baton_core::Usage;
use serde_json::json;

use super::costs::{Costs, Right, costs};
use super::line::{Side, line, wrapped};
use super::table::Tally;
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
    Side { output: Some(json!({ "label": label })), why: "local".into(), ms, ..Side::default() }
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
    assert_eq!(tally.json(&BTreeMap::new()), expected);
    assert!(tally.table().contains("3 executions, 3 answered, 3 records."), "{}", tally.table());
}

#[test]
fn a_line_says_who_answered_and_what_was_wrong() {
    let mut wrong = side("bug", 300.4);
    wrong.judge(Some(&json!({ "label": "billing" })));
    let told = |plain: &Side| line("classify-ticket", plain, &side("billing", 0.6));
    insta::assert_snapshot!(told(&wrong), @"ticket  bug ✗       300 ms │ billing       1 ms  local");
    insta::assert_snapshot!(told(&failed()), @"ticket  ERROR       900 ms │ billing       1 ms  local");
    // White space is no difference.
    let mut same = Side { output: Some(json!({ "text": "a\n b" })), ..Side::default() };
    same.judge(Some(&json!({ "text": "a b" })));
    assert!(!same.wrong);
}

#[test]
fn no_line_is_wider_than_a_hundred_columns() {
    let long = Side { why: "word ".repeat(40), error: Some("x".into()), ms: 99_949.0, ..Side::default() };
    assert!(line("classify-ticket", &long, &long).chars().count() <= 100);
    let text = wrapped(&"word ".repeat(60), "   ");
    assert!(
        text.lines().count() > 2 && text.lines().all(|line| line.chars().count() <= 100 && line.starts_with("   "))
    );
}

/// Tokens of the calls that were answered stand for those that were not, and only labelled cases make a
/// model adequate.
#[test]
fn what_the_calls_would_have_cost() {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/helpdesk");
    let snapshot = Folder { dir: dir.into() }.snapshot().unwrap();
    let usage = Some(Usage { input_tokens: 1000, output_tokens: 100, ..Usage::default() });
    let mut tally = Tally::default();
    for plain in [Side { usage, ..side("bug", 1.0) }, failed(), Side { usage, ..side("bug", 1.0) }] {
        tally.add("classify-ticket", &plain, &side("bug", 1.0));
    }
    let of = |model: &str, right: u64| (("classify-ticket".to_owned(), model.to_owned()), (right, 400));
    let told = |right: Right| -> Costs { costs(&tally, &snapshot, &right).remove("classify-ticket").unwrap() };
    let found = told(Right::from([of("gpt-4", 398), of("claude-3-haiku", 380)]));
    // Three calls at 30 USD/M in and 60 USD/M out; 380 of 400 is not known to be 95 %.
    let (model, cost) = found.dearest.unwrap();
    assert_eq!((model.as_str(), cost.to_string().as_str()), ("gpt-4", "0.108"));
    assert_eq!(found.adequate.unwrap().0, "gpt-4");
    let found = told(Right::from([of("gpt-4", 398), of("claude-3-haiku", 392)]));
    assert_eq!(found.adequate.unwrap().0, "claude-3-haiku");
    assert_eq!(told(Right::from([of("gpt-4", 300)])).adequate.unwrap_err(), "none is known to be");
    assert_eq!(told(Right::new()).adequate.unwrap_err(), "not known");
}

/// Written as the demonstration writes it, the intent loads, and its receipts follow from the seed.
#[test]
fn receipts_to_label_follow_from_the_seed() {
    let receipts = |seed: u64| {
        let root = example::unpack(seed).unwrap();
        let snapshot = Folder { dir: root.clone() }.snapshot().unwrap();
        let phases = labels::phases(&snapshot).unwrap();
        let known = Sim::new(scenarios(&snapshot).unwrap().pop().unwrap().1, 7);
        std::fs::remove_dir_all(root).unwrap();
        let calls: Vec<_> = phases.into_iter().flat_map(|phase| phase.calls).collect();
        assert!(calls.len() == 120 && calls.iter().all(|(_, input)| known.expected(input).is_some()));
        calls
    };
    let (one, same, other) = (receipts(7), receipts(7), receipts(8));
    assert!(one == same && one != other);
}

#[test]
fn what_happened_to_the_gate_is_told_in_shares() {
    let seen = |wrong, fell_back| PhaseSeen { calls: 60, wrong: [wrong, 24], fell_back, errors: 0 };
    insta::assert_snapshot!(labels::told(60, "the gate opened", &[seen(24, 0), seen(0, 27)]), @"
       60 labels, the gate opened.
       Bad answers given: 40 → 0 % (plain client: 40 → 40 %). Held back and asked elsewhere: 0 → 45 %.
    ");
}
