//! What LiteLLM's price data says of the same models, from its wheel on PyPI.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};
use baton_core::{Day, NanoUsd, Price, Prices, Rates, Service};
use baton_provider::PriceList;
use serde_json::{Map, Value};

use crate::report::progress;

const PACKAGE: &str = "litellm==1.99.4";
const SHA256: &str = "da15b5ecf65d2cbf315ca5036917fadf3f3db91c815e11bfb71b9b601f9020bc";
/// Its wheels are one for each platform, with the same data in each.
const PLATFORM: &str = "manylinux_2_28_x86_64";
const DATA: &str = "litellm/model_prices_and_context_window_backup.json";
/// The date of the file in its wheel: prices of that day are compared.
pub(super) const AS_OF: &str = "2026-09-25";
/// Ours are known from 2026-10-14 on.
pub(super) const BATCH_AS_OF: &str = "2026-10-14";
/// At noon in UTC, between the hours at which DeepSeek is dearest.
const NOON_US: i64 = 12 * 3_600_000_000;

/// Our vendor, LiteLLM's name for it, and what it puts before its models.
const VENDORS: [(&str, &str, &str); 10] = [
    ("openai", "openai", ""),
    ("anthropic", "anthropic", ""),
    ("mistral", "mistral", "mistral/"),
    ("groq", "groq", "groq/"),
    ("together", "together_ai", "together_ai/"),
    ("deepseek", "deepseek", "deepseek/"),
    ("openrouter", "openrouter", "openrouter/"),
    ("fireworks", "fireworks_ai", "fireworks_ai/"),
    ("xai", "xai", "xai/"),
    ("gemini", "gemini", "gemini/"),
];
const KINDS: [(&str, &str); 6] = [
    ("input", "input_cost_per_token"),
    ("output", "output_cost_per_token"),
    ("cached", "cache_read_input_token_cost"),
    ("cache write", "cache_creation_input_token_cost"),
    ("cache write for an hour", "cache_creation_input_token_cost_above_1hr"),
    ("reasoning", "output_cost_per_reasoning_token"),
];
/// Thousands of tokens from which long prompts cost more.
const TIERS: [u64; 5] = [100, 128, 200, 256, 272];

/// Why two prices may differ. The first that fits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Hours,
    Dated,
    Tier,
    Alias,
    Resold,
    Other,
}

impl Kind {
    pub(super) const ALL: [Self; 6] = [Self::Hours, Self::Dated, Self::Tier, Self::Alias, Self::Resold, Self::Other];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Hours => "hours",
            Self::Dated => "dated",
            Self::Tier => "tier",
            Self::Alias => "alias",
            Self::Resold => "resold",
            Self::Other => "other",
        }
    }

    pub(super) fn says(self) -> &'static str {
        match self {
            Self::Hours => "LiteLLM states the price of the peak hours alone",
            Self::Dated => "LiteLLM states what we have from another day on, or until one",
            Self::Tier => "one of the two states no other price for long prompts",
            Self::Alias => "a name without a version, which the two take for different models",
            Self::Resold => "OpenRouter's, which change with the hosts that it chooses",
            Self::Other => "two different prices",
        }
    }
}

pub(super) struct Difference {
    model: String,
    what: String,
    ours: NanoUsd,
    theirs: NanoUsd,
    pub(super) kind: Kind,
}

impl Difference {
    pub(super) fn says(&self) -> String {
        format!("{} {}: {} here, {} there", self.model, self.what, self.ours, self.theirs)
    }
}

/// By vendor.
#[derive(Default)]
pub(super) struct Compared {
    pub(super) both: BTreeMap<&'static str, usize>,
    pub(super) same: BTreeMap<&'static str, usize>,
    pub(super) differences: Vec<Difference>,
}

impl Compared {
    /// How many prices of these vendors are the same, and how many both state.
    pub(super) fn of(&self, vendors: &[&str]) -> (usize, usize) {
        let sum = |counts: &BTreeMap<&'static str, usize>| vendors.iter().filter_map(|name| counts.get(name)).sum();
        (sum(&self.same), sum(&self.both))
    }
}

pub(super) fn compare(wheel: Option<PathBuf>) -> anyhow::Result<Compared> {
    let wheel = wheel.map_or_else(download, Ok)?;
    let data: Map<String, Value> = serde_json::from_str(&text(&wheel)?).context("LiteLLM's price data")?;
    let mut compared = Compared::default();
    for (name, entry) in &data {
        let of = VENDORS.iter().find(|(_, theirs, prefix)| {
            entry["litellm_provider"].as_str() == Some(*theirs) && name.starts_with(prefix)
        });
        let by_tokens = matches!(entry["mode"].as_str(), Some("chat" | "completion" | "responses" | "embedding"));
        if let Some((vendor, _, prefix)) = of.filter(|_| by_tokens) {
            model(vendor, &name[prefix.len()..], entry, &mut compared)?;
        }
    }
    Ok(compared)
}

/// One price of one model that both state.
struct Pair<'a> {
    what: String,
    ours: NanoUsd,
    theirs: NanoUsd,
    /// What to hold theirs against in other rows.
    of: &'a dyn Fn(&Price) -> Option<NanoUsd>,
    /// Whether one of the two has no such tier.
    untiered: bool,
}

