//! The end of an execution: outcome, record, answer.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use baton_config::{OnExhausted, StoreContent};
use baton_core::{
    Answer, AttemptKind, AttemptOutcome, AttemptRecord, ErrorCode, Failure, Finish, NanoUsd, Quality, Record,
    ScoreResult, Status, Trace, Usage, Via,
};
use baton_eval::Redaction;
use baton_wire::{Block, Delta};
use futures_util::FutureExt as _;
use serde_json::{Value, json};

use crate::call::{Call, Target};
use crate::drive::{Drive, micros};
use crate::engine::Engine;
use crate::erase::About;
use crate::intent::{Intent, text_of_output};
use crate::judge::opinion_of;
use crate::live::Live;
use crate::log::{Delivered, EventLog, LogEvent};
use crate::outcome::Outcome;
use crate::recall::stale;
use crate::repeats::kept;
use crate::resolve::Request;

/// The longest that a refusal waits for its record.
const REFUSAL_MAX: Duration = Duration::from_secs(1);

/// What the state machine's last word means for the caller.
pub(crate) fn finished(engine: &Engine, request: &Request, drive: &mut Drive<'_>, finish: Finish) -> Outcome {
    if let Some(failure) = drive.refused.take() {
        return Outcome::failed(failure);
    }
    match finish {
        Finish::Answered { attempt, verified } => {
            let Some((given, model)) = drive.accept(attempt) else {
                return Outcome::failed(Engine::crashed(drive.execution()));
            };
            Outcome {
                status: Status::Succeeded,
                via: Some(Via::Model),
                model: Some(model),
                output: given.output,
                tool_calls: tool_calls(&given.content),
                content: given.content,
                finish: given.finish,
                extra: given.extra,
                reason: Some(reason(request, (&drive.records, drive.turn.take()), given.sure)),
                repairs: given.repairs,
                simulated: given.simulated,
                verified,
                quality: given.quality,
                released: drive.released(),
                ..Outcome::default()
            }
        }
        Finish::Cancelled => Outcome { released: drive.released(), ..Outcome::cancelled() },
        Finish::Broken { code, .. } => Outcome::broken(failure(code, None, &drive.records)),
        Finish::Failed { code, retry_after } => {
            let limited = matches!(code, ErrorCode::BudgetExhausted | ErrorCode::RateLimit);
            let retry_after = if limited { drive.fits_after } else { retry_after };
            let failure = failure(code, retry_after, &drive.records);
            // Who follows may have more time, or another key.
            if limited || matches!(code, ErrorCode::DeadlineExceeded | ErrorCode::DeadlineUnreachable) {
                drive.keep_from_followers();
            }
            instead(engine, request, &failure).unwrap_or_else(|| Outcome::failed(failure))
        }
    }
}

/// What the intent gives when nobody answered, labelled as what it is.
fn instead(engine: &Engine, request: &Request, failure: &Failure) -> Option<Outcome> {
    if failure.code == ErrorCode::UpstreamRejected {
        return None;
    }
    let plan = &request.intent.as_ref()?.plan;
    match &plan.on_exhausted {
        OnExhausted::Error => None,
        OnExhausted::Stale => stale(engine, request),
        OnExhausted::Default(output) => Some(Outcome {
            status: Status::Succeeded,
            via: Some(Via::Default),
            output: output.clone(),
            content: text_of_output(&plan.kind, output).map(Block::Text).into_iter().collect(),
            reason: Some(format!("nobody answered ({}): the intent's default", failure.message)),
            ..Outcome::default()
        }),
    }
}

