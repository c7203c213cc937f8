//! Rollouts: a candidate model takes over from the present one by steps of the live traffic. What is known
//! is read from the store beside the request path, which only looks up who is drawn with which share.

mod evidence;
mod order;
mod standing;

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use baton_config::Plan;
use baton_core::{IntentName, RolloutKnown, RolloutMove, RolloutStage, RolloutState, TeamId};
use baton_store::{RolloutEntry, StoreError};
use serde_json::{Value, json};

use crate::engine::Engine;
use crate::orchestrator::Orchestrator;
use evidence::Evidence;
pub use order::{RolloutAsked, RolloutError, promote_rollout, release_rollout, start_rollout, stop_rollout};
pub use standing::{RolloutFigures, RolloutStanding, rollout_standings};

/// Events that wait to be asked for.
const EVENTS_MAX: usize = 64;

/// Whose, and of which intent.
type Of = (TeamId, IntentName);

/// Something that happened to a rollout.
#[derive(Clone, Debug, PartialEq)]
pub struct RolloutEvent {
    /// `rollout.started`, `rollout.stepped`, `rollout.promoted`, `rollout.rolled_back` or
    /// `rollout.released`.
    pub kind: &'static str,
    /// Names and figures; no content.
    pub data: Value,
}

/// One that decides who is asked first.
#[derive(Clone, Debug, PartialEq)]
pub struct RolloutInForce {
    /// Whose calls.
    pub team: TeamId,
    /// Of which intent.
    pub intent: IntentName,
    /// The rollout.
    pub state: Arc<RolloutState>,
}

/// See the module.
#[derive(Default)]
pub(crate) struct Rollouts {
    in_force: ArcSwap<HashMap<Of, Arc<RolloutState>>>,
    events: Mutex<VecDeque<RolloutEvent>>,
    /// Held by the pass that runs: they follow one another.
    pass: tokio::sync::Mutex<Pass>,
}

/// What a pass knows of those before it.
#[derive(Default)]
struct Pass {
    /// Whether what happened before this process was read.
    begun: bool,
    /// The last number that was read, and the last of each.
    seq: u64,
    last: HashMap<Of, u64>,
    evidence: HashMap<Of, Evidence>,
}

impl Orchestrator {
    /// What happened to rollouts and was not asked for yet, the oldest first; at most 64 wait.
    #[must_use]
    pub fn rollout_events(&self) -> Vec<RolloutEvent> {
        self.0.rollouts.take_events()
    }

    /// The rollouts in force, in no order.
    #[must_use]
    pub fn rollouts(&self) -> Vec<RolloutInForce> {
        let all = self.0.rollouts.in_force.load();
        let told = |((team, intent), state): (&Of, &Arc<RolloutState>)| RolloutInForce {
            team: team.clone(),
            intent: intent.clone(),
            state: Arc::clone(state),
        };
        all.iter().map(told).collect()
    }
}

impl Rollouts {
    /// What is in force for a team's calls of an intent.
    pub(crate) fn of(&self, team: &TeamId, intent: &IntentName) -> Option<Arc<RolloutState>> {
        let all = self.in_force.load();
        if all.is_empty() { None } else { all.get(&(team.clone(), intent.clone())).map(Arc::clone) }
    }

    fn take_events(&self) -> Vec<RolloutEvent> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).drain(..).collect()
    }

    fn tell(&self, event: RolloutEvent) {
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        if events.len() == EVENTS_MAX {
            events.pop_front();
        }
        events.push_back(event);
    }
}

/// Puts in force what happened, by another process too, and tells it.
pub(crate) async fn follow(engine: &Engine) -> Result<(), StoreError> {
    followed(engine, &mut *engine.rollouts.pass.lock().await).await
}

async fn followed(engine: &Engine, pass: &mut Pass) -> Result<(), StoreError> {
    let entries = engine.store.rollouts_since(pass.seq).await?;
    let begun = std::mem::replace(&mut pass.begun, true);
    if entries.is_empty() {
        return Ok(());
    }
    let mut all = HashMap::clone(&engine.rollouts.in_force.load());
    for entry in entries {
        let of = (entry.team.clone(), entry.intent.clone());
        pass.seq = entry.seq;
        pass.last.insert(of.clone(), entry.seq);
        let Some(state) = state_of(&entry) else { continue };
        if begun && let Some(event) = event(&entry, &state) {
            tracing::info!(event = event.kind, data = %event.data, "a rollout");
            engine.rollouts.tell(event);
        }
        if matches!(state.stage, RolloutStage::Released) {
            all.remove(&of)
        } else {
            all.insert(of, Arc::new(state))
        };
    }
    engine.rollouts.in_force.store(Arc::new(all));
    Ok(())
}

