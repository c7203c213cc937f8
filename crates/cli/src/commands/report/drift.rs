//! Whether what judges say of the answers has moved, by intent.

use baton_core::{IntentName, TeamId};
use baton_engine::{DriftStanding, DriftState};
use serde_json::{Value, json};

use crate::exit::say;
use crate::setup::{date, plain_table};

/// Those of a team or an intent, where one is named.
pub(super) fn of(
    all: Vec<DriftStanding>,
    (team, intent): (Option<&TeamId>, Option<&IntentName>),
) -> Vec<DriftStanding> {
    let wanted = |standing: &DriftStanding| {
        team.is_none_or(|team| standing.team == *team) && intent.is_none_or(|intent| standing.intent == *intent)
    };
    all.into_iter().filter(wanted).collect()
}

pub(super) fn json(standings: &[DriftStanding]) -> Value {
    json!(standings)
}

pub(super) fn print(standings: &[DriftStanding]) {
    if standings.is_empty() {
        return;
    }
    let mut table = plain_table();
    table.set_header(["intent", "team", "drift", "last explained alarm"]);
    for standing in standings {
        let explained = standing
            .explained
            .map_or("-".to_owned(), |explained| format!("{}, {}", explained.cause.as_str(), date(explained.at_us)));
        let state = told(&standing.state);
        table.add_row([standing.intent.to_string(), standing.team.to_string(), state, explained]);
    }
    say!("\n{table}");
}

fn told(state: &DriftState) -> String {
    match state {
        DriftState::Needs { what: "labels", needed, has } => {
            format!("needs {needed} labels of drawn answers to begin, {has} so far")
        }
        DriftState::Needs { what, needed, has } => format!("needs {needed} judge {what} to begin, {has} so far"),
        DriftState::Watching { since_us, gold } => {
            format!("watched since {}, {gold} gold answers", date(*since_us))
        }
        DriftState::Alarm { since_us, by, labels_wanted } => {
            format!("ALARM by {by}, since {}: {labels_wanted} labels will explain it", date(*since_us))
        }
    }
}
