//! One try at one lane, as it is recorded.

use serde::{Deserialize, Serialize};

use crate::{CheckResult, Disposition, Judgement, ModelId, NanoUsd, Usage};

/// Why an attempt was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttemptKind {
    /// The first try.
    Primary,
    /// The same lane again.
    Retry,
    /// The next candidate.
    Fallback,
    /// Another lane beside one that takes unusually long.
    Hedge,
    /// A look whether a lane is back, beside the candidate that answers meanwhile.
    Probe,
    /// Its answer came in a batch of the provider's, before the execution began.
    Batch,
    /// Somebody answered, and another one is asked before an answer is given.
    Escalation,
}

impl AttemptKind {
    /// The name on the wire, in metrics and in reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::Retry => "retry",
            Self::Fallback => "fallback",
            Self::Hedge => "hedge",
            Self::Probe => "probe",
            Self::Batch => "batch",
            Self::Escalation => "escalation",
        }
    }
}

/// How an attempt ended, or why it was not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttemptOutcome {
    /// Its answer was given.
    Passed,
    /// A whole answer that passed its checks; another one was given.
    Held,
    /// See [`Disposition::CallersFault`].
    CallersFault,
    /// See [`Disposition::TooLong`].
    TooLong,
    /// See [`Disposition::Transient`].
    Transient,
    /// See [`Disposition::RateLimited`].
    RateLimited,
    /// See [`Disposition::HardDown`].
    HardDown,
    /// See [`Disposition::Slow`].
    Slow,
    /// See [`Disposition::BadAnswer`].
    BadAnswer,
    /// See [`Disposition::Abstained`].
    Abstained,
    /// See [`Disposition::Cancelled`].
    Cancelled,
    /// Skipped: the time left was below the lane's median.
    NoTime,
    /// Skipped: the lane's breaker was open or held.
    BreakerOpen,
    /// Passed over, or left after a wait: the lane had no place.
    NoRoom,
    /// Not asked: see [`Disposition::OverBudget`].
    OverBudget,
    /// Not asked: see [`Disposition::Limited`].
    Limited,
}

impl From<Disposition> for AttemptOutcome {
    fn from(disposition: Disposition) -> Self {
        match disposition {
            Disposition::CallersFault => Self::CallersFault,
            Disposition::TooLong => Self::TooLong,
            Disposition::Transient => Self::Transient,
            Disposition::RateLimited { .. } => Self::RateLimited,
            Disposition::HardDown => Self::HardDown,
            Disposition::Slow => Self::Slow,
            Disposition::BadAnswer => Self::BadAnswer,
            Disposition::Abstained => Self::Abstained,
            Disposition::Cancelled => Self::Cancelled,
            Disposition::OverBudget => Self::OverBudget,
            Disposition::Limited => Self::Limited,
        }
    }
}

impl AttemptOutcome {
    /// The name on the wire, in metrics and in reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Held => "held",
            Self::CallersFault => "callers_fault",
            Self::TooLong => "too_long",
            Self::Transient => "transient",
            Self::RateLimited => "rate_limited",
            Self::HardDown => "hard_down",
            Self::Slow => "slow",
            Self::BadAnswer => "bad_answer",
            Self::Abstained => "abstained",
            Self::Cancelled => "cancelled",
            Self::NoTime => "no_time",
            Self::BreakerOpen => "breaker_open",
            Self::NoRoom => "no_room",
            Self::OverBudget => "over_budget",
            Self::Limited => "limited",
        }
    }

    /// Whether its answer was a good one, given or not.
    #[must_use]
    pub fn answered(self) -> bool {
        matches!(self, Self::Passed | Self::Held)
    }

    /// Whether an attempt was made at all.
    #[must_use]
    pub fn was_made(self) -> bool {
        !matches!(self, Self::NoTime | Self::BreakerOpen | Self::NoRoom | Self::OverBudget | Self::Limited)
    }
}

/// One attempt of a [`crate::Record`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AttemptRecord {
    /// The model that was asked.
    pub model: ModelId,
    /// With which of the provider's keys, from 1, where it has several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<u32>,
    /// Why.
    pub kind: AttemptKind,
    /// How it ended.
    pub outcome: AttemptOutcome,
    /// Microseconds from the execution's start to the attempt's.
    pub start_us: u64,
    /// Microseconds that it waited before that for a place at its lane.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub queued_us: u64,
    /// Microseconds that it took.
    pub duration_us: u64,
    /// Microseconds from its start to the first token, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_token_us: Option<u64>,
    /// Tokens, where the provider reported them or they were estimated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// What it cost; `None` where the price or the usage is unknown. Unknown is not zero.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<NanoUsd>,
    /// What was wrong, in a sentence; never content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The checks that its answer went through.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<CheckResult>,
    /// What a judge said before its answer was given, where one was to be asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judged: Option<Judgement>,
    /// What the provider says of its answer, where there is a whole one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response: Option<ProviderResponse>,
    /// The call that it shared with others, or why it did not, where its intent batches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<Box<BatchShare>>,
    /// Whether a simulated model answered.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub simulated: bool,
}

/// An attempt's part in a call of the model that several executions shared. Its tokens and its cost are
/// part of the attempt's own: those of all that shared the call add up to what the provider charges.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchShare {
    /// Names the call; empty where none was shared.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub id: String,
    /// Inputs of the call.
    pub items: u32,
    /// Whether it is the first of them: each shared call has exactly one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub first: bool,
    /// Why it was asked for alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alone: Option<String>,
    /// Tokens that a call of its own is thought to take, less those of its part: an estimate. Below 0
    /// where it was asked for alone, too.
    #[serde(default)]
    pub tokens_saved: i64,
    /// The same of its cost; `None` where the price is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub saved: Option<NanoUsd>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_zero(us: &u64) -> bool {
    *us == 0
}

/// What a provider says of its own answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProviderResponse {
    /// The provider's id for it, to ask its support with.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub id: String,
    /// The model that answered, as the provider names it: often with its date.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub model: String,
    /// Why it stopped: `stop`, `length`, `tool_calls`, `content_filter`, or as it came.
    pub finish: String,
}
