//! Recall: the exact cache, the semantic one, and the flights of others.

use std::sync::Arc;

use baton_cache::{Entry, Lookup};
use baton_config::StoreContent;
use baton_core::{Commit, ErrorCode, ExecutionId, Failure, NanoUsd, Record, Status, Verdict, Via, verdict};
use baton_eval::{Redaction, Seen};
use baton_wire::{Block, FinishReason};
use tokio::time::sleep_until;

use crate::call::Call;
use crate::engine::Engine;
use crate::flights::{Boarding, FlightKey};
use crate::log::{Cursor, Delivered, EventLog, LogEvent};
use crate::outcome::Outcome;
use crate::resolve::Request;
use crate::semantic::look;

/// How often a follower waits for somebody else before it gives up: one new leader after a failed
/// flight.
const FLIGHTS_MAX: usize = 2;

/// Looks the answer up, or one to a similar input, or follows the one who is asking the same. `None`:
/// this execution makes the call.
pub(crate) async fn recall(
    engine: &Arc<Engine>,
    call: &Call,
    request: &mut Request,
    log: &Arc<EventLog>,
) -> Option<Outcome> {
    if request.limits.semantic_error.is_some() {
        if let Some(outcome) = request.flight.as_ref().and_then(|flight| remembered(engine, request, flight)) {
            return Some(outcome);
        }
        let (asked, outcome) = look(engine, request, log.execution).await.unzip();
        request.asked = asked.map(Box::new);
        if let Some(outcome) = outcome.flatten() {
            return Some(outcome);
        }
    }
    let request = &*request;
    let flight = request.flight.as_ref()?;
    for flown in 1..=FLIGHTS_MAX {
        if let Some(outcome) = remembered(engine, request, flight) {
            return Some(outcome);
        }
        let Boarding::Follow(leader) = engine.flights.board(flight, log) else { return None };
        match follow(engine, call, request, log, leader).await {
            Ok(outcome) => return Some(outcome),
            // The leader had less time than we have: that says nothing about ours.
            Err(failure) if flown == FLIGHTS_MAX && failure.code != ErrorCode::DeadlineExceeded => {
                return Some(Outcome::failed(failure));
            }
            Err(_) => {}
        }
    }
    None
}

/// A remembered answer that this call accepts, judged again on read.
fn remembered(engine: &Engine, request: &Request, flight: &FlightKey) -> Option<Outcome> {
    let models = (!flight.models.is_empty()).then_some(flight.models.as_slice());
    let now = engine.clock.now();
    match engine.cache.get(&flight.key, now, Some(request.limits.ttl), models) {
        Lookup::Hit(entry) => of_entry(request, &entry, Via::CacheExact),
        Lookup::Stale(_) | Lookup::Miss => None,
    }
}

/// An answer older than its time to live, for when nobody else answers; or a fresh one that another call
/// was given meanwhile.
pub(crate) fn stale(engine: &Engine, request: &Request) -> Option<Outcome> {
    let flight = request.flight.as_ref()?;
    let models = (!flight.models.is_empty()).then_some(flight.models.as_slice());
    match engine.cache.get(&flight.key, engine.clock.now(), Some(request.limits.ttl), models) {
        Lookup::Stale(entry) => of_entry(request, &entry, Via::Stale),
        Lookup::Hit(entry) => of_entry(request, &entry, Via::CacheExact),
        Lookup::Miss => None,
    }
}

/// A remembered answer, judged again by this call's checks and by what is in force for it; `None`
/// where it may not be given.
pub(crate) fn of_entry(request: &Request, entry: &Entry, via: Via) -> Option<Outcome> {
    let intent = request.intent.as_ref()?;
    let checks = intent.checks.judge_output(&entry.output, &request.input);
    let seen = Seen { model: &entry.model, checks: &checks, repaired: !entry.repairs.is_empty(), judge: None };
    let (quality, verdict) = request.quality(&seen, verdict(&checks));
    (verdict != Verdict::Fail).then(|| Outcome {
        verified: verdict == Verdict::Pass,
        quality,
        status: Status::Succeeded,
        via: Some(via),
        model: Some(entry.model.clone()),
        output: entry.output.clone(),
        content: vec![Block::Text(entry.text.clone())],
        reason: Some(match via {
            Via::Stale => "nobody answered: a remembered answer past its time to live".into(),
            _ => "the same input was answered before".into(),
        }),
        tool_calls: entry.tool_calls.clone(),
        repairs: entry.repairs.clone(),
        simulated: entry.simulated,
        source: Some(entry.source),
        saved: entry.cost,
        ..Outcome::default()
    })
}

