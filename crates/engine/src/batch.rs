//! Micro-batches: a decorator around the call of a model. Calls of one scope, plan and lane that come close
//! together share one call; each gets its own answer back, as if it had asked alone, and is parsed, checked
//! and gated by its own execution, which knows nothing of it but what its record says.
//!
//! As Nagle's algorithm has it (RFC 896), nobody waits while nothing of its kind is in the air: only under
//! load is there anything to share.

mod gathering;
mod lot;
mod prompt;
mod rider;
mod seat;
mod share;
mod suspect;

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use baton_config::{BatchSpec, IntentKind, Plan};
use baton_core::{Attempt, AttemptKind, IntentName, LaneId, Scope, SharedCall};
use baton_provider::{Besides, Provider};
use baton_stats::SplitMix64;
use baton_wire::{Block, ChatRequest, Role};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::engine::Engine;
use crate::flying::{Flying, fly};
use crate::resolve::Request;
use gathering::Open;
use lot::Lot;
use rider::Rider;
pub(crate) use seat::{Bill, Seat};

/// So many scopes, plans and lanes are kept track of; what is idle is forgotten first.
const LOTS_MAX: usize = 4096;
/// Cases that control items are chosen from: the shortest.
const CONTROLS_MAX: usize = 32;

/// What one intent's batches are made of.
pub(crate) struct Form {
    pub(crate) spec: BatchSpec,
    /// The JSON Schema of one answer.
    answer: Value,
    controls: Vec<Control>,
}

/// A case of the intent, which goes with the inputs of others: whoever makes the model answer something else
/// for all of them, makes it answer this one wrong, too.
struct Control {
    text: String,
    input: Value,
    expected: Value,
}

impl Form {
    /// `None` where the intent does not batch.
    pub(crate) fn of(plan: &Plan) -> Option<Self> {
        let spec = plan.batch?;
        let answer = match (&plan.kind, &plan.output_schema) {
            (IntentKind::Classification(labels), _) => {
                json!({ "type": "string", "enum": labels.iter().map(|(name, _)| name).collect::<Vec<_>>() })
            }
            (_, Some(schema)) => schema.json().clone(),
            _ => return None,
        };
        let control = |case: &baton_config::Case| {
            let text = plan.messages(&case.input).ok()?.pop()?.1;
            Some(Control { text, input: case.input.clone(), expected: case.expected.clone() })
        };
        let shown = |case: &&baton_config::Case| !plan.examples.iter().any(|example| example.input == case.input);
        let mut controls: Vec<Control> = plan.cases.iter().filter(shown).filter_map(control).collect();
        controls.sort_by_key(|control| control.text.len());
        controls.truncate(CONTROLS_MAX);
        Some(Self { spec, answer, controls })
    }
}

/// What a model is asked, by whom it is reached.
pub(crate) struct Asked<'a> {
    pub(crate) provider: &'a Arc<Provider>,
    pub(crate) chat: Arc<ChatRequest>,
    pub(crate) besides: Besides,
}

/// Sends a request; with others, where its intent batches and it can share. What it used is then in its seat.
pub(crate) fn send(
    engine: &Engine,
    request: &Request,
    attempt: Attempt,
    asked: Asked<'_>,
) -> (Flying, Option<Arc<Seat>>) {
    let Asked { provider, chat, besides } = asked;
    let form = request.intent.as_ref().and_then(|intent| Some((intent, intent.batch.as_ref()?)));
    let (Some((intent, form)), Some(text)) = (form, shareable(attempt.kind, &chat)) else {
        return (fly(provider, chat, besides), None);
    };
    let candidate = &request.candidates[attempt.candidate];
    let key = Key {
        scope: request.scope.clone(),
        answer_hash: intent.plan.hashes.answer.as_str().into(),
        lane: candidate.lane,
    };
    let seat = Arc::new(Seat::new(candidate.price.clone(), request.started_at_us));
    let rider = Rider {
        batches: Arc::clone(&engine.batches),
        key,
        form: Arc::clone(form),
        intent: Arc::clone(intent),
        input: request.input.clone(),
        text,
        provider: Arc::clone(provider),
        chat,
        besides,
        seat: Arc::clone(&seat),
        until: Instant::now() + attempt.budget,
    };
    (Flying::Unary(Box::pin(rider.ride())), Some(seat))
}

