//! How good an answer is known to be. Never a prior dressed as a measurement.

use serde::{Deserialize, Serialize};

/// The calibrated probability that an answer is acceptable, or what is needed to know it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Quality {
    /// The probability that a reviewer would pass the answer; `null` without evidence.
    pub score: Option<f64>,
    /// Its lower confidence bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lower: Option<f64>,
    /// What the score rests on; `none` without evidence.
    pub basis: String,
    /// Human labels behind it.
    pub labels: u64,
    /// Labels needed before there can be a score; absent where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub needed: Option<u64>,
    /// Whether the gate could decide.
    pub verified: bool,
}

impl Quality {
    /// Nothing is known yet: `labels` of the `needed` labels are there.
    #[must_use]
    pub fn unknown(labels: u64, needed: u64) -> Self {
        Self { score: None, lower: None, basis: "none".into(), labels, needed: Some(needed), verified: false }
    }
}
