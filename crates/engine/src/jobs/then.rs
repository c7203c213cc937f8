//! What becomes of an item whose execution failed, and of its job: a decision as data.

use std::time::Duration;

use baton_core::{ErrorCode, ErrorType, Failure, Idempotency};

/// Executions of an item that may fail before its failure is its result. What a limit refused does not
/// count.
const TRIES_MAX: u32 = 5;
/// So many failures in a row, and the job waits before it asks again: as many as open a breaker.
const IN_A_ROW: u32 = 8;
/// The longest that a job waits before it looks again.
const WAIT_MAX: Duration = Duration::from_secs(60);
/// The shortest.
const WAIT_MIN: Duration = Duration::from_millis(100);

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Then {
    /// The failure is the item's result.
    Ends,
    /// The item is asked again, in its turn.
    Again,
    /// The item is asked again, and it does not count: the whole job waits, for as long as this.
    Waits(Duration),
}

/// After an execution of an item failed, `tries` of which failed and counted before.
pub(super) fn then(failure: &Failure, tries: u32) -> Then {
    if matches!(failure.code, ErrorCode::BudgetExhausted | ErrorCode::RateLimit) {
        let after = failure.retry_after_ms.map_or(WAIT_MAX, Duration::from_millis);
        return Then::Waits(after.clamp(WAIT_MIN, WAIT_MAX));
    }
    let may_go_better = match failure.code.error_type() {
        ErrorType::Overloaded | ErrorType::DeadlineExceeded | ErrorType::UpstreamFailed | ErrorType::Internal => true,
        // Everybody was asked, and what they say was not good enough: the same would come of it again.
        ErrorType::Quality | ErrorType::NotFound | ErrorType::Authentication | ErrorType::Permission => false,
        _ => !Idempotency::keeps(failure.code),
    };
    if may_go_better && tries + 1 < TRIES_MAX { Then::Again } else { Then::Ends }
}

/// How long the job waits, after so many failures in a row that may go better.
pub(super) fn pause(in_a_row: u32) -> Option<Duration> {
    let steps = in_a_row.checked_sub(IN_A_ROW)?;
    Some(Duration::from_secs(1 << steps.min(6)).min(WAIT_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_asking_again_would_not_change_ends_and_limits_make_the_job_wait() {
        let check = |code, retry_after_ms, tries, expected| {
            let failure = Failure { retry_after_ms, ..Failure::new(code, "x") };
            assert_eq!(then(&failure, tries), expected, "{code:?} after {tries}");
        };
        let ms = Duration::from_millis;
        for tries in [0, 4, 400] {
            check(ErrorCode::BudgetExhausted, None, tries, Then::Waits(WAIT_MAX));
            check(ErrorCode::BudgetExhausted, Some(80_000_000), tries, Then::Waits(WAIT_MAX));
            check(ErrorCode::RateLimit, Some(1500), tries, Then::Waits(ms(1500)));
            check(ErrorCode::RateLimit, Some(0), tries, Then::Waits(WAIT_MIN));
            check(ErrorCode::InputInvalid, None, tries, Then::Ends);
            check(ErrorCode::UpstreamRejected, None, tries, Then::Ends);
            check(ErrorCode::NoAcceptableAnswer, None, tries, Then::Ends);
            check(ErrorCode::UnknownIntent, None, tries, Then::Ends);
        }
        for code in [ErrorCode::AllCandidatesFailed, ErrorCode::QueueFull, ErrorCode::DeadlineExceeded] {
            check(code, Some(7), 0, Then::Again);
            check(code, None, TRIES_MAX - 2, Then::Again);
            check(code, None, TRIES_MAX - 1, Then::Ends);
        }
    }

    #[test]
    fn a_job_waits_longer_and_longer_while_nothing_is_answered() {
        let waits = |n| pause(n).map(|wait| wait.as_secs());
        assert_eq!([0, 7, 8, 9, 13, 14, 1000].map(waits), [None, None, Some(1), Some(2), Some(32), Some(60), Some(60)]);
    }
}
