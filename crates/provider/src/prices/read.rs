//! From the JSON of a price list to prices.

use std::collections::BTreeMap;

use baton_core::{Day, NanoUsd, Price, PriceRow, Prices, Rates, Tier};
use serde::Deserialize;

use super::{ListedModel, PriceList, PriceSource};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListFile {
    sources: Vec<PriceSource>,
    vendors: BTreeMap<String, Vec<ModelFile>>,
    #[serde(default)]
    retires: BTreeMap<String, BTreeMap<String, String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ModelFile {
    id: String,
    names: Vec<Names>,
    rows: Vec<RowFile>,
    #[serde(default)]
    deprecated: bool,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Names {
    One(String),
    Every(Vec<String>),
}

#[derive(Deserialize)]
struct RowFile {
    from: Option<String>,
    hours: Option<[String; 2]>,
    #[serde(flatten)]
    price: PriceFile,
    batch: Option<PriceFile>,
}

#[derive(Deserialize)]
struct PriceFile {
    #[serde(flatten)]
    rates: RatesFile,
    #[serde(default)]
    tiers: Vec<TierFile>,
}

#[derive(Deserialize)]
struct TierFile {
    above: u64,
    #[serde(flatten)]
    rates: RatesFile,
}

#[derive(Deserialize)]
struct RatesFile {
    input: String,
    output: String,
    cached: Option<String>,
    cache_write: Option<String>,
    cache_write_1h: Option<String>,
    reasoning: Option<String>,
}

pub(super) fn list(text: &str) -> Result<PriceList, String> {
    let file: ListFile = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let mut vendors = BTreeMap::new();
    for (vendor, models) in file.vendors {
        let of = |model: ModelFile| {
            let id = model.id.clone();
            self::model(model).map_err(|wrong| format!("{vendor}/{id}: {wrong}"))
        };
        let models: Result<Vec<_>, String> = models.into_iter().map(of).collect();
        vendors.insert(vendor.clone(), models?);
    }
    let mut retires = BTreeMap::new();
    for (vendor, dates) in file.retires {
        let day = |(name, text): (String, String)| match text.parse::<Day>() {
            Ok(day) => Ok((name.to_ascii_lowercase(), day)),
            Err(wrong) => Err(format!("{vendor}/{name} retires on {wrong}")),
        };
        let dates: Result<BTreeMap<_, _>, String> = dates.into_iter().map(day).collect();
        retires.insert(vendor.clone(), dates?);
    }
    Ok(PriceList { sources: file.sources, vendors, retires })
}

fn model(file: ModelFile) -> Result<ListedModel, String> {
    let every = |names: Names| match names {
        Names::One(pattern) => vec![pattern],
        Names::Every(patterns) => patterns,
    };
    let names = file.names.into_iter().map(every).collect();
    let rows: Result<Vec<PriceRow>, String> = file.rows.iter().map(row).collect();
    Ok(ListedModel { id: file.id, prices: Prices::new(rows?), deprecated: file.deprecated, names })
}

fn row(file: &RowFile) -> Result<PriceRow, String> {
    let hours = match &file.hours {
        Some([from, until]) => Some((second(from)?, second(until)?)),
        None => None,
    };
    let from = file.from.as_deref().map(str::parse::<Day>).transpose().map_err(|wrong| wrong.to_string())?;
    Ok(PriceRow { from, hours, price: price(&file.price)?, batch: file.batch.as_ref().map(price).transpose()? })
}

/// `16:30` as a second of the day.
fn second(text: &str) -> Result<u32, String> {
    let wrong = || format!("`{text}` is not an hour and a minute");
    let (hour, minute) = text.split_once(':').ok_or_else(wrong)?;
    let number = |text: &str, max: u32| text.parse::<u32>().ok().filter(|number| *number < max).ok_or_else(wrong);
    Ok(number(hour, 24)? * 3600 + number(minute, 60)? * 60)
}

fn price(file: &PriceFile) -> Result<Price, String> {
    let tier = |tier: &TierFile| Ok(Tier { above_tokens: tier.above, rates: rates(&tier.rates)? });
    let tiers: Vec<Tier> = file.tiers.iter().map(tier).collect::<Result<_, String>>()?;
    if !tiers.is_sorted_by(|a, b| a.above_tokens < b.above_tokens) {
        return Err("its tiers are not in order".into());
    }
    Ok(Price { rates: rates(&file.rates)?, tiers })
}

fn rates(file: &RatesFile) -> Result<Rates, String> {
    let usd = |text: &str| text.parse::<NanoUsd>().map_err(|wrong| wrong.to_string());
    let maybe = |text: &Option<String>| text.as_deref().map(usd).transpose();
    Ok(Rates {
        input_per_million: usd(&file.input)?,
        output_per_million: usd(&file.output)?,
        cached_per_million: maybe(&file.cached)?,
        cache_write_per_million: maybe(&file.cache_write)?,
        cache_write_1h_per_million: maybe(&file.cache_write_1h)?,
        reasoning_per_million: maybe(&file.reasoning)?,
    })
}
