//! Which models of the configuration come to their end.

use std::collections::BTreeMap;

use baton_config::Snapshot;
use baton_core::{Day, IntentName, ModelId};
use baton_provider::{Retirement, retirement};
use baton_telemetry::Retiring;

/// Those that intents use, near enough to be told of.
#[must_use]
pub fn retiring(snapshot: &Snapshot, today: Day) -> Vec<Retiring> {
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
