//! A house on tokio's paused clock: the real engine, codecs and policies over the simulator's
//! in-memory transport. Time is virtual, so that an hour passes in seconds and a figure is exact,
//! the same on every machine.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};
use baton_config::{Given, load};
use baton_core::{AttemptOutcome, CallConfig, Record, Status};
use baton_engine::{Call, LogEvent, Orchestrator};
use baton_sim::{Behaviour, Scenario, Sim};
use baton_stats::SplitMix64;
use baton_store::{Entry, Handling, Store};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};

/// Two models that any intent may name, and what they are.
pub(crate) const MAIN: &str = "sim/main";
const SPARE: &str = "sim/spare";
pub(crate) const TRUTH: [(&str, &str); 4] =
    [("charged twice", "billing"), ("it crashes", "bug"), ("where is it", "how-to"), ("locked out", "account")];

/// See the module.
pub(crate) struct House {
    pub(crate) orchestrator: Orchestrator,
    store: Store,
    records: Arc<Mutex<Vec<Record>>>,
    origin: Instant,
}

/// The models of a house, and what they know besides [`TRUTH`].
pub(crate) struct Models {
    pub(crate) behaviours: Vec<(&'static str, Behaviour)>,
    /// By task: (input, expected).
    pub(crate) cases: Vec<Vec<(Value, Value)>>,
}

/// What is called, how often, for how long.
pub(crate) struct Traffic {
    pub(crate) calls: usize,
    /// Between two calls, on average: exponential gaps.
    pub(crate) every: Duration,
    pub(crate) seed: u64,
}

/// One call, as its caller saw it.
pub(crate) struct Took {
    /// Since the beginning.
    pub(crate) at: Duration,
    /// To the first text of a stream, else to the answer.
    pub(crate) first: Duration,
    pub(crate) record: Record,
}

impl Took {
    pub(crate) fn answered(&self) -> bool {
        self.record.status == Status::Succeeded
    }

    /// What was lost before the attempt that answered began.
    pub(crate) fn lost(&self) -> Option<Duration> {
        let answered = self.record.attempts.iter().find(|a| a.outcome == AttemptOutcome::Passed)?;
        Some(Duration::from_micros(answered.start_us))
    }

    /// Calls that were made of a model.
    pub(crate) fn upstream(&self) -> usize {
        self.record.attempts.iter().filter(|attempt| attempt.outcome.was_made()).count()
    }
}

/// Runs on a paused clock of its own.
pub(crate) fn run<T>(world: impl AsyncFnOnce() -> Result<T>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
    runtime.block_on(world())
}

impl House {
    /// Two models that do this, and the intents `sort` (labels) and `write` (text) with this policy.
    pub(crate) fn open(main: Behaviour, spare: Behaviour, policy: &str, seed: u64) -> Result<Self> {
        let behaviours = vec![("main", main), ("spare", spare)];
        Self::with(Models { behaviours, cases: Vec::new() }, policy, seed)
    }

    /// The same with other models besides.
    pub(crate) fn with(known: Models, policy: &str, seed: u64) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let put = |path: &str, text: &str| crate::house::write(&folder.path().join(path), text);
        put("baton.toml", "[providers.sim]\nkind = \"simulated\"\nscenario = \"scenario.toml\"\n")?;
        // Its place is taken by the scenario in memory.
        put("scenario.toml", "models = {}\n")?;
        let models = crate::house::models(&[MAIN.to_owned(), SPARE.to_owned()]);
        put("intents/sort/intent.toml", &format!("{models}{policy}{}", crate::house::LABELS))?;
        put("intents/write/intent.toml", &format!("{models}{policy}"))?;
        put("intents/write/prompt.md", "Answer this ticket: {{ input }}\n")?;
        let given = Given { env: &|_| None, flags: &[], known_providers: &[], price: &|_| None };
        let loaded = load(folder.path(), &given);
        let snapshot = loaded.map_err(|report| anyhow::anyhow!("the folder of this measure is wrong:\n{report}"))?;
        let cases = TRUTH.map(|(input, label)| (json!(input), json!({ "label": label })));
        let mut scenario = Scenario::default().cases(cases)?;
        for (name, behaviour) in known.behaviours {
            scenario = scenario.model(name, behaviour)?;
        }
        for task in known.cases {
            scenario = scenario.cases(task)?;
        }
        let records: Arc<Mutex<Vec<Record>>> = Arc::default();
        let observer = Arc::clone(&records);
        let store = Store::scripted(Arc::new(|_| Handling::default()));
        let orchestrator = Orchestrator::builder(snapshot.snapshot, store.clone())
            .transport("sim", Arc::new(Sim::new(scenario, seed).transport()))
            .simulated(seed)
            .on_record(Arc::new(move |record| {
                observer.lock().unwrap_or_else(PoisonError::into_inner).push(record.clone());
            }))
            .build()?;
        Ok(Self { orchestrator, store, records, origin: Instant::now() })
    }

    /// All that its journal holds.
    pub(crate) fn entries(&self) -> Result<Vec<Entry>> {
        Ok(self.store.journal().entries(0)?.into_iter().map(|(_, entry)| entry).collect())
    }

    /// Makes the calls when they are due; each in the order in which it came.
    pub(crate) async fn send(&self, traffic: &Traffic, call: impl Fn(usize) -> Call) -> Result<Vec<Took>> {
        let mut rng = SplitMix64::new(traffic.seed);
        let (mut due, mut clients) = (Instant::now(), Vec::with_capacity(traffic.calls));
        for number in 0..traffic.calls {
            // Exponential, by the inverse of its distribution.
            due += traffic.every.mul_f64(-(1.0 - rng.next_f64()).ln());
            sleep_until(due).await;
            let (began, execution) = (Instant::now(), self.orchestrator.start(call(number)));
            clients.push(tokio::spawn(async move {
                let (mut events, mut first) = (execution.events, None);
                while let Some(event) = events.next().await {
                    if !matches!(event, LogEvent::Start { .. }) {
                        first.get_or_insert_with(|| began.elapsed());
                    }
                }
                (execution.id, began, first)
            }));
        }
        let mut all = Vec::with_capacity(clients.len());
        for client in clients {
            all.push(client.await?);
        }
        let records = std::mem::take(&mut *self.records.lock().unwrap_or_else(PoisonError::into_inner));
        let mut records: std::collections::HashMap<_, _> = records.into_iter().map(|r| (r.execution, r)).collect();
        let took = |(id, began, first): (baton_core::ExecutionId, Instant, Option<Duration>)| {
            let record = records.remove(&id).with_context(|| format!("execution {id} has no record"))?;
            Ok(Took { at: began - self.origin, first: first.context("a call that was told nothing")?, record })
        };
        all.into_iter().map(took).collect()
    }
}

/// A call of `sort`, or of `write` as a stream.
pub(crate) fn call(number: usize, stream: bool, deadline: Duration) -> Call {
    let input = json!(TRUTH[number % TRUTH.len()].0);
    let max_latency_ms = u64::try_from(deadline.as_millis()).ok();
    let config = CallConfig { max_latency_ms, ..CallConfig::default() };
    Call { stream, config, ..Call::intent(if stream { "write" } else { "sort" }, input) }
}

/// Milliseconds, at this quantile.
pub(crate) fn at_ms(times: impl Iterator<Item = Duration>, q: f64) -> f64 {
    let times: Vec<f64> = times.map(|time| time.as_secs_f64() * 1000.0).collect();
    baton_stats::quantile(&times, q).unwrap_or(f64::INFINITY)
}
