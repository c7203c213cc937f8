//! The public face of the engine.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use baton_cache::ExactCache;
use baton_config::{Changes, Snapshot};
use baton_core::{
    Admission, At, BreakerState, ErrorCode, ExecutionId, Failure, IntentName, LaneId, Lanes, ModelId, RouteRecord,
    Sampler, TeamId, Trace, TraceParent,
};
use baton_provider::ProviderError;
use baton_store::{Past, Retention, Store, StoreError};
use baton_wire::{Transport, TransportError};
use futures_util::FutureExt as _;

use crate::batch::Batches;
use crate::budgets::{BudgetState, Budgets};
use crate::call::Call;
use crate::clock::Clock;
use crate::close::{crashed, refused};
use crate::connect::{Connect, Connections};
use crate::drift::{self, Drift};
use crate::engine::{Engine, Observer};
use crate::erase::Erasures;
use crate::execution::Execution;
use crate::flights::Flights;
use crate::jobs::Working;
use crate::judge::Judges;
use crate::learn::{self, InForce, Learning};
use crate::local::{self, Locals};
use crate::log::{Delivered, EventLog};
use crate::places::Waiters;
use crate::reload::{Configuration, Configured};
use crate::repeats::{Boarding, Repeats, board, land};
use crate::resolve::resolve;
use crate::review::Reviews;
use crate::rollout::{self, Rollouts};
use crate::route::ranked;
use crate::routing::{self, Routing};
use crate::run::run;
use crate::semantic::{self, Semantic, SemanticState, Written};
use crate::tasks::Tasks;

/// Bytes of answers that the exact cache keeps in memory.
const CACHE_BYTES: u64 = 64 * 1024 * 1024;

/// How often new labels are looked for.
const LEARNING: Duration = Duration::from_secs(2);
/// How often old records are looked for.
const MAINTENANCE: Duration = Duration::from_secs(3600);
/// How long records of raw model calls are kept; they hold no content.
const RAW_KEEP: Duration = Duration::from_secs(30 * 24 * 3600);