/// `None` where it cannot be read, which is logged.
pub(super) fn state_of(entry: &RolloutEntry) -> Option<RolloutState> {
    serde_json::from_str(&entry.state)
        .inspect_err(|error| tracing::error!(%error, intent = %entry.intent, "a rollout cannot be read"))
        .ok()
}

fn event(entry: &RolloutEntry, state: &RolloutState) -> Option<RolloutEvent> {
    let kinds = ["rollout.started", "rollout.stepped", "rollout.promoted", "rollout.rolled_back", "rollout.released"];
    let kind = kinds.into_iter().find(|kind| kind.strip_prefix("rollout.") == Some(entry.kind.as_str()))?;
    let data = json!({
        "intent": entry.intent, "team": entry.team, "from": state.from, "to": state.to, "share": state.share(),
        "by": entry.by, "why": entry.why,
    });
    Some(RolloutEvent { kind, data })
}

/// One look at all that run: what is new is read, and who is shown to be good or bad enough moves.
pub(crate) async fn pass(engine: &Engine) -> Result<(), StoreError> {
    let mut pass = engine.rollouts.pass.lock().await;
    followed(engine, &mut pass).await?;
    let live = engine.live();
    let all = engine.rollouts.in_force.load_full();
    pass.evidence.retain(|of, known| all.get(of).is_some_and(|state| known.is_of(state)));
    let mut moved = false;
    for ((team, intent), state) in all.iter().filter(|(_, state)| matches!(state.stage, RolloutStage::Running { .. })) {
        let Some(intent) = live.intent(intent) else { continue };
        let of = (team.clone(), intent.plan.name.clone());
        let known = pass.evidence.entry(of.clone()).or_insert_with(|| Evidence::of(state));
        if !known.read(&engine.store, (team, &intent.plan), engine.clock.unix_us()).await? {
            continue;
        }
        let Some(next) = decided(engine, known.known(), state).await? else { continue };
        let after = pass.last.get(&of).copied().unwrap_or_default();
        moved |= changed(engine, (team, &intent.plan), (state, next), after).await?;
    }
    if moved { followed(engine, &mut pass).await } else { Ok(()) }
}

/// Many outcomes take a while: not on a thread that answers calls, where there is another.
async fn decided(
    engine: &Engine,
    known: &RolloutKnown,
    state: &Arc<RolloutState>,
) -> Result<Option<RolloutMove>, StoreError> {
    if engine.clock.is_simulated() {
        return Ok(known.decide(state));
    }
    let (known, state) = (known.clone(), Arc::clone(state));
    tokio::task::spawn_blocking(move || known.decide(&state)).await.map_err(|_| StoreError::Closed)
}

/// Keeps a move; false where another process or a person was faster.
async fn changed(
    engine: &Engine,
    (team, plan): (&TeamId, &Plan),
    (state, next): (&RolloutState, RolloutMove),
    after: u64,
) -> Result<bool, StoreError> {
    let shown = format!("not worse by {:.3} or more", state.next().map_or(state.margin, |(_, least)| least));
    let (stage, kind, why) = match next {
        RolloutMove::Step(step) => (RolloutStage::Running { step }, "stepped", format!("{} is {shown}", state.to)),
        RolloutMove::Promote => (RolloutStage::Promoted, "promoted", format!("{} is {shown}", state.to)),
        RolloutMove::RollBack(what) => {
            let why = format!("{} is worse by more than {:.3}, by {what}", state.to, state.margin);
            (RolloutStage::RolledBack, "rolled_back", why)
        }
    };
    let state = RolloutState { stage, ..state.clone() };
    let of = (team.clone(), plan.name.clone());
    let entry = order::entry(of, &state, (kind, why), ("baton", engine.clock.unix_us()))?;
    engine.store.add_rollout(&entry, after).await
}
