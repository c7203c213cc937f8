//! The semantic cache on the request path: a similar input was answered before, in the same scope, by the
//! same plan, and the evidence says that its answer is the model's.
//!
//! [`look`] asks before a model is; [`learn`] takes what the model then said, off the path. What people
//! call bad goes ([`hear`]), and all of it outlives the process ([`keep`]). Whether an answer may be given
//! is [`baton_cache::semantic::accept`]'s to decide.

mod hear;
mod keep;
mod learn;
mod look;
mod remote;
mod shelves;
mod state;

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use baton_cache::semantic::accept::Acceptance;
use baton_config::{Embedding, Snapshot};
use baton_core::{IntentName, ModelId, Moment, TeamId};
use baton_embed::Embedder;
use tokio::sync::Semaphore;

pub use state::SemanticState;

pub(crate) use hear::hear;
pub(crate) use keep::{Written, begin_loading, end_loading, forget, keep, sweep};
pub(crate) use learn::learn;
pub(crate) use look::{Asked, look};
pub(crate) use state::states;

use hear::Heard;
use keep::{Loading, Pending};
use learn::Jobs;
use shelves::Shelves;

use crate::BuildError;

/// Look-ups that may be computed at a time; the others wait, for as long as each may take.
fn at_a_time() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// Whose evidence it is: a team's, of one intent as one lineage has it, by one embedding.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Of {
    pub(crate) team: TeamId,
    pub(crate) intent: IntentName,
    pub(crate) lineage: String,
    pub(crate) embedding: String,
}

/// One intent's evidence in one team. Fitting holds the lock for some milliseconds, so the request path
/// only tries it.
pub(crate) type Evidence = Arc<Mutex<Acceptance>>;

/// See the module. It outlives changes of the configuration.
pub(crate) struct Semantic {
    shelves: Shelves,
    evidence: Mutex<HashMap<Of, Evidence>>,
    places: Arc<Semaphore>,
    jobs: Mutex<Jobs>,
    pending: Mutex<Pending>,
    /// Held while it is written.
    keeping: tokio::sync::Mutex<()>,
    heard: tokio::sync::Mutex<Heard>,
    /// Whether what an earlier process learnt is here. Before, nothing is looked up: it would be learnt
    /// twice.
    ready: AtomicBool,
    loading: Mutex<Loading>,
    /// Embedding models of providers that failed, and until when nobody asks them.
    resting: Mutex<HashMap<ModelId, Moment>>,
}

impl Semantic {
    /// Empty. `durable`: there is a store that it is loaded from first.
    pub(crate) fn new(durable: bool) -> Self {
        Self {
            shelves: Shelves::default(),
            evidence: Mutex::default(),
            places: Arc::new(Semaphore::new(at_a_time())),
            jobs: Mutex::default(),
            pending: Mutex::new(Pending::new(durable)),
            keeping: tokio::sync::Mutex::default(),
            heard: tokio::sync::Mutex::default(),
            ready: AtomicBool::new(!durable),
            loading: Mutex::default(),
            resting: Mutex::default(),
        }
    }

    fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }

    fn all_evidence(&self) -> MutexGuard<'_, HashMap<Of, Evidence>> {
        self.evidence.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The evidence of these calls, begun where there is none.
    fn evidence(&self, of: &Of, promise: f64) -> Evidence {
        let mut all = self.all_evidence();
        match all.get(of) {
            Some(evidence) => Arc::clone(evidence),
            None => {
                let evidence = Arc::new(Mutex::new(Acceptance::new(promise)));
                all.insert(of.clone(), Arc::clone(&evidence));
                evidence
            }
        }
    }

    /// Another configuration is in force: its promises are. Fits, so not for a thread that answers calls.
    pub(crate) fn follow(&self, snapshot: &Snapshot) {
        let all: Vec<_> = self.all_evidence().iter().map(|(of, e)| (of.intent.clone(), Arc::clone(e))).collect();
        for (intent, evidence) in all {
            let spec = snapshot.plan(&intent).and_then(|plan| plan.cache.semantic.as_ref());
            if let Some(spec) = spec {
                evidence.lock().unwrap_or_else(PoisonError::into_inner).keep_to(spec.error_max);
            }
        }
    }

    /// Nothing is written until this is dropped.
    pub(crate) async fn keeping(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.keeping.lock().await
    }

    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What embeds, by name: those that the intents of a configuration name. One that an older configuration
/// has read is not read again.
pub(crate) type Embedders = BTreeMap<&'static str, Arc<dyn Embedder>>;

/// Reads weights: slow.
pub(crate) fn embedders(snapshot: &Snapshot, old: Option<&Embedders>) -> Result<Embedders, BuildError> {
    let mut all = Embedders::new();
    let folder = snapshot.store.dir.join(baton_embed::FOLDER);
    for plan in snapshot.intents.values() {
        let Some(Embedding::Local(name)) = plan.cache.semantic.as_ref().map(|spec| &spec.embedding) else { continue };
        if all.contains_key(name) {
            continue;
        }
        let embedder = match old.and_then(|old| old.get(name)) {
            Some(embedder) => Arc::clone(embedder),
            None => baton_embed::open(name, &folder)
                .map_err(|error| BuildError::Embedding { intent: plan.name.clone(), error })?,
        };
        all.insert(name, embedder);
    }
    Ok(all)
}

/// Whether what the semantic caches of a configuration embed with is there: reads it.
///
/// # Errors
/// The first that is not, and what to do.
pub fn check_embeddings(snapshot: &Snapshot) -> Result<(), BuildError> {
    embedders(snapshot, None).map(drop)
}
