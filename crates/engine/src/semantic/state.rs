//! How the semantic caches stand, for operators.

use std::collections::BTreeMap;
use std::sync::PoisonError;

use baton_cache::semantic::accept::State;
use baton_core::{IntentName, TeamId};

use crate::engine::Engine;

/// The semantic cache of one team's calls of an intent.
#[derive(Clone, Debug, PartialEq)]
pub struct SemanticState {
    /// The intent.
    pub intent: IntentName,
    /// The team.
    pub team: TeamId,
    /// What makes its vectors.
    pub embedding: String,
    /// Inputs that it remembers, over all partitions.
    pub entries: usize,
    /// Their bytes in memory, estimated.
    pub bytes: u64,
    /// What was learnt; `None` before the first comparison.
    pub evidence: Option<State>,
}

/// All that the configuration in force has a use for, by intent and team.
pub(crate) fn states(engine: &Engine) -> Vec<SemanticState> {
    let live = engine.live();
    let mut all: BTreeMap<(IntentName, TeamId, String), SemanticState> = BTreeMap::new();
    let is_current = |of: &super::Of| {
        let plan = live.intents.get(&of.intent).map(|intent| &intent.plan);
        plan.filter(|plan| plan.cache.semantic.is_some()).is_some_and(|plan| plan.hashes.lineage == of.lineage)
    };
    let blank = |of: &super::Of| SemanticState {
        intent: of.intent.clone(),
        team: of.team.clone(),
        embedding: of.embedding.clone(),
        entries: 0,
        bytes: 0,
        evidence: None,
    };
    let key = |of: &super::Of| (of.intent.clone(), of.team.clone(), of.embedding.clone());
    for (of, entries, bytes) in engine.semantic.shelves.sizes().into_iter().filter(|(of, ..)| is_current(of)) {
        let state = all.entry(key(&of)).or_insert_with(|| blank(&of));
        state.entries += entries;
        state.bytes += bytes;
    }
    let evidence: Vec<_> = {
        let evidence = engine.semantic.all_evidence();
        evidence.iter().filter(|(of, _)| is_current(of)).map(|(of, e)| (of.clone(), e.clone())).collect()
    };
    for (of, evidence) in evidence {
        let state = evidence.lock().unwrap_or_else(PoisonError::into_inner).state();
        all.entry(key(&of)).or_insert_with(|| blank(&of)).evidence = Some(state);
    }
    all.into_values().collect()
}
