//! Asking in turn: nobody answers twice, no more are asked than may be, and who was heard once is never left
//! without an answer because another was asked.

use baton_core::{AttemptKind, AttemptOutcome, ErrorCode, Status};

use super::{Case, Verdict, hold};

pub(super) fn of(case: &Case<'_>) -> Verdict {
    let (record, attempts) = (case.record, &case.record.attempts);
    let in_turn = case.plan.and_then(|plan| plan.route.in_turn());
    let held = attempts.iter().filter(|attempt| attempt.outcome == AttemptOutcome::Held).count();
    let asked = attempts.iter().filter(|attempt| attempt.kind == AttemptKind::Escalation).count();
    let Some((cascade, _)) = in_turn else {
        hold!(held + asked == 0, "{held} answers are held and {asked} models asked on, and nothing says so");
        return Ok(());
    };
    let answers = attempts.iter().filter(|attempt| attempt.outcome.answered()).count();
    hold!(answers <= cascade.asks as usize, "{answers} answered, {} may", cascade.asks);
    for (n, attempt) in attempts.iter().enumerate().filter(|(_, attempt)| attempt.kind == AttemptKind::Escalation) {
        let until = attempt.start_us;
        let heard = attempts.iter().any(|a| a.outcome.answered() && a.start_us + a.duration_us <= until);
        hold!(heard, "{} is asked on before anybody answered", attempt.model);
        let again = attempts[..n].iter().any(|other| other.model == attempt.model && other.outcome.was_made());
        hold!(!again, "{} is asked on after it was asked", attempt.model);
    }
    if held > 0 && record.status == Status::Failed {
        // What may come between an answer and its caller: time, or the journal.
        let code = record.error.as_ref().map(|error| error.code);
        let late = matches!(code, Some(ErrorCode::DeadlineExceeded | ErrorCode::JournalFull));
        hold!(late, "an answer was held, and the caller got {code:?}");
    }
    Ok(())
}
