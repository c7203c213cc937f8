//! What is known of models' prices, and from where.

use baton_core::Prices;
use baton_provider::{ListedModel, PriceList, PriceSource, list_price};
use clap::Args;
use serde_json::{Value, json};

use super::{lines, row_json};
use crate::exit::{Exit, say, tell};
use crate::setup::{Folder, plain_table, unix_us};

/// Dollars for a million tokens, by kind: of the models of this configuration, or of the built-in list
#[derive(Args)]
pub(super) struct List {
    /// What the name of a model of the built-in list contains: `openai/`, `gpt-5`
    filter: Option<String>,
    /// Print one JSON document, with every row
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    folder: Folder,
}

struct Row {
    model: String,
    prices: Option<Prices>,
    from: String,
    retires: Option<String>,
}

impl List {
    pub(super) fn run(self) -> Result<(), Exit> {
        let list = PriceList::built_in();
        let rows = match &self.filter {
            Some(filter) => listed(list, filter),
            None => configured(list, &self.folder)?,
        };
        let now_us = unix_us();
        if self.json {
            say!("{}", json!({ "sources": sources(list), "models": rows.iter().map(Row::json).collect::<Vec<_>>() }));
            return Ok(());
        }
        if rows.is_empty() {
            tell!("no model of this name has a known price");
        }
        let mut table = plain_table();
        table.set_header(["model", "USD a million tokens", "from", "turned off"]);
        for row in &rows {
            let price = lines(row.prices.as_ref(), now_us).join("\n");
            let retires = row.retires.clone().unwrap_or_default();
            table.add_row([row.model.clone(), price, row.from.clone(), retires]);
        }
        say!("{table}");
        for PriceSource { package, version, wheel_sha256, licence, what } in &list.sources {
            say!("{what}: {package} {version} ({licence}), sha256 {wheel_sha256}");
        }
        Ok(())
    }
}

impl Row {
    fn json(&self) -> Value {
        let rows = self.prices.as_ref().map(|prices| prices.rows().iter().map(row_json).collect::<Vec<_>>());
        json!({ "model": self.model, "from": self.from, "rows": rows, "retires": self.retires })
    }
}

pub(super) fn sources(list: &PriceList) -> Value {
    let source = |source: &PriceSource| {
        json!({
            "of": source.what, "package": source.package, "version": source.version,
            "wheel_sha256": source.wheel_sha256, "licence": source.licence,
        })
    };
    list.sources.iter().map(source).collect()
}

fn listed(list: &PriceList, filter: &str) -> Vec<Row> {
    let filter = filter.to_ascii_lowercase();
    let all = list.vendors.iter().flat_map(|(vendor, models)| models.iter().map(move |model| (vendor, model)));
    let row = |(vendor, model): (&String, &ListedModel)| {
        let name = format!("{vendor}/{}", model.id);
        let deprecated = || model.deprecated.then(|| "deprecated".to_owned());
        Row {
            prices: model.prices.clone(),
            from: "built-in list".into(),
            retires: list.retires(&name).map(|day| day.to_string()).or_else(deprecated),
            model: name,
        }
    };
    all.map(row).filter(|row| row.model.to_ascii_lowercase().contains(&filter)).collect()
}

fn configured(list: &PriceList, folder: &Folder) -> Result<Vec<Row>, Exit> {
    let snapshot = folder.snapshot()?;
    if snapshot.models.is_empty() {
        tell!("no model is configured; `baton prices list NAME` looks into the built-in list");
    }
    let row = |spec: &baton_config::ModelSpec| {
        let model = spec.id.to_string();
        let from = match (&spec.price, list.find(&model)) {
            (None, _) => "nowhere: `baton prices set`".to_owned(),
            (Some(_), Some(entry)) if spec.price == list_price(&model) => format!("built-in list: {}", entry.id),
            (Some(_), _) if model == "local" => "it runs in here".to_owned(),
            (Some(_), _) => "baton.toml".to_owned(),
        };
        let retires = list.retires(&model).map(|day| day.to_string());
        Row { prices: spec.price.clone(), from, retires, model }
    };
    let mut rows: Vec<Row> = snapshot.models.iter().map(row).collect();
    rows.dedup_by(|a, b| a.model == b.model);
    Ok(rows)
}
