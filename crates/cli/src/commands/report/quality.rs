//! How good the answers are known to be, by intent.

use baton_config::Snapshot;
use baton_core::{IntentName, TeamId};
use baton_eval::Calibration;
use baton_store::{CalibrationVersion, Store, StoreError};
use serde_json::{Value, json};

use super::super::calibration::fitted;
use crate::exit::say;
use crate::setup::plain_table;

/// What is in force for one intent of one team.
pub(super) struct Line {
    version: CalibrationVersion,
    calibration: Calibration,
    promised: f64,
    /// What answers are called that its judge spoke of.
    judged: &'static str,
}

/// The latest version of each intent that people label.
pub(super) async fn lines(
    store: &Store,
    snapshot: &Snapshot,
    (team, intent): (Option<&TeamId>, Option<&IntentName>),
) -> Result<Vec<Line>, StoreError> {
    let latest = store.calibrations_since(0).await?;
    let wanted = latest.into_iter().filter(|version| {
        team.is_none_or(|team| version.team == *team) && intent.is_none_or(|intent| version.intent == *intent)
    });
    let line = |version: CalibrationVersion| {
        let plan = snapshot.plan(&version.intent).filter(|plan| plan.hashes.lineage == version.lineage)?;
        let (calibration, promised) = (fitted(&version)?, plan.objective.quality);
        let judged = if plan.second_opinion().is_some() { "those with a second opinion" } else { "the judged" };
        Some(Line { version, calibration, promised, judged })
    };
    Ok(wanted.filter_map(line).collect())
}

pub(super) fn json(lines: &[Line]) -> Value {
    let line = |line: &Line| {
        json!({
            "intent": line.version.intent, "team": line.version.team, "version": line.version.version,
            "pinned": line.version.pinned, "labels": line.calibration.labels, "needed": needed(&line.calibration),
            "estimate": line.calibration.estimate, "objective": line.promised,
            "passing": { "judged": line.calibration.judged.passing, "unjudged": line.calibration.plain.passing },
        })
    };
    Value::Array(lines.iter().map(line).collect())
}

/// Labels that it takes before anything is promised, where there are too few.
fn needed(calibration: &Calibration) -> Option<u64> {
    (calibration.labels < calibration.needed).then_some(calibration.needed)
}

pub(super) fn print(lines: &[Line]) {
    if lines.is_empty() {
        return;
    }
    let mut table = plain_table();
    table.set_header([
        "intent",
        "team",
        "quality",
        "95 % interval",
        "labels",
        "promised",
        "passes the gate",
        "version",
    ]);
    for Line { version, calibration, promised, judged } in lines {
        let (value, interval) = match &calibration.estimate {
            Some(said) => (percent(said.value), format!("{} to {}", percent(said.lower), percent(said.upper))),
            None => ("not known yet".to_owned(), "-".to_owned()),
        };
        let labels = match needed(calibration) {
            Some(needed) => format!("{} of {needed}", calibration.labels),
            None => calibration.labels.to_string(),
        };
        table.add_row([
            version.intent.to_string(),
            version.team.to_string(),
            value,
            interval,
            labels,
            percent(*promised),
            gate(calibration, judged),
            format!("{}{}", version.version, if version.pinned { " (pinned)" } else { "" }),
        ]);
    }
    say!("\n{table}");
}

fn gate(calibration: &Calibration, judged: &str) -> String {
    let side = |name: &str, side: &baton_eval::Side| {
        side.threshold.map(|_| match side.passing {
            Some(passing) => format!("{} of {name}", percent(passing)),
            None => format!("some of {name}"),
        })
    };
    let sides = [side(judged, &calibration.judged), side("the others", &calibration.plain)];
    let sides: Vec<String> = sides.into_iter().flatten().collect();
    if sides.is_empty() { "undecided".to_owned() } else { sides.join(", ") }
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}
