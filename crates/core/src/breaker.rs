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

    /// Learns how one attempt ended; `None` is an answer. `elapsed` is what it took and `budget`
    /// what it was given.
    pub fn observe(&mut self, now: Moment, failed: Option<Disposition>, (elapsed, budget): (Duration, Duration)) {
        // A call from before the probe: it neither settles the probe nor gives its slot away.
        let probe_is_out =
            matches!(self.state, BreakerState::Probing { expires } if now + PROBE_EXPIRY < expires + elapsed);
        match failed {
            // An answer, even a bad or a refused one, shows that the lane is up.
            None
            | Some(
                Disposition::CallersFault | Disposition::TooLong | Disposition::BadAnswer | Disposition::Abstained,
            ) => {
                *self = Self { held_until: self.held_until, ..Self::default() };
            }
            Some(Disposition::RateLimited { retry_after }) => {
                self.held_until = self.held_until.max(now + retry_after.unwrap_or_default());
                if !probe_is_out {
                    self.free_probe(now);
                }
            }
            Some(_) if probe_is_out => {}
            Some(Disposition::Transient) => self.fail(now),
            Some(Disposition::Slow) if budget >= SLOW_BUDGET_MIN => self.fail(now),
            Some(Disposition::HardDown) => self.open(now),
            Some(Disposition::Slow | Disposition::Cancelled | Disposition::OverBudget | Disposition::Limited) => {
                self.free_probe(now);
            }
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
    use proptest::prelude::*;

    use super::*;

    /// What calls took, and what they were given.
    const TIMES: (Duration, Duration) = (Duration::ZERO, Duration::from_secs(10));

    fn at(seconds: u64) -> Moment {
        Moment::from_micros(seconds * 1_000_000)
    }

    fn opened() -> Breaker {
        let mut breaker = Breaker::default();
        for _ in 0..FAILURES_MAX {
            assert_eq!(breaker.admit(at(0)), Admission::Allowed);
            breaker.observe(at(0), Some(Disposition::Transient), TIMES);
        }
        breaker
    }

    #[test]
    fn failures_in_a_row_open_it_and_one_probe_closes_it() {
        let mut breaker = opened();
        assert_eq!(breaker.admit(at(4)), Admission::Refused { until: at(5) });
        assert_eq!(breaker.admit(at(5)), Admission::Probe);
        assert_eq!(breaker.admit(at(5)), Admission::Refused { until: at(35) }, "only one probe");
        breaker.observe(at(6), None, TIMES);
        assert_eq!(breaker.admit(at(6)), Admission::Allowed);
    }

    #[test]
    fn a_failed_probe_doubles_the_period_up_to_a_minute() {
        let mut breaker = opened();
        let mut now = 5;
        for period in [10, 20, 40, 60, 60] {
            assert_eq!(breaker.admit(at(now)), Admission::Probe);
            breaker.observe(at(now), Some(Disposition::Transient), TIMES);
            assert_eq!(breaker.admit(at(now + period - 1)), Admission::Refused { until: at(now + period) });
            now += period;
        }
    }

    #[test]
    fn a_lost_probe_expires_and_a_neutral_one_gives_its_slot_back() {
        let mut breaker = opened();
        assert_eq!(breaker.admit(at(5)), Admission::Probe);
        assert_eq!(breaker.admit(at(36)), Admission::Probe, "the first never reported");
        breaker.observe(at(36), Some(Disposition::Cancelled), TIMES);
        assert_eq!(breaker.admit(at(36)), Admission::Probe);
    }

    #[test]
    fn what_is_not_the_lanes_fault_never_opens_it() {
        use Disposition::{Abstained, BadAnswer, CallersFault, Cancelled, Slow, TooLong};
        for neutral in [Abstained, BadAnswer, CallersFault, Cancelled, TooLong, Slow] {
            let mut breaker = Breaker::default();
            for _ in 0..100 {
                breaker.observe(at(0), Some(neutral), (Duration::ZERO, Duration::from_millis(50)));
            }
            assert_eq!(breaker.admit(at(0)), Admission::Allowed, "{neutral:?}");
        }
    }

    #[test]
    fn slow_counts_where_the_budget_was_fair_and_hard_down_counts_at_once() {
        let mut breaker = Breaker::default();
        for _ in 0..FAILURES_MAX {
            breaker.observe(at(0), Some(Disposition::Slow), (SLOW_BUDGET_MIN, SLOW_BUDGET_MIN));
        }
        assert!(matches!(breaker.admit(at(1)), Admission::Refused { .. }));
        let mut breaker = Breaker::default();
        breaker.observe(at(0), Some(Disposition::HardDown), TIMES);
        assert!(matches!(breaker.admit(at(1)), Admission::Refused { .. }));
    }

    #[test]
    fn retry_after_holds_the_lane() {
        let mut breaker = Breaker::default();
        let retry_after = Some(Duration::from_secs(7));
        breaker.observe(at(0), Some(Disposition::RateLimited { retry_after }), TIMES);
        assert_eq!(breaker.admit(at(6)), Admission::Refused { until: at(7) });
        assert_eq!(breaker.admit(at(7)), Admission::Allowed);
    }

    #[test]
    fn a_call_from_before_the_probe_does_not_settle_it() {
        use Disposition::{Cancelled, HardDown, RateLimited, Slow, Transient};
        for stranger in [Cancelled, Slow, Transient, HardDown, RateLimited { retry_after: None }] {
            let mut breaker = opened();
            assert_eq!(breaker.admit(at(5)), Admission::Probe);
            breaker.observe(at(6), Some(stranger), (Duration::from_secs(6), Duration::from_secs(10)));
            assert_eq!(breaker.admit(at(20)), Admission::Refused { until: at(35) }, "{stranger:?}");
        }
    }

    /// What may happen to a lane.
    #[derive(Clone, Debug)]
    enum Happens {
        Ask,
        /// The n-th oldest call that is out ends.
        End(usize, Option<Disposition>),
        Pass(Duration),
    }

    fn happens() -> impl Strategy<Value = Happens> {
        use Disposition::{BadAnswer, Cancelled, HardDown, RateLimited, Slow, Transient};
        let ends = prop_oneof![
            1 => Just(None),
            1 => proptest::sample::select(vec![BadAnswer, Cancelled, HardDown, Slow]).prop_map(Some),
            3 => Just(Some(Transient)),
            1 => proptest::option::of(0..20_u64)
                .prop_map(|s| Some(RateLimited { retry_after: s.map(Duration::from_secs) })),
        ];
        prop_oneof![
            3 => Just(Happens::Ask),
            3 => (0..8_usize, ends).prop_map(|(nth, end)| Happens::End(nth, end)),
            2 => (0..15_000_u64).prop_map(|ms| Happens::Pass(Duration::from_millis(ms))),
        ]
    }

    proptest! {
        #![proptest_config(crate::test_config(500))]

        /// Closed lets all pass, open none, and of probes only one is out until it ended, lost its
        /// slot, or an answer closed the breaker. After the longest period it always lets one pass.
        #[test]
        fn at_most_one_probe_is_out(history in proptest::collection::vec(happens(), 0..60)) {
            let (mut breaker, mut now) = (Breaker::default(), at(0));
            let mut out: Vec<(Moment, Admission)> = Vec::new();
            let mut probe: Option<Moment> = None;
            for happens in history {
                match happens {
                    Happens::Pass(time) => now = now + time,
                    Happens::Ask => {
                        let (before, peeked) = (breaker.state(), breaker.peek(now));
                        let admission = breaker.admit(now);
                        prop_assert_eq!(admission, peeked);
                        match admission {
                            Admission::Allowed => prop_assert_eq!(before, BreakerState::Closed),
                            Admission::Refused { until } => {
                                prop_assert!(until > now);
                                prop_assert_eq!(before, breaker.state());
                                continue;
                            }
                            Admission::Probe => {
                                prop_assert!(before != BreakerState::Closed);
                                let lost = probe.is_none_or(|since| since + PROBE_EXPIRY <= now);
                                prop_assert!(lost, "a second probe at {now:?}, the first since {probe:?}");
                                probe = Some(now);
                            }
                        }
                        out.push((now, admission));
                    }
                    Happens::End(nth, failed) if nth < out.len() => {
                        let (since, admission) = out.remove(nth);
                        breaker.observe(now, failed, (now - since, TIMES.1));
                        let settled = admission == Admission::Probe && probe == Some(since);
                        if settled || breaker.state() == BreakerState::Closed {
                            probe = None;
                        }
                        if settled {
                            let probing = matches!(breaker.state(), BreakerState::Probing { .. });
                            prop_assert!(!probing, "its slot is lost");
                        }
                    }
                    Happens::End(..) => {}
                }
            }
            let refused = matches!(breaker.peek(now + PERIOD_MAX), Admission::Refused { .. });
            prop_assert!(!refused, "{breaker:?}");
        }
    }
}