fn failure(code: ErrorCode, retry_after: Option<Duration>, attempts: &[AttemptRecord]) -> Failure {
    let tried = told(attempts);
    let tried = if tried.is_empty() { "no candidate could be asked".to_owned() } else { tried };
    let message = match code {
        ErrorCode::DeadlineExceeded => format!("no answer before the deadline: {tried}"),
        ErrorCode::DeadlineUnreachable => {
            format!("no place at a model comes free early enough for an answer before the deadline: {tried}")
        }
        ErrorCode::QueueFull => format!("as many calls wait for a place at a model as may: {tried}"),
        ErrorCode::NoAcceptableAnswer => format!("no answer passed its checks: {tried}"),
        ErrorCode::BudgetExhausted => format!("no budget is left for an answer: {tried}"),
        ErrorCode::RateLimit => format!("a rate limit stands in the way of an answer: {tried}"),
        ErrorCode::UpstreamRejected => format!("the provider refused the request: {tried}"),
        ErrorCode::ContextTooLong => format!("no candidate has room for this context: {tried}"),
        ErrorCode::StreamInterrupted => format!("the stream broke after its first bytes: {tried}"),
        _ => format!("every candidate failed: {tried}"),
    };
    let retry_after_ms = retry_after.map(|after| u64::try_from(after.as_millis()).unwrap_or(u64::MAX));
    Failure { retry_after_ms, ..Failure::new(code, message) }
}

/// The attempts that gave nothing, in a line; the same again is counted, not repeated.
fn told<'a>(attempts: impl IntoIterator<Item = &'a AttemptRecord>) -> String {
    let mut told: Vec<(String, usize)> = Vec::new();
    for attempt in attempts.into_iter().filter(|a| a.outcome != AttemptOutcome::Passed) {
        let what = attempt.outcome.as_str().replace('_', " ");
        let text = match &attempt.error {
            Some(error) => format!("{} {what}: {error}", attempt.model),
            None => format!("{} {what}", attempt.model),
        };
        match told.last_mut() {
            Some((last, times)) if *last == text => *times += 1,
            _ => told.push((text, 1)),
        }
    }
    let line = |(text, times)| if times == 1 { text } else { format!("{text} ({times} times)") };
    told.into_iter().map(line).collect::<Vec<_>>().join("; ")
}

/// Why the one that answered did.
fn reason(request: &Request, (attempts, turn): (&[AttemptRecord], Option<String>), sure: Option<String>) -> String {
    let chosen = chosen(request, (attempts, turn));
    let why = sure.map_or_else(|| chosen.clone(), |sure| format!("{chosen}: {sure}"));
    let passed = attempts.iter().find(|attempt| attempt.outcome == AttemptOutcome::Passed);
    let opinion = request.intent.as_ref().and_then(|intent| opinion_of(&intent.plan));
    match (passed.and_then(|attempt| attempt.judged.as_ref()).map(|judged| &judged.result), opinion) {
        (Some(ScoreResult::Errored { reason } | ScoreResult::Skipped { reason }), opinion) => {
            let whose = opinion.map_or_else(|| "a judge's word".to_owned(), |opinion| format!("the {opinion}"));
            format!("{why}; given without {whose}: {reason}")
        }
        (Some(scored), Some(opinion)) => match scored.failed() {
            same if same.is_empty() => format!("{why}; the {opinion} is the same"),
            fields if chosen.contains(&opinion) => format!("{why}; given though it differs here too, in {fields}"),
            fields => format!("{why}; given though the {opinion} differs in {fields}"),
        },
        (Some(ScoreResult::Scored { .. }) | None, _) => why,
    }
}

fn chosen(request: &Request, (attempts, turn): (&[AttemptRecord], Option<String>)) -> String {
    // Who was asked beside the one that answered is no reason for it.
    let lost = |a: &AttemptRecord| {
        matches!(a.kind, AttemptKind::Hedge | AttemptKind::Probe) && a.outcome == AttemptOutcome::Cancelled
    };
    let failed = attempts.iter().filter(|a| !lost(a) && a.outcome != AttemptOutcome::Held);
    let told = told(failed);
    match turn {
        Some(turn) if told.is_empty() => return turn,
        Some(turn) => return format!("{turn}; {told}"),
        None if !told.is_empty() => return told,
        None => {}
    }
    if let Some(batched) = attempts.iter().find(|a| a.kind == AttemptKind::Batch && a.outcome == AttemptOutcome::Passed)
    {
        return format!("answered in a batch of {}", batched.model.provider());
    }
    match (&request.intent, &request.limits.models, &request.routed) {
        (None, ..) => "the model that was asked for".into(),
        (_, Some(_), _) => "first of the models that the call names".into(),
        (Some(_), None, Some(routed)) => routed.to_string(),
        (Some(_), None, None) => "first in the intent's order".into(),
    }
}