/// The last turn, where the request can share a call: streams, tools, hedges and probes go alone.
fn shareable(kind: AttemptKind, chat: &ChatRequest) -> Option<String> {
    let main = matches!(kind, AttemptKind::Primary | AttemptKind::Retry | AttemptKind::Fallback);
    if !main || chat.stream || !chat.tools.is_empty() {
        return None;
    }
    let last = chat.messages.last().filter(|message| message.role == Role::User)?;
    if let [Block::Text(text)] = &last.content[..] { Some(text.clone()) } else { None }
}

/// Whose calls may be together: nothing crosses a scope, and one prompt has one plan.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    scope: Scope,
    answer_hash: Arc<str>,
    lane: LaneId,
}

/// Of a process.
pub(crate) struct Batches {
    lots: Mutex<HashMap<Key, (Lot, Option<Open>)>>,
    /// How many calls were shared.
    calls: AtomicU64,
    random: Random,
}

/// What nobody can guess, or what repeats.
enum Random {
    System(RandomState, AtomicU64),
    Simulated(Mutex<SplitMix64>),
}

impl Batches {
    /// With a seed, everything repeats.
    pub(crate) fn new(seed: Option<u64>) -> Self {
        let random = match seed {
            Some(seed) => Random::Simulated(Mutex::new(SplitMix64::new(seed))),
            // Keyed by the system's randomness: unlike ids of executions, which callers see, none says
            // anything of the next.
            None => Random::System(RandomState::new(), AtomicU64::new(0)),
        };
        Self { lots: Mutex::default(), calls: AtomicU64::new(0), random }
    }

    fn draw(&self) -> u64 {
        match &self.random {
            Random::System(state, count) => state.hash_one(count.fetch_add(1, Ordering::Relaxed)),
            Random::Simulated(rng) => rng.lock().unwrap_or_else(PoisonError::into_inner).next_u64(),
        }
    }

    /// A call that several share.
    fn another(&self) -> SharedCall {
        SharedCall(self.calls.fetch_add(1, Ordering::Relaxed))
    }

    fn lots(&self) -> MutexGuard<'_, HashMap<Key, (Lot, Option<Open>)>> {
        self.lots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A call of a lot begins, where the lot still is.
    fn air(self: &Arc<Self>, key: &Key) -> Option<Air> {
        self.lots().get_mut(key).map(|(lot, _)| self.take_off(key, lot))
    }

    fn take_off(self: &Arc<Self>, key: &Key, lot: &mut Lot) -> Air {
        lot.in_air += 1;
        Air { batches: Arc::clone(self), key: key.clone(), began: Instant::now(), tells: true }
    }

    /// A batch could not be used.
    fn went_wrong(&self, key: &Key, intent: &IntentName) {
        if self.change(key, |lot| lot.went_wrong(Instant::now())) {
            tracing::warn!(%intent, "its batches went wrong, one after another: none for a while");
        }
    }

    /// Changes what is known of a lot, where it still is.
    fn change<T: Default>(&self, key: &Key, change: impl FnOnce(&mut Lot) -> T) -> T {
        self.lots().get_mut(key).map(|(lot, _)| change(lot)).unwrap_or_default()
    }
}

/// A call in the air; dropping it lands it.
struct Air {
    batches: Arc<Batches>,
    key: Key,
    began: Instant,
    /// Whether its time says how long answers take. One that was given up took at least so long.
    tells: bool,
}

impl Air {
    /// Its call was refused, or broke: that took no time.
    fn failed(mut self) {
        self.tells = false;
    }
}

impl Drop for Air {
    fn drop(&mut self) {
        let elapsed = self.tells.then(|| self.began.elapsed());
        self.batches.change(&self.key, |lot| {
            lot.in_air -= 1;
            if let Some(elapsed) = elapsed {
                lot.took(elapsed);
            }
        });
    }
}
