//! The simulator: behaviours that may change while it runs, counters, and the script of each call.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;
use tokio::time::Instant;

use crate::answer::Speaker;
use crate::batch;
use crate::batches::{BatchBehaviour, Batches};
use crate::behaviour::Behaviour;
use crate::cases::Cases;
use crate::openai::Prompt;
use crate::rng::Rng;
use crate::scenario::{Scenario, ScenarioError};
use crate::script::{Course, Opening, Script};
use crate::transport::MemoryTransport;

/// Scripted model servers; clones share everything.
#[derive(Clone, Debug)]
pub struct Sim {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    seed: u64,
    cases: Cases,
    state: Mutex<State>,
    batches: Batches,
    /// The first request: phases count from here.
    start: OnceLock<Instant>,
    /// Unix seconds at `start`. A fixed date unless sockets are served, so that bytes repeat.
    start_unix_s: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    behaviours: BTreeMap<String, Arc<Behaviour>>,
    stats: BTreeMap<String, Stats>,
}

/// What happened to the calls of one model so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Stats {
    /// Calls begun.
    pub calls: u64,
    /// Calls under way.
    pub in_flight: u64,
    /// Calls whose script was played to its end, faulty ends included.
    pub finished: u64,
    /// Calls that the client dropped before that.
    pub cancelled: u64,
    /// Answers written that differ from the truth.
    pub wrong: u64,
    /// Calls by the name of their fault.
    pub faults: BTreeMap<&'static str, u64>,
}

/// The wildcard that stands for every model without a behaviour of its own.
const ANY: &str = "*";
/// 1 October 2024, 00:00:00 UTC: the date of simulations without sockets.
const UNIX_START_S: u64 = 1_727_740_800;

impl Sim {
    /// A simulator of this scenario. The seed decides everything that the scenario leaves to chance.
    #[must_use]
    pub fn new(scenario: Scenario, seed: u64) -> Self {
        let behaviours = scenario.models.into_iter().map(|(name, b)| (name, Arc::new(b))).collect();
        let inner = Inner {
            seed,
            cases: Cases::new(scenario.truth),
            state: Mutex::new(State { behaviours, stats: BTreeMap::new() }),
            batches: Batches::default(),
            start: OnceLock::new(),
            start_unix_s: AtomicU64::new(UNIX_START_S),
        };
        Self { inner: Arc::new(inner) }
    }

    /// The same models in memory, on tokio's clock.
    #[must_use]
    pub fn transport(&self) -> MemoryTransport {
        MemoryTransport::new(self.clone())
    }

    /// The expected output of the case with exactly this input.
    #[must_use]
    pub fn expected(&self, input: &Value) -> Option<Value> {
        self.inner.cases.of_input(input).map(|known| known.case.expected.clone())
    }

    /// What happened so far, by model. Models that the wildcard stands for, and unknown ones, are under `*`.
    #[must_use]
    pub fn stats(&self) -> BTreeMap<String, Stats> {
        self.state().stats.clone()
    }

    /// Changes how a model behaves from its next call on, or adds one. Its call number and counters go on.
    ///
    /// # Errors
    /// Where the behaviour contradicts itself ([`Behaviour::check`]).
    pub fn set(&self, model: &str, behaviour: Behaviour) -> Result<(), ScenarioError> {
        behaviour.check().map_err(|message| ScenarioError::Model { model: model.to_owned(), message })?;
        self.state().behaviours.insert(model.to_owned(), Arc::new(behaviour));
        Ok(())
    }

    /// What call number `call` (from 0) of a model does, arriving `at` after the first request: a pure
    /// function of the seed, the models' behaviours, and these. The limit of concurrency is not part of it.
    ///
    /// `body` is the request's.
    #[must_use]
    pub fn script(&self, body: &[u8], call: u64, at: Duration) -> Script {
        let prompt = Prompt::read(body);
        let behaviour = prompt.as_ref().ok().and_then(|p| self.behaviour(&p.model));
        self.scripted(&prompt, behaviour.as_deref(), When { call, at, in_flight: 0 })
    }

    fn scripted(&self, prompt: &Result<Prompt, String>, behaviour: Option<&Behaviour>, when: When) -> Script {
        let seed = self.inner.seed;
        let model = prompt.as_ref().map_or("", |p| &p.model);
        let draws = |label| Rng::of(seed, &[model, label, &when.call.to_string()]);
        let behaviour = behaviour.map(|b| b.during(when.call, when.at));
        let course = Course {
            id: completion_id(&mut draws("id")),
            now: self.inner.start_unix_s.load(Ordering::Relaxed) + when.at.as_secs(),
            first_token: behaviour.as_ref().map_or(Duration::ZERO, |b| b.first_token_ms.draw(&mut draws("latency"))),
            speed: behaviour.as_ref().and_then(|b| b.tokens_per_second),
        };
        let prompt = match prompt {
            Ok(prompt) => prompt,
            Err(message) => return course.error(400, Some(message), "bad_request"),
        };
        let Some(behaviour) = behaviour else { return course.error(404, None, "unknown_model") };
        if behaviour.concurrency.is_some_and(|most| when.in_flight > u64::from(most)) {
            return course.over_limit();
        }
        let fault = behaviour.fault(draws("fault").uniform());
        let fault = fault.as_ref();
        if let Some(script) = fault.and_then(|f| course.without_answer(f)) {
            return script;
        }
        let speaker = Speaker { seed, model, wrong: behaviour.wrong.get(), cases: &self.inner.cases };
        let answer = match batch::items(prompt) {
            Some(items) => batch::answer(&speaker, (prompt, &items), &behaviour.several, fault),
            None => speaker.answer(prompt, fault),
        };
        if prompt.stream { course.stream(prompt, &answer, fault) } else { course.whole(prompt, &answer, fault) }
    }

