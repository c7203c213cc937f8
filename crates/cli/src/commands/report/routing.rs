//! How intents are routed, as their latest call was.

use baton_config::Snapshot;
use baton_core::{IntentName, RouteRecord, Strategy, TeamId};
use baton_store::{ExecutionFilter, Store, StoreError};
use serde_json::{Value, json};

use crate::exit::say;

/// An intent's latest ranking for a team.
pub(super) struct Line {
    intent: IntentName,
    team: TeamId,
    ranked: RouteRecord,
}

/// Of each intent whose order is not the one written, and each team.
pub(super) async fn lines(
    store: &Store,
    snapshot: &Snapshot,
    (team, intent): (Option<&TeamId>, Option<&IntentName>),
) -> Result<Vec<Line>, StoreError> {
    let routed = snapshot.intents.values().filter(|plan| plan.route.strategy != Strategy::Ordered);
    let names: Vec<&IntentName> =
        routed.map(|plan| &plan.name).filter(|name| intent.is_none_or(|intent| intent == *name)).collect();
    let mut teams: Vec<TeamId> = snapshot.teams.keys().cloned().chain([TeamId::new("default")]).collect();
    teams.retain(|other| team.is_none_or(|team| team == other));
    let mut lines = Vec::new();
    for name in names {
        for team in &teams {
            let filter = ExecutionFilter { intent: Some(name.clone()), limit: 20, ..ExecutionFilter::default() };
            let latest = store.executions(team, filter).await?.into_iter().find_map(|record| record.route);
            lines.extend(latest.map(|ranked| Line { intent: name.clone(), team: team.clone(), ranked }));
        }
    }
    Ok(lines)
}

pub(super) fn json(lines: &[Line]) -> Value {
    let line = |line: &Line| json!({ "intent": line.intent, "team": line.team, "why": line.ranked.to_string(), "route": line.ranked });
    Value::Array(lines.iter().map(line).collect())
}

pub(super) fn print(lines: &[Line]) {
    if !lines.is_empty() {
        say!("");
    }
    for Line { intent, team, ranked } in lines {
        let first = ranked.candidates.first().map_or("nobody", |first| first.model.as_str());
        say!("{intent} of team {team}, route `{}`: {first}, {ranked}", ranked.strategy.as_str());
    }
}
