//! How each rollout stands, read from the store: for reports by another process.

use std::collections::BTreeMap;

use baton_config::Snapshot;
use baton_core::{IntentName, ModelId, ROLLOUT_DELTA, RolloutBasis, RolloutStage, RolloutState, Strategy, TeamId};
use baton_stats::Rollout;
use baton_store::{RolloutEntry, Store, StoreError};
use serde::Serialize;

use super::evidence::Evidence;
use super::state_of;

/// What one kind of outcome says.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RolloutFigures {
    /// `served`, `labels` or `judge`.
    pub of: &'static str,
    /// Outcomes of the present model.
    pub from: u64,
    /// Outcomes of the candidate.
    pub to: u64,
    /// Candidate less present, and what nothing has excluded at 95 %; `None` before ten of each.
    pub difference: Option<(f64, f64, f64)>,
    /// Whether the next step waits for it.
    pub decides: bool,
    /// About how many more of these the next step needs, if both are equal; 0 where it needs none.
    pub needs_more: Option<u64>,
}

/// Of one team's intent.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RolloutStanding {
    /// Whose calls.
    pub team: TeamId,
    /// Of which intent.
    pub intent: IntentName,
    /// The rollout.
    #[serde(flatten)]
    pub state: RolloutState,
    /// The candidate's share of the calls; `None` once it was released.
    pub share: Option<f64>,
    /// The share that comes next, and by how much less than this the candidate must be shown to be worse.
    pub next: Option<(f64, f64)>,
    /// The last that happened: what, when (Unix microseconds), by whom and why.
    pub last: (String, i64, String, String),
    /// What is known of both models.
    pub figures: Vec<RolloutFigures>,
    /// Whether the intent's own order says the same as a rollout that is over.
    pub file_agrees: bool,
}

/// How each stands, the latest of each team's intent.
///
/// # Errors
/// What the store says.
pub async fn rollout_standings(
    store: &Store,
    snapshot: &Snapshot,
    now_us: i64,
) -> Result<Vec<RolloutStanding>, StoreError> {
    let all = store.rollouts_since(0).await?;
    let latest: BTreeMap<(IntentName, TeamId), RolloutEntry> =
        all.into_iter().map(|entry| ((entry.intent.clone(), entry.team.clone()), entry)).collect();
    let mut standings = Vec::new();
    for ((intent, team), entry) in latest {
        let (Some(state), Some(plan)) = (state_of(&entry), snapshot.plan(&intent)) else { continue };
        let mut evidence = Evidence::of(&state);
        evidence.read(store, (&team, plan), now_us).await?;
        let place = |model: &ModelId| plan.candidates.iter().position(|other| other.id == *model);
        let candidate_first = place(&state.to) < place(&state.from);
        let file_agrees = plan.route.strategy == Strategy::Ordered
            && match state.stage {
                RolloutStage::Promoted => candidate_first,
                RolloutStage::RolledBack => !candidate_first,
                RolloutStage::Running { .. } | RolloutStage::Released => false,
            };
        let known = evidence.known();
        let all = [("served", &known.served), ("labels", &known.labels), ("judge", &known.judge)];
        let figures = all.map(|(of, known)| figures(of, known, &state)).to_vec();
        let (share, next) = (state.share(), state.next());
        let last = (entry.kind, entry.at_us, entry.by, entry.why);
        standings.push(RolloutStanding { team, intent, state, share, next, last, figures, file_agrees });
    }
    Ok(standings)
}

fn figures(of: &'static str, known: &Rollout, state: &RolloutState) -> RolloutFigures {
    let (from, to) = known.outcomes();
    let difference = known.difference(ROLLOUT_DELTA).map(|told| (told.value, told.lower, told.upper));
    let basis = match state.basis {
        RolloutBasis::Labels => "labels",
        RolloutBasis::Judge => "judge",
    };
    let decides = of == "served" || of == basis;
    let needs_more = state.next().zip(state.share()).and_then(|((_, least), share)| {
        if known.not_worse(least, ROLLOUT_DELTA) { Some(0) } else { known.needs_more((least, share), ROLLOUT_DELTA) }
    });
    RolloutFigures { of, from, to, difference, decides, needs_more: needs_more.filter(|_| decides) }
}
