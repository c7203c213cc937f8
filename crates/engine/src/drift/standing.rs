//! How the watch for drift stands: for metrics, and for reports by another process.

use baton_config::Snapshot;
use baton_core::{IntentName, TeamId};
use baton_stats::Cause;
use baton_store::{DriftEntry, Store, StoreError};
use serde::Serialize;
use serde_json::Value;

use super::reference::{self, Asked, Short};
use super::state::{State, load};
use crate::judge::evaluator;

/// Of one team's intent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DriftStanding {
    /// Whose answers.
    pub team: TeamId,
    /// Of which intent.
    pub intent: IntentName,
    /// What is done.
    #[serde(flatten)]
    pub state: DriftState,
    /// The last alarm that was explained.
    pub explained: Option<Explained>,
}

/// What a watch does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case", rename_all_fields = "camelCase")]
pub enum DriftState {
    /// It waits for references.
    Needs {
        /// Of what there is too little: `scores` or `labels`.
        what: &'static str,
        /// How many it takes.
        needed: u64,
        /// How many there are.
        has: u64,
    },
    /// All is as it was.
    Watching {
        /// Since when, Unix microseconds.
        since_us: i64,
        /// Gold answers.
        gold: u64,
    },
    /// Something moved, and it is not known yet what.
    Alarm {
        /// Since when, Unix microseconds.
        since_us: i64,
        /// What set it off: `scores` or `gold`.
        by: String,
        /// Labels that it still takes.
        labels_wanted: u64,
    },
}

/// What an alarm turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explained {
    /// When, Unix microseconds.
    pub at_us: i64,
    /// What moved.
    pub cause: Cause,
}

impl DriftState {
    pub(super) fn of(state: &State, short: Option<Short>) -> Self {
        let Some(watching) = &state.watching else {
            let Short { what, needed, has } = short.unwrap_or(Short { what: "scores", needed: 0, has: 0 });
            return Self::Needs { what, needed, has };
        };
        match &watching.alarm {
            Some(alarm) => Self::Alarm {
                since_us: alarm.since_us,
                by: alarm.by.clone(),
                labels_wanted: state.wanted().unwrap_or_default(),
            },
            None => Self::Watching { since_us: watching.begun_us, gold: watching.gold.len() as u64 },
        }
    }
}

/// What an entry of the kind `explained` says.
pub(super) fn explained(entry: &DriftEntry) -> Option<Explained> {
    let detail: Value = serde_json::from_str(&entry.detail).ok()?;
    let cause = serde_json::from_value(detail.get("cause")?.clone()).ok()?;
    Some(Explained { at_us: entry.at_us, cause })
}

/// How each watch stands, as the store has it: of teams and intents that something is in force for, with
/// a judge and reviewers.
///
/// # Errors
/// What the store says.
pub async fn drift_standings(
    store: &Store,
    snapshot: &Snapshot,
    now_us: i64,
) -> Result<Vec<DriftStanding>, StoreError> {
    let (latest, old) = (store.drift(None).await?, store.drift(Some("explained")).await?);
    let mut standings = Vec::new();
    for version in store.calibrations_since(0).await? {
        let plan = snapshot.plan(&version.intent).filter(|plan| plan.hashes.lineage == version.lineage);
        let Some(plan) = plan.filter(|plan| plan.review.is_some()) else { continue };
        let Some(evaluator) = evaluator(plan, snapshot) else { continue };
        let (team, lineage) = (&version.team, version.lineage.as_str());
        let its = |entry: &&DriftEntry| entry.team == *team && entry.lineage == lineage;
        let mut state = latest.iter().find(its).map(load).unwrap_or_default();
        if state.watching.as_ref().is_some_and(|watching| watching.evaluator != evaluator) {
            state.watching = None;
        }
        let asked = Asked { team, lineage, evaluator: &evaluator, since_us: state.since_us, now_us };
        let of = state_of(store, &asked, &state).await?;
        let explained = old.iter().find(its).and_then(explained);
        standings.push(DriftStanding { team: team.clone(), intent: plan.name.clone(), state: of, explained });
    }
    standings.sort_by(|a, b| (&a.intent, &a.team).cmp(&(&b.intent, &b.team)));
    Ok(standings)
}

async fn state_of(store: &Store, asked: &Asked<'_>, state: &State) -> Result<DriftState, StoreError> {
    if state.watching.is_none() {
        return Ok(match reference::read(store, asked).await? {
            Err(short) => DriftState::of(state, Some(short)),
            // The server begins with the next look.
            Ok(reference) => DriftState::Watching { since_us: asked.now_us, gold: reference.gold.len() as u64 },
        });
    }
    let mut of = DriftState::of(state, None);
    if let DriftState::Alarm { since_us, labels_wanted, .. } = &mut of {
        // The state is of the alarm's time; what came since is in the store.
        let labels = reference::labels(store, (asked.team, asked.lineage), *since_us).await?;
        let counted = state.watching.iter().filter_map(|watching| watching.alarm.as_ref());
        let counted: usize = counted.map(|alarm| alarm.counted.len()).sum();
        let fresh = labels.len().saturating_sub(counted);
        *labels_wanted = labels_wanted.saturating_sub(fresh as u64);
    }
    Ok(of)
}
