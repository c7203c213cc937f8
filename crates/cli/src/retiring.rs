//! Which models of the configuration come to their end.

use std::collections::BTreeMap;

use baton_config::{Diagnostic, Snapshot};
use baton_core::{Day, IntentName, ModelId};
use baton_provider::{Retirement, retirement};
use baton_telemetry::Retiring;

const HELP: &str = "try its successor with `baton compare` before you change; the date is of the price data \
                    (`baton prices list`): what the vendor says counts";

/// Those that intents use, near enough to be told of.
pub(crate) fn retiring(snapshot: &Snapshot, today: Day) -> Vec<Retiring> {
    let mut used: BTreeMap<&ModelId, Vec<IntentName>> = BTreeMap::new();
    for plan in snapshot.intents.values() {
        for spec in plan.candidates.iter() {
            let simulated = |name: &str| snapshot.providers.get(name).is_some_and(|spec| spec.kind == "simulated");
            if !simulated(spec.id.provider()) {
                used.entry(&spec.id).or_default().push(plan.name.clone());
            }
        }
    }
    let known = |(model, intents): (&ModelId, Vec<IntentName>)| {
        let on = match retirement(model.as_str())? {
            Retirement::On(day) => Some(day),
            Retirement::Deprecated => None,
        };
        Some(Retiring { model: model.clone(), intents, on }).filter(|retiring| retiring.is_near(today))
    };
    used.into_iter().filter_map(known).collect()
}

/// The same as `baton check` tells it.
pub(crate) fn warnings(snapshot: &Snapshot, today: Day) -> Vec<Diagnostic> {
    let warning = |retiring: &Retiring| Diagnostic::warning(retiring.model.as_str(), retiring.says(today), HELP);
    retiring(snapshot, today).iter().map(warning).collect()
}
