//! What a model's tokens cost: rows that are in force from a day on, each with its tiers.
//!
//! Vendors charge by kinds of tokens (read, read from a cache, written to it, written, reasoning),
//! change their prices on a day, and charge more for long prompts. A tier is a cliff: a prompt
//! above it pays the tier's rates for all of its tokens, as Anthropic, Google, OpenAI and xAI charge.

use std::sync::Arc;

use serde::{Serialize, Serializer};

use crate::day::DAY_US;
use crate::{Day, NanoUsd, Usage};

/// Nano-dollars for a million tokens, by their kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Rates {
    /// Of the input.
    pub input_per_million: NanoUsd,
    /// Of the output.
    pub output_per_million: NanoUsd,
    /// Of input that the provider read from its cache; as other input if `None`.
    pub cached_per_million: Option<NanoUsd>,
    /// Of input that the provider wrote to its cache; as other input if `None`.
    pub cache_write_per_million: Option<NanoUsd>,
    /// Of input that it wrote to be kept for an hour; as other writes if `None`.
    pub cache_write_1h_per_million: Option<NanoUsd>,
    /// Of the part of the output that was reasoning; as other output if `None`.
    pub reasoning_per_million: Option<NanoUsd>,
}

impl Rates {
    /// Input and output, and nothing that differs from them.
    #[must_use]
    pub const fn flat(input_per_million: NanoUsd, output_per_million: NanoUsd) -> Self {
        Self {
            input_per_million,
            output_per_million,
            cached_per_million: None,
            cache_write_per_million: None,
            cache_write_1h_per_million: None,
            reasoning_per_million: None,
        }
    }

    /// So many hundredths of each rate, rounded half up.
    #[must_use]
    fn percent(&self, percent: u32) -> Self {
        let share = |rate: NanoUsd| nano((i128::from(rate.0) * i128::from(percent) + 50).div_euclid(100));
        Self {
            input_per_million: share(self.input_per_million),
            output_per_million: share(self.output_per_million),
            cached_per_million: self.cached_per_million.map(share),
            cache_write_per_million: self.cache_write_per_million.map(share),
            cache_write_1h_per_million: self.cache_write_1h_per_million.map(share),
            reasoning_per_million: self.reasoning_per_million.map(share),
        }
    }

    fn cost(&self, usage: &Usage) -> NanoUsd {
        let cached = usage.cached_tokens.min(usage.input_tokens);
        let written = usage.cache_write_tokens.min(usage.input_tokens - cached);
        let hour = usage.cache_write_1h_tokens.min(written);
        let reasoning = usage.reasoning_tokens.min(usage.output_tokens);
        let (input, output) = (self.input_per_million, self.output_per_million);
        let write = self.cache_write_per_million.unwrap_or(input);
        per_million([
            (usage.input_tokens - cached - written, input),
            (cached, self.cached_per_million.unwrap_or(input)),
            (written - hour, write),
            (hour, self.cache_write_1h_per_million.unwrap_or(write)),
            (usage.output_tokens - reasoning, output),
            (reasoning, self.reasoning_per_million.unwrap_or(output)),
        ])
    }

    /// With each token of the dearest kind. Writes that are kept for an hour are left out: they are
    /// asked for in so many words.
    fn cost_at_most(&self, usage: &Usage) -> NanoUsd {
        let dearest =
            |rate: NanoUsd, others: [Option<NanoUsd>; 2]| others.into_iter().flatten().fold(rate, NanoUsd::max);
        per_million([
            (
                usage.input_tokens,
                dearest(self.input_per_million, [self.cached_per_million, self.cache_write_per_million]),
            ),
            (usage.output_tokens, dearest(self.output_per_million, [self.reasoning_per_million, None])),
        ])
    }
}

/// Tokens at their rates, rounded half up to a nano-dollar.
fn per_million<const N: usize>(parts: [(u64, NanoUsd); N]) -> NanoUsd {
    let part = |(tokens, rate): (u64, NanoUsd)| i128::from(tokens).saturating_mul(i128::from(rate.0));
    let total = parts.into_iter().map(part).fold(500_000, i128::saturating_add);
    nano(total.div_euclid(1_000_000))
}

fn nano(amount: i128) -> NanoUsd {
    NanoUsd(i64::try_from(amount).unwrap_or(i64::MAX))
}

/// The rates of prompts that are longer than so many tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Tier {
    /// A prompt of more tokens than these, cached ones included, pays these rates.
    pub above_tokens: u64,
    /// For all of its tokens.
    pub rates: Rates,
}

/// What tokens cost at one time in one kind of service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Price {
    /// Below all tiers.
    pub rates: Rates,
    /// By length, the shortest first.
    pub tiers: Vec<Tier>,
}

impl Price {
    /// One without tiers.
    #[must_use]
    pub const fn flat(rates: Rates) -> Self {
        Self { rates, tiers: Vec::new() }
    }

