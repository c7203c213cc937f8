//! Record: exactly one for each execution, acknowledged before a success leaves, true to what the
//! client was told, its money adding up to the nano-dollar.

use std::collections::HashMap;

use baton_config::StoreContent;
use baton_core::{AttemptKind, AttemptOutcome, AttemptRecord, ErrorCode, NanoUsd, SERVER_CEILINGS, Status, Via};
use baton_engine::LogEvent;

use super::{Case, Verdict, View, hold};
use crate::simulate::run::{Ran, ended_us, started_us};

/// The journal holds what it acknowledged, and nothing else.
pub(super) fn of_seed(view: &View<'_>) -> Verdict {
    let ran = view.ran;
    let own = ran.observed.len() - view.children().count();
    hold!(own == ran.seen.len(), "{own} records for {} executions", ran.seen.len());
    let kept = ran.appends.iter().filter(|a| a.finished && a.acknowledged_us.is_some()).count();
    hold!(ran.records.len() == kept, "the journal holds {} records, and took {kept}", ran.records.len());
    let observed: HashMap<_, _> = ran.observed.iter().map(|o| (o.record.execution, &o.record)).collect();
    for record in &ran.records {
        let same = observed.get(&record.execution).is_some_and(|observed| *observed == record);
        hold!(same, "the journal holds another record of {} than was observed", record.execution);
    }
    Ok(())
}

pub(super) fn of(case: &Case<'_>) -> Verdict {
    let record = case.record;
    hold!(started_us(record) == case.arrived_us(), "it began at {}", Ran::at(started_us(record)));
    hold!(ended_us(record) == case.finished.at_us, "its record was written at {}", Ran::at(case.finished.at_us));
    acknowledged(case)?;
    told(case)?;
    identity(case)?;
    money(case)?;
    attempts(case)
}

/// Nothing is given before the journal has what it needs.
fn acknowledged(case: &Case<'_>) -> Verdict {
    let finished = case.finished.acknowledged_us;
    if case.delivered().is_some() {
        let at = case.seen.last().map_or(0, |(at, _)| *at);
        hold!(finished.is_some_and(|acked| acked <= at), "it succeeded at {at} µs, before its record was kept");
    }
    let text = |event: &LogEvent| matches!(event, LogEvent::Start { .. } | LogEvent::Delta(_));
    if let Some((at, _)) = case.seen.events.iter().find(|(_, event)| text(event)) {
        let kept = [finished, case.opened.and_then(|(_, append)| append.acknowledged_us)];
        let first = kept.into_iter().flatten().min();
        hold!(first.is_some_and(|acked| acked <= *at), "text was given at {at} µs, before the journal knew of it");
    }
    Ok(())
}

/// What the client was told is what the record says.
fn told(case: &Case<'_>) -> Verdict {
    let record = case.record;
    match case.seen.last() {
        None => hold!(case.seen.left_us.is_some() || case.seen.dropped, "the client was told nothing"),
        Some((_, LogEvent::End(delivered))) => {
            let answer = &delivered.answer;
            hold!(record.status == Status::Succeeded, "an answer was given, the record says {:?}", record.status);
            let cost = record.cost_known.then(|| record.cost.to_string());
            hold!(answer.cost_usd == cost, "the answer costs {:?}, the record says {cost:?}", answer.cost_usd);
            let same = (Some(answer.via), &answer.model, answer.execution_id, answer.attempts.len())
                == (record.via, &record.model, record.execution, record.attempts.len());
            hold!(same, "the answer and its record differ in via, model, id or attempts");
            let private = case.plan.is_none_or(|plan| plan.privacy.store == StoreContent::Nothing);
            let stored = record.output.as_ref();
            hold!(private == stored.is_none(), "the output is stored against the intent's privacy, or not stored");
            hold!(stored.is_none_or(|output| *output == answer.output), "the record holds another output");
        }
        Some((_, LogEvent::Error(failure))) => {
            hold!(failure.code != ErrorCode::Internal, "a fault of ours: {failure}");
            let late = [ErrorCode::DeadlineExceeded, ErrorCode::JournalFull].contains(&failure.code);
            let kept_late = record.status == Status::Succeeded && late;
            let same = record.error.as_ref().is_some_and(|error| error == &**failure);
            hold!(same || kept_late, "the client was told `{failure}`, the record says {:?}", record.error);
        }
        Some(_) => {}
    }
    Ok(())
}

