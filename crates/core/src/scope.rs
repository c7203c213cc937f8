//! The border that nothing crosses.

use serde::{Deserialize, Serialize};

use crate::TeamId;

/// Team (from the key) and the partition that the intent declares. A required argument of every
/// cache, coalescing, idempotency, feedback and learning function.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Scope {
    /// Who calls.
    pub team: TeamId,
    /// The values of the intent's partition fields, in the order in which the intent declares
    /// them. A field that the call does not carry is `None`, which is a value of its own.
    pub partition: Vec<Option<String>>,
}

impl Scope {
    /// A scope without a partition.
    #[must_use]
    pub fn team(team: TeamId) -> Self {
        Self { team, partition: Vec::new() }
    }
}
