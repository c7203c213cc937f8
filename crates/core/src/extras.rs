//! How many more calls than asked for are made: a share of recent traffic, so that an outage is not
//! amplified by what should help against it.

use std::time::Duration;

use crate::Moment;

/// Retries: a fifth of recent calls. The floor is what keeps them possible at low traffic.
const RETRY_SHARE: f64 = 0.2;
const RETRIES_PER_SECOND: f64 = 0.2;
const RETRIES_MAX: f64 = 10.0;
/// Hedges that may be saved up. They start at none: hedges never exceed their share of calls.
const HEDGES_MAX: f64 = 10.0;

/// A token bucket that is filled by calls, and for retries slowly by time.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Extras {
    retries: f64,
    filled: Moment,
    hedges: f64,
}

impl Default for Extras {
    fn default() -> Self {
        Self { retries: RETRIES_MAX, filled: Moment::default(), hedges: 0.0 }
    }
}

impl Extras {
    /// A call that was not a retry, a hedge or a probe. `hedge_share` is how many hedges it pays
    /// for, in [0, 1].
    pub(crate) fn called(&mut self, hedge_share: f64) {
        self.retries = (self.retries + RETRY_SHARE).min(RETRIES_MAX);
        self.hedges = (self.hedges + hedge_share.clamp(0.0, 1.0)).min(HEDGES_MAX);
    }

    /// Takes one retry, where there is one.
    pub(crate) fn take_retry(&mut self, now: Moment) -> bool {
        let since = (now - self.filled).min(Duration::from_secs(3600)).as_secs_f64();
        self.filled = self.filled.max(now);
        self.retries = (self.retries + since * RETRIES_PER_SECOND).min(RETRIES_MAX);
        take(&mut self.retries)
    }

    /// Takes one hedge, where there is one.
    pub(crate) fn take_hedge(&mut self) -> bool {
        take(&mut self.hedges)
    }
}

fn take(tokens: &mut f64) -> bool {
    // Twenty times 0.05 may be a little less than one.
    let enough = *tokens >= 1.0 - 1e-9;
    if enough {
        *tokens -= 1.0;
    }
    enough
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hedges_never_exceed_their_share_of_calls() {
        let mut extras = Extras::default();
        let mut hedges = 0;
        for calls in 1..=1000 {
            extras.called(0.05);
            hedges += u32::from(extras.take_hedge());
            assert!(hedges * 20 <= calls, "{hedges} hedges for {calls} calls");
        }
        assert_eq!(hedges, 50);
        let mut idle = Extras::default();
        (0..10_000).for_each(|_| idle.called(0.05));
        assert_eq!((0..100).filter(|_| idle.take_hedge()).count(), 10, "only so many are saved up");
        let mut off = Extras::default();
        (0..10_000).for_each(|_| off.called(0.0));
        assert!(!off.take_hedge());
    }

    #[test]
    fn retries_are_a_fifth_of_calls_and_a_few_at_low_traffic() {
        let mut extras = Extras::default();
        let start = Moment::default();
        assert_eq!((0..100).filter(|_| extras.take_retry(start)).count(), 10);
        let mut retries = 0;
        for _ in 0..1000 {
            extras.called(0.05);
            retries += u32::from(extras.take_retry(start));
        }
        assert!((199..=200).contains(&retries), "{retries}");
        assert!(!extras.take_retry(start + Duration::from_secs(4)));
        assert!(extras.take_retry(start + Duration::from_secs(6)));
    }
}
