//! A record as it stands on the wire.

use std::collections::BTreeMap;

use baton_core::{
    Answer, AnswerAttempt, AnswerLatency, ExecutionId, Failure, IntentName, ModelId, Quality, Record, RouteRecord,
    Score, ScoreResult, SemanticDecision, SemanticLook, Status, TeamId, Usage, Via,
};
use baton_store::{Feedback, FeedbackKind};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::schemas::{AttemptSchema, LatencySchema, QualitySchema, UsageSchema};

/// An execution that ended.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Execution)]
pub(crate) struct ExecutionView {
    #[schema(value_type = String, format = "uuid")]
    execution_id: ExecutionId,
    /// Absent for a raw model call.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    intent: Option<IntentName>,
    /// The intent's version: the start of its policy hash.
    #[serde(skip_serializing_if = "String::is_empty")]
    #[schema(required = false)]
    version: String,
    #[schema(value_type = String)]
    team: TeamId,
    /// `succeeded`, `failed`, `cancelled` or `interrupted`.
    #[schema(value_type = String)]
    status: Status,
    /// Unix milliseconds.
    started_at_ms: i64,
    /// The deadline that it had, in milliseconds from its start.
    deadline_ms: u64,
    /// Where privacy allows keeping it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Value>)]
    input: Option<Value>,
    /// Where privacy allows keeping it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Value>)]
    output: Option<Value>,
    /// Whether input and output are missing because the journal had no room for them.
    content_dropped: bool,
    /// Whether something in input and output was replaced by marks, as the intent's privacy says.
    redacted: bool,
    /// When whom it is about was erased, Unix milliseconds: then what it says of them is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    erased_at_ms: Option<i64>,
    #[schema(value_type = QualitySchema)]
    quality: Quality,
    /// Where the answer came from; absent where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    via: Option<Via>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    model: Option<ModelId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// How the candidates were ranked, and by which predictions, where that is not the order written.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    route: Option<RouteRecord>,
    /// The error that was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<RecordedError>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    repairs: Vec<String>,
    #[schema(value_type = UsageSchema)]
    usage: Usage,
    /// Dollars; `null` where a price is unknown.
    cost_usd: Option<String>,
    #[schema(value_type = LatencySchema)]
    latency: AnswerLatency,
    #[schema(value_type = Vec<AttemptSchema>)]
    attempts: Vec<AnswerAttempt>,
    stream: bool,
    simulated: bool,
    /// The execution whose answer this is, where it was coalesced or remembered.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = "uuid")]
    source: Option<ExecutionId>,
    /// Dollars that a remembered answer cost when it was given; absent where a model answered, and where
    /// that is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    saved_usd: Option<String>,
    /// What the semantic cache did; absent where it was not asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    semantic: Option<SemanticView>,
    metadata: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    /// What judges said of it, or why they said nothing; only where one execution is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    scores: Option<Vec<ScoreView>>,
    /// The execution that this one judges.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = "uuid")]
    parent: Option<ExecutionId>,
    /// What was said about it; only where one execution is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    feedback: Option<Vec<FeedbackView>>,
}

/// The error of a record.
#[derive(Serialize, ToSchema)]
pub(crate) struct RecordedError {
    r#type: &'static str,
    code: &'static str,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    param: Option<String>,
}

/// Something that somebody said about an execution: one of score, label, correction and final
/// output.
#[derive(Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Feedback)]
pub(crate) struct FeedbackView {
    /// Unix milliseconds.
    at_ms: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    score: Option<f64>,
    /// What the score measures.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Value>)]
    correction: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Value>)]
    final_output: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    comment: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<String>,
}