/// In OpenAI's shape.
fn tool_calls(content: &[Block]) -> Vec<Value> {
    let call = |block: &Block| match block {
        Block::ToolUse { id, name, arguments } => {
            Some(json!({ "id": id, "type": "function", "function": { "name": name, "arguments": arguments } }))
        }
        _ => None,
    };
    content.iter().filter_map(call).collect()
}

/// Writes the one record, acknowledged before a success may leave; where that fails, the outcome
/// becomes the error.
pub(crate) async fn recorded(
    engine: &Engine,
    call: &Call,
    request: &Request,
    log: &EventLog,
    (attempts, outcome): (Vec<AttemptRecord>, Outcome),
) -> (Box<Record>, Outcome) {
    let mut record = record(engine, call, request, log, &outcome);
    record.overhead_us = record.duration_us.saturating_sub(waited(&attempts));
    let answered = attempts.iter().filter(|a| a.outcome == AttemptOutcome::Passed);
    record.first_token_us = answered
        .chain(attempts.iter().rev())
        .find_map(|a| a.first_token_us.map(|first| a.start_us.saturating_add(first)));
    for attempt in attempts.iter().filter(|a| a.outcome.was_made()) {
        record.usage += attempt.usage.unwrap_or_default();
        record.cost += attempt.cost.unwrap_or_default();
        record.cost_known &= attempt.cost.is_some();
    }
    if let Some(embedded) = record.semantic.as_ref().and_then(|look| look.embedded) {
        record.cost += embedded.cost.unwrap_or_default();
        record.cost_known &= embedded.cost.is_some();
    }
    record.attempts = attempts;
    record.judged = engine.judges.draw(engine, request, &record, &outcome);
    let raised = engine.drift.raised(&record.team, &record.lineage);
    record.review = engine.reviews.draw(request, (&record, &outcome), raised.as_deref(), engine.clock.now());
    if request.intent.as_ref().is_some_and(|intent| intent.plan.privacy.store == StoreContent::Redacted) {
        redact(&mut record, &outcome);
    }
    // A stream's deadline bounded its commit.
    let until = if outcome.released { request.stream_end() } else { request.deadline };
    write(engine, log, (record, &request.about), outcome, until).await
}

/// Replaces the personal data in a record's content. What was told otherwise than it is stored, the record
/// alone cannot tell again.
fn redact(record: &mut Record, outcome: &Outcome) {
    let mut redaction = Redaction::default();
    let rejected = record.review.as_mut().and_then(|draw| draw.rejected.as_mut()?.output.as_mut());
    for content in [record.input.as_mut(), record.output.as_mut(), rejected].into_iter().flatten() {
        *content = redaction.of(content);
    }
    record.redacted = !redaction.counts().is_empty();
    // What providers and checks said may quote it.
    let errors = record.attempts.iter_mut().filter_map(|attempt| attempt.error.as_mut());
    let told = record.error.as_mut().map(|failure| &mut failure.message);
    for text in errors.chain(record.reason.as_mut()).chain(told) {
        *text = redaction.text(text);
    }
    if record.output.as_ref().is_some_and(|output| *output != outcome.output) {
        record.idempotency = None;
    }
}

/// Microseconds in which at least one attempt was in the air, waited for a place, or was judged.
fn waited(attempts: &[AttemptRecord]) -> u64 {
    let span = |a: &AttemptRecord| {
        let judged_us = a.judged.as_ref().map_or(0, |judged| judged.took_us);
        (a.start_us.saturating_sub(a.queued_us), a.start_us + a.duration_us + judged_us)
    };
    let mut spans: Vec<(u64, u64)> = attempts.iter().map(span).collect();
    spans.sort_unstable();
    let until =
        |(sum, until): (u64, u64), (from, to): (u64, u64)| (sum + to.saturating_sub(from.max(until)), to.max(until));
    spans.into_iter().fold((0, 0), until).0
}

