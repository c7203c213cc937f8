//! The request path, in the order of the whiteboard.

use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::Arc;

use baton_core::{Decision, Event, Exec, Finish, Policy};
use futures_util::FutureExt as _;

use crate::call::Call;
use crate::close::{answer, finished, recorded, refused};
use crate::drive::Drive;
use crate::engine::Engine;
use crate::log::EventLog;
use crate::outcome::Outcome;
use crate::recall::{recall, remember};
use crate::resolve::resolve;
use crate::route::route;
use crate::semantic::learn;

/// One execution: from the call to the last event of its log, and exactly one record.
pub(crate) async fn run(engine: &Arc<Engine>, call: &Call, log: &Arc<EventLog>) {
    let live = engine.live();
    let mut request =
        match resolve(engine, Arc::clone(&live), call).and_then(|request| engine.admit(&request).map(|()| request)) {
            Ok(request) => request,
            Err(failure) => return refused(engine, &live, call, (log, failure)).await,
        };
    let mut attempts = Vec::new();
    let batched = call.item.as_ref().and_then(|item| item.reply.as_deref());
    let remembered = match batched {
        // It is paid for.
        Some(_) => None,
        None => recall(engine, call, &mut request, log).await,
    };
    let outcome = match remembered {
        Some(remembered) => remembered,
        None => {
            (request.candidates, request.routed) = route(engine, call, &request, log.execution);
            if let Some(first) = batched.and_then(|batched| batched.candidate(&request.live)) {
                request.candidates = std::iter::once(first).chain(request.candidates.iter().cloned()).collect();
            }
            match Drive::new(engine, call, &request, log) {
                Err(failure) => Outcome::failed(failure),
                Ok(mut drive) => {
                    let policy = request.policy(call.stream);
                    // What a batch answered is there: nobody is asked beside it.
                    let policy = if batched.is_some() { Policy { hedge_share: 0.0, ..policy } } else { policy };
                    let finish = perform(engine, &mut drive, policy).await;
                    let outcome = finished(engine, &request, &mut drive, finish);
                    let outcome = Outcome { rejected: drive.rejected(), ..outcome };
                    attempts = drive.records;
                    outcome
                }
            }
        }
    };
    let (record, outcome) = recorded(engine, call, &request, log, (attempts, outcome)).await;
    answer(call, request.intent.as_deref(), log, &record, &outcome);
    let entry = remember(engine, &request, &record, &outcome);
    engine.routing.answered(call, &request, &record);
    learn(engine, &mut request, entry);
    engine.judges.consider(engine, call, &request, (&record, &outcome));
    if let Some(flight) = &request.flight {
        engine.flights.land(flight, log);
    }
}

/// Performs what the state machine decides. Where a fault of ours ends that, what the execution took
/// of its lanes is given back first.
async fn perform(engine: &Arc<Engine>, drive: &mut Drive<'_>, policy: Policy) -> Finish {
    let mut exec = Exec::new(policy, drive.candidates(), engine.clock.random());
    let driven = AssertUnwindSafe(async {
        let mut event = Event::Woke;
        loop {
            drive.share(&mut exec);
            event = match engine.decide(&mut exec, event) {
                Decision::Start(attempt) => drive.open(attempt).await,
                Decision::Queue { candidate, ticket } => drive.queue(candidate, ticket),
                Decision::Skip { candidate, kind, outcome } => drive.skip(candidate, kind, outcome),
                Decision::Cancel { attempt, disposition, breach } => drive.cancel(attempt, disposition, breach),
                Decision::Detach { attempt, disposition, began, until, .. } => {
                    drive.detach(attempt, disposition, (began, until)).await
                }
                Decision::Judge { attempt, budget } => drive.judge(attempt, budget),
                Decision::Commit(attempt) => drive.commit(attempt).await,
                Decision::Wait(until) => drive.next(until).await,
                Decision::Done(finish) => return finish,
            };
        }
    });
    match driven.catch_unwind().await {
        Ok(finish) => finish,
        Err(fault) => {
            engine.change(|lanes| exec.give_back(engine.clock.now(), lanes));
            resume_unwind(fault)
        }
    }
}
