//! One version of the configuration, ready to run: what a call was resolved with stays with it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use baton_config::{ModelSpec, Plan, Snapshot};
use baton_core::{Candidate, IntentName, LaneId, ModelId};
use baton_provider::Provider;

use crate::BuildError;
use crate::connect::Pool;
use crate::intent::Intent;
use crate::lane_ids::LaneKey;
use crate::semantic::{Embedders, embedders};

/// See the module. The engine holds the current one; a request keeps the one that it began with.
pub(crate) struct Live {
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) intents: HashMap<IntentName, Arc<Intent>>,
    pub(crate) providers: BTreeMap<String, Pool>,
    /// The lanes of each of the snapshot's models, by place: one for each key of its provider. The last is
    /// [`Live::batched`].
    pub(crate) lanes: Vec<Vec<LaneId>>,
    /// What the semantic caches of its intents embed with, by name.
    pub(crate) embedders: Embedders,
}

impl Live {
    /// Trains and compiles everything: slow, and nothing of it is in force yet. What an older version
    /// learnt from the same cases is not learnt again.
    pub(crate) fn prepare(
        snapshot: Arc<Snapshot>,
        providers: BTreeMap<String, Pool>,
        lanes: Vec<Vec<LaneId>>,
        (old, now_us): (Option<&Self>, i64),
    ) -> Result<Self, BuildError> {
        let compile = |(name, plan): (&IntentName, &Arc<Plan>)| {
            let old = old.and_then(|old| old.intents.get(name));
            let intent = Intent::compile(plan, |spec| candidate(spec, &lanes), (old.map(|old| &**old), now_us))?;
            Ok((name.clone(), Arc::new(intent)))
        };
        let intents = snapshot.intents.iter().map(compile).collect::<Result<_, BuildError>>()?;
        let embedders = embedders(&snapshot, old.map(|old| &old.embedders))?;
        Ok(Self { intents, snapshot, providers, lanes, embedders })
    }

    pub(crate) fn intent(&self, name: &IntentName) -> Option<Arc<Intent>> {
        self.intents.get(name).map(Arc::clone)
    }

    /// Who is asked for a candidate, with its key.
    pub(crate) fn provider(&self, candidate: &Candidate) -> Option<&Arc<Provider>> {
        let place = candidate.key.map_or(0, |key| key as usize - 1);
        self.providers.get(candidate.model.provider())?.get(place)
    }

    /// The lanes of a model whose provider has several keys.
    pub(crate) fn pool(&self, model: &ModelId) -> Option<&[LaneId]> {
        self.providers.get(model.provider()).filter(|pool| pool.len() > 1)?;
        let spec = self.snapshot.models.iter().find(|spec| spec.id == *model)?;
        self.lanes.get(spec.place).map(Vec::as_slice)
    }

    /// So many calls at a time, and so many that wait, on each lane.
    pub(crate) fn bounds(&self) -> impl Iterator<Item = (LaneId, (u32, usize))> {
        let of = |spec: &ModelSpec| match self.snapshot.providers.get(spec.id.provider()) {
            Some(provider) => (provider.max_concurrency, self.snapshot.server.queue_max),
            // A model inside this process.
            None => (u32::MAX, usize::MAX),
        };
        let pools = self.snapshot.models.iter().zip(&self.lanes);
        let models = pools.flat_map(move |(spec, pool)| pool.iter().map(move |lane| (*lane, of(spec))));
        models.chain(self.batched().map(|lane| (lane, (u32::MAX, usize::MAX))))
    }

    /// The lane of answers that came in a batch: nobody waits for one, and nothing of it fails.
    pub(crate) fn batched(&self) -> Option<LaneId> {
        self.lanes.get(self.snapshot.models.len())?.first().copied()
    }

    /// A model as one that may answer.
    pub(crate) fn candidate(&self, spec: &ModelSpec) -> Candidate {
        candidate(spec, &self.lanes)
    }

    /// With nothing but lanes.
    #[cfg(test)]
    pub(crate) fn empty(lanes: Vec<Vec<LaneId>>) -> Self {
        let store =
            baton_config::StoreSpec { dir: std::path::PathBuf::new(), durability: baton_config::Durability::Process };
        let server = baton_config::ServerSpec { max_running: 1, queue_max: 1 };
        let (intents, models, aliases, providers, teams, webhooks, settings) = Default::default();
        let snapshot =
            Arc::new(Snapshot { intents, models, aliases, providers, teams, store, server, webhooks, settings });
        Self { snapshot, intents: HashMap::new(), providers: BTreeMap::new(), lanes, embedders: Embedders::new() }
    }
}

/// On its first key; `route` says on which.
fn candidate(spec: &ModelSpec, lanes: &[Vec<LaneId>]) -> Candidate {
    let (model, lane) = (spec.id.clone(), lanes[spec.place][0]);
    Candidate { model, lane, key: None, timeout: spec.timeout, price: spec.price.clone() }
}

/// What each model's lane belongs to, by place.
pub(crate) fn lane_keys(snapshot: &Snapshot, providers: &BTreeMap<String, Pool>) -> Vec<Vec<LaneKey>> {
    let remote = |spec: &ModelSpec, provider: &Provider| LaneKey::Remote {
        provider: spec.id.provider().to_owned(),
        uri: provider.uri().clone(),
        key: provider.key_hash(),
        model: spec.id.clone(),
    };
    let keys = |spec: &ModelSpec| match providers.get(spec.id.provider()) {
        Some(pool) => pool.iter().map(|provider| remote(spec, provider)).collect(),
        None => {
            let its = |plan: &Plan| plan.candidates.iter().any(|other| other.place == spec.place);
            let intent = snapshot.intents.values().find(|plan| its(plan));
            vec![LaneKey::Local { model: spec.id.clone(), intent: intent.map(|plan| plan.name.clone()) }]
        }
    };
    snapshot.models.iter().map(keys).chain([vec![LaneKey::Batched]]).collect()
}
