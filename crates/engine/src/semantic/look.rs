//! Before a model is asked: embed the input, look for similar ones in its partition, decide.

use std::sync::{Arc, PoisonError, TryLockError};
use std::time::Duration;

use baton_cache::semantic::accept::{Decision, Look, NEIGHBOURS, Neighbour};
use baton_cache::semantic::cell::{Held, answer_number};
use baton_cache::semantic::refuse::Facts;
use baton_cache::{Entry, Key};
use baton_config::{Embedding, IntentKind};
use baton_core::{Embedded, ExecutionId, ModelId, SemanticDecision, SemanticLook, Status, Via};
use baton_embed::Embedder;
use baton_stats::SplitMix64;
use serde_json::{Value, json};

use super::remote::Remote;
use super::shelves::{Shared, read};
use super::{Of, begin_loading};
use crate::engine::Engine;
use crate::intent::text_of;
use crate::outcome::Outcome;
use crate::recall::of_entry;
use crate::resolve::Request;
use crate::review::seed;

/// The substream of an execution that audits are drawn from.
const STREAM: u64 = 0x7365_6d61_6e74;
/// The longest that a look-up holds a call up,
const WAIT_MAX: Duration = Duration::from_millis(5);
/// with an embedding that itself takes some milliseconds,
const WAIT_MAX_SLOW: Duration = Duration::from_millis(30);
/// and the largest part of a call's time: one in so many.
const WAIT_SHARE: u32 = 20;
/// Texts of at most so many bytes, and partitions of so many numbers, take microseconds: they stay on the
/// thread that they are on.
const QUICK_TEXT_BYTES: usize = 2048;
const QUICK_NUMBERS: usize = 1 << 20;
/// A lock is held for microseconds, or while something is fitted: tried so often, and then not waited for.
const TRIES: u32 = 64;

/// What a call asked the semantic cache, and what is to be learnt from the model's answer.
pub(crate) struct Asked {
    pub(super) of: Of,
    pub(super) promise: f64,
    pub(super) place: Place,
    pub(super) text: String,
    /// The input's, where it was computed.
    pub(super) vector: Option<Vec<f32>>,
    /// What was seen, where the model's answer says whether it was right,
    pub(super) look: Option<Look>,
    /// and the probability with which it is heard.
    pub(super) heard: f64,
    told: SemanticLook,
}

/// Where the answer of a call belongs.
pub(super) struct Place {
    pub(super) cell: Key,
    pub(super) key: Key,
    pub(super) partition: Vec<Option<String>>,
    pub(super) answer_hash: String,
    pub(super) slots: Vec<Value>,
}

/// The partition of these calls: within scope, intent and answer hash, those of one embedding whose
/// slots are the same.
pub(super) fn cell_key(scope: &baton_core::Scope, of: &Of, answer_hash: &str, slots: &[Value]) -> Key {
    Key::of(scope, &of.intent, answer_hash, &json!({ "embedding": of.embedding, "slots": slots }))
}

impl Asked {
    /// What the record says of it, after an execution came to this.
    pub(crate) fn told(&self, outcome: &Outcome) -> SemanticLook {
        let answered = outcome.status == Status::Succeeded && outcome.via == Some(Via::Model);
        let look = self.look.as_ref().filter(|_| answered && outcome.tool_calls.is_empty());
        let agreed = look.map(|look| look.answer() == answer_number(&outcome.output));
        SemanticLook { agreed, ..self.told.clone() }
    }

    fn say(&mut self, decision: SemanticDecision) {
        self.told.decision = decision;
    }

    fn skip(&mut self, reason: &str) {
        self.told = SemanticLook { embedded: self.told.embedded, ..SemanticLook::skipped(reason) };
    }
}

/// Looks a similar input up, where the intent and the call want that. The outcome is there where its
/// answer is to be given.
pub(crate) async fn look(
    engine: &Arc<Engine>,
    request: &Request,
    execution: ExecutionId,
) -> Option<(Asked, Option<Outcome>)> {
    let error_max = request.limits.semantic_error?;
    let intent = request.intent.as_ref()?;
    let spec = intent.plan.cache.semantic.as_ref()?;
    if intent.plan.kind == IntentKind::Generation {
        return None;
    }
    let flight = request.flight.as_ref()?;
    let eyes = Eyes::of(request, &spec.embedding)?;
    let (slots, text) = apart(&request.input, &spec.slots);
    let of = Of {
        team: request.scope.team.clone(),
        intent: intent.plan.name.clone(),
        lineage: intent.plan.hashes.lineage.clone(),
        embedding: eyes.id().to_owned(),
    };
    let answer_hash = intent.plan.hashes.answer.clone();
    let cell = cell_key(&request.scope, &of, &answer_hash, &slots);
    let place = Place { cell, key: flight.key, partition: request.scope.partition.clone(), answer_hash, slots };
    let told = SemanticLook::of(SemanticDecision::Missed);
    let promise = spec.error_max;
    let mut asked = Asked { of, promise, place, text, vector: None, look: None, heard: 1.0, told };
    let outcome = decide(engine, request, (&mut asked, &eyes), (error_max, execution)).await;
    Some((asked, outcome))
}

