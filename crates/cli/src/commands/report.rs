//! `baton report`: what happened, by intent and model.

mod batches;
mod budgets;
mod drift;
mod quality;
mod rollouts;
mod routing;

use baton_core::{Day, IntentName, NanoUsd};
use baton_gateway::retiring;
use baton_store::{CallTally, Latencies, ModelTally, Report as Figures, ReportQuery};
use clap::Args;
use comfy_table::{CellAlignment, Table};
use serde_json::{Map, Value, json};

use super::cache;
use crate::exit::{Exit, say, tell};
use crate::lab::plan_of;
use crate::setup::{Folder, control_and_snapshot, duration, micros, plain_table, unix_us};

/// Calls, latency, cost, where answers came from, fallbacks with their reasons, how good answers are known
/// to be, and what is left of budgets.
#[derive(Args)]
#[command(after_help = "\
Examples:
  baton report
  baton report --since 7d --intent classify-ticket
  baton report --json")]
pub(crate) struct Report {
    /// How far back: 30m, 24h, 7d
    #[arg(long, default_value = "24h", value_name = "DURATION")]
    since: String,
    /// Only this intent
    #[arg(long)]
    intent: Option<String>,
    /// Only this team
    #[arg(long)]
    team: Option<String>,
    /// Print one JSON document
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    folder: Folder,
}

impl Report {
    pub(crate) async fn run(self) -> Result<(), Exit> {
        let since = duration("--since", &self.since)?;
        let (store, snapshot) = control_and_snapshot(&self.folder).await?;
        let now = unix_us();
        let query = ReportQuery {
            since_us: now.saturating_sub(micros(since)),
            until_us: now.saturating_add(1),
            team: self.team.as_deref().map(baton_core::TeamId::new),
            intent: self.intent.as_deref().map(baton_core::IntentName::new),
        };
        let outside = |error: baton_store::StoreError| Exit::outside(error.to_string());
        let whose = (query.team.clone(), query.intent.clone());
        let quality = quality::lines(&store, &snapshot, (whose.0.as_ref(), whose.1.as_ref())).await.map_err(outside)?;
        let routing = routing::lines(&store, &snapshot, (whose.0.as_ref(), whose.1.as_ref())).await.map_err(outside)?;
        let watched = baton_engine::drift_standings(&store, &snapshot, now).await.map_err(outside)?;
        let watched = drift::of(watched, (whose.0.as_ref(), whose.1.as_ref()));
        let rolled = baton_engine::rollout_standings(&store, &snapshot, now).await.map_err(outside)?;
        let rolled = rollouts::of(rolled, (whose.0.as_ref(), whose.1.as_ref()));
        let caches = cache::lines(&store, &snapshot, &query).await.map_err(outside)?;
        let figures = store.report(query).await.map_err(outside)?;
        let budgets = budgets::lines(&store, &snapshot, now).await.map_err(outside)?;
        let today = Day::of(now);
        let ends = retiring(&snapshot, today);
        if self.json {
            let batches = batches::json(&figures);
            let mut figures = json(&figures);
            figures["batches"] = batches;
            figures["retiring"] = ends.iter().map(ending).collect();
            figures["budgets"] = budgets::json(&budgets);
            figures["quality"] = quality::json(&quality);
            figures["routing"] = routing::json(&routing);
            figures["drift"] = drift::json(&watched);
            figures["rollouts"] = json!(rolled);
            figures["caches"] = cache::json(&caches);
            say!("{figures}");
        } else if figures.total.calls.calls == 0 {
            let intent = self.intent.as_ref().map(|intent| format!(" of {intent}")).unwrap_or_default();
            tell!("no calls{intent} in the last {}", self.since);
            if let Some(Err(unknown)) = self.intent.as_deref().map(|intent| plan_of(&snapshot, intent)) {
                return Err(unknown);
            }
            rollouts::print(&rolled);
            budgets::print(&budgets);
        } else {
            print(&figures);
            batches::print(&figures);
            quality::print(&quality);
            routing::print(&routing);
            drift::print(&watched);
            rollouts::print(&rolled);
            if !caches.is_empty() {
                say!("");
                cache::print(&caches);
            }
            budgets::print(&budgets);
        }
        for end in ends.iter().filter(|_| !self.json) {
            tell!("{}", end.says(today));
        }
        Ok(())
    }
}

fn ending(end: &baton_telemetry::Retiring) -> Value {
    json!({ "model": end.model, "intents": end.intents, "on": end.on.map(|day| day.to_string()) })
}

