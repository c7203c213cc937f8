//! Drift on live traffic: what judges say of a team's answers is held against a time when all was well.
//! Where it moved, people are asked about more answers and the judge about old ones, and what they say
//! tells whether the answers or the judge changed. Nothing of it is on the request path, which only asks
//! whether more is to be drawn.

mod gold;
mod reference;
mod standing;
mod state;
mod watch;

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use baton_core::TeamId;
use baton_store::{DriftEntry, StoreError};

pub use standing::{DriftStanding, DriftState, Explained, drift_standings};
pub use state::DriftEvent;

use crate::engine::Engine;
use crate::intent::Intent;
use crate::judge::evaluator;
use crate::learn::Of;
use crate::orchestrator::Orchestrator;
use state::{State, load};
use watch::Watch;

/// How often is looked.
const EVERY: Duration = Duration::from_secs(30);
/// While an alarm is open answers are drawn for review with at least this probability ...
const RAISED: f64 = 0.5;
/// ... until so many times the wanted labels were drawn: people pass some over.
const DRAWS_PER_LABEL: i64 = 2;
/// Events that wait to be asked for.
const EVENTS_MAX: usize = 64;

/// See the module.
#[derive(Default)]
pub(crate) struct Drift {
    raised: ArcSwap<HashMap<Of, Arc<Raised>>>,
    standings: ArcSwap<Vec<DriftStanding>>,
    events: Mutex<VecDeque<DriftEvent>>,
    /// Held by the pass that runs: they follow one another.
    pass: tokio::sync::Mutex<Option<HashMap<Of, Watch>>>,
}

/// Looks again and again, for as long as it is polled.
pub(crate) async fn watch(orchestrator: &Orchestrator) {
    loop {
        tokio::time::sleep(EVERY).await;
        if let Err(error) = orchestrator.watch_drift().await {
            tracing::warn!(%error, "drift could not be watched; it is tried again");
        }
    }
}

impl Orchestrator {
    /// One look for drift, by [`Orchestrator::learn`] twice a minute: at what was judged and labelled
    /// since the last, and once a day at the gold answers, which it has judged again.
    ///
    /// # Errors
    /// What the store says.
    pub async fn watch_drift(&self) -> Result<(), StoreError> {
        pass(&self.0).await
    }

    /// How the watch for drift stands, as of the last look.
    #[must_use]
    pub fn drift(&self) -> Arc<Vec<DriftStanding>> {
        self.0.drift.standings()
    }

    /// Alarms and their explanations that were not asked for yet, the oldest first; at most 64 wait.
    #[must_use]
    pub fn drift_events(&self) -> Vec<DriftEvent> {
        self.0.drift.take_events()
    }
}

/// More answers are drawn for review: so many still.
#[derive(Default)]
pub(crate) struct Raised(AtomicI64);

impl Raised {
    /// That of an answer that would be drawn with this one.
    pub(crate) fn probability(&self, otherwise: f64) -> f64 {
        if self.0.load(Ordering::Relaxed) > 0 { otherwise.max(RAISED) } else { otherwise }
    }

    pub(crate) fn drew(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drift {
    /// Whether more of these answers are drawn than usual.
    pub(crate) fn raised(&self, team: &TeamId, lineage: &str) -> Option<Arc<Raised>> {
        let all = self.raised.load();
        if all.is_empty() {
            return None;
        }
        all.get(&(team.clone(), lineage.to_owned())).map(Arc::clone)
    }

    pub(crate) fn standings(&self) -> Arc<Vec<DriftStanding>> {
        self.standings.load_full()
    }

    /// In place of how this watch stood.
    fn show(&self, standing: DriftStanding) {
        let mut all = Vec::clone(&self.standings.load());
        all.retain(|other| (&other.team, &other.intent) != (&standing.team, &standing.intent));
        all.push(standing);
        self.standings.store(Arc::new(all));
    }

    pub(crate) fn take_events(&self) -> Vec<DriftEvent> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).drain(..).collect()
    }

    fn tell(&self, event: DriftEvent) {
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        if events.len() == EVENTS_MAX {
            events.pop_front();
        }
        events.push_back(event);
    }

    /// So many labels are wanted of these answers.
    fn raise(&self, of: &Of, labels: Option<u64>) {
        let mut all = HashMap::clone(&self.raised.load());
        match labels.and_then(|labels| i64::try_from(labels).ok()) {
            Some(labels) => {
                all.insert(of.clone(), Arc::new(Raised((labels * DRAWS_PER_LABEL).into())));
            }
            None => {
                all.remove(of);
            }
        }
        self.raised.store(Arc::new(all));
    }
}

/// The answers that one watch is over.
struct Watched {
    of: Of,
    intent: Arc<Intent>,
    /// Who judges them now.
    evaluator: String,
}

/// One look at everything that is judged and reviewed.
pub(crate) async fn pass(engine: &Arc<Engine>) -> Result<(), StoreError> {
    let mut pass = engine.drift.pass.lock().await;
    if pass.is_none() {
        *pass = Some(loaded(engine).await?);
    }
    let Some(watches) = pass.as_mut() else { return Ok(()) };
    let watched = watched(engine);
    let seen: HashSet<&Of> = watched.iter().map(|watched| &watched.of).collect();
    watches.retain(|of, watch| seen.contains(of) || watch.is_kept());
    for of in &watched {
        let watch = watches.entry(of.of.clone()).or_default();
        watch::look(engine, of, watch).await?;
        publish(engine, &watched, watches);
    }
    Ok(())
}

/// As the last process left them; what was raised is again, and an open alarm is told again: whether the
/// last process got to that nobody knows.
async fn loaded(engine: &Engine) -> Result<HashMap<Of, Watch>, StoreError> {
    let explained = engine.store.drift(Some("explained")).await?;
    let alarms = engine.store.drift(Some("alarm")).await?;
    let mut watches: HashMap<Of, Watch> = HashMap::new();
    for entry in engine.store.drift(None).await? {
        let of = (entry.team.clone(), entry.lineage.clone());
        let its = |other: &&DriftEntry| (&other.team, &other.lineage) == (&of.0, &of.1);
        let last = explained.iter().find(its);
        let state: State = load(&entry);
        engine.drift.raise(&of, state.wanted());
        if let Some(alarm) = alarms.iter().find(its).filter(|_| state.wanted().is_some()) {
            engine.drift.tell(DriftEvent::again(alarm));
        }
        watches.insert(of, Watch::of(state, last.and_then(standing::explained)));
    }
    Ok(watches)
}

/// Intents with a judge and reviewers, by team: those that something is in force for.
fn watched(engine: &Engine) -> Vec<Watched> {
    let live = engine.live();
    let mut watched: Vec<Watched> = Vec::new();
    for of in engine.learning.known() {
        let intent = live.intents.values().find(|intent| intent.plan.hashes.lineage == of.1);
        let Some(intent) = intent.filter(|intent| intent.plan.review.is_some()) else { continue };
        let Some(evaluator) = evaluator(&intent.plan, &live.snapshot) else { continue };
        watched.push(Watched { of, intent: Arc::clone(intent), evaluator });
    }
    watched.sort_by(|a, b| a.of.cmp(&b.of));
    watched
}

fn publish(engine: &Engine, watched: &[Watched], watches: &HashMap<Of, Watch>) {
    let standing = |watched: &Watched| {
        let watch = watches.get(&watched.of)?;
        Some(watch.standing(&watched.of.0, &watched.intent.plan.name))
    };
    engine.drift.standings.store(Arc::new(watched.iter().filter_map(standing).collect()));
}
