//! Random intents whose models are asked in turn: what a right answer is worth to them, and who was right
//! together in cases that nobody ever asked.

use std::fmt::Write as _;

use baton_config::Snapshot;
use baton_core::IntentName;
use serde_json::{Map, Value, json};

use crate::simulate::dice::Dice;
use crate::simulate::intents::{Folder, Kind};

/// Cases of each pattern at most; of two models there are four patterns.
const CASES_MAX: u64 = 60;

/// In a part of the worlds some intents without a judge in the path ask in turn.
pub(crate) fn random(dice: &mut Dice, folders: &mut [Folder]) {
    for folder in folders.iter_mut().filter(|folder| folder.kind != Kind::Generation) {
        let policy = folder.policy();
        if policy.contains("unproven") || !dice.chance(0.4) {
            continue;
        }
        *policy = policy.replace("route = \"cheapest\"\n", "");
        policy.insert_str(0, "route = \"cascade\"\n");
        let worth = dice.pick(&[0.0001, 0.01, 1.0]);
        // Writing to a string cannot fail.
        let _ = writeln!(policy, "[routing]\nright_usd = {worth:?}\nasks = {}", dice.between(2, 4));
    }
}

/// `cascade.json` of those, as the models and the prompt that they were compiled to want it.
pub(crate) fn evidence(dice: &mut Dice, folders: &mut [Folder], snapshot: &Snapshot) {
    for folder in folders {
        let Some(plan) = snapshot.plan(&IntentName::new(&folder.name)) else { continue };
        if plan.route.cascade.is_none() || !(2..=4).contains(&plan.candidates.len()) {
            continue;
        }
        let tokens = |model| json!({ "model": model, "inputTokens": dice.between(50, 900), "outputTokens": 10 });
        let models: Vec<Value> = plan.candidates.iter().map(|spec| spec.id.as_str()).map(tokens).collect();
        let count = models.len();
        let pattern = |set: u32| (0..count).map(|place| if set & (1 << place) == 0 { '0' } else { '1' }).collect();
        let right: Map<String, Value> = (0..1_u32 << count)
            .map(|set| (pattern(set), json!(CASES_MAX / 2 + dice.between(0, CASES_MAX / 2))))
            .collect();
        let together = json!({ "answer": plan.hashes.answer, "models": models, "right": right });
        folder.files.push(("cascade.json", together.to_string()));
    }
}
