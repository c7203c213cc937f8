//! What caches saved and how the semantic one did, from records; and how it stands, when it is asked for.

use std::collections::BTreeMap;

use baton_cache::semantic::accept::Gate;
use baton_core::{IntentName, Record, SemanticDecision};
use baton_engine::SemanticState;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::labels::{ByIntent, ByLook};
use super::usd::Usd;

/// See the module.
#[derive(Default)]
pub(super) struct Caches {
    saved: Family<ByIntent, Usd>,
    looks: Family<ByLook, Counter>,
    entries: Family<ByIntent, Gauge>,
    open: Family<ByIntent, Gauge>,
}

impl Caches {
    pub(super) fn register(&self, r: &mut Registry) {
        r.register("saved_usd", "Dollars that remembered answers had cost", self.saved.clone());
        let looks = "What came of looks into the semantic cache; of audits, whether the model said the same";
        r.register("semantic_looks", looks, self.looks.clone());
        r.register("semantic_entries", "Inputs that the semantic cache remembers", self.entries.clone());
        let open = "Teams for which the semantic cache is open: the evidence keeps its promise";
        r.register("semantic_open", open, self.open.clone());
    }

    /// Counts one record.
    pub(super) fn observe(&self, record: &Record) {
        if let Some(saved) = record.saved {
            self.saved.get_or_create(&ByIntent { intent: record.intent.clone() }).add(saved);
        }
        let Some(look) = &record.semantic else { return };
        let outcome = match (look.decision, look.agreed) {
            (SemanticDecision::Served, _) => "served",
            (SemanticDecision::Audited, Some(true)) => "audited_same",
            (SemanticDecision::Audited, Some(false)) => "audited_other",
            (SemanticDecision::Audited, None) => "audited_unanswered",
            (SemanticDecision::Missed, _) => "missed",
            (SemanticDecision::Skipped, _) => "skipped",
        };
        self.looks.get_or_create(&ByLook { intent: record.intent.clone(), outcome: outcome.to_owned() }).inc();
    }

    /// As they stand now, the teams of an intent together.
    pub(super) fn read(&self, states: &[SemanticState]) {
        let mut all: BTreeMap<&IntentName, (usize, i64)> = BTreeMap::new();
        for state in states {
            let open = state.evidence.as_ref().is_some_and(|evidence| matches!(evidence.gate, Gate::Open { .. }));
            let (entries, teams) = all.entry(&state.intent).or_default();
            *entries += state.entries;
            *teams += i64::from(open);
        }
        self.entries.clear();
        self.open.clear();
        for (intent, (entries, open)) in all {
            let intent = ByIntent { intent: Some(intent.clone()) };
            self.entries.get_or_create(&intent).set(i64::try_from(entries).unwrap_or(i64::MAX));
            self.open.get_or_create(&intent).set(open);
        }
    }
}
