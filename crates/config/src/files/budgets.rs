//! What may be used, and by which teams.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `[budget]`. What is absent is not limited.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct BudgetFile {
    /// Calls in any 60 seconds; more are refused with `rate_limit`.
    #[schemars(range(min = 1))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) calls_per_minute: Option<u64>,
    /// Tokens, read and written, in any 60 seconds. A model that may need more than is left is not
    /// asked; where no other is left, the error is `rate_limit`.
    #[schemars(range(min = 1))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tokens_per_minute: Option<u64>,
    /// Dollars a day, which begins at 00:00 UTC. A model that may cost more than is left, or whose
    /// price is not known, is not asked; where no other is left, the error is `budget_exhausted`.
    #[schemars(range(min = 0))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) usd_per_day: Option<f64>,
}

/// `[teams.NAME]`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct TeamFile {
    /// The intents that it may call; all if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) intents: Option<Vec<String>>,
    /// Its weight where teams compete for places: 2 gets twice as many as 1.
    #[schemars(range(min = 1, max = 1000))]
    pub(crate) share: u32,
    /// Calls of all its keys in any 60 seconds; more are refused with `rate_limit`.
    #[schemars(range(min = 1))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) calls_per_minute: Option<u64>,
    /// Tokens of all its keys, read and written, in any 60 seconds. A model that may need more than is
    /// left is not asked; where no other is left, the error is `rate_limit`.
    #[schemars(range(min = 1))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tokens_per_minute: Option<u64>,
    /// Dollars of all its keys a day, which begins at 00:00 UTC. A model that may cost more than is
    /// left, or whose price is not known, is not asked; where no other is left, the error is
    /// `budget_exhausted`.
    #[schemars(range(min = 0))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) usd_per_day: Option<f64>,
}

impl TeamFile {
    /// What it may use.
    pub(crate) fn budget(&self) -> BudgetFile {
        let Self { calls_per_minute, tokens_per_minute, usd_per_day, .. } = *self;
        BudgetFile { calls_per_minute, tokens_per_minute, usd_per_day }
    }
}

impl Default for TeamFile {
    fn default() -> Self {
        let (intents, calls_per_minute, tokens_per_minute, usd_per_day) = Default::default();
        Self { intents, share: 1, calls_per_minute, tokens_per_minute, usd_per_day }
    }
}
