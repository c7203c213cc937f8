//! To the store and back: entries and evidence outlive the process. Written in batches, off the request
//! path; read in the background at the first need.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use baton_cache::semantic::accept::Acceptance;
use baton_cache::semantic::cell::Held;
use baton_cache::{Entry, Key};
use baton_config::Embedding;
use baton_core::{ExecutionId, ModelId, Moment, NanoUsd, Scope, SubjectHash, Usage};
use baton_store::{SemanticChanges, SemanticEntry, SemanticEvidence, StoreError};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::task::JoinHandle;

use super::Of;
use super::look::{Asked, cell_key};
use crate::engine::Engine;
use crate::erase::About;
use crate::live::Live;
use crate::review::seed;

/// Changes that wait to be written at the most: entries past it are lost with the process.
const PENDING_MAX: usize = 16_384;
/// Entries that are read together.
const PAGE: usize = 1000;
/// Microseconds between two writings of evidence.
const EVIDENCE_US: i64 = 10_000_000;

/// What is not in the store yet.
pub(super) struct Pending {
    durable: bool,
    entries: HashMap<ExecutionId, SemanticEntry>,
    gone: HashSet<ExecutionId>,
    learnt: BTreeSet<Of>,
    /// When evidence was last written, Unix microseconds.
    written_us: i64,
    /// Labels up to then are heard, Unix microseconds,
    pub(super) heard_us: i64,
    /// and up to then by what was read at the start.
    before: HashMap<Of, i64>,
}

/// What an entry is besides its vector, as JSON.
#[derive(Serialize, Deserialize)]
struct Body {
    partition: Vec<Option<String>>,
    answer_hash: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    slots: Vec<Value>,
    lineage: String,
    key: [u8; 32],
    text: String,
    output: Value,
    answer: String,
    model: ModelId,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    repairs: Vec<String>,
    #[serde(default)]
    simulated: bool,
    usage: Usage,
    cost: Option<NanoUsd>,
}

impl Pending {
    pub(super) fn new(durable: bool) -> Self {
        let (entries, gone, learnt, written_us, heard_us, before) = Default::default();
        Self { durable, entries, gone, learnt, written_us, heard_us, before }
    }

    /// An answer is remembered.
    pub(super) fn add(&mut self, asked: &Asked, held: &Held, vector: &[f32]) {
        if !self.durable || self.entries.len() >= PENDING_MAX {
            return;
        }
        let entry = &held.entry;
        let body = Body {
            partition: asked.place.partition.clone(),
            answer_hash: asked.place.answer_hash.clone(),
            slots: asked.place.slots.clone(),
            lineage: asked.of.lineage.clone(),
            key: *held.key.as_bytes(),
            text: held.text.clone(),
            output: entry.output.clone(),
            answer: entry.text.clone(),
            model: entry.model.clone(),
            repairs: entry.repairs.clone(),
            simulated: entry.simulated,
            usage: entry.usage,
            cost: entry.cost,
        };
        let Ok(body) = serde_json::to_string(&body) else { return };
        let row = SemanticEntry {
            execution: entry.source,
            team: asked.of.team.clone(),
            intent: asked.of.intent.clone(),
            embedding: asked.of.embedding.clone(),
            at_us: held.at_us,
            expires_us: held.expires_us,
            vector: vector.to_vec(),
            body,
            subject: entry.subject,
        };
        self.gone.remove(&row.execution);
        self.entries.insert(row.execution, row);
    }

    /// These are remembered no more.
    pub(super) fn gone(&mut self, gone: &[Held]) {
        gone.iter().for_each(|held| self.gone_execution(held.entry.source));
    }

    /// The answer of this execution, likewise.
    pub(super) fn gone_execution(&mut self, execution: ExecutionId) {
        if self.durable {
            self.entries.remove(&execution);
            self.gone.insert(execution);
        }
    }

    /// Nothing of an erased person is to be written; how many entries that were to be.
    fn forget(&mut self, subject: SubjectHash) -> usize {
        let before = self.entries.len();
        self.entries.retain(|_, entry| entry.subject != Some(subject));
        before - self.entries.len()
    }

    /// There is new evidence.
    pub(super) fn learnt(&mut self, of: &Of) {
        if self.durable && !self.learnt.contains(of) {
            self.learnt.insert(of.clone());
        }
    }

