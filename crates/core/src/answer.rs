//! What the caller gets.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{AttemptKind, AttemptOutcome, BatchShare, ExecutionId, IntentName, ModelId, Quality, Record, Usage, Via};

/// An answer with known latency, cost and quality, as it stands on the wire.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    /// The execution, for feedback and for looking it up.
    pub execution_id: ExecutionId,
    /// The intent; absent for a raw model call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent: Option<IntentName>,
    /// The intent's version: the start of its policy hash.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// `{label}`, the schema's fields, or `{text}`.
    pub output: Value,
    /// Tools that the model asks the caller to run, in OpenAI's shape.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<Value>,
    /// How good it is known to be.
    pub quality: Quality,
    /// Where it came from.
    pub via: Via,
    /// Who answered; absent for a default answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<ModelId>,
    /// Why this model answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What was repaired before the answer was given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub repairs: Vec<String>,
    /// Tokens of all attempts.
    pub usage: Usage,
    /// Dollars of all attempts as a decimal string; `null` where a price is unknown.
    pub cost_usd: Option<String>,
    /// Where the time went.
    pub latency: AnswerLatency,
    /// What was tried, and what was skipped.
    pub attempts: Vec<AnswerAttempt>,
    /// Whether a simulated model gave the answer.
    pub simulated: bool,
}

/// Milliseconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AnswerLatency {
    /// From the request fully read to the answer.
    pub total_ms: f64,
    /// The part not spent waiting for a model, or for a place at one.
    pub overhead_ms: f64,
    /// To the first token, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_token_ms: Option<f64>,
}

/// One attempt, as the caller sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AnswerAttempt {
    /// The model.
    pub model: ModelId,
    /// With which of the provider's keys, from 1, where it has several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<u32>,
    /// Why it was asked.
    pub kind: AttemptKind,
    /// How it ended, or why it was skipped.
    pub outcome: AttemptOutcome,
    /// Milliseconds that it waited before for a place at the model; absent where it did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queued_ms: Option<f64>,
    /// Milliseconds that it took.
    pub ms: f64,
    /// Milliseconds that its answer waited for a judge, or a second opinion; absent where it did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judged_ms: Option<f64>,
    /// The call that it shared with others, or why it did not; absent where its intent does not batch, and
    /// where nobody else asked meanwhile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<AnswerBatch>,
    /// What was wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A call of the model that several executions shared, as the caller sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AnswerBatch {
    /// Names the call; absent where none was shared.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub id: String,
    /// Inputs of the call.
    pub items: u32,
    /// Why it was asked for alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alone: Option<String>,
    /// Tokens that sharing saved, estimated; below 0 where it was asked for alone, too.
    pub tokens_saved: i64,
    /// The same in dollars, as a decimal string; absent where the price is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub saved_usd: Option<String>,
}

impl From<&BatchShare> for AnswerBatch {
    fn from(share: &BatchShare) -> Self {
        let BatchShare { id, items, alone, tokens_saved, saved, first: _ } = share.clone();
        Self { id, items, alone, tokens_saved, saved_usd: saved.map(|saved| saved.to_string()) }
    }
}

/// Microseconds as milliseconds with at most three decimals.
fn ms(us: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "durations are far below 2^53 µs")]
    let us = us as f64;
    us / 1000.0
}

impl Answer {
    /// The caller's view of a record, with the output that the record may not store.
    #[must_use]
    pub fn of(record: &Record, output: Value, tool_calls: Vec<Value>) -> Self {
        let attempt = |a: &crate::AttemptRecord| AnswerAttempt {
            model: a.model.clone(),
            key: a.key,
            kind: a.kind,
            outcome: a.outcome,
            queued_ms: (a.queued_us > 0).then(|| ms(a.queued_us)),
            ms: ms(a.duration_us),
            judged_ms: a.judged.as_ref().filter(|judged| judged.took_us > 0).map(|judged| ms(judged.took_us)),
            batch: a.batch.as_deref().map(AnswerBatch::from),
            error: a.error.clone(),
        };
        Self {
            execution_id: record.execution,
            intent: record.intent.clone(),
            version: record.version.clone(),
            output,
            tool_calls,
            quality: record.quality.clone(),
            via: record.via.unwrap_or(Via::Model),
            model: record.model.clone(),
            reason: record.reason.clone(),
            repairs: record.repairs.clone(),
            usage: record.usage,
            cost_usd: record.cost_known.then(|| record.cost.to_string()),
            latency: AnswerLatency {
                total_ms: ms(record.duration_us),
                overhead_ms: ms(record.overhead_us),
                first_token_ms: record.first_token_us.map(ms),
            },
            attempts: record.attempts.iter().map(attempt).collect(),
            simulated: record.simulated,
        }
    }
}