async fn write(
    engine: &Engine,
    log: &EventLog,
    (mut record, about): (Box<Record>, &About),
    outcome: Outcome,
    deadline: baton_core::Moment,
) -> (Box<Record>, Outcome) {
    if let Some(at_us) = engine.erasures.since(about) {
        record.erase(at_us);
    }
    if let Some(observer) = &engine.on_record {
        observer(&record);
    }
    log.set_recorded();
    let (record, appended) = engine.journal_record(record, about);
    let outcome = match engine.acknowledged(appended, deadline).await {
        Err(failure) if outcome.status == Status::Succeeded => {
            Outcome { released: outcome.released, ..Outcome::failed(failure) }
        }
        _ => outcome,
    };
    (record, outcome)
}

fn record(engine: &Engine, call: &Call, request: &Request, log: &EventLog, outcome: &Outcome) -> Box<Record> {
    let plan = request.intent.as_ref().map(|intent| &intent.plan);
    let content = plan.is_some_and(|plan| plan.privacy.store != StoreContent::Nothing);
    let hash = |of: fn(&baton_config::Hashes) -> &str| plan.map(|p| of(&p.hashes).to_owned()).unwrap_or_default();
    let unknown = || request.intent.as_ref().map_or_else(|| Quality::unknown(0, 0), |intent| intent.quality());
    let quality = Quality { verified: outcome.verified, ..outcome.quality.clone().unwrap_or_else(unknown) };
    let mut record = blank(engine, call, log, request.started);
    record.intent = plan.map(|plan| plan.name.clone());
    record.team = request.scope.team.clone();
    record.started_at_us = request.started_at_us;
    record.idempotency = kept(call, Some(request), outcome);
    record.partition.clone_from(&request.scope.partition);
    record.version = hash(|h| h.policy.get(..8).unwrap_or(&h.policy));
    record.answer_hash = hash(|h| &h.answer);
    record.lineage = hash(|h| &h.lineage);
    record.deadline_us = micros(request.deadline - request.started);
    record.status = outcome.status;
    record.via = outcome.via;
    record.model = outcome.model.clone();
    record.reason = outcome.reason.clone();
    record.route.clone_from(&request.routed);
    record.error = outcome.error.clone();
    record.quality = quality;
    record.repairs = outcome.repairs.clone();
    record.simulated = outcome.simulated;
    record.source = outcome.source;
    record.saved = outcome.saved;
    record.semantic = request.asked.as_ref().map(|asked| Box::new(asked.told(outcome)));
    record.input = content.then(|| request.input.clone());
    record.output = (content && outcome.status == Status::Succeeded).then(|| outcome.output.clone());
    record
}

/// Boxed: it is large, and goes from hand to hand.
fn blank(engine: &Engine, call: &Call, log: &EventLog, started: baton_core::Moment) -> Box<Record> {
    let duration_us = micros(engine.clock.now() - started);
    Box::new(Record {
        execution: log.execution,
        intent: None,
        team: call.caller.team.clone(),
        key: call.caller.key.as_ref().map(|key| key.id.clone()),
        idempotency: None,
        partition: Vec::new(),
        version: String::new(),
        answer_hash: String::new(),
        lineage: String::new(),
        started_at_us: engine.clock.unix_us() - i64::try_from(duration_us).unwrap_or_default(),
        duration_us,
        overhead_us: duration_us,
        first_token_us: None,
        deadline_us: 0,
        status: Status::Failed,
        via: None,
        model: None,
        reason: None,
        route: None,
        error: None,
        usage: Usage::default(),
        cost: NanoUsd(0),
        cost_known: true,
        attempts: Vec::new(),
        quality: Quality::unknown(0, 0),
        repairs: Vec::new(),
        stream: call.stream,
        simulated: false,
        source: None,
        saved: None,
        semantic: None,
        parent: call.parent,
        judged: None,
        metadata: call.metadata.clone(),
        session: call.session.clone(),
        subject: call.subject.clone(),
        input: None,
        output: None,
        trace: Some(engine.trace(call, log.execution)).filter(Trace::is_told),
        review: None,
        content_dropped: false,
        redacted: false,
        erased_at_us: None,
    })
}

