//! What the demonstration adds up, and the tables at its end.

use std::collections::BTreeMap;

use baton_core::{NanoUsd, Usage};
use comfy_table::CellAlignment;
use serde_json::{Map, Value, json};

use super::costs::Costs;
use super::line::Side;
use crate::setup::plain_table;

/// One intent's figures.
#[derive(Default)]
pub(super) struct Figures {
    ms: Vec<f64>,
    plain_ms: Vec<f64>,
    pub(super) cost: NanoUsd,
    cost_naive: NanoUsd,
    /// Tokens of those calls that the plain client got an answer to.
    pub(super) usages: Vec<Usage>,
    cache_hits: u64,
    fallbacks: u64,
    wrong: [u64; 2],
    errors: [u64; 2],
}

impl Figures {
    pub(super) fn calls(&self) -> usize {
        self.ms.len()
    }
}

/// What happened, by intent.
#[derive(Default)]
pub(super) struct Tally {
    pub(super) intents: BTreeMap<String, Figures>,
    executions: u64,
    succeeded: u64,
    /// Records that the store holds in the end.
    pub(super) records: u64,
}

impl Tally {
    pub(super) fn add(&mut self, intent: &str, plain: &Side, baton: &Side) {
        self.executions += 1;
        self.succeeded += u64::from(baton.error.is_none());
        let figures = self.intents.entry(intent.to_owned()).or_default();
        figures.ms.push(baton.ms);
        figures.plain_ms.push(plain.ms);
        figures.cost += baton.cost;
        figures.cost_naive += plain.cost;
        figures.usages.extend(plain.usage);
        figures.cache_hits += u64::from(baton.cached);
        figures.fallbacks += u64::from(baton.fell_back);
        for (n, side) in [baton, plain].into_iter().enumerate() {
            figures.wrong[n] += u64::from(side.wrong);
            figures.errors[n] += u64::from(side.error.is_some());
        }
    }

    pub(super) fn table(&self) -> String {
        let mut table = plain_table();
        table.set_header(["", "calls", "p50 ms", "p95 ms", "remembered", "fell back", "errors", "wrong answers"]);
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        for (intent, figures) in &self.intents {
            for (name, n, ms) in [("plain", 1, &figures.plain_ms), ("baton", 0, &figures.ms)] {
                let own = |count: u64| if n == 0 { count.to_string() } else { "-".into() };
                table.add_row([
                    format!("{intent} {name}"),
                    figures.calls().to_string(),
                    format!("{:.0}", quantile(ms, 0.5)),
                    format!("{:.0}", quantile(ms, 0.95)),
                    own(figures.cache_hits),
                    own(figures.fallbacks),
                    figures.errors[n].to_string(),
                    figures.wrong[n].to_string(),
                ]);
            }
        }
        format!(
            "\n{table}\n\n{} executions, {} answered, {} records.\n\
             Invented values are caught where they do not occur in the receipt. Valid but wrong labels and texts\n\
             stay wrong on both sides until somebody labels such answers; until then no quality is claimed.",
            self.executions, self.succeeded, self.records
        )
    }

    pub(super) fn json(&self, costs: &BTreeMap<String, Costs>) -> Value {
        let intents = self.intents.iter().map(|(intent, figures)| {
            let mut of = json!({
                "calls": figures.calls(),
                "p50_ms": quantile(&figures.ms, 0.5),
                "p95_ms": quantile(&figures.ms, 0.95),
                "cost_usd": figures.cost.to_string(),
                "cost_naive_usd": figures.cost_naive.to_string(),
                "cache_hits": figures.cache_hits,
                "fallbacks": figures.fallbacks,
                "errors": { "baton": figures.errors[0], "plain": figures.errors[1] },
                "wrong": { "baton": figures.wrong[0], "plain": figures.wrong[1] },
            });
            if let Some(costs) = costs.get(intent) {
                of["cost_dearest_usd"] = json!(costs.dearest.as_ref().map(|(_, cost)| cost.to_string()));
                of["cost_adequate_usd"] = json!(costs.adequate.as_ref().ok().map(|(_, cost)| cost.to_string()));
            }
            (intent.clone(), of)
        });
        json!({
            "simulated": true,
            "executions": self.executions,
            "succeeded": self.succeeded,
            "records": self.records,
            "intents": intents.collect::<Map<_, _>>(),
        })
    }
}

/// Nearest rank, rounded to a tenth of a millisecond.
fn quantile(ms: &[f64], q: f64) -> f64 {
    (baton_stats::quantile(ms, q).unwrap_or_default() * 10.0).round() / 10.0
}
