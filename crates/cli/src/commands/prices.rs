//! `baton prices`: what models cost, where that is known from, and what would change.

mod diff;
mod list;
mod set;

use baton_core::{Day, NanoUsd, Price, PriceRow, Rates};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::exit::Exit;

/// List, set and compare prices.
///
/// A call costs what the row in force at its time says, for the tokens that its provider reports; its
/// record keeps that for good. What baton.toml says comes before the built-in list.
#[derive(Args)]
#[command(after_help = "\
Examples:
  baton prices list                      the models of this configuration
  baton prices list gpt-5                what the built-in list says of models of this name
  baton prices set openai/gpt-4o-mini --input 0.15 --output 0.60 --cached 0.075
  baton prices set openai/gpt-4o-mini --input 0.12 --output 0.50 --from 2027-01-01
  baton prices diff                      where baton.toml and the built-in list differ
  baton prices diff prices.json          what another price list would change")]
pub(crate) struct Prices {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    List(list::List),
    Set(set::Set),
    #[command(alias = "compare")]
    Diff(diff::Diff),
}

impl Prices {
    pub(super) fn json(&self) -> bool {
        match &self.command {
            Command::List(list) => list.json,
            Command::Diff(diff) => diff.json,
            Command::Set(_) => false,
        }
    }

    pub(crate) fn run(self) -> Result<(), Exit> {
        match self.command {
            Command::List(list) => list.run(),
            Command::Set(set) => set.run(),
            Command::Diff(diff) => diff.run(),
        }
    }
}

/// The kinds of tokens with what each costs; `None` costs what others of its direction cost.
fn kinds(rates: &Rates) -> [(&'static str, Option<NanoUsd>); 6] {
    [
        ("input", Some(rates.input_per_million)),
        ("output", Some(rates.output_per_million)),
        ("cached", rates.cached_per_million),
        ("cache_write", rates.cache_write_per_million),
        ("cache_write_1h", rates.cache_write_1h_per_million),
        ("reasoning", rates.reasoning_per_million),
    ]
}

fn rates_json(rates: &Rates) -> Value {
    let said = kinds(rates).into_iter().filter_map(|(kind, rate)| Some((kind.to_owned(), json!(rate?.to_string()))));
    Value::Object(said.collect())
}

/// Dollars for a million tokens.
fn price_json(price: &Price) -> Value {
    let mut document = rates_json(&price.rates);
    if !price.tiers.is_empty() {
        let tier =
            |tier: &baton_core::Tier| json!({ "above_tokens": tier.above_tokens, "rates": rates_json(&tier.rates) });
        document["tiers"] = price.tiers.iter().map(tier).collect();
    }
    document
}

fn row_json(row: &PriceRow) -> Value {
    let hours = row.hours.map(|(from, until)| format!("{}-{}", clock(from), clock(until)));
    json!({
        "from": row.from.map(|day| day.to_string()), "hours_utc": hours,
        "usd_per_million": price_json(&row.price), "batch_usd_per_million": row.batch.as_ref().map(price_json),
    })
}

/// A second of the day as people write it.
fn clock(second: u32) -> String {
    format!("{:02}:{:02}", second / 3600, second / 60 % 60)
}

/// A row in a line: `0.15 in, 0.60 out, 0.075 cached; above 200000 tokens 0.30 in, …`.
fn line(row: &PriceRow) -> String {
    let rates = |rates: &Rates| {
        let said = kinds(rates).into_iter().filter_map(|(kind, rate)| Some(format!("{} {}", rate?, name(kind))));
        said.collect::<Vec<_>>().join(", ")
    };
    let mut line = rates(&row.price.rates);
    for tier in &row.price.tiers {
        line += &format!("; above {} tokens {}", tier.above_tokens, rates(&tier.rates));
    }
    if let Some(batch) = &row.batch {
        line += &format!("; batch {}", rates(&batch.rates));
    }
    if let Some((from, until)) = row.hours {
        line += &format!("; {}-{} UTC", clock(from), clock(until));
    }
    line + &row.from.map(|day| format!("; from {day}")).unwrap_or_default()
}

fn name(kind: &'static str) -> &'static str {
    match kind {
        "input" => "in",
        "output" => "out",
        "cache_write" => "cache write",
        "cache_write_1h" => "for an hour",
        kind => kind,
    }
}

/// The rows that are in force today or come into force later, a line each.
fn lines(prices: Option<&baton_core::Prices>, now_us: i64) -> Vec<String> {
    let Some(prices) = prices else { return vec!["not known".into()] };
    let today = Day::of(now_us);
    // The row of the day, and what stands after it: hours, and days to come.
    let past = |row: &PriceRow| row.from.is_none_or(|from| from <= today) && row.hours.is_none();
    let first = prices.rows().iter().rposition(past).unwrap_or_default();
    prices.rows()[first..].iter().map(line).collect()
}
