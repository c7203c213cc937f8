//! Random judges, those who give a second opinion among them, and reviews: of answers that are drawn, and of answers that wait for the judge's word.

use std::fmt::Write as _;

use baton_sim::Behaviour;
use serde_json::{Value, json};

use crate::simulate::dice::Dice;
use crate::simulate::intents::{Folder, Kind};
use crate::simulate::models;

/// The judge of a world, as its configuration, its behaviour and what it knows.
pub(crate) struct Bench {
    pub(crate) toml: String,
    pub(crate) behaviour: Behaviour,
    /// (input, expected): the right answer passes, any other fails.
    pub(crate) cases: Vec<(Value, Value)>,
}

/// The model that judges.
pub(crate) const JUDGE: &str = "judge";

/// In half of the worlds some intents are judged; their policies say so.
pub(crate) fn random(dice: &mut Dice, folders: &mut [Folder]) -> Option<Bench> {
    if dice.chance(0.5) {
        return None;
    }
    for folder in folders.iter_mut() {
        if dice.chance(0.7) {
            let kind = folder.kind;
            policy(dice, kind, folder.policy());
        }
    }
    let mut toml = format!("[models.{JUDGE}]\nid = \"sim/{JUDGE}\"\n");
    if dice.chance(0.7) {
        toml.push_str("price = { input = \"0.2 USD/M\", output = \"0.4 USD/M\" }\n");
    }
    let cases = folders.iter().flat_map(|folder| folder.cases.iter().flat_map(|case| verdicts(folder.kind, case)));
    Some(Bench { toml, behaviour: models::behaviour(dice), cases: cases.collect() })
}

fn policy(dice: &mut Dice, kind: Kind, toml: &mut String) {
    let in_path = dice.chance(0.6) && !toml.contains("unproven");
    if in_path {
        *toml = toml.replace("[objective]\n", "[objective]\nunproven = \"judge\"\n");
    }
    let rate = dice.pick(&[0.0, 0.3, 1.0]);
    // Writing to a string cannot fail.
    let _ = writeln!(toml, "[judge]\nmodel = \"{JUDGE}\"\nrate_max = {rate:?}");
    let _ = writeln!(toml, "latency_ms = {}", dice.magnitude(50, 8000));
    // Who gives a second opinion is asked what the others are, and knows what they know.
    let opinion = kind != Kind::Generation && dice.chance(0.4);
    let by = if opinion { "second_opinion = true" } else { "[[criteria]]\nid = \"right\"\nask = \"Is it right?\"" };
    let _ = writeln!(toml, "{by}");
    if dice.chance(0.4) {
        let _ = writeln!(toml, "[review]\nper_day = {}", dice.magnitude(10, 100_000));
    }
}

fn verdicts(kind: Kind, (input, expected): &(Value, Value)) -> [(Value, Value); 2] {
    let answer = match kind {
        Kind::Classification => expected["label"].as_str().unwrap_or_default().to_owned(),
        Kind::Generation => expected["text"].as_str().unwrap_or_default().to_owned(),
        Kind::Extraction => expected.to_string(),
    };
    let said = |verdict: &str| json!({ "right": { "reasoning": "I looked.", "verdict": verdict } });
    let shown = |mark: String| json!({ "asked": input, "mark": mark });
    [
        (shown(format!("<answer>\n{answer}\n</answer>")), said("pass")),
        (shown("What it answered:".to_owned()), said("fail")),
    ]
}
