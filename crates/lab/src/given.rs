//! What a candidate gave for one case: the part of an answer that is graded and kept.

use baton_core::{ErrorType, Failure, NanoUsd, Record, Usage, Via};
use baton_engine::{Delivered, ExecuteError};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// An answer, or why there is none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Given {
    /// `{label}`, the fields, or `{text}`; `None` where no answer was given.
    pub output: Option<Value>,
    /// Why there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<Refusal>,
    /// Who answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Where the answer came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<Via>,
    /// What all attempts cost; `None` where a price is unknown.
    pub cost: Option<NanoUsd>,
    /// Tokens of all attempts; `None` of what a version kept that did not count them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// Milliseconds to the answer, or to the error.
    pub ms: f64,
    /// Whether a simulated model answered.
    #[serde(default)]
    pub simulated: bool,
}

/// A typed error in place of an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Its code on the wire.
    pub code: String,
    /// Its message.
    pub message: String,
    /// Whether the model's answers were not good enough, rather than something outside failing.
    pub quality: bool,
}

impl Given {
    pub(crate) fn answer(delivered: &Delivered) -> Self {
        let answer = &delivered.answer;
        Self {
            output: Some(answer.output.clone()),
            refusal: None,
            model: answer.model.as_ref().map(ToString::to_string),
            via: Some(answer.via),
            cost: answer.cost_usd.as_deref().and_then(|usd| usd.parse().ok()),
            usage: Some(answer.usage),
            ms: answer.latency.total_ms,
            simulated: answer.simulated,
        }
    }

    /// What an error cost is in its record alone; `cost` is what that says, with the judges' part.
    pub(crate) fn error(error: &ExecuteError, record: Option<&Record>, cost: Option<NanoUsd>, ms: f64) -> Self {
        let Failure { code, message, .. } = &error.failure;
        let quality = code.error_type() == ErrorType::Quality;
        let refusal = Refusal { code: code.as_str().into(), message: message.clone(), quality };
        let (usage, simulated) = (record.map(|record| record.usage), record.is_some_and(|record| record.simulated));
        Self { output: None, refusal: Some(refusal), model: None, via: None, cost, usage, ms, simulated }
    }

    /// Whether a model answered: an intent's default in its place is no answer of a model.
    #[must_use]
    pub fn answered(&self) -> bool {
        self.output.is_some() && !matches!(self.via, Some(Via::Default | Via::Stale))
    }

    /// Whether asking again could say something else for reasons outside of the candidate.
    pub(crate) fn transient(&self) -> bool {
        self.refusal.as_ref().is_some_and(|refusal| !refusal.quality)
            || matches!(self.via, Some(Via::Default | Via::Stale))
    }
}
