//! The shapes of `[[criteria]]` and `[review]`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One `[[criteria]]` entry.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CriterionFile {
    /// Its name in labels and figures: small letters, digits and hyphens.
    pub(crate) id: String,
    /// A question about an answer; "yes" means that the answer passes.
    #[schemars(length(min = 1, max = 1000))]
    pub(crate) ask: String,
    /// How to decide, with examples: shown beside the question.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 10_000))]
    pub(crate) guideline: Option<String>,
}

/// `[judge]`: a model that is asked each of the `[[criteria]]`, of a sample of the answers; or that gives a
/// second opinion on them.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct JudgeFile {
    /// Who judges: `provider/model` or an alias, of another family than the judged where possible.
    pub(crate) model: String,
    /// The model is asked what the intent asks, and its answer is held against the one that is judged: by
    /// its label, or field by field. It needs no criteria, must not be one of the intent's `models`, and is
    /// not for texts.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) second_opinion: bool,
    /// Dollars a day; sets how many answers are drawn. All that `rate_max` allows if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub(crate) usd_per_day: Option<f64>,
    /// The largest share of answers that is drawn, whatever the money allows.
    #[serde(default = "JudgeFile::rate_default")]
    #[schemars(range(min = 0, max = 1))]
    pub(crate) rate_max: f64,
    /// Milliseconds that one judgement may take.
    #[serde(default = "JudgeFile::latency_default")]
    #[schemars(range(min = 1, max = 600_000))]
    pub(crate) latency_ms: u64,
    /// Asks the provider for log-probabilities: a verdict becomes a probability. Not every provider
    /// has them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) logprobs: bool,
}

impl JudgeFile {
    fn rate_default() -> f64 {
        1.0
    }

    fn latency_default() -> u64 {
        30_000
    }
}

/// `[review]`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReviewFile {
    /// Roughly how many answers a day people are asked about. With recent traffic it sets the
    /// probability with which an answer is drawn; 0 draws none.
    #[schemars(range(min = 0, max = 100_000))]
    pub(crate) per_day: f64,
    /// Share of them that two people label, neither seeing what the other says.
    #[serde(default = "ReviewFile::double_default")]
    #[schemars(range(min = 0, max = 1))]
    pub(crate) double: f64,
    /// Share of the drawing that is uniform; the rest goes to answers whose quality is least certain.
    /// Below 0.3 intervals become wide.
    #[serde(default = "ReviewFile::floor_default")]
    #[schemars(range(min = 0.1, max = 1))]
    pub(crate) floor: f64,
    /// Who decides where two labels disagree; if absent, anybody who gave neither.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub(crate) adjudicator: Option<String>,
}

impl ReviewFile {
    fn double_default() -> f64 {
        0.15
    }

    fn floor_default() -> f64 {
        0.7
    }
}