fn identity(case: &Case<'_>) -> Verdict {
    let (record, ask) = (case.record, &case.seen.ask);
    hold!(record.team.as_str() == ask.team, "it was recorded for team {}", record.team);
    hold!(record.stream == ask.stream, "it was recorded with stream = {}", record.stream);
    let Some(plan) = case.plan else { return Ok(()) };
    hold!(record.intent.as_ref() == Some(&plan.name), "it was recorded for intent {:?}", record.intent);
    if record.deadline_us > 0 {
        let value = |path: &String| {
            let field = path.trim_start_matches("metadata.");
            ask.metadata.iter().find(|(name, _)| *name == field).map(|(_, value)| value.clone())
        };
        let partition: Vec<_> = plan.cache.partition.iter().map(value).collect();
        hold!(record.partition == partition, "it was recorded in partition {:?}", record.partition);
        let stored = record.input.is_some();
        hold!(
            stored == (plan.privacy.store != StoreContent::Nothing),
            "its input is stored = {stored}, against the intent's privacy"
        );
    }
    Ok(())
}

fn money(case: &Case<'_>) -> Verdict {
    let record = case.record;
    let made = || record.attempts.iter().filter(|attempt| attempt.outcome.was_made());
    let sum: i64 = made().filter_map(|attempt| attempt.cost).map(|cost| cost.0).sum();
    hold!(record.cost == NanoUsd(sum), "it cost {}, its attempts {}", record.cost, NanoUsd(sum));
    let known = made().all(|attempt| attempt.cost.is_some());
    hold!(record.cost_known == known, "cost_known is {}", record.cost_known);
    let free = record.attempts.iter().filter(|a| !a.outcome.was_made());
    hold!(free.clone().all(|a| a.cost.is_none() && a.usage.is_none()), "an attempt that was not made has a cost");
    Ok(())
}

fn attempts(case: &Case<'_>) -> Verdict {
    let record = case.record;
    let passed: Vec<_> = record.attempts.iter().filter(|a| a.outcome == AttemptOutcome::Passed).collect();
    let by_model = record.status == Status::Succeeded && record.via == Some(Via::Model);
    hold!(passed.len() == usize::from(by_model), "{} attempts passed, via {:?}", passed.len(), record.via);
    if by_model {
        let model = passed.first().map(|a| &a.model);
        hold!(model == record.model.as_ref(), "another model is named than passed");
    }
    hold!(
        (record.status == Status::Succeeded) == record.via.is_some(),
        "{:?} with via {:?}",
        record.status,
        record.via
    );
    // Of those that follow each other only one is in the air; a hedge takes the place of one that failed.
    let mut free_at = 0;
    for attempt in &record.attempts {
        let beside = matches!(attempt.kind, AttemptKind::Hedge | AttemptKind::Probe);
        hold!(beside || attempt.start_us >= free_at, "attempts overlap at {} µs", attempt.start_us);
        let ends = attempt.start_us + attempt.duration_us;
        free_at = if beside { free_at } else { ends };
        hold!(ends <= record.duration_us, "an attempt ends after its execution");
        skipped_at_once(attempt)?;
    }
    let kinds = |kind| record.attempts.iter().filter(|a| a.kind == kind).count();
    for once in [AttemptKind::Primary, AttemptKind::Hedge] {
        hold!(kinds(once) <= 1, "{} attempts are {once:?}", kinds(once));
    }
    let retried = record.attempts.iter().filter(|a| a.kind == AttemptKind::Retry && a.outcome.was_made()).count();
    let ceilings = case.plan.map_or(&SERVER_CEILINGS, |plan| &plan.ceilings);
    let silent = ceilings.retries_default.min(ceilings.retries);
    let allowed = case.seen.ask.config.retries.unwrap_or(silent) as usize;
    hold!(retried <= allowed, "{retried} retries, {allowed} are allowed");
    Ok(())
}

fn skipped_at_once(attempt: &AttemptRecord) -> Verdict {
    hold!(attempt.outcome.was_made() || attempt.duration_us == 0, "passing over {} took time", attempt.model);
    Ok(())
}
