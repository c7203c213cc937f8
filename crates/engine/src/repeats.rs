//! Calls that are made again under the same key: they are given the execution that they were given before.
//!
//! What is kept: executions that run; answers, and errors that asking again would not change, for
//! [`REPEATS_KEPT`]. Of those before the start, what their records say. Past the bounds the oldest go.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use baton_config::StoreContent;
use baton_core::{Answer, ErrorCode, ExecutionId, Failure, Idempotency, Moment, Status, SubjectHash, TeamId};
use baton_store::{REPEATS_KEPT, Repeat};
use baton_wire::{Block, FinishReason};
use serde_json::{Map, Value};

use crate::call::{Call, Target};
use crate::close::tell;
use crate::engine::Engine;
use crate::erase::About;
use crate::execution::Execution;
use crate::intent::text_of_output;
use crate::log::{Cursor, Delivered, EventLog, LogEvent};
use crate::outcome::Outcome;
use crate::resolve::Request;

/// Calls that are kept.
const CALLS_MAX: usize = 65_536;
/// Bytes of their answers, about.
const BYTES_MAX: usize = 64 * 1024 * 1024;
/// Bytes of a caller's key.
const KEY_BYTES_MAX: usize = 255;

/// What makes a call that is made again the same call: the caller's key for it, and everything that it
/// asks, as bytes.
///
/// # Errors
/// `input_invalid` for a key that is empty, over 255 bytes, or has control characters.
pub fn idempotency(key: &str, body: &[u8]) -> Result<Idempotency, Failure> {
    if key.is_empty() || key.len() > KEY_BYTES_MAX || key.chars().any(char::is_control) {
        let message = format!("Idempotency-Key: expected 1 to {KEY_BYTES_MAX} bytes on one line: a UUID for each call");
        return Err(Failure::new(ErrorCode::InputInvalid, message).at("Idempotency-Key"));
    }
    let hash = |bytes: &[u8]| blake3::hash(bytes).to_hex().to_string();
    Ok(Idempotency { key: hash(key.as_bytes()), body: hash(body) })
}

/// How a call that was made before ended, as far as that is known here.
#[derive(Clone)]
enum Ended {
    /// It has not.
    Running(Arc<EventLog>),
    Answered(Arc<Delivered>),
    Refused(Arc<Failure>),
    /// Its record says.
    Recorded,
}

struct Kept {
    body: String,
    execution: ExecutionId,
    ended: Ended,
    expires: Moment,
    bytes: usize,
    subject: Option<SubjectHash>,
}

type Name = (TeamId, String);

/// See the module.
pub(crate) struct Repeats(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    calls: HashMap<Name, Kept>,
    /// Those that ended, the oldest first; some may be gone or begun anew.
    order: VecDeque<(Name, ExecutionId)>,
    bytes: usize,
}

/// What a call is.
pub(crate) enum Boarding {
    /// The first of its kind.
    Begin,
    /// Made before: this is its execution.
    Again(Execution),
    /// Made before, and it asked something else.
    Conflict(Failure),
}

