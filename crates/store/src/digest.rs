//! What rows and sums need of a record. Made while the record is in memory, it goes to ingestion beside
//! the journal's entry, which would else be parsed to find the same again: a third of ingestion's work.

use baton_core::{
    AttemptKind, AttemptOutcome, AttemptRecord, ErrorCode, ExecutionId, Idempotency, IntentName, KeyId, ModelId,
    NanoUsd, Record, SemanticDecision, Status, SubjectHash, TeamId, Usage, Via,
};

use crate::tally::BatchTally;

/// Each field is the record's of that name.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Digest {
    pub(crate) execution: ExecutionId,
    pub(crate) team: TeamId,
    pub(crate) intent: Option<IntentName>,
    pub(crate) key: Option<KeyId>,
    pub(crate) idempotency: Option<Idempotency>,
    pub(crate) lineage: String,
    pub(crate) subject: Option<SubjectHash>,
    pub(crate) started_at_us: i64,
    pub(crate) duration_us: u64,
    pub(crate) status: Status,
    pub(crate) via: Option<Via>,
    pub(crate) model: Option<ModelId>,
    pub(crate) error: Option<ErrorCode>,
    pub(crate) usage: Usage,
    pub(crate) cost: NanoUsd,
    pub(crate) cost_known: bool,
    pub(crate) attempts: Vec<AttemptDigest>,
    pub(crate) simulated: bool,
    pub(crate) saved: Option<NanoUsd>,
    /// What came of the look, and whether the model then agreed.
    pub(crate) semantic: Option<(SemanticDecision, Option<bool>)>,
    pub(crate) judged: Option<f64>,
    /// What its attempts shared.
    pub(crate) batch: BatchTally,
}

/// Likewise, of an attempt.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct AttemptDigest {
    pub(crate) model: ModelId,
    pub(crate) kind: AttemptKind,
    pub(crate) outcome: AttemptOutcome,
    pub(crate) duration_us: u64,
    pub(crate) usage: Option<Usage>,
    pub(crate) cost: Option<NanoUsd>,
    pub(crate) simulated: bool,
}

impl Digest {
    pub(crate) fn of(record: &Record) -> Self {
        Self {
            execution: record.execution,
            team: record.team.clone(),
            intent: record.intent.clone(),
            key: record.key.clone(),
            idempotency: record.idempotency.clone(),
            lineage: record.lineage.clone(),
            subject: record.subject_hash(),
            started_at_us: record.started_at_us,
            duration_us: record.duration_us,
            status: record.status,
            via: record.via,
            model: record.model.clone(),
            error: record.error.as_ref().map(|failure| failure.code),
            usage: record.usage,
            cost: record.cost,
            cost_known: record.cost_known,
            attempts: record.attempts.iter().map(AttemptDigest::of).collect(),
            simulated: record.simulated,
            saved: record.saved,
            semantic: record.semantic.as_ref().map(|look| (look.decision, look.agreed)),
            judged: record.judged,
            batch: BatchTally::of(record),
        }
    }
}

impl AttemptDigest {
    fn of(attempt: &AttemptRecord) -> Self {
        Self {
            model: attempt.model.clone(),
            kind: attempt.kind,
            outcome: attempt.outcome,
            duration_us: attempt.duration_us,
            usage: attempt.usage,
            cost: attempt.cost,
            simulated: attempt.simulated,
        }
    }
}