async fn decide(
    engine: &Arc<Engine>,
    request: &Request,
    (asked, eyes): (&mut Asked, &Eyes),
    (error_max, execution): (f64, ExecutionId),
) -> Option<Outcome> {
    if !engine.semantic.is_ready() {
        begin_loading(engine);
        asked.skip("what was learnt before the start is being read");
        return None;
    }
    let accepts = Accepts::of(engine, request, &asked.text);
    let cell = engine.semantic.shelves.get(&asked.place.cell);
    let (seen, embedded) = see(engine, request, (eyes, &asked.text)).await;
    asked.told.embedded = embedded;
    let found = match seen {
        Ok(seen) => near(engine, request, seen, (cell.as_ref(), accepts)).await,
        Err(reason) => Err(reason),
    };
    let found = match found {
        Ok(found) => found,
        Err(reason) => {
            asked.skip(&reason);
            return None;
        }
    };
    asked.told.cosine = found.neighbours.first().map(|near| f64::from(near.cosine));
    asked.vector = Some(found.vector);
    let look = Look::of(&found.neighbours, found.entries)?;
    let entry = read(cell.as_ref()?).get(look.entry()).map(|held| Arc::clone(&held.entry))?;
    asked.told.neighbour = Some(entry.source);
    // Judged first: what may not be given to this input is no answer that the cache has for it.
    let mut outcome = of_entry(request, &entry, Via::CacheSemantic)?;
    let evidence = engine.semantic.evidence(&asked.of, asked.promise);
    let Some(mut evidence) = tried(&evidence) else {
        asked.skip("the evidence was being looked at");
        return None;
    };
    let risk = evidence.risk(&look);
    asked.told.right = risk.map(|risk| 1.0 - risk);
    // A call's own limit is asked of the answer itself; what it keeps away from the cache is learnt from.
    let dice = SplitMix64::new(seed(execution)).fork(STREAM).next_f64();
    let decision = match risk {
        Some(risk) if error_max < asked.promise && risk > error_max => Decision::Miss { would_serve: false },
        _ => evidence.decide(&look, dice),
    };
    drop(evidence);
    match decision {
        Decision::Serve { right } => {
            asked.say(SemanticDecision::Served);
            asked.told.look = serde_json::to_value(&look).ok();
            cell.as_ref().into_iter().for_each(|cell| read(cell).touch(look.entry()));
            served(&mut outcome, &entry, right);
            return Some(outcome);
        }
        Decision::Audit { probability, .. } => {
            asked.say(SemanticDecision::Audited);
            asked.told.probability = Some(probability);
            asked.heard = probability;
        }
        Decision::Miss { .. } => {}
    }
    asked.look = Some(look);
    None
}

/// What a hit says of itself: as good as the answer was, times the probability that it is the answer.
fn served(outcome: &mut Outcome, entry: &Entry, right: f64) {
    outcome.reason = Some(format!("a similar input was answered before: {:.1} % sure to be the same", right * 100.0));
    outcome.saved = entry.cost;
    if let Some(quality) = &mut outcome.quality {
        quality.score = quality.score.map(|score| score * right);
        quality.lower = quality.lower.map(|lower| lower * right);
        if quality.score.is_some() {
            quality.basis = format!("{}+cache-semantic", quality.basis);
        }
    }
}

/// The evidence, unless something is being fitted to it.
fn tried(evidence: &super::Evidence) -> Option<std::sync::MutexGuard<'_, baton_cache::semantic::accept::Acceptance>> {
    for _ in 0..TRIES {
        match evidence.try_lock() {
            Ok(evidence) => return Some(evidence),
            Err(TryLockError::Poisoned(poisoned)) => return Some(PoisonError::into_inner(poisoned)),
            Err(TryLockError::WouldBlock) => std::hint::spin_loop(),
        }
    }
    None
}

/// Which entries may stand in for an input.
struct Accepts {
    now_us: i64,
    /// The age that the call accepts, microseconds.
    age_us: i64,
    /// Only theirs; of anybody where empty.
    models: Vec<ModelId>,
    /// What was read in the text, where others must agree with it.
    facts: Option<Facts>,
    text: String,
}

impl Accepts {
    fn of(engine: &Engine, request: &Request, text: &str) -> Self {
        let kind = request.intent.as_ref().map(|intent| &intent.plan.kind);
        Self {
            now_us: engine.clock.unix_us(),
            age_us: i64::try_from(request.limits.ttl.as_micros()).unwrap_or(i64::MAX),
            models: request.flight.as_ref().map(|flight| flight.models.clone()).unwrap_or_default(),
            facts: (!matches!(kind, Some(IntentKind::Classification(_)))).then(|| Facts::of(text)),
            text: text.to_owned(),
        }
    }

    fn accepts(&self, held: &Held) -> bool {
        self.now_us < held.expires_us
            && self.now_us.saturating_sub(held.at_us) < self.age_us
            && (self.models.is_empty() || self.models.contains(&held.entry.model))
            && !self.facts.as_ref().is_some_and(|facts| facts.keep_apart(&self.text, &held.text))
    }
}