impl Repeats {
    /// Begins with those before the start, the oldest first.
    pub(crate) fn after(repeats: Vec<Repeat>, now: Moment, now_us: i64) -> Self {
        let mut inner = Inner::default();
        for Repeat { team, call, execution, at_us } in repeats {
            let age = Duration::from_micros(now_us.saturating_sub(at_us).max(0).unsigned_abs());
            let (expires, name) = (now + REPEATS_KEPT.saturating_sub(age), (team, call.key));
            inner.order.push_back((name.clone(), execution));
            // Its record says whom it is about, and what is left of it.
            let (body, ended, subject) = (call.body, Ended::Recorded, None);
            inner.calls.insert(name, Kept { body, execution, ended, expires, bytes: 0, subject });
        }
        Self(Mutex::new(inner))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether this call was made before; if not, it is from now on, as the execution that writes `log`.
pub(crate) fn board(engine: &Arc<Engine>, call: &Call, log: &Arc<EventLog>) -> Boarding {
    let Some((name, body)) = named(call) else { return Boarding::Begin };
    let now = engine.clock.now();
    let mut inner = engine.repeats.lock();
    inner.forget(now);
    if let Some(kept) = inner.calls.get(&name).filter(|kept| now < kept.expires) {
        if kept.body != body {
            let message = "this Idempotency-Key was used for another call: use a new key for each call";
            return Boarding::Conflict(Failure::new(ErrorCode::IdempotencyConflict, message).at("Idempotency-Key"));
        }
        let id = kept.execution;
        // One that everybody left comes to no answer: it is made anew.
        if let Some(events) = replay(engine, call, id, kept.ended.clone()) {
            return Boarding::Again(Execution { id, events });
        }
    }
    let (execution, ended) = (log.execution, Ended::Running(Arc::clone(log)));
    let (expires, subject) = (now + REPEATS_KEPT, call.subject_hash());
    inner.calls.insert(name, Kept { body, execution, ended, expires, bytes: 0, subject });
    Boarding::Begin
}

/// The call's name and what it asks, where it may be made: one that may not is refused as any other.
fn named(call: &Call) -> Option<(Name, String)> {
    let Idempotency { key, body } = call.idempotency.clone()?;
    let allowed = match &call.target {
        Target::Intent { name, .. } => call.caller.may_call(name),
        Target::Model(_) => call.caller.may_call_models(),
    };
    allowed.ok().map(|()| ((call.caller.team.clone(), key), body))
}

/// The events of an execution that was begun before.
fn replay(engine: &Arc<Engine>, call: &Call, id: ExecutionId, ended: Ended) -> Option<Cursor> {
    if let Ended::Running(log) = &ended {
        return log.reader();
    }
    let (log, cursor) = EventLog::begin(id);
    match ended {
        Ended::Answered(delivered) => again(engine, call, &log, delivered),
        Ended::Refused(failure) => log.append(LogEvent::Error(failure)),
        Ended::Running(_) | Ended::Recorded => {
            let (engine, call) = (Arc::clone(engine), call.clone());
            tokio::spawn(async move {
                match recorded(&engine, &call, id).await {
                    Ok(delivered) => again(&engine, &call, &log, Arc::new(delivered)),
                    Err(failure) => log.append(LogEvent::Error(Arc::new(failure))),
                }
            });
        }
    }
    Some(cursor)
}

fn again(engine: &Engine, call: &Call, log: &EventLog, delivered: Arc<Delivered>) {
    let intent = match &call.target {
        Target::Intent { name, .. } => engine.live().intent(name),
        Target::Model(_) => None,
    };
    tell(call, intent.as_deref(), log, delivered, false);
}

/// What the record of an execution says that it was answered with.
async fn recorded(engine: &Engine, call: &Call, id: ExecutionId) -> Result<Delivered, Failure> {
    let gone = || {
        let message = "what this Idempotency-Key was answered with is no longer kept: use a new key";
        Failure::new(ErrorCode::IdempotencyConflict, message).at("Idempotency-Key")
    };
    let record = engine.store.execution(&call.caller.team, id).await.map_err(|error| {
        tracing::error!(%error, "the answer to a repeated call could not be read");
        Failure::new(ErrorCode::Internal, "the store could not say what this Idempotency-Key was answered with")
    })?;
    let record = record.ok_or_else(gone)?;
    if let Some(failure) = record.error.clone().filter(|_| record.status == Status::Failed) {
        return Err(failure);
    }
    let output = record.output.clone().ok_or_else(gone)?;
    let live = engine.live();
    let kind = record.intent.as_ref().and_then(|name| live.intent(name)).map(|intent| intent.plan.kind.clone());
    let text = kind.and_then(|kind| text_of_output(&kind, &output)).unwrap_or_else(|| output.to_string());
    Ok(Delivered {
        answer: Answer::of(&record, output, Vec::new()),
        content: vec![Block::Text(text)],
        finish: FinishReason::Stop,
        extra: Map::new(),
    })
}

/// What a record keeps of the call's key: something where the record alone can answer it again.
pub(crate) fn kept(call: &Call, request: Option<&Request>, outcome: &Outcome) -> Option<Idempotency> {
    let told = match (outcome.status, &outcome.error) {
        (Status::Failed, Some(failure)) => Idempotency::keeps(failure.code),
        (Status::Succeeded, _) => {
            let intent = request.and_then(|request| request.intent.as_ref());
            outcome.tool_calls.is_empty()
                && intent.is_some_and(|intent| intent.plan.privacy.store != StoreContent::Nothing)
        }
        _ => false,
    };
    call.idempotency.clone().filter(|_| told)
}

/// The execution that writes this log has ended: keeps what it came to, or lets the call be made anew.
pub(crate) fn land(engine: &Engine, call: &Call, log: &Arc<EventLog>) {
    let Some((name, _)) = named(call) else { return };
    let ended = match log.last() {
        Some(LogEvent::End(delivered)) => Some(Ended::Answered(delivered)),
        Some(LogEvent::Error(failure)) if Idempotency::keeps(failure.code) => Some(Ended::Refused(failure)),
        _ => None,
    };
    let erased = || engine.erasures.since(&About::call(call, &engine.clock)).is_some();
    let mut inner = engine.repeats.lock();
    let ended = ended.filter(|_| !erased());
    let ours = |kept: &&mut Kept| matches!(&kept.ended, Ended::Running(other) if Arc::ptr_eq(other, log));
    let Some(kept) = inner.calls.get_mut(&name).filter(ours) else { return };
    match ended {
        Some(ended) => {
            let bytes = bytes(&ended);
            (kept.ended, kept.bytes) = (ended, bytes);
            inner.bytes += bytes;
            inner.order.push_back((name, log.execution));
        }
        None => drop(inner.calls.remove(&name)),
    }
    inner.forget(engine.clock.now());
}

/// Forgets the answers of calls about a person, who was erased; how many. Those that run forget theirs.
pub(crate) fn forget(engine: &Engine, subject: SubjectHash) -> usize {
    let mut inner = engine.repeats.lock();
    let ended = |kept: &Kept| kept.subject == Some(subject) && !matches!(kept.ended, Ended::Running(_));
    let theirs: Vec<Name> = inner.calls.iter().filter(|(_, kept)| ended(kept)).map(|(name, _)| name.clone()).collect();
    for kept in theirs.iter().filter_map(|name| inner.calls.remove(name)).collect::<Vec<_>>() {
        inner.bytes -= kept.bytes;
    }
    theirs.len()
}

/// About as much memory as it takes.
fn bytes(ended: &Ended) -> usize {
    match ended {
        Ended::Answered(delivered) => {
            let answer = &delivered.answer;
            let calls: usize = answer.tool_calls.iter().map(|call| call.to_string().len()).sum();
            let extra = Value::Object(delivered.extra.clone()).to_string().len();
            let text = |block: &Block| match block {
                Block::Text(text) | Block::Refusal(text) | Block::Thinking { text, .. } => text.len(),
                other => format!("{other:?}").len(),
            };
            let content: usize = delivered.content.iter().map(text).sum();
            1024 + 2 * answer.output.to_string().len() + calls + extra + content
        }
        Ended::Running(_) | Ended::Refused(_) | Ended::Recorded => 1024,
    }
}

impl Inner {
    /// Drops what is too old or too much, the oldest first. What runs stays: so many may run.
    fn forget(&mut self, now: Moment) {
        while let Some((name, execution)) = self.order.front() {
            let kept = self.calls.get(name).filter(|kept| kept.execution == *execution);
            let over = self.order.len() > CALLS_MAX || self.bytes > BYTES_MAX;
            if kept.is_some_and(|kept| now < kept.expires) && !over {
                return;
            }
            if let Some(kept) = kept {
                self.bytes -= kept.bytes;
                self.calls.remove(name);
            }
            self.order.pop_front();
        }
    }
}
