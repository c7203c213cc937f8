//! The gold answers: labelled and judged while all was well, and judged again each day. Where their
//! verdicts turn, it is the judge that moved: they did not.

use std::sync::Arc;

use baton_store::StoreError;
use serde::Serialize;

use super::Watched;
use super::reference::PASSES_FROM;
use super::state::Gold;
use crate::engine::Engine;
use crate::judge::again;

/// What the judge says of them now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Turned {
    /// Those that it gave a verdict of.
    pub(super) judged: u64,
    /// From fail to pass.
    pub(super) gained: u64,
    /// From pass to fail.
    pub(super) lost: u64,
}

/// Those of these whose content is stored as it was judged.
pub(super) async fn freeze(engine: &Engine, watched: &Watched, gold: Vec<Gold>) -> Result<Vec<Gold>, StoreError> {
    let mut frozen = Vec::with_capacity(gold.len());
    for gold in gold {
        let record = engine.store.execution(&watched.of.0, gold.execution).await?;
        if record.is_some_and(|record| record.input.is_some() && record.output.is_some() && !record.redacted) {
            frozen.push(gold);
        }
    }
    Ok(frozen)
}

/// Has them judged, one after the other: slow, and nobody waits. What has no content any more, and what
/// there is no verdict of, is left out.
pub(super) async fn judged(engine: &Arc<Engine>, watched: &Watched, gold: &[Gold]) -> Result<Turned, StoreError> {
    let mut turned = Turned::default();
    for gold in gold {
        let Some(record) = engine.store.execution(&watched.of.0, gold.execution).await? else { continue };
        let result = again(engine, &watched.intent, &record).await;
        let Some(value) = result.and_then(|result| result.value()) else { continue };
        turned.judged += 1;
        match (gold.passed, value >= PASSES_FROM) {
            (false, true) => turned.gained += 1,
            (true, false) => turned.lost += 1,
            (true, true) | (false, false) => {}
        }
    }
    Ok(turned)
}
