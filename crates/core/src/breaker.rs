//! The circuit breaker of a lane: closed, open, one probe.

use std::time::Duration;

use crate::{Disposition, Moment};

/// Half of so many calls must fail within the window to open it.
const CALLS_MIN: u32 = 10;
/// So many failures in a row open it whatever the window says: a busy lane that dies has a window
/// full of answers.
const ROW_MAX: u32 = 8;
/// The window: so many buckets of one second.
const BUCKETS: usize = 10;
/// How long it stays open at first; doubled by each failed probe, up to the maximum.
const PERIOD_MIN: Duration = Duration::from_secs(5);
const PERIOD_MAX: Duration = Duration::from_secs(60);
/// The longest that a provider's Retry-After is believed.
const HELD_MAX: Duration = Duration::from_secs(3600);
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
        /// When it has lost its slot: where a failed one would have let the next one pass.
        expires: Moment,
    },
}

/// Calls that were counted in one second, and how many of them failed or were slow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Bucket {
    calls: u32,
    failed: u32,
}

/// Opens where half of the calls of the last ten seconds, or some in a row, failed or were slow;
/// one expiring probe a period.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breaker {
    state: BreakerState,
    /// When `state` began; what began before says nothing of the lane as it is now.
    since: Moment,
    /// When it was last closed.
    closed: Moment,
    /// By second, in turn.
    window: [Bucket; BUCKETS],
    second: u64,
    row: u32,
    period: Duration,
    /// Set by Retry-After: nobody calls before it, whatever the state.
    held_until: Moment,
}

impl Default for Breaker {
    fn default() -> Self {
        Self {
            state: BreakerState::Closed,
            since: Moment::default(),
            closed: Moment::default(),
            window: [Bucket::default(); BUCKETS],
            second: 0,
            row: 0,
            period: PERIOD_MIN,
            held_until: Moment::default(),
        }
    }
}

