//! What is remembered of a watch, and what is told of it.

use std::collections::BTreeSet;

use baton_core::{ExecutionId, IntentName, TeamId};
use baton_stats::{Advice, Monitor};
use baton_store::{DriftEntry, StoreError};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Watched;
use crate::engine::Engine;

/// An alarm or its explanation.
#[derive(Clone, Debug, PartialEq)]
pub struct DriftEvent {
    /// `drift.alarm` or `drift.explained`.
    pub kind: &'static str,
    /// Names and figures; no content.
    pub data: Value,
}

impl DriftEvent {
    /// What an entry of the kind `alarm` said, marked as said again.
    pub(super) fn again(alarm: &DriftEntry) -> Self {
        let mut data: Value = serde_json::from_str(&alarm.detail).unwrap_or_else(|_| json!({ "team": alarm.team }));
        data["again"] = json!(true);
        Self { kind: "drift.alarm", data }
    }
}

/// A watch, as the store keeps it after each event. What came after is read again: scores and labels
/// are in the store.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct State {
    /// References are of what came after this, Unix microseconds.
    pub(super) since_us: i64,
    /// `None` until there are references.
    pub(super) watching: Option<Watching>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Watching {
    pub(super) begun_us: i64,
    /// Whose scores: another judge needs other references.
    pub(super) evaluator: String,
    pub(super) monitor: Monitor,
    pub(super) gold: Vec<Gold>,
    /// When the gold answers were last judged.
    pub(super) gold_us: i64,
    /// When the last score was given that was looked at.
    pub(super) scores_us: i64,
    pub(super) alarm: Option<Alarm>,
}

/// An answer with the verdict that it had when all was well.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Gold {
    pub(super) execution: ExecutionId,
    pub(super) passed: bool,
}

/// One that is not explained yet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Alarm {
    pub(super) since_us: i64,
    /// `scores` or `gold`.
    pub(super) by: String,
    /// The labels of answers since that were counted.
    #[serde(default)]
    pub(super) counted: BTreeSet<ExecutionId>,
}

impl State {
    /// Labels that an open alarm waits for.
    pub(super) fn wanted(&self) -> Option<u64> {
        match self.watching.as_ref()?.monitor.advice() {
            Advice::Raise { labels } => Some(labels),
            Advice::Watch | Advice::Explained(_) => None,
        }
    }

    /// Keeps what was seen, with this state.
    pub(super) async fn keep(
        &self,
        engine: &Engine,
        watched: &Watched,
        (kind, detail): (&str, &Value),
    ) -> Result<(), StoreError> {
        let state = serde_json::to_string(self)
            .map_err(|error| StoreError::Corrupt { what: "a watch for drift".into(), reason: error.to_string() })?;
        let (team, lineage): (TeamId, String) = watched.of.clone();
        let intent: IntentName = watched.intent.plan.name.clone();
        let (kind, detail, at_us) = (kind.to_owned(), detail.to_string(), engine.clock.unix_us());
        engine.store.add_drift(&DriftEntry { team, intent, lineage, at_us, kind, detail, state }).await
    }
}

/// The state after an entry. One that cannot be read begins anew, with what came after it.
pub(super) fn load(entry: &DriftEntry) -> State {
    serde_json::from_str(&entry.state).unwrap_or_else(|error| {
        tracing::error!(%error, intent = %entry.intent, "a watch for drift cannot be read; it begins anew");
        State { since_us: entry.at_us, watching: None }
    })
}
