//! The one final record of an execution. Metrics, reports, traces and pages derive from it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    AttemptRecord, ExecutionId, Failure, Idempotency, IntentName, KeyId, ModelId, NanoUsd, Quality, ReviewDraw,
    RouteRecord, Sampler, SemanticLook, SubjectHash, TeamId, Trace, Usage,
};

/// What stands in the place of words that went with a person.
pub(crate) const ERASED: &str = "erased";

/// Where an answer came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Via {
    /// A model answered this call.
    Model,
    /// The same input was answered before.
    CacheExact,
    /// A similar input was answered before.
    CacheSemantic,
    /// The same input was being answered for another call.
    Coalesced,
    /// An answer older than its time to live, labelled so.
    Stale,
    /// The intent's default answer, labelled so.
    Default,
}

impl Via {
    /// The name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::CacheExact => "cache-exact",
            Self::CacheSemantic => "cache-semantic",
            Self::Coalesced => "coalesced",
            Self::Stale => "stale",
            Self::Default => "default",
        }
    }
}

/// How an execution ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// An answer was given.
    Succeeded,
    /// A typed error was given.
    Failed,
    /// The client left before the end.
    Cancelled,
    /// The process ended, or the stream broke, after the first bytes were given.
    Interrupted,
}

impl Status {
    /// The name in reports and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Interrupted => "interrupted",
        }
    }
}

/// Exactly one for each execution, failures included.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The execution.
    pub execution: ExecutionId,
    /// Its intent; `None` for a raw model call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent: Option<IntentName>,
    /// Who called.
    pub team: TeamId,
    /// With which key; `None` without keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<KeyId>,
    /// What makes a repeated call the same call, where the caller said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency: Option<Idempotency>,
    /// The partition of its scope.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub partition: Vec<Option<String>>,
    /// The intent's policy hash (everything), shortened as on the wire.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// The intent's answer hash.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub answer_hash: String,
    /// The intent's lineage hash.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub lineage: String,
    /// Wall clock at the start, Unix microseconds.
    pub started_at_us: i64,
    /// Microseconds to the end.
    pub duration_us: u64,
    /// Microseconds not spent waiting for a model, or for a place at one.
    pub overhead_us: u64,
    /// Microseconds to the first token, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_token_us: Option<u64>,
    /// The deadline that it had, in microseconds from the start.
    pub deadline_us: u64,
    /// How it ended.
    pub status: Status,
    /// Where the answer came from; `None` where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<Via>,
    /// Who answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<ModelId>,
    /// Why this model answered, in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// How the candidates were ranked, where that is not the order written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<RouteRecord>,
    /// The error that was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Failure>,
    /// All tokens of all attempts.
    pub usage: Usage,
    /// The sum of the attempts' known costs.
    pub cost: NanoUsd,
    /// Whether every made attempt's cost is known; where false, `cost` is a lower bound.
    pub cost_known: bool,
    /// In the order in which they were decided, the skipped ones included.
    pub attempts: Vec<AttemptRecord>,
    /// What is known of the answer's quality.
    pub quality: Quality,
    /// What was repaired before the answer was given, for example `fenced`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub repairs: Vec<String>,
    /// Whether it was asked for as a stream.
    #[serde(default)]
    pub stream: bool,
    /// Whether a simulated model gave the answer.
    #[serde(default)]
    pub simulated: bool,
    /// The execution whose answer this is, where it was coalesced or remembered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<ExecutionId>,
    /// What a remembered answer cost when it was given; absent where a model answered, and where that is
    /// not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub saved: Option<NanoUsd>,
    /// What the semantic cache did, where it was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub semantic: Option<Box<SemanticLook>>,
    /// The execution that this one judges.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<ExecutionId>,
    /// The probability with which its answer was drawn for judging, where it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judged: Option<f64>,
    /// The caller's metadata.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// The caller's session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// Whom it is about, for deletion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The trace that it belongs to, where the caller sent one or its spans leave the system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<Trace>,
    /// That it was drawn for review.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub review: Option<ReviewDraw>,
    /// Whether `input` and `output` are missing because the journal had no room for them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub content_dropped: bool,
    /// Whether something in `input` and `output` was replaced by marks, as the intent's privacy says.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub redacted: bool,
    /// When whom it is about was erased, Unix microseconds: then what it says of them is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub erased_at_us: Option<i64>,
    /// The input, where privacy allows storing it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<Value>,
    /// The output, where privacy allows storing it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Value>,
}

impl Record {
    /// The trace that it belongs to; where none is recorded, an unsampled one with its own id.
    #[must_use]
    pub fn trace(&self) -> Trace {
        self.trace.clone().unwrap_or_else(|| Trace::begin(self.execution, None, Sampler::OFF))
    }

    /// Whom it is about.
    #[must_use]
    pub fn subject_hash(&self) -> Option<SubjectHash> {
        self.subject.as_ref().map(|subject| SubjectHash::of(&self.team, subject))
    }

    /// Takes out what it says of whom it is about, who was erased at this time (Unix microseconds). Times,
    /// tokens, money, models, verdicts and probabilities stay: they are sums and evidence.
    pub fn erase(&mut self, at_us: i64) {
        self.erased_at_us = Some(at_us);
        (self.input, self.output, self.session, self.subject) = (None, None, None, None);
        (self.idempotency, self.trace, self.reason) = (None, None, None);
        self.metadata.clear();
        self.partition.clear();
        // What providers and checks said may quote it.
        if let Some(failure) = &mut self.error {
            (failure.message, failure.param) = (ERASED.to_owned(), None);
        }
        for attempt in &mut self.attempts {
            attempt.error = None;
            attempt.checks.iter_mut().for_each(|check| check.reason = None);
            if let Some(judged) = &mut attempt.judged {
                judged.result.erase();
            }
        }
        if let Some(look) = &mut self.semantic {
            (look.look, look.reason) = (None, None);
        }
        self.review = self.review.as_ref().map(ReviewDraw::without_content);
    }

    /// A copy without input and output, which may be long.
    #[must_use]
    pub fn without_content(&self) -> Self {
        Self {
            execution: self.execution,
            intent: self.intent.clone(),
            team: self.team.clone(),
            key: self.key.clone(),
            idempotency: self.idempotency.clone(),
            partition: self.partition.clone(),
            version: self.version.clone(),
            answer_hash: self.answer_hash.clone(),
            lineage: self.lineage.clone(),
            started_at_us: self.started_at_us,
            duration_us: self.duration_us,
            overhead_us: self.overhead_us,
            first_token_us: self.first_token_us,
            deadline_us: self.deadline_us,
            status: self.status,
            via: self.via,
            model: self.model.clone(),
            reason: self.reason.clone(),
            route: self.route.clone(),
            error: self.error.clone(),
            usage: self.usage,
            cost: self.cost,
            cost_known: self.cost_known,
            attempts: self.attempts.clone(),
            quality: self.quality.clone(),
            repairs: self.repairs.clone(),
            stream: self.stream,
            simulated: self.simulated,
            source: self.source,
            saved: self.saved,
            semantic: self.semantic.clone(),
            parent: self.parent,
            judged: self.judged,
            metadata: self.metadata.clone(),
            session: self.session.clone(),
            subject: self.subject.clone(),
            trace: self.trace.clone(),
            review: self.review.as_ref().map(ReviewDraw::without_content),
            content_dropped: self.content_dropped,
            redacted: self.redacted,
            erased_at_us: self.erased_at_us,
            input: None,
            output: None,
        }
    }
}
