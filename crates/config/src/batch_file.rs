//! The shape of `[batch]`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `[batch]`: calls of the same scope that come close together share one call of the model. Off unless it
/// stands there.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct BatchFile {
    /// The most inputs of one call.
    #[schemars(range(min = 2, max = 64))]
    pub(crate) max_items: usize,
    /// The longest that an input waits for others, in milliseconds; only while another call of its scope
    /// is in the air, and only where its deadline has room.
    #[schemars(range(min = 1, max = 1000))]
    pub(crate) max_wait_ms: u64,
    /// The share of batched answers that are asked for alone, too: where the two differ too often,
    /// batching ends for the intent and the model.
    #[schemars(range(min = 0, max = 1))]
    pub(crate) audit: f64,
}

impl Default for BatchFile {
    fn default() -> Self {
        Self { max_items: 16, max_wait_ms: 20, audit: 0.02 }
    }
}