    /// Labels up to then were in the evidence that was read at the start, Unix microseconds.
    pub(super) fn heard_before(&self, of: &Of) -> i64 {
        self.before.get(of).copied().unwrap_or(i64::MIN)
    }
}

/// How much of what changed is written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Written {
    /// Entries; evidence, which is written whole, not more often than each [`EVIDENCE_US`].
    Due,
    /// All.
    All,
}

/// Writes what changed since the last time.
pub(crate) async fn keep(engine: &Engine, written: Written) -> Result<(), StoreError> {
    let semantic = &engine.semantic;
    if !semantic.is_ready() {
        return Ok(());
    }
    let _keeping = semantic.keeping().await;
    let at_us = engine.clock.unix_us();
    let (entries, gone, learnt, heard_us) = {
        let mut pending = semantic.pending();
        let due = written == Written::All || at_us - pending.written_us >= EVIDENCE_US;
        let learnt = if due { std::mem::take(&mut pending.learnt) } else { BTreeSet::new() };
        if !learnt.is_empty() {
            pending.written_us = at_us;
        }
        (std::mem::take(&mut pending.entries), std::mem::take(&mut pending.gone), learnt, pending.heard_us)
    };
    let learnt: Vec<(Of, super::Evidence)> = {
        let all = semantic.all_evidence();
        learnt.into_iter().filter_map(|of| Some((of.clone(), Arc::clone(all.get(&of)?)))).collect()
    };
    // Some milliseconds each.
    let evidence = move || learnt.into_iter().filter_map(|of| as_row(of, (at_us, heard_us))).collect();
    let evidence = match engine.clock.is_simulated() {
        true => evidence(),
        false => tokio::task::spawn_blocking(evidence).await.map_err(|_| StoreError::Closed)?,
    };
    let (entries, gone) = (entries.into_values().collect(), gone.into_iter().collect());
    engine.store.keep_semantic(&SemanticChanges { entries, gone, evidence }).await
}

fn as_row((of, evidence): (Of, super::Evidence), (at_us, heard_us): (i64, i64)) -> Option<SemanticEvidence> {
    // A copy under the lock, the rest without it.
    let evidence = evidence.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let state = serde_json::to_string(&evidence).ok()?;
    let Of { team, intent, lineage, embedding } = of;
    Some(SemanticEvidence { team, intent, lineage, embedding, at_us, heard_us, state })
}

/// What reads.
#[derive(Default)]
pub(super) enum Loading {
    #[default]
    NotYet,
    Begun(JoinHandle<()>),
}

/// Ends the reading, where it has not: the store is about to be closed.
pub(crate) fn end_loading(engine: &Engine) {
    let mut loading = engine.semantic.loading.lock().unwrap_or_else(PoisonError::into_inner);
    if let Loading::Begun(task) = &mut *loading {
        task.abort();
    }
}

/// Reads what an earlier process kept, once, in the background.
pub(crate) fn begin_loading(engine: &Arc<Engine>) {
    let mut loading = engine.semantic.loading.lock().unwrap_or_else(PoisonError::into_inner);
    if engine.semantic.is_ready() || matches!(*loading, Loading::Begun(_)) {
        return;
    }
    let engine = Arc::clone(engine);
    *loading = Loading::Begun(tokio::spawn(async move {
        if let Err(error) = evidence(&engine).await {
            tracing::error!(%error, "the evidence of the semantic cache cannot be read; it begins anew");
        }
        engine.semantic.ready.store(true, Ordering::Release);
        if let Err(error) = entries(&engine).await {
            tracing::error!(%error, "the semantic cache could not be read; it begins anew");
        }
    }));
}

async fn evidence(engine: &Engine) -> Result<(), StoreError> {
    let live = engine.live();
    for row in engine.store.semantic_evidence().await? {
        let SemanticEvidence { team, intent, lineage, embedding, heard_us, state, .. } = row;
        let spec = live.intents.get(&intent).and_then(|intent| intent.plan.cache.semantic.as_ref());
        let Some(promise) = spec.map(|spec| spec.error_max) else { continue };
        // What is fitted is fitted again, which takes a while.
        let read = move || {
            let mut read: Acceptance = serde_json::from_str(&state)?;
            read.keep_to(promise);
            Ok::<_, serde_json::Error>(read)
        };
        let read = match engine.clock.is_simulated() {
            true => read(),
            false => tokio::task::spawn_blocking(read).await.map_err(|_| StoreError::Closed)?,
        };
        let of = Of { team, intent, lineage, embedding };
        match read {
            Ok(acceptance) => {
                engine.semantic.pending().before.insert(of.clone(), heard_us);
                engine.semantic.all_evidence().insert(of, Arc::new(Mutex::new(acceptance)));
            }
            // Another version of Baton reads something else of a look.
            Err(error) => {
                let begins = "the semantic cache begins anew to learn: its evidence is not of this version";
                tracing::warn!(%error, intent = %of.intent, "{begins}");
            }
        }
    }
    Ok(())
}

