//! Judges: each of their executions has one record and keeps its deadline; each answer that was to be
//! judged has one score; no verdict is no fail.

use std::collections::HashMap;

use baton_config::Plan;
use baton_core::{AttemptOutcome, AttemptRecord, ExecutionId, Record, ScoreResult, Status, Unproven, Via};

use super::{Case, Verdict, View, hold};
use crate::simulate::run::{Ran, ended_us, started_us};

pub(super) fn of_seed(view: &View<'_>) -> Verdict {
    let ran = view.ran;
    for child in view.children() {
        let id = child.execution;
        let once = ran.observed.iter().filter(|observed| observed.record.execution == id).count();
        let kept = ran.appends.iter().filter(|append| append.execution == id && append.finished).count();
        hold!((once, kept) == (1, 1), "the judge's execution {id} has {once} records, {kept} of them journalled");
        let Some(judged) = child.parent.and_then(|parent| view.case(parent)) else {
            return Err(format!("{id} judges an execution that nobody made"));
        };
        hold!(judged.record.team == child.team, "{id} judges another team's answer");
        let limit = started_us(child) + child.deadline_us;
        hold!(child.deadline_us == 0 || ended_us(child) <= limit, "{id} judged until {}", Ran::at(ended_us(child)));
    }
    scores(view)
}

fn scores(view: &View<'_>) -> Verdict {
    let mut scores: HashMap<ExecutionId, usize> = HashMap::new();
    view.ran.scores.iter().for_each(|score| *scores.entry(score.execution).or_default() += 1);
    for case in &view.cases {
        let (record, has) = (case.record, scores.remove(&case.record.execution).unwrap_or_default());
        let wanted = usize::from(case.plan.is_some_and(|plan| is_judged(plan, record)));
        // One that a full journal refuses for long is told at the next start.
        let lost = view.ran.world.journal.full.is_some() && has < wanted;
        hold!(has == wanted || lost, "{} has {has} scores instead of {wanted}", record.execution);
    }
    hold!(scores.is_empty(), "{} answers were scored that nobody gave", scores.len());
    Ok(())
}

/// Whether its answer was drawn, is shown to people, or waited for the judge.
fn is_judged(plan: &Plan, record: &Record) -> bool {
    let answered = record.status == Status::Succeeded && record.via == Some(Via::Model);
    let seen = record.review.as_ref().is_some_and(|draw| draw.rejected.is_none());
    let waited = record.attempts.iter().any(|a| a.outcome == AttemptOutcome::Passed && a.judged.is_some());
    plan.judge.is_some() && (record.judged.is_some() || (answered && (seen || waited)))
}

/// Whether a second opinion held back another answer of the same execution.
fn held_before(plan: &Plan, record: &Record, given: &AttemptRecord) -> bool {
    let held = |attempt: &&AttemptRecord| {
        let said = attempt.judged.as_ref().is_some_and(|judged| !judged.result.failed().is_empty());
        attempt.outcome == AttemptOutcome::BadAnswer && said
    };
    plan.second_opinion().is_some() && record.attempts.iter().filter(held).any(|held| held != given)
}

pub(super) fn of(view: &View<'_>, case: &Case<'_>) -> Verdict {
    let Some(plan) = case.plan else { return Ok(()) };
    for attempt in &case.record.attempts {
        let Some(judged) = &attempt.judged else {
            let given = attempt.outcome == AttemptOutcome::Passed && plan.unproven == Unproven::Judge;
            hold!(!given, "it was given before a judge saw it, and does not say why");
            continue;
        };
        hold!(plan.unproven == Unproven::Judge, "it waited for a judge, which the intent does not ask for");
        let failed = attempt.outcome == AttemptOutcome::BadAnswer;
        match judged.value() {
            Some(value) => {
                let said = !judged.result.failed().is_empty();
                let right = failed == said || attempt.outcome == AttemptOutcome::Cancelled;
                let despite = !failed && said && held_before(plan, case.record, attempt);
                hold!(right || despite, "the judge said {value}, and it {:?}", attempt.outcome);
            }
            None => hold!(!failed, "without a verdict ({:?}) it was held back", judged.result),
        }
        if let ScoreResult::Errored { reason } | ScoreResult::Skipped { reason } = &judged.result {
            hold!(!reason.is_empty(), "it was not judged, without a reason");
        }
        let Some(id) = judged.judge else { continue };
        let child = view.children().find(|child| child.execution == id);
        let Some(child) = child else { return Err(format!("{id} judged it, and has no record")) };
        hold!(child.parent == Some(case.record.execution), "{id} judged another execution's answer");
        let until = started_us(child) + child.deadline_us;
        hold!(until <= case.deadline_us(), "{id} might judge until {}, past its deadline", Ran::at(until));
    }
    Ok(())
}
