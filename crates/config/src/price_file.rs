//! What a model's tokens cost, as `baton.toml` says it.

use baton_core::{Day, Price, PriceRow, Rates, Tier};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::diagnostics::Sink;
use crate::document::Document;
use crate::units;

/// Dollars for a million tokens: `0.10 USD/M`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PriceFile {
    /// Of the input.
    pub(crate) input: String,
    /// Of the output.
    pub(crate) output: String,
    /// Of input that the provider read from its cache; as other input if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cached: Option<String>,
    /// Of input that the provider wrote to its cache; as other input if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cache_write: Option<String>,
    /// Of input that it wrote to be kept for an hour; as other writes if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cache_write_1h: Option<String>,
    /// Of the part of the output that was reasoning; as other output if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reasoning: Option<String>,
    /// What calls of the provider's batch API cost of all this, in percent, `50` as a rule; not known
    /// if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 100))]
    pub(crate) batch_percent: Option<u32>,
    /// Other rates for long prompts, the shortest first. A prompt above one pays its rates for all of
    /// its tokens.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) tiers: Vec<TierFile>,
    /// The first day of this price in UTC, `2026-12-01`; until then the built-in one counts. Always if
    /// absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) from: Option<String>,
}

/// The rates of prompts of more than so many tokens.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TierFile {
    /// Prompts of more tokens than these, cached ones included.
    #[schemars(range(min = 1))]
    pub(crate) above_tokens: u64,
    /// Of the input.
    pub(crate) input: String,
    /// Of the output.
    pub(crate) output: String,
    /// Of input that the provider read from its cache; as other input if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cached: Option<String>,
    /// Of input that the provider wrote to its cache; as other input if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cache_write: Option<String>,
    /// Of input that it wrote to be kept for an hour; as other writes if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cache_write_1h: Option<String>,
    /// Of the part of the output that was reasoning; as other output if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reasoning: Option<String>,
}

/// The rates as written: input, output, and those that may be absent.
type Written<'a> = ([&'a String; 2], [&'a Option<String>; 4]);

/// Tells each mistake; `None` where there is one.
pub(crate) fn compile(file: &PriceFile, document: &Document, pointer: &str, sink: &mut Sink) -> Option<PriceRow> {
    let before = sink.errors();
    let written =
        ([&file.input, &file.output], [&file.cached, &file.cache_write, &file.cache_write_1h, &file.reasoning]);
    let rates = rates(written, document, pointer, sink);
    let mut tiers = Vec::new();
    for (n, tier) in file.tiers.iter().enumerate() {
        let pointer = format!("{pointer}/tiers/{n}");
        if tier.above_tokens == 0 || n > 0 && file.tiers[n - 1].above_tokens >= tier.above_tokens {
            let message = format!("a tier above {} tokens cannot stand here", tier.above_tokens);
            let help = "write tiers by length, the shortest first, each above more tokens than the one before";
            sink.error(document.at(&format!("{pointer}/above_tokens")), message, help);
        }
        let written =
            ([&tier.input, &tier.output], [&tier.cached, &tier.cache_write, &tier.cache_write_1h, &tier.reasoning]);
        let rates = self::rates(written, document, &pointer, sink);
        tiers.extend(rates.map(|rates| Tier { above_tokens: tier.above_tokens, rates }));
    }
    let percent = file.batch_percent;
    let from = file.from.as_deref().and_then(|text| {
        let wrong = |error: baton_core::ParseDayError| {
            let help = "write the first day on which this price counts, in UTC: `from = \"2026-12-01\"`";
            sink.error(document.at(&format!("{pointer}/from")), error.to_string(), help);
        };
        text.parse::<Day>().map_err(wrong).ok()
    });
    let price = Price { rates: rates?, tiers };
    let batch = percent.map(|percent| price.percent(percent));
    (sink.errors() == before).then_some(PriceRow { from, hours: None, price, batch })
}

fn rates((always, maybe): Written<'_>, document: &Document, pointer: &str, sink: &mut Sink) -> Option<Rates> {
    let mut rate = |key: &str, text: &String| {
        let rate = units::price_per_million(text);
        if let Err(wrong) = &rate {
            let help = "write dollars for a million tokens, as in `0.10 USD/M`";
            sink.error(document.at(&format!("{pointer}/{key}")), wrong.clone(), help);
        }
        rate.ok()
    };
    let [input, output] = [rate("input", always[0]), rate("output", always[1])];
    let keys = ["cached", "cache_write", "cache_write_1h", "reasoning"];
    let mut others = [None; 4];
    for ((key, text), other) in keys.into_iter().zip(maybe).zip(&mut others) {
        *other = text.as_ref().and_then(|text| rate(key, text));
    }
    let [cached, written, written_1h, reasoning] = others;
    Some(Rates {
        cached_per_million: cached,
        cache_write_per_million: written,
        cache_write_1h_per_million: written_1h,
        reasoning_per_million: reasoning,
        ..Rates::flat(input?, output?)
    })
}
