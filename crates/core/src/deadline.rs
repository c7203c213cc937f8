//! How the time that is left is split between an attempt and its fallback.

use std::time::Duration;

/// What an attempt may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    /// It may run for so long.
    Run(Duration),
    /// Less than its median is left: not worth starting.
    NoTime,
}

/// The share of the time left that a fallback without figures gets.
const RESERVE_WITHOUT_DATA: f64 = 0.4;
const RESERVE_MIN: Duration = Duration::from_millis(50);
/// A reserve never takes more than half: a slow fallback must not cost a fast primary its turn.
const RESERVE_SHARE_MAX: f64 = 0.5;

/// Kept free before a deadline to record the answer and hand it over: 5 ms, a tenth of short ones.
#[must_use]
pub fn handover(deadline: Duration) -> Duration {
    Duration::from_millis(5).min(deadline / 10)
}

/// Splits `left` (time to the deadline less the margin) between one attempt and one fallback.
///
/// `p50` and `timeout` are the attempt's own; `reserve` is the 90th percentile and the timeout of
/// the fastest admissible fallback, `None` for the last candidate, which gets all that is left and
/// is tried whatever its median: there is nobody else to keep the time for.
#[must_use]
pub fn split(
    left: Duration,
    p50: Option<Duration>,
    timeout: Duration,
    reserve: Option<(Option<Duration>, Duration)>,
) -> Split {
    let Some((p90, fallback_timeout)) = reserve else {
        let allotted = timeout.min(left);
        return if allotted.is_zero() { Split::NoTime } else { Split::Run(allotted) };
    };
    let need = p90.map_or_else(|| left.mul_f64(RESERVE_WITHOUT_DATA), |p90| p90.max(RESERVE_MIN));
    let need = need.min(fallback_timeout).min(left.mul_f64(RESERVE_SHARE_MAX));
    let allotted = timeout.min(left.saturating_sub(need));
    if allotted.is_zero() || p50.is_some_and(|p50| allotted < p50) { Split::NoTime } else { Split::Run(allotted) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn the_whiteboard_cases() {
        let run = |left, p50, timeout, reserve| split(ms(left), p50, ms(timeout), reserve);
        // no data: 40 % are kept for the fallback
        assert_eq!(run(1000, None, 60_000, Some((None, ms(60_000)))), Split::Run(ms(600)));
        // the fallback's p90 is known
        assert_eq!(run(1000, None, 60_000, Some((Some(ms(300)), ms(60_000)))), Split::Run(ms(700)));
        // a fast fallback still keeps 50 ms, a capped one no more than its timeout
        assert_eq!(run(1000, None, 60_000, Some((Some(ms(1)), ms(60_000)))), Split::Run(ms(950)));
        assert_eq!(run(1000, None, 60_000, Some((Some(ms(900)), ms(200)))), Split::Run(ms(800)));
        // the last candidate gets everything, its own timeout bounds it
        assert_eq!(run(1000, None, 60_000, None), Split::Run(ms(1000)));
        assert_eq!(run(1000, None, 250, None), Split::Run(ms(250)));
        // a reserve takes at most half
        assert_eq!(run(200, Some(ms(1)), 60_000, Some((Some(ms(1200)), ms(60_000)))), Split::Run(ms(100)));
        // below the median it is not worth starting, unless it is the last
        assert_eq!(run(1000, Some(ms(2000)), 60_000, None), Split::Run(ms(1000)));
        assert_eq!(run(1000, Some(ms(701)), 60_000, Some((Some(ms(300)), ms(60_000)))), Split::NoTime);
        assert_eq!(run(0, None, 60_000, None), Split::NoTime);
    }

    fn times() -> impl Strategy<Value = Duration> {
        prop_oneof![
            Just(Duration::ZERO),
            (0..5_000_000_u64).prop_map(Duration::from_micros),
            (0..3000_u64).prop_map(ms)
        ]
    }

    proptest! {
        #![proptest_config(crate::test_config(1000))]

        /// An attempt stays within its timeout and the time left, leaves its fallback what that
        /// needs (never more than half), and is not started below its median.
        #[test]
        fn both_get_their_share(
            (left, timeout, p50) in (times(), times(), proptest::option::of(times())),
            reserve in proptest::option::of((proptest::option::of(times()), times())),
        ) {
            let half = left.mul_f64(RESERVE_SHARE_MAX);
            let need = reserve.map_or(Duration::ZERO, |(p90, fallback)| {
                p90.unwrap_or(left.mul_f64(RESERVE_WITHOUT_DATA)).max(RESERVE_MIN.min(half)).min(fallback).min(half)
            });
            match split(left, p50, timeout, reserve) {
                Split::Run(budget) => {
                    prop_assert!(!budget.is_zero() && budget <= timeout && budget <= left);
                    prop_assert!(left - budget >= need.min(left.mul_f64(RESERVE_WITHOUT_DATA)), "keeps {:?}", left - budget);
                    prop_assert!(reserve.is_none() || p50.is_none_or(|p50| budget >= p50), "below its median");
                    prop_assert!(budget == timeout || left - budget <= half, "the reserve takes more than half");
                }
                Split::NoTime => {
                    let has_time = !left.is_zero() && !timeout.is_zero();
                    prop_assert!(!has_time || (reserve.is_some() && p50.is_some_and(|p50| p50 > timeout.min(half))));
                }
            }
        }
    }
}
