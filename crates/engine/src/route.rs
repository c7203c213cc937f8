//! Route: the candidates in the order to ask.

use std::sync::Arc;

use baton_core::Candidate;

use crate::engine::Engine;
use crate::resolve::Request;

/// In the order written, or in the order that the call names: there is no evidence yet to rank by. A
/// model whose provider has several keys stands once for each, the least busy first.
pub(crate) fn route(engine: &Engine, request: &Request) -> Arc<[Candidate]> {
    let pooled = |candidate: &Candidate| request.live.pool(&candidate.model).is_some();
    if !request.candidates.iter().any(pooled) {
        return Arc::clone(&request.candidates);
    }
    let (lanes, now, seed) = (engine.lanes(), engine.clock.now(), engine.clock.random());
    let spread = |candidate: &Candidate| match request.live.pool(&candidate.model) {
        None => vec![candidate.clone()],
        Some(pool) => {
            let keyed = |place: usize| {
                let key = u32::try_from(place + 1).ok();
                Candidate { lane: pool[place], key, ..candidate.clone() }
            };
            lanes.spread(pool, now, seed).into_iter().map(keyed).collect()
        }
    };
    request.candidates.iter().flat_map(spread).collect()
}