    /// Counts a call and decides its script. The caller plays it and tells the [`Call`] how that ended.
    pub(crate) fn begin(&self, body: &[u8]) -> (Script, Call) {
        let at = self.inner.start.get_or_init(Instant::now).elapsed();
        let prompt = Prompt::read(body);
        let model = prompt.as_ref().map_or("", |p| &p.model);
        let behaviour = self.behaviour(model);
        let (call, when) = {
            let mut state = self.state();
            // Models under the wildcard count together: a client cannot fill the memory with names.
            let name = if state.behaviours.contains_key(model) { model } else { ANY }.to_owned();
            let stats = state.stats.entry(name.clone()).or_default();
            stats.calls += 1;
            stats.in_flight += 1;
            let when = When { call: stats.calls - 1, at, in_flight: stats.in_flight };
            (Call { sim: self.clone(), model: name, finished: false }, when)
        };
        let script = self.scripted(&prompt, behaviour.as_deref(), when);
        call.count(|stats| {
            stats.wrong += u64::from(script.truth.as_ref().is_some_and(|t| t.wrong));
            if let Some(fault) = script.fault {
                *stats.faults.entry(fault).or_default() += 1;
            }
        });
        (script, call)
    }

    fn behaviour(&self, model: &str) -> Option<Arc<Behaviour>> {
        let state = self.state();
        state.behaviours.get(model).or_else(|| state.behaviours.get(ANY)).cloned()
    }

    pub(crate) fn batches(&self) -> &Batches {
        &self.inner.batches
    }

    pub(crate) fn batch_behaviour(&self, model: &str) -> BatchBehaviour {
        self.behaviour(model).map(|behaviour| behaviour.batch.clone()).unwrap_or_default()
    }

    pub(crate) fn seed(&self) -> u64 {
        self.inner.seed
    }

    /// Since the first request.
    pub(crate) fn elapsed(&self) -> Duration {
        self.inner.start.get_or_init(Instant::now).elapsed()
    }

    /// Unix seconds at the first request.
    pub(crate) fn unix_s(&self) -> u64 {
        self.inner.start_unix_s.load(Ordering::Relaxed)
    }

    /// Status and body of a whole answer to this request of a batch: rightly or wrongly, and without faults.
    pub(crate) fn answered(&self, body: &[u8], call: u64) -> (u16, Value) {
        let prompt = Prompt::read(body);
        let behaviour = prompt.as_ref().ok().and_then(|p| self.behaviour(&p.model));
        let calm =
            |b: Arc<Behaviour>| Behaviour { errors: Vec::new(), faults: Vec::new(), concurrency: None, ..(*b).clone() };
        let when = When { call, at: self.elapsed(), in_flight: 0 };
        let script = self.scripted(&prompt, behaviour.map(calm).as_ref(), when);
        let bytes: Vec<u8> = script.body.iter().flat_map(|piece| piece.bytes.iter().copied()).collect();
        let status = match script.opening {
            Opening::Respond { status, .. } => status.as_u16(),
            Opening::Refuse | Opening::Hang => 500,
        };
        (status, serde_json::from_slice(&bytes).unwrap_or_default())
    }

    /// The models that have a behaviour of their own.
    pub(crate) fn names(&self) -> Vec<String> {
        self.state().behaviours.keys().filter(|name| *name != ANY).cloned().collect()
    }

    /// The date is the wall clock's from here on: for sockets.
    pub(crate) fn use_date(&self, unix_s: u64) {
        self.inner.start.get_or_init(Instant::now);
        self.inner.start_unix_s.store(unix_s, Ordering::Relaxed);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call's place among the others.
#[derive(Clone, Copy)]
struct When {
    /// Its number, from 0.
    call: u64,
    /// Since the first request.
    at: Duration,
    /// Calls under way, it included.
    in_flight: u64,
}

/// A call under way; dropping it before [`Call::finished`] means that the client went away.
#[derive(Debug)]
pub(crate) struct Call {
    sim: Sim,
    model: String,
    finished: bool,
}

impl Call {
    /// Its script was played to the end.
    pub(crate) fn finished(&mut self) {
        self.finished = true;
    }

    fn count(&self, change: impl FnOnce(&mut Stats)) {
        if let Some(stats) = self.sim.state().stats.get_mut(&self.model) {
            change(stats);
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.count(|stats| {
            stats.in_flight -= 1;
            if self.finished { stats.finished += 1 } else { stats.cancelled += 1 }
        });
    }
}

/// OpenAI's form: `chatcmpl-` and 29 letters and digits.
fn completion_id(rng: &mut Rng) -> String {
    const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let random = (0..29).map(|_| char::from(ALPHABET[rng.below(ALPHABET.len())]));
    "chatcmpl-".chars().chain(random).collect()
}