/// A call that was refused before anything was asked: recorded too, without its input.
pub(crate) async fn refused(engine: &Engine, live: &Live, call: &Call, (log, failure): (&EventLog, Failure)) {
    let mut record = blank(engine, call, log, engine.clock.moment(call.received));
    if let Target::Intent { name, .. } = &call.target {
        record.intent = live.intent(name).map(|intent| intent.plan.name.clone());
    }
    let outcome = Outcome::failed(failure);
    record.error.clone_from(&outcome.error);
    record.idempotency = kept(call, None, &outcome);
    // Where a fault of ours ended it, a model may have been asked.
    record.cost_known = outcome.error.as_ref().is_none_or(|error| error.code != ErrorCode::Internal);
    // Its limits may be what was wrong with it; what it asked for bounds the wait all the same.
    let asked = call.config.max_latency_ms.filter(|ms| *ms > 0).map_or(REFUSAL_MAX, Duration::from_millis);
    let soon = engine.clock.moment(call.received) + asked.min(REFUSAL_MAX);
    let about = About::call(call, &engine.clock);
    let (record, outcome) = write(engine, log, (record, &about), outcome, soon).await;
    answer(call, None, log, &record, &outcome);
}

/// The end of an execution that a fault of ours stopped: recorded, unless it was before.
pub(crate) async fn crashed(engine: &Engine, call: &Call, log: &EventLog) {
    let failure = Engine::crashed(log.execution);
    if !log.is_recorded() {
        let live = engine.live();
        let recording = AssertUnwindSafe(refused(engine, &live, call, (log, failure.clone()))).catch_unwind().await;
        if recording.is_err() {
            tracing::error!(execution = %log.execution, "a panic could not be recorded");
        }
    }
    log.append(LogEvent::Error(Arc::new(failure)));
}

/// Writes the last events of the log. Text that was not released yet goes before them: of an intent,
/// what was checked, and not what the model wrote around it.
pub(crate) fn answer(call: &Call, intent: Option<&Intent>, log: &EventLog, record: &Record, outcome: &Outcome) {
    if outcome.status != Status::Succeeded {
        let gone = || Failure::new(ErrorCode::StreamInterrupted, "the client left");
        return log.append(LogEvent::Error(Arc::new(outcome.error.clone().unwrap_or_else(gone))));
    }
    let delivered = Delivered {
        answer: Answer::of(record, outcome.output.clone(), outcome.tool_calls.clone()),
        content: outcome.content.clone(),
        finish: outcome.finish.clone(),
        extra: outcome.extra.clone(),
    };
    tell(call, intent, log, Arc::new(delivered), outcome.released);
}

/// Writes an answer to a log; as a stream where one was asked for, and its text was not `released`.
pub(crate) fn tell(call: &Call, intent: Option<&Intent>, log: &EventLog, delivered: Arc<Delivered>, released: bool) {
    if call.stream && !released {
        let model = delivered.answer.model.clone().unwrap_or_else(|| "default".into());
        log.append(LogEvent::Start { model });
        let checked = intent.map(|intent| delivered.checked(&intent.plan.kind));
        let content = checked.as_ref().unwrap_or(&delivered.content);
        deltas(content).into_iter().for_each(|delta| log.append(LogEvent::Delta(delta)));
    }
    log.append(LogEvent::End(delivered));
}

/// A whole answer as a stream would have brought it.
fn deltas(content: &[Block]) -> Vec<Delta> {
    let mut tools = 0;
    let delta = |block: &Block| match block {
        Block::Text(text) => Some(Delta::Text(text.clone())),
        Block::Thinking { text, .. } => Some(Delta::Thinking(text.clone())),
        Block::Refusal(text) => Some(Delta::Refusal(text.clone())),
        Block::ToolUse { id, name, arguments } => {
            let index = tools;
            tools += 1;
            Some(Delta::ToolUse { index, id: Some(id.clone()), name: Some(name.clone()), arguments: arguments.clone() })
        }
        Block::ToolResult { .. } | Block::Opaque(_) => None,
    };
    content.iter().filter_map(delta).collect()
}
