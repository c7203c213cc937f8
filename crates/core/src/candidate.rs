//! A model that may answer, as the route ranked it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{ModelId, Prices};

/// Endpoint × key × model: what breakers and latency figures belong to. An index into
/// [`crate::Lanes`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LaneId(pub u32);

/// A ranked candidate.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// The model.
    pub model: ModelId,
    /// Its lane.
    pub lane: LaneId,
    /// Which of the provider's keys it is asked with, from 1, where there are several.
    pub key: Option<u32>,
    /// The longest that one attempt may take, whatever the deadline.
    pub timeout: Duration,
    /// Its price, where it is known.
    pub price: Option<Prices>,
}