    /// So many hundredths of it.
    #[must_use]
    pub fn percent(&self, percent: u32) -> Self {
        let tier = |tier: &Tier| Tier { rates: tier.rates.percent(percent), ..*tier };
        Self { rates: self.rates.percent(percent), tiers: self.tiers.iter().map(tier).collect() }
    }

    /// The rates of a prompt of this length.
    #[must_use]
    pub fn rates(&self, input_tokens: u64) -> &Rates {
        let reached = self.tiers.iter().rev().find(|tier| input_tokens > tier.above_tokens);
        reached.map_or(&self.rates, |tier| &tier.rates)
    }

    /// What the provider charges for this usage, rounded half up to a nano-dollar.
    ///
    /// Cached and written tokens are part of the input, reasoning is part of the output; each is
    /// charged once, at its own rate.
    #[must_use]
    pub fn cost(&self, usage: &Usage) -> NanoUsd {
        self.rates(usage.input_tokens).cost(usage)
    }

    /// The most that so many tokens or fewer may cost.
    fn cost_at_most(&self, usage: &Usage) -> NanoUsd {
        let reached = self.tiers.iter().filter(|tier| usage.input_tokens > tier.above_tokens);
        let dearer = reached.map(|tier| tier.rates.cost_at_most(usage));
        dearer.fold(self.rates.cost_at_most(usage), NanoUsd::max)
    }
}

/// A price, and when it is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PriceRow {
    /// The first day; `None` is always.
    pub from: Option<Day>,
    /// Seconds of each day in UTC in which it is, from and until; past midnight where the second is
    /// smaller. `None` is all day.
    pub hours: Option<(u32, u32)>,
    /// For calls that are answered at once.
    pub price: Price,
    /// For those of a batch; `None` where it is not known.
    pub batch: Option<Price>,
}

impl PriceRow {
    fn in_force(&self, unix_us: i64) -> bool {
        let second = unix_us.rem_euclid(DAY_US) / 1_000_000;
        let within = |(from, until): (u32, u32)| {
            let (from, until) = (i64::from(from), i64::from(until));
            if from <= until { (from..until).contains(&second) } else { second >= from || second < until }
        };
        self.from.is_none_or(|day| Day::of(unix_us) >= day) && self.hours.is_none_or(within)
    }
}

/// Days as people write them: it is part of what a version of an intent is told apart by.
impl Serialize for PriceRow {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        (self.from.map(|day| day.to_string()), self.hours, &self.price, &self.batch).serialize(to)
    }
}

/// How a call is made, as far as it costs more or less.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// Answered at once.
    Standard,
    /// One of many that are handed in together and answered within a day.
    Batch,
}

/// The rows of one model, those that come into force later after the others: of those in force, the
/// last one counts. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prices(Arc<[PriceRow]>);

impl Prices {
    /// These rows; `None` without any: nothing is known then.
    #[must_use]
    pub fn new(rows: Vec<PriceRow>) -> Option<Self> {
        (!rows.is_empty()).then(|| Self(rows.into()))
    }

    /// One price for all times.
    #[must_use]
    pub fn always(price: Price) -> Self {
        Self([PriceRow { from: None, hours: None, price, batch: None }].into())
    }

    /// All rows.
    #[must_use]
    pub fn rows(&self) -> &[PriceRow] {
        &self.0
    }

    /// The row in force at this wall clock (Unix microseconds); `None` before the first.
    #[must_use]
    pub fn at(&self, unix_us: i64) -> Option<&PriceRow> {
        self.0.iter().rev().find(|row| row.in_force(unix_us))
    }

    /// The price of a service at this wall clock, where it is known.
    #[must_use]
    pub fn price(&self, unix_us: i64, service: Service) -> Option<&Price> {
        let row = self.at(unix_us)?;
        match service {
            Service::Standard => Some(&row.price),
            Service::Batch => row.batch.as_ref(),
        }
    }

    /// What an answered call of this time costs; see [`Price::cost`].
    #[must_use]
    pub fn cost(&self, usage: &Usage, unix_us: i64) -> Option<NanoUsd> {
        Some(self.price(unix_us, Service::Standard)?.cost(usage))
    }

    /// The most that a call of this time may cost that uses so many tokens or fewer.
    #[must_use]
    pub fn cost_at_most(&self, usage: &Usage, unix_us: i64) -> Option<NanoUsd> {
        Some(self.price(unix_us, Service::Standard)?.cost_at_most(usage))
    }

    /// The most that it costs at any time that is known of.
    #[must_use]
    pub fn cost_ever(&self, usage: &Usage) -> NanoUsd {
        self.0.iter().map(|row| row.price.cost(usage)).max().unwrap_or_default()
    }
}

impl Serialize for Prices {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(to)
    }
}

#[cfg(test)]
mod tests;
