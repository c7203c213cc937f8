//! What people call bad: the answer goes from both caches, whoever it was given to, and where the semantic
//! cache gave it, that counts against it.

use std::collections::{HashSet, VecDeque};
use std::sync::PoisonError;

use baton_cache::semantic::accept::Look;
use baton_core::{ExecutionId, Record, SemanticDecision};
use baton_store::StoreError;

use super::Of;
use crate::engine::Engine;

/// Labels that come late, from another process, are still heard so long after.
const LATE_US: i64 = 60 * 1_000_000;
/// Executions that are known to be bad; past it the oldest are forgotten.
const KNOWN_MAX: usize = 65_536;

/// What was heard so far.
#[derive(Default)]
pub(super) struct Heard {
    /// When the last label was given, Unix microseconds, and the mark of all labels then.
    until_us: i64,
    mark: Option<(i64, u64)>,
    known: HashSet<ExecutionId>,
    order: VecDeque<ExecutionId>,
}

impl Heard {
    /// Whether this is new.
    fn is_new(&mut self, execution: ExecutionId) -> bool {
        if !self.known.insert(execution) {
            return false;
        }
        self.order.push_back(execution);
        if self.order.len() > KNOWN_MAX {
            let _ = self.order.pop_front().is_some_and(|old| self.known.remove(&old));
        }
        true
    }
}

/// Hears what people said since the last time; how many answers were called bad.
pub(crate) async fn hear(engine: &Engine) -> Result<usize, StoreError> {
    let mut heard = engine.semantic.heard.lock().await;
    let mark = engine.store.labels_mark().await?;
    if heard.mark == Some(mark) {
        return Ok(0);
    }
    let mut bad = 0;
    let mut after = (heard.until_us.saturating_sub(LATE_US), ExecutionId::from_bytes([0; 16]));
    loop {
        let page = engine.store.labels_acted(after).await?;
        let Some((last, _)) = page.last() else { break };
        after = *last;
        for ((at_us, _), label) in page {
            if label.pass || label.rejected || !heard.is_new(label.execution) {
                continue;
            }
            bad += 1;
            if let Some(record) = engine.store.execution(&label.team, label.execution).await? {
                disbelieve(engine, &record, at_us);
            }
        }
    }
    // Somebody's clock may run ahead: what comes after it is heard all the same.
    let until_us = after.0.min(engine.clock.unix_us());
    (heard.until_us, heard.mark) = (heard.until_us.max(until_us), Some(mark));
    engine.semantic.pending().heard_us = heard.until_us;
    Ok(bad)
}

/// Forgets an answer that somebody called bad at this time (Unix microseconds): where it came from, and
/// what it led to.
fn disbelieve(engine: &Engine, record: &Record, at_us: i64) {
    for execution in [Some(record.execution), record.source].into_iter().flatten() {
        engine.cache.evict_execution(&execution);
        engine.semantic.forget_execution(execution);
    }
    let served = record.semantic.as_ref().filter(|look| look.decision == SemanticDecision::Served);
    let look: Option<Look> = served.and_then(|look| serde_json::from_value(look.look.clone()?).ok());
    let (Some(look), Some(intent)) = (look, &record.intent) else { return };
    let all: Vec<_> = {
        let evidence = engine.semantic.all_evidence();
        let of = |of: &&Of| of.team == record.team && of.intent == *intent && of.lineage == record.lineage;
        let found: Vec<Of> = evidence.keys().filter(of).cloned().collect();
        found.into_iter().filter_map(|of| Some((evidence.get(&of)?.clone(), of))).collect()
    };
    for (evidence, of) in all {
        // What was heard before the last restart is in what was read then.
        if at_us > engine.semantic.pending().heard_before(&of) {
            evidence.lock().unwrap_or_else(PoisonError::into_inner).report_bad(look.clone());
            engine.semantic.pending().learnt(&of);
        }
    }
}
