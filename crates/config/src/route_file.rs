//! `route` and `[routing]` of an intent.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How candidates are ranked: `ordered`, as written; `cheapest`, the least expected cost of those whose
/// quality is known to reach `objective.quality` and that answer in time; `fastest`, the soonest answer
/// of those that are not known to be too bad; `weighted`, by lot; `cascade`, whoever is worth it, and then
/// another one while what that adds in right answers is worth more than it costs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum RouteFile {
    #[default]
    Ordered,
    Cheapest,
    Fastest,
    Weighted,
    Cascade,
}

/// `[routing]`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RoutingFile {
    /// For `cheapest` and `fastest`: the share of calls that are spread evenly over the candidates that
    /// are not known to be too bad, to learn how good they are now. 0: what is not asked is not learnt of.
    #[schemars(range(min = 0, max = 0.5))]
    pub(crate) explore: f64,
    /// For `cheapest`: the least probability of an answer before the call's deadline.
    #[schemars(range(min = 0, max = 1))]
    pub(crate) in_time: f64,
    /// Whether the calls of one `session` stay with the model that answered it, as long as it may be
    /// first: what a provider remembers of a prompt is cheaper to read again.
    pub(crate) sticky: bool,
    /// For `weighted`, which needs them: how often each model is asked first, in proportion, by its name
    /// in `models`. One that is not named is only a fallback.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) weights: BTreeMap<String, f64>,
    /// For `cascade`, which needs it: what one more right answer is worth, in dollars.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub(crate) right_usd: Option<f64>,
    /// For `cascade`: at most so many models are asked for one answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 2, max = 4))]
    pub(crate) asks: Option<u32>,
}

impl Default for RoutingFile {
    fn default() -> Self {
        Self { explore: 0.02, in_time: 0.9, sticky: false, weights: BTreeMap::new(), right_usd: None, asks: None }
    }
}
