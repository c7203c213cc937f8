//! Tokens of one attempt or one execution.

use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

/// Tokens as the provider reported them (input includes cached and written, output includes reasoning).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Usage {
    /// Tokens read, those from the provider's cache included.
    pub input_tokens: u64,
    /// Tokens written, reasoning included.
    pub output_tokens: u64,
    /// The part of the input that the provider read from its cache.
    pub cached_tokens: u64,
    /// The part of the input that the provider wrote to its cache.
    #[serde(skip_serializing_if = "is_zero")]
    pub cache_write_tokens: u64,
    /// The part of what it wrote that is kept for an hour, dearer than other writes.
    #[serde(rename = "cacheWrite1hTokens", skip_serializing_if = "is_zero")]
    pub cache_write_1h_tokens: u64,
    /// The part of the output that was reasoning.
    #[serde(skip_serializing_if = "is_zero")]
    pub reasoning_tokens: u64,
    /// True where the provider reported nothing and the figures were estimated.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub estimated: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's skip_serializing_if passes a reference")]
fn is_zero(tokens: &u64) -> bool {
    *tokens == 0
}

impl AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        self.input_tokens += other.input_tokens;
        self.output_tokens += other.output_tokens;
        self.cached_tokens += other.cached_tokens;
        self.cache_write_tokens += other.cache_write_tokens;
        self.cache_write_1h_tokens += other.cache_write_1h_tokens;
        self.reasoning_tokens += other.reasoning_tokens;
        self.estimated |= other.estimated;
    }
}