impl Breaker {
    /// Asks for one call. `Probe` takes the only probe slot.
    pub fn admit(&mut self, now: Moment) -> Admission {
        let admission = self.peek(now);
        if admission == Admission::Probe {
            // One that has not said anything by now has failed.
            if matches!(self.state, BreakerState::Probing { .. }) {
                self.period = self.longer();
            }
            (self.state, self.since) = (BreakerState::Probing { expires: now + self.longer() }, now);
        }
        admission
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

    /// Until when a Retry-After alone stands in the way.
    #[must_use]
    pub fn held(&self, now: Moment) -> Option<Moment> {
        (self.state == BreakerState::Closed && now < self.held_until).then_some(self.held_until)
    }

    /// Where it stands.
    #[must_use]
    pub fn state(&self) -> BreakerState {
        self.state
    }

    /// An attempt that began at `began` shows signs of life: where it is a probe, the lane is back.
    pub fn progress(&mut self, now: Moment, began: Moment) {
        if matches!(self.state, BreakerState::Probing { .. }) && began > self.closed {
            self.close(now);
        }
    }

    /// Learns how one attempt ended; `None` is an answer. `elapsed` is what it took; `fair` says
    /// whether its time was enough for a slow end to mean something.
    pub fn observe(&mut self, now: Moment, failed: Option<Disposition>, elapsed: Duration, fair: bool) {
        if let Some(Disposition::RateLimited { retry_after: Some(after) }) = failed {
            self.held_until = self.held_until.max(now + after.min(HELD_MAX));
        }
        let (began, means) = (now - elapsed, means(failed, fair));
        match (self.state, means) {
            // Of a lane that answers late the first probe's answer says as much as the last one's.
            (BreakerState::Probing { .. }, Means::Up) => self.progress(now, began),
            _ if began < self.since => {}
            (BreakerState::Open { .. }, _) => {}
            (BreakerState::Probing { .. }, Means::Nothing) => self.open(now),
            // Nobody asked: the slot is the next one's.
            (BreakerState::Probing { .. }, Means::Unasked) => {
                (self.state, self.since) = (BreakerState::Open { until: now }, now);
            }
            (BreakerState::Probing { expires }, Means::Failed | Means::Down) => {
                self.period = self.longer();
                (self.state, self.since) = (BreakerState::Open { until: expires }, now);
            }
            (BreakerState::Closed, Means::Nothing | Means::Unasked) => {}
            (BreakerState::Closed, Means::Up) => self.count(now, false),
            (BreakerState::Closed, Means::Failed) => self.count(now, true),
            (BreakerState::Closed, Means::Down) => self.open(now),
        }
    }

    fn count(&mut self, now: Moment, failed: bool) {
        let second = now.as_micros() / 1_000_000;
        // What the turning window passes over is emptied.
        for passed in (self.second + 1..=second).rev().take(BUCKETS) {
            self.window[bucket(passed)] = Bucket::default();
        }
        self.second = self.second.max(second);
        let counted = &mut self.window[bucket(self.second)];
        counted.calls = counted.calls.saturating_add(1);
        counted.failed = counted.failed.saturating_add(u32::from(failed));
        self.row = if failed { self.row.saturating_add(1) } else { 0 };
        let sum = |of: fn(&Bucket) -> u32| self.window.iter().map(of).fold(0, u32::saturating_add);
        let (calls, failures) = (sum(|b| b.calls), sum(|b| b.failed));
        if failed && (self.row >= ROW_MAX || (calls >= CALLS_MIN && failures >= calls.div_ceil(2))) {
            self.open(now);
        }
    }

    /// What was counted as failed then has been answered: somebody had not waited long enough.
    pub(crate) fn answered_after_all(&mut self, then: Moment) {
        let second = then.as_micros() / 1_000_000;
        if self.second.saturating_sub(second) < BUCKETS as u64 {
            let counted = &mut self.window[bucket(second)];
            counted.failed = counted.failed.saturating_sub(1);
        }
        self.row = 0;
    }

    /// What the period is after one more failed probe.
    fn longer(&self) -> Duration {
        (self.period * 2).min(PERIOD_MAX)
    }

    fn open(&mut self, now: Moment) {
        if self.state == BreakerState::Closed {
            self.closed = now;
        }
        (self.state, self.since) = (BreakerState::Open { until: now + self.period }, now);
    }

    fn close(&mut self, now: Moment) {
        *self = Self { since: now, held_until: self.held_until, ..Self::default() };
    }
}

fn bucket(second: u64) -> usize {
    usize::try_from(second % BUCKETS as u64).unwrap_or_default()
}

/// What the end of an attempt says of its lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Means {
    Up,
    Failed,
    Down,
    Nothing,
    Unasked,
}

