//! List prices of well-known models: rows of data. `price` of `baton.toml` comes before them.
//!
//! Prices are the vendors' published list prices for standard use, as known in 2026, in dollars for
//! a million tokens: openai.com/api/pricing, claude.com/pricing, mistral.ai/pricing,
//! groq.com/pricing, ai.google.dev/gemini-api/docs/pricing. Dearer tiers for very long prompts,
//! batch rebates, and what writing to a vendor's cache costs are not in them. A model that is not
//! here has no known price: none is better than a wrong one.

use baton_core::{NanoUsd, Price};

/// The price of one model and its dated versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListPrice {
    /// `provider/model` without a date.
    pub model: &'static str,
    /// What its tokens cost.
    pub price: Price,
}

/// Arguments in thousandths of a dollar for a million tokens: input, cached input, output.
const fn row(model: &'static str, input: i64, cached: Option<i64>, output: i64) -> ListPrice {
    const MILLI: i64 = 1_000_000;
    let cached_per_million = match cached {
        Some(milli) => Some(NanoUsd(milli * MILLI)),
        None => None,
    };
    let price = Price {
        input_per_million: NanoUsd(input * MILLI),
        output_per_million: NanoUsd(output * MILLI),
        cached_per_million,
    };
    ListPrice { model, price }
}

/// Every known price.
pub const PRICES: &[ListPrice] = &[
    row("openai/gpt-4", 30_000, None, 60_000),
    row("openai/gpt-4-turbo", 10_000, None, 30_000),
    row("openai/gpt-3.5-turbo", 500, None, 1_500),
    row("openai/gpt-3.5-turbo-1106", 1_000, None, 2_000),
    row("openai/gpt-4o", 2_500, Some(1_250), 10_000),
    row("openai/gpt-4o-2024-05-13", 5_000, None, 15_000),
    row("openai/gpt-4o-mini", 150, Some(75), 600),
    row("openai/gpt-4.1", 2_000, Some(500), 8_000),
    row("openai/gpt-4.1-mini", 400, Some(100), 1_600),
    row("openai/gpt-4.1-nano", 100, Some(25), 400),
    row("openai/gpt-5", 1_250, Some(125), 10_000),
    row("openai/gpt-5-mini", 250, Some(25), 2_000),
    row("openai/gpt-5-nano", 50, Some(5), 400),
    row("openai/o3", 2_000, Some(500), 8_000),
    row("openai/o4-mini", 1_100, Some(275), 4_400),
    row("anthropic/claude-3-haiku", 250, Some(30), 1_250),
    row("anthropic/claude-3-5-haiku", 800, Some(80), 4_000),
    row("anthropic/claude-haiku-4-5", 1_000, Some(100), 5_000),
    row("anthropic/claude-sonnet-4", 3_000, Some(300), 15_000),
    row("anthropic/claude-sonnet-4-5", 3_000, Some(300), 15_000),
    row("anthropic/claude-opus-4-1", 15_000, Some(1_500), 75_000),
    row("anthropic/claude-opus-4-5", 5_000, Some(500), 25_000),
    row("mistral/mistral-small-2506", 100, None, 300),
    row("mistral/mistral-large-2411", 2_000, None, 6_000),
    row("mistral/mistral-large-2512", 500, None, 1_500),
    row("groq/llama-3.1-8b-instant", 50, None, 80),
    row("groq/llama-3.3-70b-versatile", 590, None, 790),
    row("gemini/gemini-2.5-flash-lite", 100, Some(10), 400),
    row("gemini/gemini-2.5-flash", 300, Some(30), 2_500),
    row("gemini/gemini-2.5-pro", 1_250, Some(125), 10_000),
];

/// The price of `provider/model`: its own row, else that of the model without its date
/// (`openai/gpt-4o-mini-2024-07-18`); `None` where it is not known.
#[must_use]
pub fn list_price(model: &str) -> Option<Price> {
    let exact = PRICES.iter().find(|row| row.model == model);
    let undated = || PRICES.iter().find(|row| model.strip_prefix(row.model).is_some_and(is_date));
    exact.or_else(undated).map(|row| row.price)
}

/// `-20250514`, `-2024-07-18`, `-0613`, `-latest`: but not `-5`, which is another model.
fn is_date(rest: &str) -> bool {
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    rest.strip_prefix('-').is_some_and(|date| {
        if date == "latest" {
            return true;
        }
        let mut parts = date.split('-');
        parts.next().is_some_and(|first| first.len() >= 4 && digits(first))
            && parts.all(|part| part.len() == 2 && digits(part))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(model: &str) -> Option<String> {
        list_price(model).map(|price| price.input_per_million.to_string())
    }

    #[test]
    fn a_price_covers_dated_versions_and_no_other_model() {
        for (model, dollars) in [
            ("openai/gpt-4o-mini", Some("0.15")),
            ("openai/gpt-4o-mini-2024-07-18", Some("0.15")),
            ("openai/gpt-4o-2024-08-06", Some("2.5")),
            ("openai/gpt-4o-2024-05-13", Some("5")),
            ("openai/gpt-4-0613", Some("30")),
            ("openai/gpt-4-1106-preview", None),
            ("openai/gpt-5-pro", None),
            ("anthropic/claude-3-5-haiku-latest", Some("0.8")),
            ("openai/gpt-5.4", None),
            ("anthropic/claude-sonnet-4-20250514", Some("3")),
            ("anthropic/claude-opus-4-7", None),
            ("house/gpt-4o-mini", None),
            ("local", None),
        ] {
            assert_eq!(input(model).as_deref(), dollars, "{model}");
        }
    }

    #[test]
    fn no_model_is_priced_twice_and_caching_is_never_dearer() {
        for (index, row) in PRICES.iter().enumerate() {
            assert!(PRICES[..index].iter().all(|other| other.model != row.model), "{}", row.model);
            assert!(row.price.cached_per_million.is_none_or(|cached| cached < row.price.input_per_million));
            assert!(crate::vendor(row.model.split('/').next().unwrap()).is_some());
        }
    }
}
