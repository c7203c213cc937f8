//! The traffic of the demonstration: what people ask again and again, in three phases.

use baton_config::{Share as CaseShare, Snapshot};
use baton_sim::{Behaviour, Fault, FaultShare, Latency, Share, Speed, StatusShare};
use baton_stats::SplitMix64;
use serde_json::Value;

/// One phase: what the models do, and what is asked.
pub(super) struct Phase {
    pub(super) title: &'static str,
    /// Begin once the breakers would let a call through again.
    pub(super) recovered: bool,
    pub(super) behaviours: Vec<(&'static str, Behaviour)>,
    pub(super) calls: Vec<(String, Value)>,
    /// Whom the plain client asks.
    pub(super) plain: &'static str,
    /// Of so many calls a line is printed.
    pub(super) shown: usize,
}

const GPT: &str = "gpt-4";
const HAIKU: &str = "claude-3-haiku";

/// Calm; the primary dies; the primary is back and invents values.
pub(super) fn phases(snapshot: &Snapshot, seed: u64) -> Vec<Phase> {
    let mut random = SplitMix64::new(seed);
    let tickets = asked(snapshot, "classify-ticket", 80, &mut random);
    let receipts = asked(snapshot, "extract-receipt", 48, &mut random);
    let drafts = asked(snapshot, "draft-reply", 24, &mut random);
    let (calm_tickets, dying_tickets) = tickets.split_at(tickets.len() * 2 / 3);
    let (calm_receipts, subtle_receipts) = receipts.split_at(receipts.len() / 4);
    let (calm_drafts, dying_drafts) = drafts.split_at(drafts.len() * 2 / 3);
    vec![
        Phase {
            title: "both models are well",
            behaviours: vec![(GPT, gpt()), (HAIKU, haiku())],
            calls: mixed(&[calm_tickets, calm_receipts, calm_drafts]),
            ..whole()
        },
        Phase {
            title: "gpt-4 dies: it answers 503, or accepts and never answers",
            behaviours: vec![(GPT, dead())],
            calls: mixed(&[dying_tickets, dying_drafts]),
            ..whole()
        },
        Phase {
            title: "gpt-4 is back, and invents values in receipts: well-formed, plausible, not in the text",
            recovered: true,
            behaviours: vec![(GPT, Behaviour { wrong: share(0.4), ..gpt() })],
            calls: mixed(&[subtle_receipts]),
            ..whole()
        },
    ]
}

/// One that is printed line by line.
fn whole() -> Phase {
    Phase { title: "", recovered: false, behaviours: Vec::new(), calls: Vec::new(), plain: GPT, shown: usize::MAX }
}

/// Receipts that a cheap model reads, which often invents something.
pub(super) fn receipts(title: &'static str, calls: &[(String, Value)]) -> Phase {
    let behaviours = vec![(GPT, gpt()), (HAIKU, Behaviour { wrong: share(0.4), ..haiku() })];
    Phase { title, behaviours, calls: calls.to_vec(), plain: HAIKU, shown: 8, ..whole() }
}

/// Inputs that nothing learnt from; one call in four asks again what was asked before.
fn asked(snapshot: &Snapshot, intent: &str, count: usize, random: &mut SplitMix64) -> Vec<(String, Value)> {
    let Some(plan) = snapshot.intents.get(&intent.into()) else { return Vec::new() };
    // Receipts and drafts have no model that learns from cases.
    let learns = plan.candidates.iter().any(|candidate| candidate.id.as_str() == "local");
    let fresh = plan.cases.iter().filter(|case| !learns || case.share != CaseShare::Examples);
    let mut fresh: Vec<&Value> = fresh.map(|case| &case.input).collect();
    random.shuffle(&mut fresh);
    let mut calls: Vec<(String, Value)> = Vec::new();
    for _ in 0..count {
        let again = !calls.is_empty() && (random.next_f64() < 0.25 || fresh.is_empty());
        let call = match fresh.pop() {
            Some(input) if !again => (intent.to_owned(), input.clone()),
            unasked => {
                fresh.extend(unasked);
                calls[usize::try_from(random.below(calls.len() as u64)).unwrap_or_default()].clone()
            }
        };
        calls.push(call);
    }
    calls
}

/// Takes from each list in turn, in proportion to its length.
fn mixed(lists: &[&[(String, Value)]]) -> Vec<(String, Value)> {
    let mut placed: Vec<(f64, &(String, Value))> = Vec::new();
    for list in lists {
        placed.extend(list.iter().enumerate().map(|(n, call)| ((n as f64 + 0.5) / list.len() as f64, call)));
    }
    placed.sort_by(|a, b| a.0.total_cmp(&b.0));
    placed.into_iter().map(|(_, call)| call.clone()).collect()
}

fn share(share: f64) -> Share {
    Share::new(share).unwrap_or_default()
}

fn gpt() -> Behaviour {
    Behaviour {
        first_token_ms: Latency::Lognormal { p50_ms: 420.0, p99_ms: 1600.0 },
        tokens_per_second: Speed::new(90.0).ok(),
        wrong: share(0.04),
        ..Behaviour::default()
    }
}

fn haiku() -> Behaviour {
    Behaviour {
        first_token_ms: Latency::Lognormal { p50_ms: 220.0, p99_ms: 700.0 },
        tokens_per_second: Speed::new(160.0).ok(),
        wrong: share(0.06),
        ..Behaviour::default()
    }
}

fn dead() -> Behaviour {
    Behaviour {
        errors: vec![StatusShare { share: share(0.9), status: 503, retry_after: None, body: None }],
        faults: vec![FaultShare { share: share(0.1), fault: Fault::Hang }],
        ..gpt()
    }
}