fn model(vendor: &'static str, name: &str, entry: &Value, compared: &mut Compared) -> anyhow::Result<()> {
    let id = format!("{vendor}/{name}");
    let list = PriceList::built_in();
    let Some(prices) = list.find(&id).and_then(|listed| listed.prices.as_ref()) else { return Ok(()) };
    let at = |day: &str| anyhow::Ok(day.parse::<Day>()?.start_us() + NOON_US);
    let mut take = |pair: Pair<'_>| {
        *compared.both.entry(vendor).or_default() += 1;
        if pair.ours == pair.theirs {
            *compared.same.entry(vendor).or_default() += 1;
        } else {
            let kind = kind(vendor, name, prices, &pair);
            let (ours, theirs) = (pair.ours, pair.theirs);
            compared.differences.push(Difference { model: id.clone(), what: pair.what, ours, theirs, kind });
        }
    };
    let now = prices.price(at(AS_OF)?, Service::Standard);
    let batch = prices.price(at(BATCH_AS_OF)?, Service::Batch);
    for (n, (kind, key)) in KINDS.into_iter().enumerate() {
        for (tier, suffix) in std::iter::once((None, String::new()))
            .chain(TIERS.map(|tier| (Some(tier), format!("_above_{tier}k_tokens"))))
        {
            // A token more than the tier: below it other rates hold.
            let tokens = tier.map_or(0, |tier| tier * 1000 + 1);
            let of = |price: &Price| rate(price.rates(tokens), n);
            if let (Some(theirs), Some(ours)) = (per_million(&entry[format!("{key}{suffix}")]), now.and_then(of)) {
                let above = tier.map(|tier| format!(" above {tier},000 tokens")).unwrap_or_default();
                let untiered = now.is_some_and(|price| tokens > 0 && price.tiers.is_empty());
                take(Pair { what: format!("{kind}{above}"), ours, theirs, of: &of, untiered });
            }
        }
        let of = |price: &Price| rate(&price.rates, n);
        if let (Some(theirs), Some(ours)) = (per_million(&entry[format!("{key}_batches")]), batch.and_then(of)) {
            take(Pair { what: format!("{kind} in a batch"), ours, theirs, of: &of, untiered: false });
        }
    }
    Ok(())
}

fn kind(vendor: &str, name: &str, prices: &Prices, pair: &Pair<'_>) -> Kind {
    let states = |by_hours: bool| {
        let mut rows = prices.rows().iter().filter(|row| row.hours.is_some() == by_hours);
        rows.any(|row| (pair.of)(&row.price) == Some(pair.theirs))
    };
    let versioned = name.bytes().filter(u8::is_ascii_digit).count() >= 4;
    match () {
        () if states(true) => Kind::Hours,
        () if states(false) => Kind::Dated,
        () if pair.untiered => Kind::Tier,
        () if vendor == "openrouter" => Kind::Resold,
        () if name.ends_with("latest") || !versioned && !name.bytes().any(|byte| byte.is_ascii_digit()) => Kind::Alias,
        () => Kind::Other,
    }
}

/// What is stated, in the order of [`KINDS`].
fn rate(rates: &Rates, kind: usize) -> Option<NanoUsd> {
    [
        Some(rates.input_per_million),
        Some(rates.output_per_million),
        rates.cached_per_million,
        rates.cache_write_per_million,
        rates.cache_write_1h_per_million,
        rates.reasoning_per_million,
    ][kind]
}

/// From dollars a token, which they write as binary fractions.
fn per_million(cost: &Value) -> Option<NanoUsd> {
    let cost = cost.as_f64().filter(|cost| (0.0..1.0).contains(cost))?;
    #[expect(clippy::cast_possible_truncation, reason = "below 10^15")]
    let nano = (cost * 1e15).round() as i64;
    Some(NanoUsd(nano))
}

fn download() -> anyhow::Result<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/prices");
    std::fs::create_dir_all(&folder)?;
    if let Some(wheel) = wheel_in(&folder)? {
        return Ok(wheel);
    }
    progress(&format!("downloading {PACKAGE}"));
    std::fs::write(folder.join("litellm.txt"), format!("{PACKAGE} --hash=sha256:{SHA256}\n"))?;
    let download = ["-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--require-hashes"];
    let from = ["--platform", PLATFORM, "--requirement", "litellm.txt", "--dest", "."];
    let status = Command::new("python3").current_dir(&folder).args(download).args(from).status().context("python3")?;
    match wheel_in(&folder)? {
        Some(wheel) if status.success() => Ok(wheel),
        _ => bail!("{PACKAGE} cannot be downloaded"),
    }
}

fn wheel_in(folder: &Path) -> anyhow::Result<Option<PathBuf>> {
    let start = format!("{}-", PACKAGE.replace("==", "-"));
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with(&start)) {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

/// Its price data, unpacked by Python, which is there where pip is.
fn text(wheel: &Path) -> anyhow::Result<String> {
    const UNPACK: &str = "import sys, zipfile; sys.stdout.buffer.write(zipfile.ZipFile(sys.argv[1]).read(sys.argv[2]))";
    let mut python = Command::new("python3");
    let read = python.args(["-c", UNPACK]).arg(wheel).arg(DATA).stderr(Stdio::inherit()).output().context("python3")?;
    if !read.status.success() {
        bail!("{} is no wheel of LiteLLM", wheel.display());
    }
    Ok(String::from_utf8(read.stdout)?)
}
