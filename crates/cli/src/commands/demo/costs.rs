//! What the same calls would have cost: all of them with the dearest model, and all of them with the
//! cheapest that is known to be good enough.

use std::collections::BTreeMap;

use baton_config::{ModelSpec, Plan, Snapshot};
use baton_core::{IntentName, NanoUsd, Prices, Usage};
use baton_stats::{normal_quantile, wilson_lower};
use comfy_table::CellAlignment;

use super::table::{Figures, Tally};
use crate::setup::{plain_table, unix_us};

/// Answers of a model to an intent's labelled cases: right ones, and all.
pub(super) type Right = BTreeMap<(String, String), (u64, u64)>;

/// Of one intent's calls.
pub(super) struct Costs {
    /// Had every call gone to the dearest model.
    pub(super) dearest: Option<(String, NanoUsd)>,
    /// Had every call gone to the cheapest that is known to be good enough, or why there is none.
    pub(super) adequate: Result<(String, NanoUsd), String>,
}

/// By intent. `right`: what is known of the models.
pub(super) fn costs(tally: &Tally, snapshot: &Snapshot, right: &Right) -> BTreeMap<String, Costs> {
    let of = |(intent, figures): (&String, &Figures)| {
        let plan = snapshot.plan(&IntentName::new(intent))?;
        Some((intent.clone(), of_intent(plan, figures, right)))
    };
    tally.intents.iter().filter_map(of).collect()
}

fn of_intent(plan: &Plan, figures: &Figures, right: &Right) -> Costs {
    let cost = |model: &ModelSpec| Some((model.id.name().to_owned(), had_all(figures, model.price.as_ref()?)?));
    let mut all: Vec<(String, NanoUsd)> = plan.candidates.iter().filter_map(cost).collect();
    all.sort_by_key(|(_, cost)| *cost);
    let known = |model: &String| right.get(&(plan.name.to_string(), model.clone())).copied();
    let adequate = |(model, _): &&(String, NanoUsd)| {
        let z = normal_quantile(plan.objective.confidence);
        known(model).is_some_and(|(right, of)| wilson_lower(right, of, z) >= plan.objective.quality)
    };
    let found = all.iter().find(adequate).cloned();
    let asked = all.iter().any(|(model, _)| known(model).is_some());
    let adequate = found.ok_or_else(|| if asked { "none is known to be" } else { "not known" }.to_owned());
    Costs { dearest: all.last().cloned(), adequate }
}

/// What all calls cost at these prices; calls that the plain client got no answer to count as the others
/// do on average.
fn had_all(figures: &Figures, prices: &Prices) -> Option<NanoUsd> {
    let costs: Option<Vec<NanoUsd>> =
        figures.usages.iter().map(|usage: &Usage| prices.cost(usage, unix_us())).collect();
    let (costs, calls) = (costs?, i64::try_from(figures.calls()).ok()?);
    let sum: i64 = costs.iter().map(|cost| cost.0).sum();
    let answered = i64::try_from(costs.len()).ok().filter(|answered| *answered > 0)?;
    Some(NanoUsd(sum.checked_mul(calls)? / answered))
}

/// What the calls cost, beside what they could have.
pub(super) fn table(tally: &Tally, costs: &BTreeMap<String, Costs>) -> String {
    let mut table = plain_table();
    table.set_header([
        "USD for these calls, had all gone to",
        "the dearest model",
        "the cheapest adequate",
        "Baton paid",
    ]);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    for (intent, of) in costs {
        let Some(figures) = tally.intents.get(intent) else { continue };
        let told = |(model, cost): &(String, NanoUsd)| format!("{model} {}", dollars(*cost));
        let share = of.dearest.as_ref().filter(|(_, cost)| cost.0 > 0).map(|(_, dearest)| {
            #[expect(clippy::cast_precision_loss, reason = "sums of a demonstration")]
            let share = figures.cost.0 as f64 / dearest.0 as f64;
            format!(" ({:.0} %)", share * 100.0)
        });
        table.add_row([
            intent.clone(),
            of.dearest.as_ref().map_or_else(|| "-".into(), told),
            of.adequate.as_ref().map_or_else(Clone::clone, told),
            format!("{}{}", dollars(figures.cost), share.unwrap_or_default()),
        ]);
    }
    format!(
        "{table}\nAdequate: its answers to labelled cases show the quality that the intent asks for; only tickets have\n\
         enough of those. Prices are the vendors', tokens the simulator's."
    )
}

fn dollars(cost: NanoUsd) -> String {
    #[expect(clippy::cast_precision_loss, reason = "sums of a demonstration")]
    let usd = cost.0 as f64 / 1e9;
    format!("{usd:.4}")
}
