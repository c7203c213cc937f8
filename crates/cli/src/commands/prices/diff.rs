//! What would cost something else: by another list, or by what baton.toml says beside the built-in one.

use std::path::PathBuf;

use baton_config::ModelSpec;
use baton_core::Prices;
use baton_provider::{PriceList, list_price};
use clap::Args;
use serde_json::{Value, json};

use super::list::sources;
use super::{lines, row_json};
use crate::exit::{Exit, say};
use crate::setup::{Folder, unix_us};

/// What is charged now, and what another price list would charge; without a file, baton.toml beside the
/// built-in list
#[derive(Args)]
pub(super) struct Diff {
    /// A price list as `cargo xtask gen prices` writes it, of another version for example
    file: Option<PathBuf>,
    /// Print one JSON document
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    folder: Folder,
}

/// A model with two prices that differ.
struct Change {
    model: String,
    before: Option<Prices>,
    after: Option<Prices>,
    /// Whether baton.toml has a price of its own, so that the list does not matter.
    overridden: bool,
}

impl Diff {
    pub(super) fn run(self) -> Result<(), Exit> {
        let snapshot = self.folder.snapshot()?;
        let mut specs: Vec<&ModelSpec> = snapshot.models.iter().filter(|spec| spec.id.as_str() != "local").collect();
        specs.dedup_by(|a, b| a.id == b.id);
        let other = self.file.as_ref().map(|path| {
            let outside = |error: std::io::Error| Exit::outside(format!("{}: {error}", path.display()));
            let text = std::fs::read_to_string(path).map_err(outside)?;
            PriceList::parse(&text).map_err(|error| Exit::usage(format!("{}: {error}", path.display())))
        });
        let other = other.transpose()?;
        let change = |spec: &&ModelSpec| {
            let model = spec.id.to_string();
            let listed = list_price(&model);
            let overridden = spec.price != listed;
            let (before, after) = match &other {
                Some(other) => (listed, other.find(&model).and_then(|entry| entry.prices.clone())),
                None => (listed, spec.price.clone()),
            };
            (before != after).then_some(Change { model, before, after, overridden })
        };
        let changes: Vec<Change> = specs.iter().filter_map(change).collect();
        if self.json {
            let other_sources = other.as_ref().map(sources);
            let changes: Vec<Value> = changes.iter().map(Change::json).collect();
            say!("{}", json!({ "models": specs.len(), "changes": changes, "sources": other_sources }));
            return Ok(());
        }
        let (one, two) = if other.is_some() { ("built in", "in the file") } else { ("built in", "baton.toml") };
        for change in &changes {
            change.print(one, two, other.is_some());
        }
        say!("{} of {} models in use cost something else", changes.len(), specs.len());
        if let Some(other) = &other {
            say!("of all models: {}", all(PriceList::built_in(), other));
        }
        Ok(())
    }
}

impl Change {
    fn print(&self, one: &str, two: &str, by_file: bool) {
        let note = if by_file && self.overridden { " (baton.toml has a price of its own, which stays)" } else { "" };
        say!("{}{note}", self.model);
        for (name, prices) in [(one, &self.before), (two, &self.after)] {
            for line in lines(prices.as_ref(), unix_us()) {
                say!("  {name}: {line}");
            }
        }
    }

    fn json(&self) -> Value {
        let rows = |prices: &Option<Prices>| {
            prices.as_ref().map(|prices| prices.rows().iter().map(row_json).collect::<Vec<_>>())
        };
        json!({
            "model": self.model, "before": rows(&self.before), "after": rows(&self.after),
            "overridden": self.overridden,
        })
    }
}

/// How many models of a list are new, gone, and priced otherwise.
fn all(before: &PriceList, after: &PriceList) -> String {
    let ids = |list: &PriceList| -> std::collections::BTreeMap<String, Option<Prices>> {
        let of = |(vendor, models): (&String, &Vec<baton_provider::ListedModel>)| {
            models.iter().map(|model| (format!("{vendor}/{}", model.id), model.prices.clone())).collect::<Vec<_>>()
        };
        list.vendors.iter().flat_map(of).collect()
    };
    let (before, after) = (ids(before), ids(after));
    let new = after.keys().filter(|id| !before.contains_key(*id)).count();
    let gone = before.keys().filter(|id| !after.contains_key(*id)).count();
    let changed = after.iter().filter(|(id, prices)| before.get(*id).is_some_and(|old| old != *prices)).count();
    format!("{changed} priced otherwise, {new} new, {gone} gone")
}
