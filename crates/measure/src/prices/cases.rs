//! The cases that were worked out by hand.

use anyhow::{Context as _, bail};
use baton_core::{Day, NanoUsd, Service, Usage};
use baton_provider::list_price;

/// What was expected, and what the list says.
pub(super) struct Case {
    pub(super) name: String,
    expected: Option<NanoUsd>,
    found: Option<NanoUsd>,
    rule: String,
}

impl Case {
    pub(super) fn holds(&self) -> bool {
        self.expected == self.found
    }

    pub(super) fn says(&self) -> String {
        let usd = |amount: Option<NanoUsd>| amount.map_or("unknown".to_owned(), |amount| amount.to_string());
        format!("{} by hand ({}), {} by the list", usd(self.expected), self.rule, usd(self.found))
    }
}

pub(super) fn all() -> anyhow::Result<Vec<Case>> {
    let lines = include_str!("cases.txt").lines().map(str::trim);
    let lines = lines.enumerate().filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    lines.map(|(n, line)| case(line).with_context(|| format!("cases.txt, line {}", n + 1))).collect()
}

fn case(line: &str) -> anyhow::Result<Case> {
    let parts: Vec<&str> = line.splitn(5, '|').map(str::trim).collect();
    let [model, when, tokens, usd, rule] = parts[..] else { bail!("five parts are expected") };
    let (service, usage) = usage(tokens)?;
    let price = list_price(model);
    let found = price.as_ref().and_then(|prices| prices.price(unix_us(when)?, service)).map(|price| price.cost(&usage));
    if unix_us(when).is_none() {
        bail!("`{when}` is no day and time");
    }
    let expected = if usd == "unknown" { None } else { Some(usd.parse()?) };
    Ok(Case { name: format!("{model}, {when}, {tokens}"), expected, found, rule: rule.to_owned() })
}

/// `2026-11-20 12:00` in UTC.
fn unix_us(when: &str) -> Option<i64> {
    let (day, time) = when.split_once(' ')?;
    let (hour, minute) = time.split_once(':')?;
    let (hour, minute): (i64, i64) = (hour.parse().ok()?, minute.parse().ok()?);
    Some(day.parse::<Day>().ok()?.start_us() + (hour * 60 + minute) * 60_000_000)
}

fn usage(text: &str) -> anyhow::Result<(Service, Usage)> {
    let (service, text) = match text.strip_prefix("batch ") {
        Some(rest) => (Service::Batch, rest),
        None => (Service::Standard, text),
    };
    let mut usage = Usage::default();
    let words: Vec<&str> = text.split_whitespace().collect();
    for pair in words.chunks(2) {
        let [kind, count] = pair else { bail!("`{text}`: each kind has a count") };
        let tokens = match *kind {
            "in" => &mut usage.input_tokens,
            "out" => &mut usage.output_tokens,
            "cached" => &mut usage.cached_tokens,
            "written" => &mut usage.cache_write_tokens,
            "hour" => &mut usage.cache_write_1h_tokens,
            "reasoning" => &mut usage.reasoning_tokens,
            kind => bail!("there are no tokens of kind `{kind}`"),
        };
        *tokens = count.parse()?;
    }
    Ok((service, usage))
}
