//! Counts over many records that can be added up: what rollups hold and reports are made of.

use std::collections::BTreeMap;

use baton_core::{
    AttemptKind, AttemptOutcome, BatchShare, ErrorCode, KeyId, ModelId, NanoUsd, Record, SemanticDecision, Status,
    Usage, Via,
};
use serde::{Deserialize, Serialize};

use crate::Latencies;
use crate::digest::{AttemptDigest, Digest};

/// What came of a set of executions.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Tally {
    /// All of them together.
    pub calls: CallTally,
    /// Their attempts, by the model that was asked.
    pub models: BTreeMap<ModelId, ModelTally>,
    /// The sums of known costs by the key that called, of keys that spent something.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub keys: BTreeMap<KeyId, NanoUsd>,
}

/// Executions.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CallTally {
    /// How many; the sum of the next four.
    pub calls: u64,
    /// An answer was given.
    pub succeeded: u64,
    /// The client left.
    pub cancelled: u64,
    /// The process or the stream ended early.
    pub interrupted: u64,
    /// A typed error was given, by its code.
    pub failed: BTreeMap<ErrorCode, u64>,
    /// Where the answers came from.
    pub via: BTreeMap<Via, u64>,
    /// Attempts at another candidate, by how the one before it ended.
    pub fallbacks: BTreeMap<AttemptOutcome, u64>,
    /// The sum of known costs.
    pub cost: NanoUsd,
    /// Executions with a cost that is not wholly known: `cost` lacks something.
    pub cost_unknown: u64,
    /// Tokens of all attempts.
    pub usage: Usage,
    /// Answers by a simulated model.
    pub simulated: u64,
    /// What remembered answers had cost, as far as that is known.
    #[serde(skip_serializing_if = "is_zero")]
    pub saved: NanoUsd,
    /// What sharing calls of models came to.
    #[serde(skip_serializing_if = "BatchTally::is_none")]
    pub batch: BatchTally,
    /// What the semantic cache did, of calls that asked it.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub semantic: BTreeMap<SemanticDecision, u64>,
    /// Audits of it that a model answered,
    #[serde(skip_serializing_if = "is_none_counted")]
    pub audits: u64,
    /// and those of them in which the remembered answer was another.
    #[serde(skip_serializing_if = "is_none_counted")]
    pub audits_wrong: u64,
    /// How long the succeeded and the failed took.
    pub latency: Latencies,
}

/// Attempts that shared a call of the model, or that went alone though their intent batches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BatchTally {
    /// Attempts that had a part in a shared call.
    pub shared: u64,
    /// Those calls.
    pub calls: u64,
    /// Those of the attempts that were asked for alone, too.
    pub again: u64,
    /// Attempts that were kept apart for a reason.
    pub apart: u64,
    /// Tokens that this saved, estimated; below 0 where it cost more.
    pub tokens_saved: i64,
    /// Money, likewise, as far as prices are known.
    pub saved: NanoUsd,
}

impl BatchTally {
    fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// Calls that this saved; below 0 where it made more.
    #[must_use]
    pub fn calls_saved(&self) -> i64 {
        let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        count(self.shared) - count(self.calls) - count(self.again)
    }

    /// Of one execution.
    pub(crate) fn of(record: &Record) -> Self {
        let mut tally = Self::default();
        record.attempts.iter().filter_map(|attempt| attempt.batch.as_deref()).for_each(|share| tally.add(share));
        tally
    }

    fn add(&mut self, share: &BatchShare) {
        let (shared, alone) = (!share.id.is_empty(), share.alone.is_some());
        self.shared += u64::from(shared);
        self.calls += u64::from(share.first);
        self.again += u64::from(shared && alone);
        self.apart += u64::from(!shared && alone);
        self.tokens_saved += share.tokens_saved;
        self.saved += share.saved.unwrap_or_default();
    }

    fn merge(&mut self, other: &Self) {
        self.shared += other.shared;
        self.calls += other.calls;
        self.again += other.again;
        self.apart += other.apart;
        self.tokens_saved += other.tokens_saved;
        self.saved += other.saved;
    }
}

/// Attempts at one model.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ModelTally {
    /// Attempts made.
    pub attempts: u64,
    /// How they ended, and how often and why one was skipped.
    pub outcomes: BTreeMap<AttemptOutcome, u64>,
    /// Attempts at another candidate that followed one here, by how the one here ended.
    pub fallbacks: BTreeMap<AttemptOutcome, u64>,
    /// The sum of known costs.
    pub cost: NanoUsd,
    /// Attempts made with a cost that is not known.
    pub cost_unknown: u64,
    /// Tokens.
    pub usage: Usage,
    /// Attempts at a simulated model.
    pub simulated: u64,
    /// How long the attempts made took, those cancelled left out.
    pub latency: Latencies,
}