/// Reads the leader's log into our own, under our own deadline. The error is the leader's.
async fn follow(
    engine: &Engine,
    call: &Call,
    request: &Request,
    log: &Arc<EventLog>,
    mut leader: Cursor,
) -> Result<Outcome, Failure> {
    let policy = request.policy(call.stream);
    // What the leader's readers see of a verified stream came with its verdict: it is in the answer.
    let live = policy.commit != Commit::AtVerdict;
    let mut given = false;
    loop {
        let until = if given { policy.stream_end } else { request.answer_by() };
        let event = tokio::select! {
            biased;
            () = log.abandoned() => return Ok(Outcome { released: given, ..Outcome::cancelled() }),
            event = leader.next() => event,
            () = sleep_until(engine.clock.instant(until)) => {
                let late = "the deadline passed while the same input was being answered for another call";
                if given {
                    return Ok(Outcome::broken(Failure::new(ErrorCode::StreamInterrupted, late)));
                }
                return Ok(Outcome::failed(Failure::new(ErrorCode::DeadlineExceeded, late)));
            }
        };
        if leader.is_anothers() && !given {
            let hurried = "the call that was answering the same input had less time";
            return Err(Failure::new(ErrorCode::DeadlineExceeded, hurried));
        }
        match event {
            Some(LogEvent::Start { model }) if live => {
                let opened = tokio::select! {
                    biased;
                    () = log.abandoned() => return Ok(Outcome::cancelled()),
                    opened = engine.journal_opened(call, request, log, NanoUsd(0)) => opened,
                };
                if let Err(failure) = opened {
                    return Ok(Outcome::failed(failure));
                }
                given = true;
                log.append(LogEvent::Start { model });
            }
            Some(LogEvent::Delta(delta)) if live => log.append(LogEvent::Delta(delta)),
            Some(LogEvent::Start { .. } | LogEvent::Delta(_)) => {}
            Some(LogEvent::End(delivered)) => {
                return Ok(Outcome { released: given, ..followed(&delivered, leader.execution()) });
            }
            Some(LogEvent::Error(failure)) if given => return Ok(Outcome::broken((*failure).clone())),
            Some(LogEvent::Error(failure)) => return Err((*failure).clone()),
            None if given => return Ok(Outcome::broken(lost())),
            None => return Err(lost()),
        }
    }
}

/// The leader's answer as ours.
fn followed(delivered: &Delivered, leader: ExecutionId) -> Outcome {
    let answer = &delivered.answer;
    Outcome {
        status: Status::Succeeded,
        via: Some(if answer.via == Via::Model { Via::Coalesced } else { answer.via }),
        model: answer.model.clone(),
        output: answer.output.clone(),
        tool_calls: answer.tool_calls.clone(),
        content: delivered.content.clone(),
        finish: delivered.finish.clone(),
        reason: match answer.via {
            Via::Default | Via::Stale => answer.reason.clone(),
            _ => Some("the same input was being answered for another call".into()),
        },
        repairs: answer.repairs.clone(),
        simulated: answer.simulated,
        verified: answer.quality.verified,
        quality: Some(answer.quality.clone()),
        source: Some(leader),
        ..Outcome::default()
    }
}

fn lost() -> Failure {
    Failure::new(ErrorCode::StreamInterrupted, "the call that was answering the same input ended early")
}

/// Remembers an answer that a model just gave, where it is whole and may be kept; gives it then, for the
/// semantic cache, where that was asked.
pub(crate) fn remember(engine: &Engine, request: &Request, record: &Record, outcome: &Outcome) -> Option<Arc<Entry>> {
    let (Some(flight), Some(intent)) = (&request.flight, &request.intent) else { return None };
    let whole = outcome.finish == FinishReason::Stop && outcome.tool_calls.is_empty();
    let (Status::Succeeded, Some(Via::Model), Some(model)) = (outcome.status, outcome.via, &outcome.model) else {
        return None;
    };
    if !whole || intent.plan.privacy.store == StoreContent::Nothing {
        return None;
    }
    let text = outcome.text();
    let as_it_is = intent.plan.privacy.store == StoreContent::Full
        || (record.output.as_ref() == Some(&outcome.output) && Redaction::default().text(&text) == text);
    if !as_it_is {
        return None;
    }
    let now = engine.clock.now();
    let entry = Entry {
        intent: intent.plan.name.clone(),
        output: outcome.output.clone(),
        tool_calls: Vec::new(),
        text,
        repairs: outcome.repairs.clone(),
        model: model.clone(),
        source: record.execution,
        stored_at: now,
        // Each reader says how old an answer it accepts; this is the most that any may.
        expires_at: now + intent.plan.ceilings.ttl,
        simulated: outcome.simulated,
        usage: record.usage,
        cost: record.cost_known.then_some(record.cost),
        subject: request.about.subject(),
    };
    let similar = request.asked.as_ref().map(|_| Arc::new(entry.clone()));
    // One that is too large for the cache is answered anew each time.
    let kept = engine.cache.put(flight.key, entry);
    if engine.erasures.since(&request.about).is_some() {
        engine.cache.evict_execution(&record.execution);
        return None;
    }
    similar.filter(|_| kept)
}
