//! List prices of well-known models. What is not here is unknown, never free.

use baton_core::{NanoUsd, Price};

/// Model id, then nano-dollars for a million tokens: input, output, input read from the cache.
///
/// List prices as the vendors published them, in dollars a million tokens; `baton.toml` overrides.
const PRICES: &[(&str, i64, i64, i64)] = &[
    ("openai/gpt-4o-mini", 150_000_000, 600_000_000, 75_000_000),
    ("openai/gpt-4o", 2_500_000_000, 10_000_000_000, 1_250_000_000),
    ("openai/gpt-4.1-nano", 100_000_000, 400_000_000, 25_000_000),
    ("openai/gpt-4.1-mini", 400_000_000, 1_600_000_000, 100_000_000),
    ("openai/gpt-4.1", 2_000_000_000, 8_000_000_000, 500_000_000),
    ("openai/gpt-4-turbo", 10_000_000_000, 30_000_000_000, 10_000_000_000),
    ("openai/gpt-4-0613", 30_000_000_000, 60_000_000_000, 30_000_000_000),
    ("openai/gpt-4", 30_000_000_000, 60_000_000_000, 30_000_000_000),
    ("openai/gpt-3.5-turbo", 500_000_000, 1_500_000_000, 500_000_000),
    ("anthropic/claude-3-haiku-20240307", 250_000_000, 1_250_000_000, 30_000_000),
    ("anthropic/claude-3-5-haiku-latest", 800_000_000, 4_000_000_000, 80_000_000),
];

/// The list price of a model, where it is known.
#[must_use]
pub fn list_price(model: &str) -> Option<Price> {
    let (_, input, output, cached) = PRICES.iter().find(|(id, ..)| *id == model)?;
    Some(Price {
        input_per_million: NanoUsd(*input),
        output_per_million: NanoUsd(*output),
        cached_per_million: Some(NanoUsd(*cached)),
    })
}