fn is_zero(amount: &NanoUsd) -> bool {
    *amount == NanoUsd(0)
}

fn is_none_counted(count: &u64) -> bool {
    *count == 0
}

fn count<K: Ord>(counts: &mut BTreeMap<K, u64>, key: K) {
    *counts.entry(key).or_default() += 1;
}

fn add_counts<K: Ord + Copy>(counts: &mut BTreeMap<K, u64>, other: &BTreeMap<K, u64>) {
    for (key, more) in other {
        *counts.entry(*key).or_default() += more;
    }
}

impl Tally {
    /// Adds one execution.
    pub(crate) fn add(&mut self, record: &Digest) {
        self.calls.add(record);
        if let Some(key) = record.key.as_ref().filter(|_| record.cost != NanoUsd(0)) {
            *self.keys.entry(key.clone()).or_default() += record.cost;
        }
        for attempt in &record.attempts {
            self.models.entry(attempt.model.clone()).or_default().add(attempt);
        }
        for [before, attempt] in record.attempts.array_windows() {
            if attempt.kind == AttemptKind::Fallback && attempt.outcome.was_made() {
                count(&mut self.calls.fallbacks, before.outcome);
                count(&mut self.models.entry(before.model.clone()).or_default().fallbacks, before.outcome);
            }
        }
    }

    /// Adds the executions of another set.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.calls.merge(&other.calls);
        for (model, tally) in &other.models {
            self.models.entry(model.clone()).or_default().merge(tally);
        }
        for (key, cost) in &other.keys {
            *self.keys.entry(key.clone()).or_default() += *cost;
        }
    }
}

impl CallTally {
    fn add(&mut self, record: &Digest) {
        self.calls += 1;
        match record.status {
            Status::Succeeded => self.succeeded += 1,
            Status::Cancelled => self.cancelled += 1,
            Status::Interrupted => self.interrupted += 1,
            Status::Failed => {
                count(&mut self.failed, record.error.unwrap_or(ErrorCode::Internal));
            }
        }
        if let Some(via) = record.via {
            count(&mut self.via, via);
        }
        self.cost += record.cost;
        self.cost_unknown += u64::from(!record.cost_known);
        self.usage += record.usage;
        self.simulated += u64::from(record.simulated);
        self.saved += record.saved.unwrap_or_default();
        self.batch.merge(&record.batch);
        if let Some((decision, agreed)) = record.semantic {
            count(&mut self.semantic, decision);
            let compared = agreed.filter(|_| decision == SemanticDecision::Audited);
            self.audits += u64::from(compared.is_some());
            self.audits_wrong += u64::from(compared == Some(false));
        }
        if matches!(record.status, Status::Succeeded | Status::Failed) {
            self.latency.add(record.duration_us);
        }
    }

    fn merge(&mut self, other: &Self) {
        self.calls += other.calls;
        self.succeeded += other.succeeded;
        self.cancelled += other.cancelled;
        self.interrupted += other.interrupted;
        add_counts(&mut self.failed, &other.failed);
        add_counts(&mut self.via, &other.via);
        add_counts(&mut self.fallbacks, &other.fallbacks);
        self.cost += other.cost;
        self.cost_unknown += other.cost_unknown;
        self.usage += other.usage;
        self.simulated += other.simulated;
        self.saved += other.saved;
        self.batch.merge(&other.batch);
        add_counts(&mut self.semantic, &other.semantic);
        self.audits += other.audits;
        self.audits_wrong += other.audits_wrong;
        self.latency.merge(&other.latency);
    }
}

impl ModelTally {
    fn add(&mut self, attempt: &AttemptDigest) {
        count(&mut self.outcomes, attempt.outcome);
        if !attempt.outcome.was_made() {
            return;
        }
        self.attempts += 1;
        self.cost += attempt.cost.unwrap_or_default();
        self.cost_unknown += u64::from(attempt.cost.is_none());
        self.usage += attempt.usage.unwrap_or_default();
        self.simulated += u64::from(attempt.simulated);
        if attempt.outcome != AttemptOutcome::Cancelled && attempt.kind != AttemptKind::Batch {
            self.latency.add(attempt.duration_us);
        }
    }

    fn merge(&mut self, other: &Self) {
        self.attempts += other.attempts;
        add_counts(&mut self.outcomes, &other.outcomes);
        add_counts(&mut self.fallbacks, &other.fallbacks);
        self.cost += other.cost;
        self.cost_unknown += other.cost_unknown;
        self.usage += other.usage;
        self.simulated += other.simulated;
        self.latency.merge(&other.latency);
    }
}
