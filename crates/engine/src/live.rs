//! One version of the configuration, ready to run: what a call was resolved with stays with it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use baton_config::{ModelSpec, Plan, Snapshot};
use baton_core::{Candidate, IntentName, LaneId, ModelId};
use baton_provider::Provider;

use crate::BuildError;
use crate::intent::Intent;
use crate::lane_ids::LaneKey;

/// See the module. The engine holds the current one; a request keeps the one that it began with.
pub(crate) struct Live {
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) intents: HashMap<IntentName, Arc<Intent>>,
    pub(crate) providers: BTreeMap<String, Arc<Provider>>,
    /// The lane of each of the snapshot's models, by place.
    pub(crate) lanes: Vec<LaneId>,
}

impl Live {
    /// Trains and compiles everything: slow, and nothing of it is in force yet. What an older version
    /// learnt from the same cases is not learnt again.
    pub(crate) fn prepare(
        snapshot: Arc<Snapshot>,
        providers: BTreeMap<String, Arc<Provider>>,
        lanes: Vec<LaneId>,
        old: Option<&Self>,
    ) -> Result<Self, BuildError> {
        let compile = |(name, plan): (&IntentName, &Arc<Plan>)| {
            let old = old.and_then(|old| old.intents.get(name));
            let intent = Intent::compile(plan, |spec| candidate(spec, &lanes), old.map(|old| &**old))?;
            Ok((name.clone(), Arc::new(intent)))
        };
        let intents = snapshot.intents.iter().map(compile).collect::<Result<_, BuildError>>()?;
        Ok(Self { intents, snapshot, providers, lanes })
    }

    pub(crate) fn intent(&self, name: &IntentName) -> Option<Arc<Intent>> {
        self.intents.get(name).map(Arc::clone)
    }

    pub(crate) fn provider(&self, model: &ModelId) -> Option<&Arc<Provider>> {
        self.providers.get(model.provider())
    }

    /// A model as one that may answer.
    pub(crate) fn candidate(&self, spec: &ModelSpec) -> Candidate {
        candidate(spec, &self.lanes)
    }

    /// With nothing but lanes.
    #[cfg(test)]
    pub(crate) fn empty(lanes: Vec<LaneId>) -> Self {
        let store =
            baton_config::StoreSpec { dir: std::path::PathBuf::new(), durability: baton_config::Durability::Process };
        let server = baton_config::ServerSpec { max_running: 1, queue_max: 1 };
        let (intents, models, aliases, providers, teams, webhooks, settings) = Default::default();
        let snapshot =
            Arc::new(Snapshot { intents, models, aliases, providers, teams, store, server, webhooks, settings });
        Self { snapshot, intents: HashMap::new(), providers: BTreeMap::new(), lanes }
    }
}

fn candidate(spec: &ModelSpec, lanes: &[LaneId]) -> Candidate {
    Candidate { model: spec.id.clone(), lane: lanes[spec.place], timeout: spec.timeout, price: spec.price }
}

/// What each model's lane belongs to, by place.
pub(crate) fn lane_keys(snapshot: &Snapshot, providers: &BTreeMap<String, Arc<Provider>>) -> Vec<LaneKey> {
    let key = |spec: &ModelSpec| match providers.get(spec.id.provider()) {
        Some(provider) => LaneKey::Remote {
            provider: spec.id.provider().to_owned(),
            uri: provider.uri().clone(),
            key: provider.key_hash(),
            model: spec.id.clone(),
        },
        None => {
            let its = |plan: &Plan| plan.candidates.iter().any(|other| other.place == spec.place);
            let intent = snapshot.intents.values().find(|plan| its(plan));
            LaneKey::Local { model: spec.id.clone(), intent: intent.map(|plan| plan.name.clone()) }
        }
    };
    snapshot.models.iter().map(key).collect()
}
