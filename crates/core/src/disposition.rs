//! What kind of failure this was, and so what may be done about it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The taxonomy of failed attempts. Every attempt error knows its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Disposition {
    /// 400, invalid schema, content policy on the input: nobody else will do better.
    CallersFault,
    /// The context does not fit; a model with more room may answer.
    TooLong,
    /// Connect, 5xx, a stream broken before its commit point.
    Transient,
    /// 429 and 529.
    RateLimited {
        /// How long the provider asks to wait, where it says so.
        retry_after: Option<Duration>,
    },
    /// 401, 402, 403 of ours, an unknown model: it will not get better by itself.
    HardDown,
    /// The attempt's time ran out.
    Slow,
    /// Unparsable, schema, gate failed, truncated, refusal.
    BadAnswer,
    /// `local` below its cut.
    Abstained,
    /// The client left, or a hedge lost.
    Cancelled,
    /// Not asked: what it may cost does not fit a budget.
    OverBudget,
    /// Not asked: a rate limit of ours stands in the way.
    Limited,
}

impl Disposition {
    /// May the same lane be tried again at once or after a back-off?
    #[must_use]
    pub fn retry_same(self) -> bool {
        matches!(self, Self::Transient | Self::RateLimited { .. })
    }

    /// Was nobody asked, so that it says nothing of the lane?
    #[must_use]
    pub fn is_unasked(self) -> bool {
        matches!(self, Self::OverBudget | Self::Limited)
    }

    /// May the next candidate be asked?
    #[must_use]
    pub fn next_candidate(self) -> bool {
        !matches!(self, Self::CallersFault | Self::Cancelled)
    }
}
