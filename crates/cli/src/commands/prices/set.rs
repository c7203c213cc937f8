//! A price into baton.toml, with its comments and its form kept.

use std::path::Path;

use baton_core::{Day, NanoUsd};
use clap::Args;
use toml_edit::{DocumentMut, InlineTable, Item, Table, TableLike, Value};

use crate::exit::{Exit, say};
use crate::setup::{Folder, colour};

/// Write a model's price into baton.toml: it comes before the built-in list
///
/// What is not given stays as it is. Tiers for long prompts are written by hand: `tiers` in
/// docs/prices.md.
#[derive(Args)]
pub(super) struct Set {
    /// An alias of baton.toml, or `provider/model`
    model: String,
    /// Dollars for a million tokens that are read
    #[arg(long, value_name = "USD", value_parser = usd)]
    input: Option<NanoUsd>,
    /// Of those that are written
    #[arg(long, value_name = "USD", value_parser = usd)]
    output: Option<NanoUsd>,
    /// Of those that the provider reads from its cache
    #[arg(long, value_name = "USD", value_parser = usd)]
    cached: Option<NanoUsd>,
    /// Of those that it writes to its cache
    #[arg(long, value_name = "USD", value_parser = usd)]
    cache_write: Option<NanoUsd>,
    /// Of those that it writes to be kept for an hour
    #[arg(long = "cache-write-1h", value_name = "USD", value_parser = usd)]
    cache_write_1h: Option<NanoUsd>,
    /// Of reasoning
    #[arg(long, value_name = "USD", value_parser = usd)]
    reasoning: Option<NanoUsd>,
    /// What calls of its batch API cost of all this, in percent
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u32).range(..=100))]
    batch_percent: Option<u32>,
    /// The first day of this price (UTC), for example 2027-01-01; the built-in one counts until then
    #[arg(long, value_name = "DAY", value_parser = day)]
    from: Option<Day>,
    #[command(flatten)]
    folder: Folder,
}

fn usd(text: &str) -> Result<NanoUsd, baton_core::ParseUsdError> {
    text.parse()
}

fn day(text: &str) -> Result<Day, baton_core::ParseDayError> {
    text.parse()
}

impl Set {
    pub(super) fn run(self) -> Result<(), Exit> {
        let path = self.folder.dir.join("baton.toml");
        let outside = |error: std::io::Error| Exit::outside(format!("{}: {error}", path.display()));
        let before = match std::fs::read_to_string(&path) {
            Ok(text) => Some(text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(outside(error)),
        };
        let text = before.as_deref().unwrap_or_default();
        let mut document: DocumentMut =
            text.parse().map_err(|error| Exit::usage(format!("{}: {error}", path.display())))?;
        let alias = self.write(&mut document).map_err(Exit::usage)?;
        replace(&path, &document.to_string()).map_err(outside)?;
        // What would not load is not left there.
        if let Err(report) = self.folder.load() {
            let restored = match &before {
                Some(text) => replace(&path, text),
                None => std::fs::remove_file(&path),
            };
            restored.map_err(outside)?;
            let report = report.render(colour());
            return Err(Exit::usage(format!("{report}\n{} is as it was", path.display())));
        }
        say!("{}: the price of `{alias}` is written; `baton prices diff` shows what it changes", path.display());
        Ok(())
    }

    /// Gives the alias that it was written to.
    fn write(&self, document: &mut DocumentMut) -> Result<String, String> {
        let models = document.entry("models").or_insert_with(parent).as_table_like_mut();
        let models = models.ok_or("`models` of baton.toml is no table")?;
        let alias = self.alias(models)?;
        let model = models.entry(&alias).or_insert_with(|| Item::Table(Table::new())).as_table_like_mut();
        let model = model.ok_or_else(|| format!("`models.{alias}` of baton.toml is no table"))?;
        if !model.contains_key("id") {
            model.insert("id", self.model.as_str().into());
        }
        let price = model.entry("price").or_insert_with(|| Item::Value(InlineTable::new().into()));
        let price = price.as_table_like_mut().ok_or_else(|| format!("`models.{alias}.price` is no table"))?;
        for (key, amount) in [
            ("input", self.input),
            ("output", self.output),
            ("cached", self.cached),
            ("cache_write", self.cache_write),
            ("cache_write_1h", self.cache_write_1h),
            ("reasoning", self.reasoning),
        ] {
            if let Some(amount) = amount {
                put(price, key, format!("{amount} USD/M").into());
            }
        }
        if let Some(percent) = self.batch_percent {
            put(price, "batch_percent", i64::from(percent).into());
        }
        if let Some(day) = self.from {
            put(price, "from", day.to_string().into());
        }
        let missing: Vec<&str> = ["input", "output"].into_iter().filter(|key| !price.contains_key(key)).collect();
        if let Some(table) = model.get_mut("price").and_then(Item::as_inline_table_mut) {
            table.fmt(); // A comma is where one writes it.
        }
        if missing.is_empty() {
            Ok(alias)
        } else {
            Err(format!("`{alias}` has no price in baton.toml yet: give it --{} too", missing.join(" and --")))
        }
    }

    /// The alias that is named, or of the model that is; else a new one.
    fn alias(&self, models: &dyn TableLike) -> Result<String, String> {
        if !self.model.contains('/') {
            let named = models.contains_key(&self.model).then(|| self.model.clone());
            return named.ok_or_else(|| {
                format!("baton.toml has no [models.{}]: write `provider/model`, and it gets one", self.model)
            });
        }
        let is = |item: &Item| item.get("id").and_then(Item::as_str) == Some(self.model.as_str());
        // Where a model has two aliases, one of them holds its price.
        let with_price = models.iter().find(|(_, item)| is(item) && item.get("price").is_some());
        let known = with_price.or_else(|| models.iter().find(|(_, item)| is(item)));
        if let Some((alias, _)) = known {
            return Ok(alias.to_owned());
        }
        let name = self.model.split_once('/').map_or("", |(_, name)| name).replace('/', "-");
        let free = |name: &String| !models.contains_key(name) && name != "local";
        let others = (2..).map(|n| format!("{name}-{n}"));
        std::iter::once(name.clone()).chain(others).find(free).ok_or_else(|| "no alias is free".into())
    }
}

/// `[models]` itself is not written: only what is in it.
fn parent() -> Item {
    let mut table = Table::new();
    table.set_implicit(true);
    Item::Table(table)
}

/// In the place of what was there, with its comment.
fn put(table: &mut dyn TableLike, key: &str, mut value: Value) {
    if let Some(old) = table.get(key).and_then(Item::as_value) {
        *value.decor_mut() = old.decor().clone();
    }
    table.insert(key, Item::Value(value));
}

/// Written beside it, and put in its place whole.
fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    let beside = path.with_extension("toml.new");
    std::fs::write(&beside, text)?;
    std::fs::rename(&beside, path)
}
