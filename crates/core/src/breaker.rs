//! The circuit breaker of a lane: closed, open, one probe.

use std::time::Duration;

use crate::{Disposition, Moment};

/// Failures in a row that open it.
const FAILURES_MAX: u32 = 5;
/// How long it stays open at first; doubled by each failed probe, up to the maximum.
const PERIOD_MIN: Duration = Duration::from_secs(5);
const PERIOD_MAX: Duration = Duration::from_secs(60);
/// A probe that has not reported by then has lost its slot.
const PROBE_EXPIRY: Duration = Duration::from_secs(30);
/// An attempt that ran out of less time than this says nothing about the lane.
const SLOW_BUDGET_MIN: Duration = Duration::from_secs(1);

/// May a call be made?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Yes.
    Allowed,
    /// Yes, and its outcome decides whether the lane is back.
    Probe,
    /// No, and not before this moment.
    Refused {
        /// When it is worth asking again.
        until: Moment,
    },
}

/// What the breaker does with calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerState {
    /// Calls pass.
    Closed,
    /// No call passes before `until`; the next one after it is the probe.
    Open {
        /// The end of the period.
        until: Moment,
    },
    /// One call is out to see whether the lane is back.
    Probing {
        /// When its slot is given to another.
        expires: Moment,
    },
}

/// Consecutive-failure breaker with one expiring probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breaker {
    state: BreakerState,
    failures: u32,
    period: Duration,
    /// Set by Retry-After: nobody calls before it, whatever the state.
    held_until: Moment,
}

impl Default for Breaker {
    fn default() -> Self {
        Self { state: BreakerState::Closed, failures: 0, period: PERIOD_MIN, held_until: Moment::default() }
    }
}

impl Breaker {
    /// Asks for one call. `Probe` takes the only probe slot.
    pub fn admit(&mut self, now: Moment) -> Admission {
        match self.peek(now) {
            Admission::Probe => {
                self.state = BreakerState::Probing { expires: now + PROBE_EXPIRY };
                Admission::Probe
            }
            other => other,
        }
    }

    /// What [`Breaker::admit`] would say, taking nothing.
    #[must_use]
    pub fn peek(&self, now: Moment) -> Admission {
        if now < self.held_until {
            return Admission::Refused { until: self.held_until };
        }
        match self.state {
            BreakerState::Closed => Admission::Allowed,
            BreakerState::Open { until } if now < until => Admission::Refused { until },
            BreakerState::Probing { expires } if now < expires => Admission::Refused { until: expires },
            BreakerState::Open { .. } | BreakerState::Probing { .. } => Admission::Probe,
        }
    }

    /// Where it stands.
    #[must_use]
    pub fn state(&self) -> BreakerState {
        self.state
    }

    /// Learns how one attempt ended; `None` is an answer. `budget` is the time that it was given.
    pub fn observe(&mut self, now: Moment, failed: Option<Disposition>, budget: Duration) {
        match failed {
            // An answer, even a bad or a refused one, shows that the lane is up.
            None
            | Some(
                Disposition::CallersFault | Disposition::TooLong | Disposition::BadAnswer | Disposition::Abstained,
            ) => {
                *self = Self { held_until: self.held_until, ..Self::default() };
            }
            Some(Disposition::Transient) => self.fail(now),
            Some(Disposition::Slow) if budget >= SLOW_BUDGET_MIN => self.fail(now),
            Some(Disposition::HardDown) => self.open(now),
            Some(Disposition::RateLimited { retry_after }) => {
                self.held_until = self.held_until.max(now + retry_after.unwrap_or_default());
                self.free_probe(now);
            }
            Some(Disposition::Slow | Disposition::Cancelled) => self.free_probe(now),
        }
    }

    fn fail(&mut self, now: Moment) {
        self.failures = self.failures.saturating_add(1);
        if self.failures >= FAILURES_MAX || matches!(self.state, BreakerState::Probing { .. }) {
            self.open(now);
        }
    }