async fn entries(engine: &Engine) -> Result<(), StoreError> {
    engine.store.expire_semantic(engine.clock.unix_us()).await?;
    let mut before = None;
    loop {
        let page = engine.store.semantic_entries(before, PAGE).await?;
        let full = page.len() == PAGE;
        before = page.last().map(|row| row.execution);
        let live = engine.live();
        for row in page {
            read(engine, &live, row);
            tokio::task::yield_now().await;
        }
        if !full {
            return Ok(());
        }
    }
}

/// Takes an entry in, where the configuration in force has a use for it. What is not of use now stays in
/// the store until its time is over.
fn read(engine: &Engine, live: &Live, row: SemanticEntry) {
    let Some(intent) = live.intents.get(&row.intent) else { return };
    let Some(spec) = &intent.plan.cache.semantic else { return };
    let alike = match &spec.embedding {
        Embedding::Remote(model) => model.id.as_str() == row.embedding,
        Embedding::Local(name) => {
            live.embedders.get(name).is_some_and(|e| e.id() == row.embedding && e.dimensions() == row.vector.len())
        }
    };
    let body: Body = match serde_json::from_str(&row.body) {
        Ok(body) => body,
        Err(error) => return tracing::warn!(%error, "an entry of the semantic cache cannot be read"),
    };
    if !alike || body.answer_hash != intent.plan.hashes.answer || body.slots.len() != spec.slots.len() {
        return;
    }
    let scope = Scope { team: row.team.clone(), partition: body.partition };
    let of = Of { team: row.team, intent: row.intent, lineage: body.lineage, embedding: row.embedding };
    let cell = cell_key(&scope, &of, &body.answer_hash, &body.slots);
    let entry = Entry {
        intent: of.intent.clone(),
        output: body.output,
        tool_calls: Vec::new(),
        text: body.answer,
        repairs: body.repairs,
        model: body.model,
        source: row.execution,
        stored_at: Moment::default(),
        expires_at: Moment::default(),
        simulated: body.simulated,
        usage: body.usage,
        cost: body.cost,
        subject: row.subject,
    };
    let key = Key::from_bytes(body.key);
    // Newer ones were read before it, or came since the start.
    let known = engine.semantic.shelves.get(&cell).is_some_and(|cell| super::shelves::read(&cell).knows(&key));
    if known {
        return engine.semantic.pending().gone_execution(row.execution);
    }
    let held = Held::new(key, body.text, Arc::new(entry), (row.at_us, row.expires_us));
    let gone = engine.semantic.shelves.insert((cell, &of), (seed(row.execution), held), &row.vector);
    engine.semantic.pending().gone(&gone);
    // The store forgets it itself, and counts it.
    if engine.erasures.since(&About::before(row.subject)).is_some() {
        drop(engine.semantic.shelves.remove(seed(row.execution), |held| held.entry.source == row.execution));
    }
}

/// Forgets an erased person in memory; how many entries that the store does not have. Those that it has it
/// forgets itself.
pub(crate) fn forget(engine: &Engine, subject: SubjectHash) -> usize {
    let gone = engine.semantic.shelves.retain(|_, held| held.entry.subject != Some(subject));
    let unwritten = engine.semantic.pending().forget(subject);
    if engine.store.is_durable() { unwritten } else { gone.len() }
}

/// Forgets what is past its time, in memory and in the store.
pub(crate) async fn sweep(engine: &Engine) -> Result<(), StoreError> {
    let now_us = engine.clock.unix_us();
    drop(engine.semantic.shelves.retain(|_, held| now_us < held.expires_us));
    engine.store.expire_semantic(now_us).await.map(drop)
}
