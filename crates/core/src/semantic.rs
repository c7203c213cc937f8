//! What the semantic cache did with one execution, as its record says it.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{ExecutionId, NanoUsd, Usage};

/// What became of the question whether a similar input was answered before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SemanticDecision {
    /// Its answer was given.
    Served,
    /// It would have been; the model was asked instead, and the two compared.
    Audited,
    /// Nothing that was similar enough.
    Missed,
    /// Nobody looked: why, says `reason`.
    Skipped,
}

/// One look into the semantic cache.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SemanticLook {
    /// What came of it.
    pub decision: SemanticDecision,
    /// The cosine of the most similar input, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cosine: Option<f64>,
    /// The probability that the remembered answer is the model's, where there was evidence to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub right: Option<f64>,
    /// The probability with which it was drawn for an audit, where it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probability: Option<f64>,
    /// The execution whose answer was given, or would have been.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub neighbour: Option<ExecutionId>,
    /// Whether the model then answered the same; absent where it was not asked, or gave nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agreed: Option<bool>,
    /// Why nobody looked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What a provider took for the input's vector, where one was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub embedded: Option<Embedded>,
    /// What was seen, where its answer was given: if somebody calls that wrong, it is learnt from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub look: Option<Value>,
}

/// One vector from a provider: part of what its execution cost.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Embedded {
    /// Tokens of the input.
    pub usage: Usage,
    /// What they cost, where the price is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<NanoUsd>,
}

impl SemanticLook {
    /// A look with nothing but its outcome.
    #[must_use]
    pub fn of(decision: SemanticDecision) -> Self {
        let (cosine, right, probability, neighbour, agreed, reason, embedded, look) = Default::default();
        Self { decision, cosine, right, probability, neighbour, agreed, reason, embedded, look }
    }

    /// Nobody looked.
    #[must_use]
    pub fn skipped(reason: impl Into<String>) -> Self {
        Self { reason: Some(reason.into()), ..Self::of(SemanticDecision::Skipped) }
    }
}
