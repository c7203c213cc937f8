//! What came up in all worlds: so that a run that proves nothing shows it.

use std::collections::BTreeMap;

use baton_core::{AttemptKind, AttemptOutcome, Status, Via};
use baton_engine::LogEvent;
use comfy_table::{Table, presets};
use serde_json::json;

use crate::report::{Report, line};
use crate::simulate::check::pace;
use crate::simulate::run::Ran;

/// What must come up in a run of a hundred worlds.
const EXPECTED: [(&str, &[&str]); 10] = [
    ("kinds", &["fallback", "hedge", "primary", "probe", "retry"]),
    ("places", &["dead keys", "waited and asked", "waited for nothing", "with one of several keys"]),
    ("statuses", &["cancelled", "failed", "interrupted", "succeeded"]),
    ("limits", &["first token", "floor", "idle"]),
    ("via", &["cache-exact", "coalesced", "default", "model", "stale"]),
    (
        "errors",
        &[
            "all_candidates_failed",
            "budget_exhausted",
            "context_too_long",
            "deadline_exceeded",
            "deadline_unreachable",
            "input_invalid",
            "intent_not_allowed",
            "journal_full",
            "no_acceptable_answer",
            "override_not_permitted",
            "queue_full",
            "rate_limit",
            "stream_interrupted",
            "unknown_intent",
            "unknown_model",
            "upstream_rejected",
        ],
    ),
    ("judged in the path", &["errored", "scored", "skipped"]),
    ("scores", &["errored", "scored", "skipped"]),
    (
        "attempts",
        &[
            "abstained",
            "bad_answer",
            "breaker_open",
            "callers_fault",
            "cancelled",
            "hard_down",
            "limited",
            "no_room",
            "no_time",
            "over_budget",
            "passed",
            "rate_limited",
            "slow",
            "too_long",
            "transient",
        ],
    ),
    (
        "faults",
        &[
            "cut_body",
            "cut_stream",
            "empty",
            "error_body_200",
            "error_event",
            "fenced",
            "hang",
            "headers_then_silence",
            "html_200",
            "huge_chunk",
            "invalid_json",
            "invented",
            "keepalive_forever",
            "length",
            "limit",
            "malformed_chunk",
            "model_gone",
            "no_terminal",
            "no_usage",
            "payment",
            "refusal",
            "refuse",
            "split_utf8",
            "status",
            "trickle",
            "truncated_json",
            "unauthorized",
            "wrong_schema",
        ],
    ),
];

/// Counts of one seed, or of all.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) seeds: u64,
    pub(crate) calls: u64,
    /// By group, then by name.
    counts: BTreeMap<&'static str, BTreeMap<String, u64>>,
}

impl Tally {
    pub(crate) fn of(ran: &Ran) -> Self {
        let mut tally = Self { seeds: 1, calls: ran.seen.len() as u64, counts: BTreeMap::new() };
        for record in ran.observed.iter().map(|observed| &observed.record) {
            tally.count("statuses", Status::as_str(record.status), 1);
            record.via.iter().for_each(|via| tally.count("via", Via::as_str(*via), 1));
            for attempt in &record.attempts {
                tally.count("kinds", AttemptKind::as_str(attempt.kind), 1);
                tally.count("attempts", AttemptOutcome::as_str(attempt.outcome), 1);
                pace::limit(attempt).iter().for_each(|limit| tally.count("limits", limit, 1));
                if attempt.queued_us > 0 {
                    let asked = attempt.outcome.was_made();
                    tally.count("places", if asked { "waited and asked" } else { "waited for nothing" }, 1);
                }
                if let Some(judged) = &attempt.judged {
                    tally.count("judged in the path", judged.result.status(), 1);
                }
                if attempt.key.is_some() {
                    tally.count("places", "with one of several keys", 1);
                }
            }
        }
        ran.scores.iter().for_each(|score| tally.count("scores", score.result.status(), 1));
        for seen in &ran.seen {
            match seen.last() {
                Some((_, LogEvent::Error(failure))) => tally.count("errors", failure.code.as_str(), 1),
                Some(_) => tally.count("clients", "answered", 1),
                None => tally.count("clients", "left", 1),
            }
        }
        tally.count("streams", "begun before the verdict", ran.opened.len() as u64);
        for (fault, count) in ran.stats.values().flat_map(|stats| &stats.faults) {
            tally.count("faults", fault, *count);
        }
        let dead = ran.world.places.keys.iter().filter(|key| key.is_some()).count() as u64;
        if dead > 0 {
            tally.count("places", "dead keys", dead);
        }
        tally.count("models", "calls", ran.stats.values().map(|stats| stats.calls).sum());
        tally
    }

    fn count(&mut self, group: &'static str, name: &str, by: u64) {
        *self.counts.entry(group).or_default().entry(name.to_owned()).or_default() += by;
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.seeds += other.seeds;
        self.calls += other.calls;
        for (group, counts) in &other.counts {
            counts.iter().for_each(|(name, by)| self.count(group, name, *by));
        }
    }

    /// What should have come up, and did not.
    pub(crate) fn missing(&self) -> Vec<String> {
        let seen = |group: &str, name: &str| self.counts.get(group).is_some_and(|counts| counts.contains_key(name));
        let all = EXPECTED.iter().flat_map(|(group, names)| names.iter().map(move |name| (*group, *name)));
        all.filter(|(group, name)| !seen(group, name)).map(|(group, name)| format!("{group}: {name}")).collect()
    }

    pub(crate) fn table(&self) {
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        for (group, counts) in &self.counts {
            for (n, (name, count)) in counts.iter().enumerate() {
                table.add_row([if n == 0 { group } else { "" }, name, &count.to_string()]);
            }
        }
        line(&table.to_string());
    }

    pub(crate) fn figures(&self, report: &mut Report) {
        report.figure("simulated", true);
        report.figure("seeds", self.seeds);
        report.figure("calls", self.calls);
        self.counts.iter().for_each(|(group, counts)| report.figure(group, json!(counts)));
    }
}
