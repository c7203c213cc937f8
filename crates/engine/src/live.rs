//! One version of the configuration, ready to run: what a call was resolved with stays with it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use baton_config::{ModelSpec, Snapshot};
use baton_core::{Candidate, IntentName, LaneId, ModelId};
use baton_provider::Provider;

use crate::BuildError;
use crate::intent::Intent;
use crate::lane_ids::{LaneIds, LaneKey};

/// See the module. The engine holds the current one; a request keeps the one that it began with.
pub(crate) struct Live {
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) intents: HashMap<IntentName, Arc<Intent>>,
    pub(crate) providers: BTreeMap<String, Arc<Provider>>,
    /// The lane of each of the snapshot's models, by place.
    pub(crate) lanes: Vec<LaneId>,
}

impl Live {
    /// Trains and compiles everything: slow, and nothing of it is in force yet.
    pub(crate) fn prepare(
        snapshot: Arc<Snapshot>,
        providers: BTreeMap<String, Arc<Provider>>,
        ids: &mut LaneIds,
    ) -> Result<Self, BuildError> {
        let lanes: Vec<LaneId> = keys(&snapshot, &providers).into_iter().map(|key| ids.of(key)).collect();
        let compile = |(name, plan): (&IntentName, _)| {
            let intent = Intent::compile(plan, |spec| candidate(spec, &lanes))?;
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
}

fn candidate(spec: &ModelSpec, lanes: &[LaneId]) -> Candidate {
    Candidate { model: spec.id.clone(), lane: lanes[spec.place], timeout: spec.timeout, price: spec.price }
}

/// What each model's lane belongs to, by place.
fn keys(snapshot: &Snapshot, providers: &BTreeMap<String, Arc<Provider>>) -> Vec<LaneKey> {
    let key = |spec: &ModelSpec| match providers.get(spec.id.provider()) {
        Some(provider) => LaneKey::Remote {
            provider: spec.id.provider().to_owned(),
            uri: provider.uri().clone(),
            key: provider.key_hash(),
            model: spec.id.clone(),
        },
        None => {
            let its = |plan: &baton_config::Plan| plan.candidates.iter().any(|other| other.place == spec.place);
            let intent = snapshot.intents.values().find(|plan| its(plan));
            LaneKey::Local { model: spec.id.clone(), intent: intent.map(|plan| plan.name.clone()) }
        }
    };
    snapshot.models.iter().map(key).collect()
}