/// A look into a partition.
struct Found {
    vector: Vec<f32>,
    neighbours: Vec<Neighbour>,
    entries: usize,
}

/// What turns an input into a vector.
enum Eyes {
    Own {
        embedder: Arc<dyn Embedder>,
        /// It takes milliseconds.
        slow: bool,
    },
    Remote(Remote),
}

impl Eyes {
    fn of(request: &Request, embedding: &Embedding) -> Option<Self> {
        match embedding {
            Embedding::Local(name) => {
                let embedder = Arc::clone(request.live.embedders.get(name)?);
                Some(Self::Own { embedder, slow: *name == "minilm" })
            }
            Embedding::Remote(model) => Remote::of(&request.live, model).map(Self::Remote),
        }
    }

    fn id(&self) -> &str {
        match self {
            Self::Own { embedder, .. } => embedder.id(),
            Self::Remote(remote) => remote.model.id.as_str(),
        }
    }
}

/// The vector of the input, or what computes it.
enum Seen {
    Vector(Vec<f32>),
    Embedder(Arc<dyn Embedder>, bool),
}

/// Asks the provider, where the vector is one's. With what that took.
async fn see(
    engine: &Engine,
    request: &Request,
    (eyes, text): (&Eyes, &str),
) -> (Result<Seen, String>, Option<Embedded>) {
    match eyes {
        Eyes::Own { embedder, slow } => (Ok(Seen::Embedder(Arc::clone(embedder), *slow)), None),
        Eyes::Remote(remote) => {
            let (vector, embedded) = remote.embed(engine, request, text).await;
            (vector.map(Seen::Vector), embedded)
        }
    }
}

/// Embeds the input, where that is not done, and scans its partition: on the compute pool unless both take
/// microseconds. The error says why nobody looked.
async fn near(
    engine: &Engine,
    request: &Request,
    seen: Seen,
    (cell, accepts): (Option<&Shared>, Accepts),
) -> Result<Found, String> {
    let slow = matches!(seen, Seen::Embedder(_, true));
    let dimensions = match &seen {
        Seen::Vector(vector) => vector.len(),
        Seen::Embedder(embedder, _) => embedder.dimensions(),
    };
    let numbers = cell.map_or(0, |cell| read(cell).len() * dimensions);
    let embeds = matches!(seen, Seen::Embedder(..));
    let quick = !slow && (!embeds || accepts.text.len() <= QUICK_TEXT_BYTES) && numbers <= QUICK_NUMBERS;
    let cell = cell.cloned();
    let compute = move || scan(seen, cell.as_ref(), &accepts);
    if quick || engine.clock.is_simulated() {
        return compute();
    }
    let left = (request.deadline - engine.clock.now()) / WAIT_SHARE;
    let wait = if slow { WAIT_MAX_SLOW } else { WAIT_MAX }.min(left);
    let places = Arc::clone(&engine.semantic.places);
    let computed = tokio::time::timeout(wait, async move {
        let place = places.acquire_owned().await;
        let computed = tokio::task::spawn_blocking(move || {
            let computed = compute();
            drop(place);
            computed
        });
        computed.await
    });
    match computed.await {
        Ok(Ok(found)) => found,
        Ok(Err(_)) => Err("a fault of Baton's own ended the look-up".into()),
        Err(_) => Err("the look-up took too long: the machine is busy".into()),
    }
}

fn scan(seen: Seen, cell: Option<&Shared>, accepts: &Accepts) -> Result<Found, String> {
    let vector = match seen {
        Seen::Vector(vector) => vector,
        Seen::Embedder(embedder, _) => embedder.embed(&accepts.text),
    };
    if vector.iter().all(|number| *number == 0.0) {
        return Err("the input has no words to compare, or too many".into());
    }
    let (neighbours, entries) = cell.map_or((Vec::new(), 0), |cell| {
        let cell = read(cell);
        (cell.near((&accepts.text, &vector), NEIGHBOURS, |held| accepts.accepts(held)), cell.len())
    });
    Ok(Found { vector, neighbours, entries })
}

/// The slots of an input, and the text of the rest.
fn apart(input: &Value, slots: &[String]) -> (Vec<Value>, String) {
    if slots.is_empty() {
        return (Vec::new(), text_of(input));
    }
    let mut rest = input.clone();
    let take = |pointer: &String| rest.pointer_mut(pointer).map_or(Value::Null, Value::take);
    let slots = slots.iter().map(take).collect();
    (slots, text_of(&rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_not_in_the_text() {
        let input = json!({ "ticket": { "product": "gym", "text": "it broke" }, "n": 3 });
        let slots = ["/ticket/product".to_owned(), "/gone".to_owned()];
        assert_eq!(apart(&input, &slots), (vec![json!("gym"), Value::Null], "it broke\n3".to_owned()));
        assert_eq!(apart(&input, &[]).1, "gym\nit broke\n3");
    }
}
