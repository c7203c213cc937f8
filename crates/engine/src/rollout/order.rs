//! What people order: a rollout starts, stops, is promoted before its time, or lets go. Each is written
//! where a running server reads it within seconds; a person's file is never written to.

use baton_config::{ModelSpec, Plan, Snapshot};
use baton_core::{IntentName, ModelId, RolloutBasis, RolloutStage, RolloutState, TeamId};
use baton_store::{RolloutEntry, Store, StoreError};

use super::{Of, state_of};

/// Steps at most.
const STEPS_MAX: usize = 10;

/// What a person asks for.
#[derive(Clone, Debug)]
pub struct RolloutAsked {
    /// The present model, by its name in the intent or its id; `None` is the first one that is asked.
    pub from: Option<String>,
    /// The candidate.
    pub to: String,
    /// How much worse still counts as equal, above 0, at most 0.5.
    pub margin: f64,
    /// The candidate's shares in turn, each above 0 and below 1, growing.
    pub steps: Vec<f64>,
    /// What says how good answers are; `None` is the judge, where the intent has one, else labels.
    pub basis: Option<RolloutBasis>,
    /// That a candidate that was rolled back may be tried again.
    pub again: bool,
}

/// Why an order is not followed.
#[derive(Debug, thiserror::Error)]
pub enum RolloutError {
    /// Something that was asked for is wrong.
    #[error("{0}")]
    Wrong(String),
    /// It does not fit how things stand.
    #[error("{0}")]
    Conflict(String),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn wrong<T>(what: impl Into<String>) -> Result<T, RolloutError> {
    Err(RolloutError::Wrong(what.into()))
}

fn conflict<T>(what: impl Into<String>) -> Result<T, RolloutError> {
    Err(RolloutError::Conflict(what.into()))
}

pub(super) fn entry(
    (team, intent): Of,
    state: &RolloutState,
    (kind, why): (&str, String),
    (by, at_us): (&str, i64),
) -> Result<RolloutEntry, StoreError> {
    let state = serde_json::to_string(state)
        .map_err(|error| StoreError::Corrupt { what: "a rollout".into(), reason: error.to_string() })?;
    Ok(RolloutEntry { seq: 0, team, intent, at_us, by: by.to_owned(), kind: kind.to_owned(), why, state })
}

/// The last that happened to the rollouts of a team's intent.
async fn last(store: &Store, team: &TeamId, intent: &IntentName) -> Result<Option<RolloutEntry>, StoreError> {
    let all = store.rollouts_since(0).await?;
    Ok(all.into_iter().rfind(|entry| entry.team == *team && entry.intent == *intent))
}

/// Starts one.
///
/// # Errors
/// See [`RolloutError`].
pub async fn start_rollout(
    store: &Store,
    snapshot: &Snapshot,
    (team, plan): (&TeamId, &Plan),
    asked: &RolloutAsked,
    (by, now_us): (&str, i64),
) -> Result<RolloutState, RolloutError> {
    let to = candidate(snapshot, plan, &asked.to, "--to")?;
    let from = match &asked.from {
        Some(name) => candidate(snapshot, plan, name, "--from")?,
        None => {
            let first = plan.candidates.iter().find(|other| other.id.as_str() != "local" && other.id != to);
            match first {
                Some(first) => first.id.clone(),
                None => return wrong(format!("`{}` has no other model than {to} to take over from", plan.name)),
            }
        }
    };
    if from == to {
        return wrong(format!("--from and --to are both {to}: name two models of the intent"));
    }
    if !(asked.margin > 0.0 && asked.margin <= 0.5) {
        return wrong(format!("--margin: {} is no margin: write a share above 0, at most 0.5", asked.margin));
    }
    let grows = asked.steps.is_sorted_by(|one, next| one < next);
    let shares = asked.steps.iter().all(|share| *share > 0.0 && *share < 1.0);
    if asked.steps.is_empty() || asked.steps.len() > STEPS_MAX || !grows || !shares {
        return wrong(format!("--steps: write 1 to {STEPS_MAX} growing percentages above 0 and below 100: 5,25,50"));
    }
    let basis = asked.basis.unwrap_or(if plan.judge.is_some() { RolloutBasis::Judge } else { RolloutBasis::Labels });
    if basis == RolloutBasis::Judge && plan.judge.is_none() {
        return wrong(format!("--quality judge: `{}` has no [judge]: add one, or use --quality labels", plan.name));
    }
    let before = last(store, team, &plan.name).await?;
    if let Some(state) = before.as_ref().and_then(state_of) {
        match state.stage {
            RolloutStage::Running { .. } => {
                return conflict(format!(
                    "a rollout of {} runs: `baton rollout stop {}` ends it first",
                    state.to, plan.name
                ));
            }
            RolloutStage::RolledBack if state.to == to && !asked.again => {
                return conflict(format!("{to} was rolled back here: --again tries it once more"));
            }
            _ => {}
        }
    }
    let (margin, steps, stage) = (asked.margin, asked.steps.clone(), RolloutStage::Running { step: 0 });
    let state = RolloutState { began_us: now_us, from, to, margin, steps, basis, stage };
    let why = format!("{} is to take over from {}", state.to, state.from);
    put(store, (team, plan), (&state, "started", why), (by, now_us), before).await?;
    Ok(state)
}

/// The id of a model that the intent has.
fn candidate(snapshot: &Snapshot, plan: &Plan, name: &str, flag: &str) -> Result<ModelId, RolloutError> {
    let spec: Option<&ModelSpec> = snapshot.model(name);
    let is = |other: &&ModelSpec| Some(&other.id) == spec.map(|spec| &spec.id) || other.id.as_str() == name;
    match plan.candidates.iter().find(is) {
        Some(found) if found.id.as_str() == "local" => {
            wrong(format!("{flag}: `local` answers where it is sure, before any other: it takes no turns"))
        }
        Some(found) => Ok(found.id.clone()),
        None => {
            let known: Vec<&str> = plan.candidates.iter().map(|other| other.id.as_str()).collect();
            let (intent, known) = (&plan.name, known.join(", "));
            wrong(format!(
                "{flag}: `{name}` is no model of `{intent}`, which has {known}: add it at the end of `models`"
            ))
        }
    }
}

async fn put(
    store: &Store,
    (team, plan): (&TeamId, &Plan),
    (state, kind, why): (&RolloutState, &str, String),
    by: (&str, i64),
    before: Option<RolloutEntry>,
) -> Result<(), RolloutError> {
    let entry = entry((team.clone(), plan.name.clone()), state, (kind, why), by)?;
    if store.add_rollout(&entry, before.map_or(0, |before| before.seq)).await? {
        return Ok(());
    }
    conflict("something else happened to this rollout meanwhile: look at `baton rollout status`, and try again")
}

/// Puts another stage in force, where the one before allows it.
async fn ordered(
    store: &Store,
    of: (&TeamId, &Plan),
    stage: RolloutStage,
    (by, now_us): (&str, i64),
    allowed: fn(RolloutStage) -> bool,
) -> Result<RolloutState, RolloutError> {
    let before = last(store, of.0, &of.1.name).await?;
    let Some(state) = before.as_ref().and_then(state_of) else {
        return conflict(format!("there is no rollout of `{}` for team {}", of.1.name, of.0));
    };
    if !allowed(state.stage) {
        let now = match state.stage {
            RolloutStage::Running { .. } => "runs",
            RolloutStage::Promoted => "was promoted",
            RolloutStage::RolledBack => "was rolled back",
            RolloutStage::Released => "was released",
        };
        return conflict(format!("the rollout of {} {now}: nothing to do", state.to));
    }
    let state = RolloutState { stage, ..state };
    put(store, of, (&state, stage.as_str(), "ordered by hand".to_owned()), (by, now_us), before).await?;
    Ok(state)
}

/// Rolls back what runs or was promoted, and keeps it so.
///
/// # Errors
/// See [`RolloutError`].
pub async fn stop_rollout(store: &Store, of: (&TeamId, &Plan), by: (&str, i64)) -> Result<RolloutState, RolloutError> {
    let allowed = |stage| matches!(stage, RolloutStage::Running { .. } | RolloutStage::Promoted);
    ordered(store, of, RolloutStage::RolledBack, by, allowed).await
}

/// Promotes what runs, whatever is known.
///
/// # Errors
/// See [`RolloutError`].
pub async fn promote_rollout(
    store: &Store,
    of: (&TeamId, &Plan),
    by: (&str, i64),
) -> Result<RolloutState, RolloutError> {
    let allowed = |stage| matches!(stage, RolloutStage::Running { .. });
    ordered(store, of, RolloutStage::Promoted, by, allowed).await
}

/// Ends a rollout that is over: the intent's own route is in force.
///
/// # Errors
/// See [`RolloutError`].
pub async fn release_rollout(
    store: &Store,
    of: (&TeamId, &Plan),
    by: (&str, i64),
) -> Result<RolloutState, RolloutError> {
    let allowed = |stage| matches!(stage, RolloutStage::Promoted | RolloutStage::RolledBack);
    ordered(store, of, RolloutStage::Released, by, allowed).await
}