/// Why an orchestrator cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// A provider cannot be reached as configured.
    #[error(transparent)]
    Provider(#[from] ProviderError),
    /// Sockets cannot be used.
    #[error("no connections can be made: {0}")]
    Transport(#[from] TransportError),
    /// `local` classifies; the intent declares no labels.
    #[error("intent `{intent}` names the model `local`, which needs [labels]: declare them, or take `local` out")]
    LocalNeedsLabels {
        /// The intent.
        intent: IntentName,
    },
    /// `local` could not be trained.
    #[error("intent `{intent}`: `local` could not learn from its cases: {message}")]
    Local {
        /// The intent.
        intent: IntentName,
        /// Why.
        message: String,
    },
    /// What an intent's semantic cache embeds with is not there.
    #[error("intent `{intent}`: `cache.embedding`: {error}")]
    Embedding {
        /// The intent.
        intent: IntentName,
        /// Why, and what to do.
        error: baton_embed::Error,
    },
    /// A simulated provider without a simulator.
    #[error("provider `{provider}` is simulated, and no simulator was given for it")]
    NoSimulator {
        /// The provider.
        provider: String,
    },
}

/// An error that a call ended with.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{failure} (execution {execution})")]
pub struct ExecuteError {
    /// The execution, whose record says more.
    pub execution: ExecutionId,
    /// What went wrong.
    pub failure: Failure,
}

/// What a lane looks like from outside.
#[derive(Clone, Debug)]
pub struct LaneState {
    /// The model.
    pub model: ModelId,
    /// With which of the provider's keys, from 1, where it has several.
    pub key: Option<u32>,
    /// Calls that wait for a place.
    pub waiting: usize,
    /// Calls in the air.
    pub in_flight: u32,
    /// Calls at a time, as learnt so far; `None` for models inside this process.
    pub limit: Option<u32>,
    /// Its breaker.
    pub breaker: BreakerState,
    /// How long no call is let through; `None` where one would be now.
    pub open_for: Option<Duration>,
}

/// Builds an [`Orchestrator`].
pub struct Builder {
    snapshot: Arc<Snapshot>,
    store: Store,
    transports: BTreeMap<String, Arc<dyn Transport>>,
    connect: Option<Connect>,
    on_record: Option<Observer>,
    sampler: Sampler,
    seed: Option<u64>,
    keys: bool,
}

impl Builder {
    /// Sends the calls of one provider through this transport instead of HTTP.
    #[must_use]
    pub fn transport(mut self, provider: &str, transport: Arc<dyn Transport>) -> Self {
        self.transports.insert(provider.to_owned(), transport);
        self
    }

    /// Asked for the transport of every provider that [`Builder::transport`] does not name, now and at
    /// each reload.
    #[must_use]
    pub fn connect(mut self, connect: Connect) -> Self {
        self.connect = Some(connect);
        self
    }

    /// Called with every record before it is journalled: metrics and logs derive from it.
    #[must_use]
    pub fn on_record(mut self, observer: Observer) -> Self {
        self.on_record = Some(observer);
        self
    }

    /// Which executions are traced; without it none is, and what callers decided is passed on.
    #[must_use]
    pub fn sampler(mut self, sampler: Sampler) -> Self {
        self.sampler = sampler;
        self
    }

    /// Repeatable ids, wall clock and back-offs, for simulation on tokio's paused clock.
    #[must_use]
    pub fn simulated(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Asks providers without their keys: for replayed traffic.
    #[must_use]
    pub fn without_keys(mut self) -> Self {
        self.keys = false;
        self
    }

    /// Reads keys, trains `local`, and is ready.
    ///
    /// # Errors
    /// A missing key, an unknown vendor, `local` without labels, a simulated provider without a
    /// simulator: all before the first call.
    pub fn build(self) -> Result<Orchestrator, BuildError> {
        let connections = Connections::new(self.transports, self.connect, self.keys)?;
        let clock = self.seed.map_or_else(Clock::real, Clock::simulated);
        let mut lanes = Lanes::default();
        let semantic = Semantic::new(self.store.is_durable());
        let Past { spends, repeats } = self.store.past(clock.unix_us());
        let configured = Configured::new(self.snapshot, connections, &mut lanes, clock.unix_us())?;
        Ok(Orchestrator(Arc::new(Engine {
            configured,
            lanes: Mutex::new(lanes),
            waiters: Waiters::default(),
            cache: ExactCache::new(CACHE_BYTES),
            flights: Flights::default(),
            batches: Arc::new(Batches::new(self.seed)),
            budgets: Budgets::after(&spends),
            repeats: Repeats::after(repeats, clock.now(), clock.unix_us()),
            store: self.store,
            erasures: Erasures::default(),
            clock,
            tasks: Tasks::default(),
            on_record: self.on_record,
            sampler: self.sampler,
            reviews: Reviews::default(),
            judges: Judges::default(),
            learning: Learning::default(),
            locals: Locals::default(),
            routing: Routing::default(),
            drift: Drift::default(),
            rollouts: Rollouts::default(),
            semantic,
            jobs: Working::default(),
        })))
    }
}

/// The control plane between a product and its models. Cheap to clone.
#[derive(Clone)]
pub struct Orchestrator(pub(crate) Arc<Engine>);

impl Orchestrator {
    /// Begins with a compiled configuration and where records go.
    #[must_use]
    pub fn builder(snapshot: Snapshot, store: Store) -> Builder {
        Builder {
            snapshot: Arc::new(snapshot),
            store,
            transports: BTreeMap::new(),
            connect: None,
            on_record: None,
            sampler: Sampler::OFF,
            seed: None,
            keys: true,
        }
    }

    /// Answers a call within its deadline.
    ///
    /// # Errors
    /// The typed error of the table in the documentation, with the execution's id.
    pub async fn execute(&self, call: Call) -> Result<Arc<Delivered>, ExecuteError> {
        self.start(call).end().await
    }

    /// Starts a call; its events are read as they come. Dropping the cursor cancels what nobody
    /// else waits for. Must be called within a tokio runtime.
    #[must_use]
    pub fn start(&self, call: Call) -> Execution {
        let engine = Arc::clone(&self.0);
        let id = call.item.as_ref().map_or_else(|| engine.clock.execution_id(), |item| item.execution);
        let (log, events) = EventLog::begin(id);
        let conflict = match board(&engine, &call, &log) {
            Boarding::Begin => None,
            Boarding::Again(execution) => return execution,
            Boarding::Conflict(failure) => Some(failure),
        };
        let running = engine.tasks.begin(&call.caller.team);
        // Boxed: it is large, and would be moved several times on its way into its task.
        tokio::spawn(Box::pin(async move {
            let ends = async {
                match conflict {
                    Some(failure) => refused(&engine, &engine.live(), &call, (&log, failure)).await,
                    None => run(&engine, &call, &log).await,
                }
            };
            if AssertUnwindSafe(ends).catch_unwind().await.is_err() {
                tracing::error!(execution = %id, "an execution ended in a panic");
                crashed(&engine, &call, &log).await;
            }
            land(&engine, &call, &log);
            drop(running);
        }));
        Execution { id, events }
    }

    /// The configuration that a call that begins now runs on.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.0.live().snapshot)
    }

    /// Puts another configuration in force, the whole of it at once, for calls that begin from then
    /// on; those that run keep theirs. What is remembered and what is known of each endpoint stays.
    /// Reads keys and trains `local`: slow, so not for a thread that answers calls.
    ///
    /// # Errors
    /// As [`Builder::build`]; then nothing changes but [`Orchestrator::configuration`], which says so.
    pub fn reload(&self, snapshot: Snapshot) -> Result<Changes, BuildError> {
        let lanes = (&self.0.lanes, self.0.clock.now());
        let changes = self.0.configured.reload(snapshot, lanes, self.0.clock.unix_us());
        // There may be more places now, or more money.
        self.0.change(|_| ());
        self.reloaded();
        self.0.semantic.follow(&self.0.live().snapshot);
        changes
    }

    /// A configuration was meant to be put in force and is wrong before it is a [`Snapshot`]: nothing
    /// changes but [`Orchestrator::configuration`], which says so. `reason` is shown to operators.
    pub fn refuse(&self, reason: impl Into<String>) {
        self.0.configured.refuse(reason.into(), self.0.clock.unix_us());
    }

    /// How its configuration stands.
    #[must_use]
    pub fn configuration(&self) -> Configuration {
        self.0.configured.state().clone()
    }

    /// Where its records are.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.0.store
    }

    /// Every lane, as it stands.
    #[must_use]
    pub fn lanes(&self) -> Vec<LaneState> {
        let live = self.0.live();
        let (lanes, now) = (self.0.lanes(), self.0.clock.now());
        let state = |model: &baton_config::ModelSpec, (place, lane): (usize, &LaneId)| LaneState {
            model: model.id.clone(),
            key: live.pool(&model.id).and_then(|_| u32::try_from(place + 1).ok()),
            waiting: lanes.get(*lane).gate().waiting(),
            in_flight: lanes.get(*lane).gate().limiter().in_flight(),
            limit: (model.id.as_str() != "local").then(|| lanes.get(*lane).gate().limiter().limit()),
            breaker: lanes.breaker(*lane),
            open_for: match lanes.peek(*lane, now) {
                Admission::Refused { until } => Some(until - now),
                Admission::Allowed | Admission::Probe => None,
            },
        };
        let pools = live.snapshot.models.iter().zip(&live.lanes);
        pools.flat_map(|(model, pool)| pool.iter().enumerate().map(move |lane| state(model, lane))).collect()
    }

    /// How all stand whose calls, tokens or money are limited: teams and intents, and the keys that
    /// called since the start. What is spent is what the records of the day say, and what was spent
    /// before a restart is in it.
    #[must_use]
    pub fn budgets(&self) -> Vec<BudgetState> {
        let at = At { now: self.0.clock.now(), unix_us: self.0.clock.unix_us() };
        self.0.budgets.states(&self.0.live().snapshot, at)
    }

    /// The trace of an execution, given what its caller sent.
    #[must_use]
    pub fn trace(&self, execution: ExecutionId, parent: Option<&TraceParent>) -> Trace {
        Trace::begin(execution, parent, self.0.sampler)
    }

    /// How many executions run.
    #[must_use]
    pub fn running(&self) -> usize {
        self.0.tasks.running()
    }

    /// How many executions of this team run, and how many in all.
    #[must_use]
    pub fn running_of(&self, team: &TeamId) -> (usize, usize) {
        self.0.tasks.running_of(team)
    }

    /// Keeps the house in order for as long as it is polled: records go when their intent's `keep`
    /// has passed. Run it beside a long-lived orchestrator, and drop it to stop.
    pub async fn maintain(&self) {
        loop {
            tokio::time::sleep(MAINTENANCE).await;
            if let Err(error) = semantic::sweep(&self.0).await {
                tracing::warn!(%error, "old entries of the semantic cache could not be deleted");
            }
            let snapshot = self.snapshot();
            let keep = snapshot.intents.values().map(|plan| (plan.name.clone(), plan.privacy.keep));
            let retention = Retention { intents: keep.collect(), others: RAW_KEEP };
            match self.0.store.prune(retention, self.0.clock.unix_us()).await {
                Ok(0) => {}
                Ok(pruned) => tracing::info!(pruned, "records were kept as long as their intents say"),
                Err(error) => tracing::warn!(%error, "old records could not be deleted"),
            }
        }
    }

    /// Learns for as long as it is polled: what people label and judges say is in force within
    /// seconds, and what drifts is told. Run it beside a long-lived orchestrator, and drop it to stop.
    pub async fn learn(&self) {
        let learning = async {
            loop {
                semantic::begin_loading(&self.0);
                if let Err(error) = self.calibrate().await {
                    tracing::warn!(%error, "labels could not be learnt from; what was in force stays");
                }
                if let Err(error) = self.hear().await {
                    tracing::warn!(%error, "bad labels could not be heard: what they are of may be given again");
                }
                if let Err(error) = semantic::keep(&self.0, Written::Due).await {
                    tracing::warn!(%error, "the semantic cache could not be kept: this much of it is lost with the process");
                }
                tokio::time::sleep(LEARNING).await;
            }
        };
        // Beside it: judging gold answers again takes minutes.
        tokio::join!(learning, drift::watch(self));
    }

    /// One pass of [`Orchestrator::learn`]: how many calibrations it put in force.
    ///
    /// # Errors
    /// What the store says.
    pub async fn calibrate(&self) -> Result<usize, StoreError> {
        rollout::pass(&self.0).await?;
        let fitted = learn::pass(&self.0).await?;
        routing::refresh(&self.0).await?;
        local::teach(&self.0).await?;
        Ok(fitted)
    }

    /// Reads what labels and judges say of the models of intents that are routed by it, and what rollouts
    /// put in force: [`Orchestrator::calibrate`] does too, and decides what passes. Before the first call
    /// it keeps what was rolled back from being asked first.
    ///
    /// # Errors
    /// What the store says.
    pub async fn learn_routing(&self) -> Result<(), StoreError> {
        rollout::follow(&self.0).await?;
        routing::refresh(&self.0).await
    }

    /// How the candidates of a call would be ranked now, and why; nobody is asked. What calls of the
    /// same session or seed would draw is another's: the propensities say what may come of it.
    ///
    /// # Errors
    /// Those of a call that is refused before a model is asked.
    pub fn explain(&self, call: &Call) -> Result<RouteRecord, Failure> {
        let engine = &*self.0;
        let request = resolve(engine, engine.live(), call)?;
        let intent = request.intent.clone().ok_or_else(|| {
            Failure::new(ErrorCode::UnsupportedFeature, "a raw model call has one candidate: name an intent")
        })?;
        Ok(ranked(engine, call, &request, (&intent.plan, engine.clock.execution_id())).record)
    }

    /// Forgets the answers that people called bad since the last time, in both caches; how many. At once
    /// what [`Orchestrator::learn`] does within seconds.
    ///
    /// # Errors
    /// What the store says.
    pub async fn hear(&self) -> Result<usize, StoreError> {
        semantic::hear(&self.0).await
    }

    /// Writes what the semantic cache learnt since the last time, and reads no more. [`Orchestrator::learn`]
    /// writes all the time; this is for before the store is closed.
    ///
    /// # Errors
    /// What the store says.
    pub async fn keep(&self) -> Result<(), StoreError> {
        semantic::end_loading(&self.0);
        semantic::keep(&self.0, Written::All).await
    }

    /// How the semantic caches stand, by intent and team.
    #[must_use]
    pub fn semantic(&self) -> Vec<SemanticState> {
        semantic::states(&self.0)
    }

    /// What is in force for a team's calls of an intent; `None` before the first labels.
    #[must_use]
    pub fn calibration(&self, team: &TeamId, intent: &IntentName) -> Option<Arc<InForce>> {
        let intent = self.0.live().intent(intent)?;
        self.0.learning.of(team, &intent.plan.hashes.lineage)
    }

    /// Waits until none runs. Callers stop sending first.
    pub async fn idle(&self) {
        self.0.tasks.idle().await;
    }
}

impl From<ExecuteError> for Failure {
    fn from(error: ExecuteError) -> Self {
        error.failure
    }
}
