//! Who is told of what.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Secret;

/// What a webhook can be told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Topic {
    /// Calls use up too fast what an intent's objective allows to miss.
    Objective,
    /// A budget is spent to 80 or 100 percent.
    Budget,
    /// A model's breaker opened or closed.
    Breaker,
    /// The journal drops content or refuses work.
    Journal,
    /// A changed configuration is refused.
    Configuration,
    /// What a judge says of an intent's answers moved, and why.
    Drift,
    /// A model that an intent uses is to be turned off by its vendor.
    Retirement,
    /// A rollout started, took a step, was promoted or rolled back.
    Rollout,
}

impl Topic {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Objective,
        Self::Budget,
        Self::Breaker,
        Self::Journal,
        Self::Configuration,
        Self::Drift,
        Self::Retirement,
        Self::Rollout,
    ];
}

/// One `[[webhooks]]` entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookSpec {
    /// Where notices are sent. Its path may be a secret of the receiver's: not for logs.
    pub url: String,
    /// Where the signing secret is.
    pub secret: Secret,
    /// What it is told of.
    pub topics: Vec<Topic>,
}