impl From<Failure> for RecordedError {
    fn from(failure: Failure) -> Self {
        let Failure { code, message, param, .. } = failure;
        Self { r#type: crate::error::type_name(code.error_type()), code: code.as_str(), message, param }
    }
}

impl From<Record> for ExecutionView {
    fn from(record: Record) -> Self {
        let answer = Answer::of(&record, Value::Null, Vec::new());
        Self {
            execution_id: record.execution,
            intent: record.intent,
            version: record.version,
            team: record.team,
            status: record.status,
            started_at_ms: record.started_at_us / 1000,
            deadline_ms: record.deadline_us / 1000,
            input: record.input,
            output: record.output,
            content_dropped: record.content_dropped,
            redacted: record.redacted,
            erased_at_ms: record.erased_at_us.map(|us| us / 1000),
            quality: record.quality,
            via: record.via,
            model: record.model,
            reason: record.reason,
            route: record.route,
            error: record.error.map(RecordedError::from),
            repairs: record.repairs,
            usage: record.usage,
            cost_usd: answer.cost_usd,
            latency: answer.latency,
            attempts: answer.attempts,
            stream: record.stream,
            simulated: record.simulated,
            source: record.source,
            saved_usd: record.saved.map(|saved| saved.to_string()),
            semantic: record.semantic.map(|look| SemanticView::from(*look)),
            metadata: record.metadata,
            session: record.session,
            subject: record.subject,
            scores: None,
            parent: record.parent,
            feedback: None,
        }
    }
}

/// One look into the semantic cache.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = SemanticLook)]
pub(crate) struct SemanticView {
    /// `served`; `audited`: it would have been, and the model was asked instead; `missed`; `skipped`.
    #[schema(value_type = String)]
    decision: SemanticDecision,
    /// The cosine of the most similar input.
    #[serde(skip_serializing_if = "Option::is_none")]
    cosine: Option<f64>,
    /// The probability that the remembered answer is the model's.
    #[serde(skip_serializing_if = "Option::is_none")]
    right: Option<f64>,
    /// The probability with which it was drawn for an audit.
    #[serde(skip_serializing_if = "Option::is_none")]
    probability: Option<f64>,
    /// The execution whose answer was given, or would have been.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = "uuid")]
    neighbour: Option<ExecutionId>,
    /// Whether the model then answered the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    agreed: Option<bool>,
    /// Why nobody looked.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// Tokens of the input, where a provider was asked for its vector.
    #[serde(skip_serializing_if = "Option::is_none")]
    embedding_tokens: Option<u64>,
    /// What they cost, where that is known: part of the execution's cost.
    #[serde(skip_serializing_if = "Option::is_none")]
    embedding_cost_usd: Option<String>,
}

impl From<SemanticLook> for SemanticView {
    fn from(look: SemanticLook) -> Self {
        let SemanticLook { decision, cosine, right, probability, neighbour, agreed, reason, embedded, look: _ } = look;
        let embedding_tokens = embedded.map(|embedded| embedded.usage.input_tokens);
        let embedding_cost_usd = embedded.and_then(|embedded| embedded.cost).map(|cost| cost.to_string());
        Self { decision, cosine, right, probability, neighbour, agreed, reason, embedding_tokens, embedding_cost_usd }
    }
}

/// What one judge said of an answer.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Score)]
pub(crate) struct ScoreView {
    /// Who judged, and which version of it: `b/cheap@3f9a0c11`, `second opinion of b/cheap@3f9a0c11`.
    evaluator: String,
    /// `scored`, `errored` or `skipped`.
    status: &'static str,
    /// The probability that the answer passes, where there is a verdict; of a second opinion the share of
    /// fields of which both say the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<f64>,
    /// By criterion, likewise; of a second opinion by field, 1 where both say the same, else 0.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(required = false)]
    criteria: BTreeMap<String, f64>,
    /// Why there is no verdict.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// The probability with which the answer was drawn for judging.
    probability: f64,
    /// Unix milliseconds.
    at_ms: i64,
    /// The execution that judged.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = "uuid")]
    judge: Option<ExecutionId>,
}

impl From<Score> for ScoreView {
    fn from(score: Score) -> Self {
        let (status, value) = (score.result.status(), score.result.value());
        let (criteria, reason) = match score.result {
            ScoreResult::Scored { criteria, .. } => (criteria, None),
            ScoreResult::Errored { reason } | ScoreResult::Skipped { reason } => (BTreeMap::new(), Some(reason)),
        };
        let Score { evaluator, probability, at_us, judge, .. } = score;
        Self { evaluator, status, value, criteria, reason, probability, at_ms: at_us / 1000, judge }
    }
}

impl ExecutionView {
    pub(super) fn with_scores(mut self, scores: Vec<Score>) -> Self {
        self.scores = (!scores.is_empty()).then(|| scores.into_iter().map(ScoreView::from).collect());
        self
    }

    pub(super) fn with_feedback(mut self, feedback: Vec<Feedback>) -> Self {
        self.feedback = Some(feedback.into_iter().map(FeedbackView::from).collect());
        self
    }
}

impl From<Feedback> for FeedbackView {
    fn from(feedback: Feedback) -> Self {
        let Feedback { at_us, kind, by, comment, .. } = feedback;
        let view = Self { at_ms: at_us / 1000, comment, by, ..Self::default() };
        match kind {
            FeedbackKind::Score { name, value } => Self { name: Some(name), score: Some(value), ..view },
            FeedbackKind::Label { value } => Self { label: Some(value), ..view },
            FeedbackKind::Correction { output } => Self { correction: Some(output), ..view },
            FeedbackKind::FinalOutput { output } => Self { final_output: Some(output), ..view },
        }
    }
}
