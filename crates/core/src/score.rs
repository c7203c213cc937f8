//! What a judge said of an answer, or why it said nothing.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::record::ERASED;
use crate::{ExecutionId, IntentName, TeamId};

/// One answer that was drawn for judging: exactly one score, whatever came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// The execution whose answer was judged.
    pub execution: ExecutionId,
    /// Whose it is.
    pub team: TeamId,
    /// Its intent.
    pub intent: IntentName,
    /// The intent's lineage at that time: what the score is evidence for.
    pub lineage: String,
    /// Who judged: the model and the first digits of its intent's answer hash, `b/cheap@3f9a0c11`, or
    /// `second opinion of b/cheap@3f9a0c11`.
    /// Another prompt or another model is another evaluator.
    pub evaluator: String,
    /// The probability with which it was drawn, in (0, 1].
    pub probability: f64,
    /// Whether it was drawn by that probability; else it was judged for another reason (the gate
    /// asked, or a person is to see it), and counts for no estimate.
    pub drawn: bool,
    /// When, Unix microseconds.
    pub at_us: i64,
    /// The execution that judged it, where one began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judge: Option<ExecutionId>,
    /// What came of it.
    #[serde(flatten)]
    pub result: ScoreResult,
}

/// What came of showing an answer to a judge before it was given.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Judgement {
    /// The execution that judged it, where one began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judge: Option<ExecutionId>,
    /// Microseconds that it took.
    pub took_us: u64,
    /// What it said, or why it said nothing.
    #[serde(flatten)]
    pub result: ScoreResult,
}

impl Judgement {
    /// The probability that the answer passes, where there is a verdict.
    #[must_use]
    pub fn value(&self) -> Option<f64> {
        self.result.value()
    }
}

/// How judging ended. No verdict is no verdict, never a fail.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum ScoreResult {
    /// Every criterion has a verdict.
    Scored {
        /// By criterion, the probability that the answer meets it, in [0, 1]: the verdict's own where
        /// the provider gives log-probabilities, else 0 or 1. Of a second opinion by field: 1 where both
        /// say the same, else 0.
        criteria: BTreeMap<String, f64>,
        /// The probability that it meets all: the least of them. Of a second opinion the share of fields
        /// of which both say the same.
        value: f64,
    },
    /// The judge was asked and gave no verdict.
    Errored {
        /// Why.
        reason: String,
    },
    /// The judge was not asked.
    Skipped {
        /// Why.
        reason: String,
    },
}

impl ScoreResult {
    /// Takes out its words, which may quote whom the answer was about.
    pub fn erase(&mut self) {
        if let Self::Errored { reason } | Self::Skipped { reason } = self {
            ERASED.clone_into(reason);
        }
    }

    /// All criteria in one: the least probability (an answer passes where it fails in no way).
    #[must_use]
    pub fn scored(criteria: BTreeMap<String, f64>) -> Self {
        let value = criteria.values().copied().fold(1.0, f64::min);
        Self::Scored { criteria, value }
    }

    /// A second opinion, by field whether both say the same: the share of those. Two that say nothing at
    /// all say the same.
    #[must_use]
    pub fn compared(fields: BTreeMap<String, f64>) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "a number of fields")]
        let value = if fields.is_empty() { 1.0 } else { fields.values().sum::<f64>() / fields.len() as f64 };
        Self::Scored { criteria: fields, value }
    }

    /// The criteria that the answer fails, or the fields in which a second opinion differs, in a line.
    /// Empty where it passes, and where there is no verdict.
    #[must_use]
    pub fn failed(&self) -> String {
        let Self::Scored { criteria, .. } = self else { return String::new() };
        let failed = criteria.iter().filter(|(_, value)| **value < 0.5).map(|(id, _)| id.as_str());
        failed.collect::<Vec<_>>().join(", ")
    }

    /// `scored`, `errored` or `skipped`.
    #[must_use]
    pub fn status(&self) -> &'static str {
        match self {
            Self::Scored { .. } => "scored",
            Self::Errored { .. } => "errored",
            Self::Skipped { .. } => "skipped",
        }
    }

    /// The probability that the answer passes, where there is a verdict.
    #[must_use]
    pub fn value(&self) -> Option<f64> {
        if let Self::Scored { value, .. } = self { Some(*value) } else { None }
    }
}