pub(crate) fn means(failed: Option<Disposition>, fair: bool) -> Means {
    use Disposition::{
        Abstained, BadAnswer, CallersFault, Cancelled, HardDown, Limited, OverBudget, RateLimited, Slow, TooLong,
        Transient,
    };
    match failed {
        // An answer, even a bad or a refused one, shows that the lane is up.
        None | Some(CallersFault | TooLong | BadAnswer | Abstained) => Means::Up,
        Some(Transient) => Means::Failed,
        Some(Slow) if fair => Means::Failed,
        Some(HardDown) => Means::Down,
        Some(Slow | Cancelled | RateLimited { .. }) => Means::Nothing,
        Some(OverBudget | Limited) => Means::Unasked,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment::from_micros(seconds * 1_000_000)
    }

    fn opened() -> Breaker {
        let mut breaker = Breaker::default();
        for _ in 0..ROW_MAX {
            assert_eq!(breaker.admit(at(0)), Admission::Allowed);
            breaker.observe(at(0), Some(Disposition::Transient), Duration::ZERO, true);
        }
        breaker
    }

    #[test]
    fn failures_in_a_row_open_it_and_one_probe_closes_it() {
        let mut breaker = opened();
        assert_eq!(breaker.admit(at(4)), Admission::Refused { until: at(5) });
        assert_eq!(breaker.admit(at(5)), Admission::Probe);
        assert_eq!(breaker.admit(at(5)), Admission::Refused { until: at(15) }, "only one probe");
        breaker.observe(at(6), None, Duration::ZERO, true);
        assert_eq!(breaker.admit(at(6)), Admission::Allowed);
    }

    #[test]
    fn a_failed_probe_doubles_the_period_up_to_a_minute() {
        let mut breaker = opened();
        let mut now = 5;
        for period in [10, 20, 40, 60, 60] {
            assert_eq!(breaker.admit(at(now)), Admission::Probe);
            breaker.observe(at(now), Some(Disposition::Transient), Duration::ZERO, true);
            assert_eq!(breaker.admit(at(now + period - 1)), Admission::Refused { until: at(now + period) });
            now += period;
        }
    }

    #[test]
    fn a_probe_that_hangs_gives_its_slot_free_where_a_failed_one_lets_the_next_one_pass() {
        let (mut breaker, mut now) = (opened(), 5);
        for period in [10, 20, 40, 60, 60] {
            assert_eq!(breaker.admit(at(now)), Admission::Probe);
            assert_eq!(breaker.admit(at(now + period - 1)), Admission::Refused { until: at(now + period) });
            now += period;
        }
        let mut breaker = opened();
        assert_eq!(breaker.admit(at(5)), Admission::Probe);
        breaker.observe(at(12), Some(Disposition::Slow), Duration::from_secs(7), true);
        assert_eq!(breaker.admit(at(14)), Admission::Refused { until: at(15) }, "its time counts");
        assert_eq!(breaker.admit(at(15)), Admission::Probe);
    }

    #[test]
    fn a_late_answer_of_a_probe_that_lost_its_slot_shows_that_the_lane_is_back() {
        let mut breaker = opened();
        assert_eq!((breaker.admit(at(5)), breaker.admit(at(15))), (Admission::Probe, Admission::Probe));
        breaker.observe(at(17), Some(Disposition::Transient), Duration::from_secs(12), true);
        assert_eq!(breaker.admit(at(18)), Admission::Refused { until: at(35) }, "the first says nothing of the second");
        breaker.observe(at(25), None, Duration::from_secs(20), true);
        assert_eq!(breaker.state(), BreakerState::Closed);
    }

    #[test]
    fn a_probe_that_says_nothing_waits_for_the_next_period() {
        use Disposition::{Cancelled, RateLimited, Slow};
        for nothing in [Cancelled, Slow, RateLimited { retry_after: None }] {
            let mut breaker = opened();
            assert_eq!(breaker.admit(at(5)), Admission::Probe);
            breaker.observe(at(7), Some(nothing), Duration::from_secs(2), false);
            assert_eq!(breaker.admit(at(7)), Admission::Refused { until: at(12) }, "{nothing:?}");
            assert_eq!(breaker.admit(at(12)), Admission::Probe);
        }
    }

    #[test]
    fn half_of_the_calls_of_ten_seconds_open_it() {
        let run = |every: u32, calls: u32, per_second: u32| {
            let mut breaker = Breaker::default();
            for n in 0..calls {
                let failed = n.is_multiple_of(every).then_some(Disposition::Transient);
                breaker.observe(at(u64::from(n / per_second)), failed, Duration::ZERO, true);
            }
            breaker.state() != BreakerState::Closed
        };
        assert!(!run(2, 9, 5), "too few");
        assert!(run(2, 11, 5), "every second one");
        assert!(!run(3, 1000, 5), "every third one");
        let mut breaker = Breaker::default();
        for second in 0..100 {
            // Two calls in a second, one fails, and then ten seconds of nothing.
            breaker.observe(at(second * 12), None, Duration::ZERO, true);
            breaker.observe(at(second * 12), Some(Disposition::Transient), Duration::ZERO, true);
        }
        assert_eq!(breaker.state(), BreakerState::Closed, "the window slides");
    }

    #[test]
    fn a_busy_lane_that_dies_is_open_after_a_few_calls() {
        let mut breaker = Breaker::default();
        (0..1000).for_each(|_| breaker.observe(at(1), None, Duration::ZERO, true));
        (1..ROW_MAX).for_each(|_| breaker.observe(at(1), Some(Disposition::Transient), Duration::ZERO, true));
        assert_eq!(breaker.state(), BreakerState::Closed);
        breaker.observe(at(1), Some(Disposition::Transient), Duration::ZERO, true);
        assert!(matches!(breaker.state(), BreakerState::Open { .. }));
    }

    #[test]
    fn what_began_before_it_closed_does_not_open_it_again() {
        let mut breaker = opened();
        assert_eq!(breaker.admit(at(5)), Admission::Probe);
        breaker.progress(at(6), at(0));
        assert!(matches!(breaker.state(), BreakerState::Probing { .. }), "that was another");
        breaker.progress(at(6), at(5));
        assert_eq!(breaker.state(), BreakerState::Closed);
        (0..100).for_each(|_| breaker.observe(at(7), Some(Disposition::Slow), Duration::from_secs(2), true));
        assert_eq!(breaker.state(), BreakerState::Closed);
    }

    #[test]
    fn what_is_not_the_lanes_fault_never_opens_it() {
        use Disposition::{Abstained, BadAnswer, CallersFault, Cancelled, Slow, TooLong};
        for neutral in [Abstained, BadAnswer, CallersFault, Cancelled, TooLong, Slow] {
            let mut breaker = Breaker::default();
            for _ in 0..100 {
                breaker.observe(at(0), Some(neutral), Duration::ZERO, false);
            }
            assert_eq!(breaker.admit(at(0)), Admission::Allowed, "{neutral:?}");
        }
    }

    #[test]
    fn slow_counts_where_the_budget_was_fair_and_hard_down_counts_at_once() {
        let mut breaker = Breaker::default();
        for _ in 0..ROW_MAX {
            breaker.observe(at(0), Some(Disposition::Slow), Duration::from_secs(0), true);
        }
        assert!(matches!(breaker.admit(at(1)), Admission::Refused { .. }));
        let mut breaker = Breaker::default();
        breaker.observe(at(0), Some(Disposition::HardDown), Duration::ZERO, true);
        assert!(matches!(breaker.admit(at(1)), Admission::Refused { .. }));
    }

    #[test]
    fn retry_after_holds_the_lane() {
        let mut breaker = Breaker::default();
        let retry_after = Some(Duration::from_secs(7));
        breaker.observe(at(0), Some(Disposition::RateLimited { retry_after }), Duration::ZERO, true);
        assert_eq!(breaker.admit(at(6)), Admission::Refused { until: at(7) });
        assert_eq!(breaker.admit(at(7)), Admission::Allowed);
    }

    #[test]
    fn a_call_from_before_the_probe_does_not_settle_it() {
        use Disposition::{Cancelled, HardDown, RateLimited, Slow, Transient};
        for stranger in [Cancelled, Slow, Transient, HardDown, RateLimited { retry_after: None }] {
            let mut breaker = opened();
            assert_eq!(breaker.admit(at(5)), Admission::Probe);
            breaker.observe(at(6), Some(stranger), Duration::from_secs(6), true);
            assert_eq!(breaker.admit(at(14)), Admission::Refused { until: at(15) }, "{stranger:?}");
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

        /// Closed lets all pass, open none, and of probes only one has the slot until it ended, lost
        /// it after a period, or an answer closed the breaker. After the longest period it always lets one pass.
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
                                let lost = probe.is_none_or(|since| since + 2 * PERIOD_MIN <= now);
                                prop_assert!(lost, "a second probe at {now:?}, the first since {probe:?}");
                                probe = Some(now);
                            }
                        }
                        out.push((now, admission));
                    }
                    Happens::End(nth, failed) if nth < out.len() => {
                        let (since, admission) = out.remove(nth);
                        breaker.observe(now, failed, now - since, true);
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