    fn open(&mut self, now: Moment) {
        match self.state {
            // Late failures of calls that began before it opened do not prolong it.
            BreakerState::Open { .. } => return,
            BreakerState::Probing { .. } => self.period = (self.period * 2).min(PERIOD_MAX),
            BreakerState::Closed => {}
        }
        self.state = BreakerState::Open { until: now + self.period };
    }

    /// A probe that says nothing gives its slot back.
    fn free_probe(&mut self, now: Moment) {
        if matches!(self.state, BreakerState::Probing { .. }) {
            self.state = BreakerState::Open { until: now };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUDGET: Duration = Duration::from_secs(10);

    fn at(seconds: u64) -> Moment {
        Moment::from_micros(seconds * 1_000_000)
    }

    fn opened() -> Breaker {
        let mut breaker = Breaker::default();
        for _ in 0..FAILURES_MAX {
            assert_eq!(breaker.admit(at(0)), Admission::Allowed);
            breaker.observe(at(0), Some(Disposition::Transient), BUDGET);
        }
        breaker
    }

    #[test]
    fn failures_in_a_row_open_it_and_one_probe_closes_it() {
        let mut breaker = opened();
        assert_eq!(breaker.admit(at(4)), Admission::Refused { until: at(5) });
        assert_eq!(breaker.admit(at(5)), Admission::Probe);
        assert_eq!(breaker.admit(at(5)), Admission::Refused { until: at(35) }, "only one probe");
        breaker.observe(at(6), None, BUDGET);
        assert_eq!(breaker.admit(at(6)), Admission::Allowed);
    }

    #[test]
    fn a_failed_probe_doubles_the_period_up_to_a_minute() {
        let mut breaker = opened();
        let mut now = 5;
        for period in [10, 20, 40, 60, 60] {
            assert_eq!(breaker.admit(at(now)), Admission::Probe);
            breaker.observe(at(now), Some(Disposition::Transient), BUDGET);
            assert_eq!(breaker.admit(at(now + period - 1)), Admission::Refused { until: at(now + period) });
            now += period;
        }
    }

    #[test]
    fn a_lost_probe_expires_and_a_neutral_one_gives_its_slot_back() {
        let mut breaker = opened();
        assert_eq!(breaker.admit(at(5)), Admission::Probe);
        assert_eq!(breaker.admit(at(36)), Admission::Probe, "the first never reported");
        breaker.observe(at(36), Some(Disposition::Cancelled), BUDGET);
        assert_eq!(breaker.admit(at(36)), Admission::Probe);
    }

    #[test]
    fn what_is_not_the_lanes_fault_never_opens_it() {
        use Disposition::{Abstained, BadAnswer, CallersFault, Cancelled, Slow, TooLong};
        for neutral in [Abstained, BadAnswer, CallersFault, Cancelled, TooLong, Slow] {
            let mut breaker = Breaker::default();
            for _ in 0..100 {
                breaker.observe(at(0), Some(neutral), Duration::from_millis(50));
            }
            assert_eq!(breaker.admit(at(0)), Admission::Allowed, "{neutral:?}");
        }
    }

    #[test]
    fn slow_counts_where_the_budget_was_fair_and_hard_down_counts_at_once() {
        let mut breaker = Breaker::default();
        for _ in 0..FAILURES_MAX {
            breaker.observe(at(0), Some(Disposition::Slow), SLOW_BUDGET_MIN);
        }
        assert!(matches!(breaker.admit(at(1)), Admission::Refused { .. }));
        let mut breaker = Breaker::default();
        breaker.observe(at(0), Some(Disposition::HardDown), BUDGET);
        assert!(matches!(breaker.admit(at(1)), Admission::Refused { .. }));
    }

    #[test]
    fn retry_after_holds_the_lane() {
        let mut breaker = Breaker::default();
        let retry_after = Some(Duration::from_secs(7));
        breaker.observe(at(0), Some(Disposition::RateLimited { retry_after }), BUDGET);
        assert_eq!(breaker.admit(at(6)), Admission::Refused { until: at(7) });
        assert_eq!(breaker.admit(at(7)), Admission::Allowed);
    }
}