/// What one row says.
struct Row {
    name: String,
    calls: u64,
    failed: u64,
    ms: [Option<f64>; 3],
    cost: NanoUsd,
    cost_unknown: u64,
    /// Where answers came from, or how attempts ended.
    by: Vec<(&'static str, u64)>,
    /// Why a next candidate was asked.
    fallbacks: Vec<(&'static str, u64)>,
}

fn quantiles(latency: &Latencies) -> [Option<f64>; 3] {
    [0.5, 0.95, 0.99].map(|q| latency.quantile_us(q).map(|us| us as f64 / 1000.0))
}

fn of_intent(name: &str, calls: &CallTally) -> Row {
    Row {
        name: name.to_owned(),
        calls: calls.calls,
        failed: calls.calls - calls.succeeded,
        ms: quantiles(&calls.latency),
        cost: calls.cost,
        cost_unknown: calls.cost_unknown,
        by: calls.via.iter().map(|(via, count)| (via.as_str(), *count)).collect(),
        fallbacks: calls.fallbacks.iter().map(|(outcome, count)| (outcome.as_str(), *count)).collect(),
    }
}

fn of_model(name: &str, tally: &ModelTally) -> Row {
    let answered: u64 = tally.outcomes.iter().filter(|(outcome, _)| outcome.answered()).map(|(_, count)| count).sum();
    Row {
        name: name.to_owned(),
        calls: tally.attempts,
        failed: tally.attempts.saturating_sub(answered),
        ms: quantiles(&tally.latency),
        cost: tally.cost,
        cost_unknown: tally.cost_unknown,
        by: tally.outcomes.iter().map(|(outcome, count)| (outcome.as_str(), *count)).collect(),
        fallbacks: tally.fallbacks.iter().map(|(outcome, count)| (outcome.as_str(), *count)).collect(),
    }
}

fn rows(figures: &Figures) -> (Vec<Row>, Vec<Row>) {
    // Raw model calls, and calls of intents that are not there.
    let name = |intent: &Option<IntentName>| intent.as_ref().map_or("(no intent)".to_owned(), ToString::to_string);
    let intents = figures.intents.iter().map(|(intent, tally)| of_intent(&name(intent), &tally.calls)).collect();
    let models = figures.total.models.iter().map(|(model, tally)| of_model(model.as_str(), tally)).collect();
    (intents, models)
}

fn json(figures: &Figures) -> Value {
    let map = |pairs: &[(&'static str, u64)]| -> Map<String, Value> {
        pairs.iter().map(|(name, count)| ((*name).to_owned(), json!(count))).collect()
    };
    let row = |by: &'static str, row: &Row| {
        json!({
            "name": row.name, "calls": row.calls, "failed": row.failed,
            "p50_ms": row.ms[0], "p95_ms": row.ms[1], "p99_ms": row.ms[2],
            "cost_usd": row.cost.to_string(), "cost_unknown": row.cost_unknown,
            by: map(&row.by), "fallbacks": map(&row.fallbacks),
        })
    };
    let (intents, models) = rows(figures);
    json!({
        "since_us": figures.since_us,
        "until_us": figures.until_us,
        "intents": intents.iter().map(|r| row("via", r)).collect::<Vec<_>>(),
        "models": models.iter().map(|r| row("outcomes", r)).collect::<Vec<_>>(),
    })
}

fn print(figures: &Figures) {
    let (intents, models) = rows(figures);
    say!(
        "{}",
        table(&intents, ["intent", "calls", "failed", "p50 ms", "p95 ms", "p99 ms", "cost USD", "answered via"])
    );
    let header = ["model", "attempts", "not given", "p50 ms", "p95 ms", "p99 ms", "cost USD", "ended as"];
    say!("\n{}", table(&models, header));
    let fallbacks: Vec<&Row> = intents.iter().filter(|row| !row.fallbacks.is_empty()).collect();
    if !fallbacks.is_empty() {
        say!("\nwhy the next candidate was asked");
        for row in fallbacks {
            say!("  {}: {}", row.name, counts(&row.fallbacks));
        }
    }
}

fn counts(pairs: &[(&'static str, u64)]) -> String {
    let count = |(name, count): &(&str, u64)| format!("{} {count}", name.replace('_', " "));
    pairs.iter().map(count).collect::<Vec<_>>().join(", ")
}

fn table(rows: &[Row], header: [&str; 8]) -> Table {
    let mut table = plain_table();
    table.set_header(header);
    for column in table.column_iter_mut().skip(1).take(6) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    for row in rows {
        let ms = |value: Option<f64>| value.map_or("-".into(), |ms| format!("{ms:.1}"));
        let cost = if row.cost_unknown == 0 {
            row.cost.to_string()
        } else {
            format!("{} + {} unknown", row.cost, row.cost_unknown)
        };
        let [p50, p95, p99] = row.ms.map(ms);
        table.add_row([
            row.name.clone(),
            row.calls.to_string(),
            row.failed.to_string(),
            p50,
            p95,
            p99,
            cost,
            counts(&row.by),
        ]);
    }
    table
}
