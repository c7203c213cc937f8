//! What is remembered of each lane between executions: the one store of lane state.

use std::time::Duration;

use crate::breaker::means;
use crate::extras::Extras;
use crate::latencies::Latencies;
use crate::shared::{News, SharedCalls};
use crate::{
    Admission, Breach, Breaker, BreakerState, Claimant, Disposition, Gate, LaneId, Moment, Percentiles, SharedCall,
    Signal, Ticket,
};

/// The slow threshold of a lane without figures.
const SLOW: Duration = Duration::from_secs(1);
/// No lane is called slow for less.
const SLOW_MIN: Duration = Duration::from_millis(250);

/// How one attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Observation {
    /// `None` for an answer.
    pub failed: Option<Disposition>,
    /// What it took.
    pub elapsed: Duration,
    /// What it was given.
    pub budget: Duration,
    /// Whether it was asked for as a stream.
    pub stream: bool,
    /// From its start to the first token, where a stream had one.
    pub first_token: Option<Duration>,
    /// The limit of its stream that ended it.
    pub breach: Option<Breach>,
    /// The call that it shared with others: what comes of that is one outcome.
    pub call: Option<SharedCall>,
}

/// One lane's breaker, recent latencies, the extra calls that it may get, and its places:
/// [`Lanes::admit`] takes one, [`Lanes::observe`] gives it back and learns.
#[derive(Clone, Debug)]
pub struct Lane {
    pub(crate) breaker: Breaker,
    answers: Latencies,
    first_tokens: Latencies,
    extras: Extras,
    shared: SharedCalls,
    pub(crate) gate: Gate,
}

impl Default for Lane {
    /// Without bounds.
    fn default() -> Self {
        let (breaker, answers, first_tokens, extras, shared) = Default::default();
        Self { breaker, answers, first_tokens, extras, shared, gate: Gate::new(u32::MAX, usize::MAX) }
    }
}

impl Lane {
    /// Its places: who has one, and who waits.
    #[must_use]
    pub fn gate(&self) -> &Gate {
        &self.gate
    }

    /// How long whole answers take.
    #[must_use]
    pub fn answers(&self, now: Moment) -> Percentiles {
        self.answers.at(now)
    }

    /// The probability that a whole answer takes at most this long; `None` where too few calls say.
    #[must_use]
    pub fn answers_within(&self, now: Moment, limit: Duration) -> Option<f64> {
        self.answers.within(now, limit)
    }

    /// How long the first tokens of streams take.
    #[must_use]
    pub fn first_tokens(&self, now: Moment) -> Percentiles {
        self.first_tokens.at(now)
    }

    /// An attempt that ran out of less time than this says nothing about the lane: nine of ten
    /// answers, or first tokens where none came, take no longer. Without figures one second.
    fn slow(&self, now: Moment, seen: &Observation) -> Duration {
        let silent = seen.stream && seen.first_token.is_none();
        let first = if silent { self.first_tokens(now).p90 } else { None };
        first.or(self.answers(now).p90).unwrap_or(SLOW).max(SLOW_MIN)
    }
}

/// All lanes of a process, by [`LaneId`].
#[derive(Clone, Debug, Default)]
pub struct Lanes {
    all: Vec<Lane>,
    /// How many waited for a place so far.
    pub(crate) tickets: u64,
    /// Waiters that should look again, until somebody tells them.
    pub(crate) woken: Vec<Ticket>,
}

impl Lanes {
    /// So many lanes, of which nothing is known.
    #[must_use]
    pub fn new(count: usize) -> Self {
        Self { all: vec![Lane::default(); count], ..Self::default() }
    }

    /// Nothing is known of this lane, which may be one that was not there before.
    pub fn begin(&mut self, lane: LaneId) {
        let place = lane.0 as usize;
        self.all.resize(self.all.len().max(place + 1), Lane::default());
        self.all[place] = Lane::default();
    }

    /// One lane.
    ///
    /// # Panics
    /// Where the id is not of these lanes.
    #[must_use]
    pub fn get(&self, lane: LaneId) -> &Lane {
        &self.all[lane.0 as usize]
    }

    pub(crate) fn lane(&mut self, lane: LaneId) -> &mut Lane {
        &mut self.all[lane.0 as usize]
    }

    /// Asks for one attempt, at the one point where attempts begin; whether there is room is the
    /// caller's question. What it allows takes a place, or uses the one that `granted` says was
    /// taken with [`Lanes::take`], and must end in exactly one [`Lanes::observe`].
    pub fn admit(&mut self, lane: LaneId, now: Moment, who: &Claimant, granted: bool) -> Admission {
        let lane = self.lane(lane);
        let admission = lane.breaker.admit(now);
        if !granted && !matches!(admission, Admission::Refused { .. }) {
            lane.gate.begin(now, who, true);
        }
        admission
    }

    /// What [`Lanes::admit`] would say, taking nothing.
    #[must_use]
    pub fn peek(&self, lane: LaneId, now: Moment) -> Admission {
        self.get(lane).breaker.peek(now)
    }

    /// Where the lane's breaker stands.
    #[must_use]
    pub fn breaker(&self, lane: LaneId) -> BreakerState {
        self.get(lane).breaker.state()
    }

    /// A call begins with this lane: it pays for a share of a retry and of a hedge.
    pub fn called(&mut self, lane: LaneId, hedge_share: f64) {
        self.lane(lane).extras.called(hedge_share);
    }

    /// Takes a retry out of what recent calls paid for.
    pub fn take_retry(&mut self, lane: LaneId, now: Moment) -> bool {
        self.lane(lane).extras.take_retry(now)
    }

    /// Takes a hedge for an attempt on this lane out of what recent calls paid for.
    pub fn take_hedge(&mut self, lane: LaneId) -> bool {
        self.lane(lane).extras.take_hedge()
    }

    /// The first sign of life of an attempt that began at `began`: enough for a probe, whose stream
    /// may go on for long.
    pub fn progress(&mut self, lane: LaneId, now: Moment, began: Moment) {
        let lane = self.lane(lane);
        lane.breaker.progress(now, began);
        lane.gate.first_token(now, began);
    }

    /// The one point where an attempt's end is learnt, and its place given back.
    pub fn observe(&mut self, id: LaneId, now: Moment, seen: &Observation) {
        let lane = self.lane(id);
        let was_held = lane.breaker.held(now).is_some();
        let fair = match seen.breach {
            // Somebody's tight limits say nothing about a lane, as their short deadlines do not.
            Some(breach) => breach.is_fair(lane.first_tokens(now).p90.unwrap_or(SLOW).max(SLOW_MIN)),
            None => seen.budget >= lane.slow(now, seen),
        };
        let refused = matches!(seen.failed, Some(Disposition::RateLimited { .. }));
        // A probe's own end decides, whoever shared its call.
        let news = match seen.call.filter(|_| lane.breaker.state() == BreakerState::Closed) {
            Some(call) => lane.shared.learn(now, call, means(seen.failed, fair), refused),
            None => News::First,
        };
        match news {
            News::First => lane.breaker.observe(now, seen.failed, seen.elapsed, fair),
            News::Answered(then) => lane.breaker.answered_after_all(then),
            News::Echo => {}
        }
        let cut = matches!(seen.failed, Some(Disposition::Slow | Disposition::Cancelled));
        if cut || matches!(seen.failed, None | Some(Disposition::BadAnswer)) {
            lane.answers.add(now, seen.elapsed, cut);
        }
        match seen.first_token {
            Some(first) => lane.first_tokens.add(now, first, false),
            None if seen.stream && cut => lane.first_tokens.add(now, seen.elapsed, true),
            None => {}
        }
        let signal = match seen.failed {
            None | Some(Disposition::BadAnswer) => Signal::Served,
            Some(Disposition::RateLimited { .. }) if news != News::Echo => Signal::Refused,
            Some(_) => Signal::Nothing,
        };
        lane.gate.end(now, now - seen.elapsed, signal);
        self.after(id, now, was_held);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LANE: LaneId = LaneId(0);

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn unary(failed: Option<Disposition>, elapsed: u64, budget: u64) -> Observation {
        Observation {
            failed,
            elapsed: ms(elapsed),
            budget: ms(budget),
            stream: false,
            first_token: None,
            breach: None,
            call: None,
        }
    }

    fn now() -> Moment {
        Moment::from_micros(100_000_000)
    }

    #[test]
    fn answers_and_first_tokens_are_apart() {
        let mut lanes = Lanes::new(1);
        for _ in 0..8 {
            lanes.observe(LANE, now(), &unary(None, 900, 1000));
            let stream = Observation { stream: true, first_token: Some(ms(50)), ..unary(None, 900, 1000) };
            lanes.observe(LANE, now(), &stream);
        }
        assert_eq!(lanes.get(LANE).answers(now()).p50, Some(ms(900)));
        assert_eq!(lanes.get(LANE).first_tokens(now()).p50, Some(ms(50)));
    }

    /// So many attempts of one call.
    fn shared(call: u64, members: usize, failed: Option<Disposition>, budget: u64) -> Vec<Observation> {
        vec![Observation { call: Some(SharedCall(call)), ..unary(failed, budget, budget) }; members]
    }

    #[test]
    fn a_call_that_many_share_is_one_call() {
        for failed in [Disposition::Slow, Disposition::Transient] {
            let mut lanes = Lanes::new(1);
            for call in 0..8 {
                assert_eq!(lanes.breaker(LANE), BreakerState::Closed, "after {call} calls that are {failed:?}");
                shared(call, 16, Some(failed), 2000).iter().for_each(|seen| lanes.observe(LANE, now(), seen));
            }
            assert!(matches!(lanes.breaker(LANE), BreakerState::Open { .. }), "after eight in a row");
        }
        // As many answers as failures, whatever the number of those who share: half of ten calls.
        let mut lanes = Lanes::new(1);
        for call in 0..5 {
            shared(call, 16, None, 2000).iter().for_each(|seen| lanes.observe(LANE, now(), seen));
        }
        for call in 5..10 {
            assert_eq!(lanes.breaker(LANE), BreakerState::Closed, "after {call} calls");
            shared(call, 3, Some(Disposition::Transient), 9).iter().for_each(|seen| lanes.observe(LANE, now(), seen));
        }
        assert!(matches!(lanes.breaker(LANE), BreakerState::Open { .. }));
    }

    #[test]
    fn one_that_did_not_wait_for_the_answer_of_a_shared_call_is_no_failure_of_the_lane() {
        let mut lanes = Lanes::new(1);
        for call in 0..100 {
            let impatient = shared(call, 1, Some(Disposition::Slow), 1000);
            let others = shared(call, 3, None, 2000);
            impatient.iter().chain(&others).for_each(|seen| lanes.observe(LANE, now(), seen));
            assert_eq!(lanes.breaker(LANE), BreakerState::Closed, "after {call}");
        }
        // Who had too little time says nothing, and so does not speak for the others.
        for call in 100..108 {
            assert_eq!(lanes.breaker(LANE), BreakerState::Closed, "after {call}");
            let hurried = shared(call, 1, Some(Disposition::Slow), 50);
            let others = shared(call, 3, Some(Disposition::Slow), 2000);
            hurried.iter().chain(&others).for_each(|seen| lanes.observe(LANE, now(), seen));
        }
        assert!(matches!(lanes.breaker(LANE), BreakerState::Open { .. }), "of the last ten, eight hung");
    }

    #[test]
    fn one_refusal_of_a_shared_call_lowers_what_a_lane_holds_once() {
        let refused = Some(Disposition::RateLimited { retry_after: None });
        let limit = |members: &[Observation]| {
            let mut lanes = Lanes::new(1);
            lanes.set_bounds(LANE, now(), (64, 0));
            let who = Claimant { team: crate::TeamId::new("a"), share: 1 };
            for _ in 0..64 {
                lanes.admit(LANE, now(), &who, false);
            }
            members.iter().for_each(|seen| lanes.observe(LANE, now() + ms(10), seen));
            lanes.get(LANE).gate().limiter().limit()
        };
        let one = limit(&[unary(refused, 5, 1000)]);
        assert!(one < 64);
        assert_eq!(limit(&shared(1, 16, refused, 5)), one);
    }

    #[test]
    fn short_deadlines_say_nothing_about_a_lane() {
        for (budget, opens) in [(50, false), (999, false), (1000, true)] {
            let mut lanes = Lanes::new(1);
            (0..100).for_each(|_| lanes.observe(LANE, now(), &unary(Some(Disposition::Slow), budget, budget)));
            assert_eq!(lanes.breaker(LANE) != BreakerState::Closed, opens, "{budget} ms");
        }
        for (budget, opens) in [(50, false), (299, false), (300, true)] {
            let mut lanes = Lanes::new(1);
            (0..8).for_each(|_| lanes.observe(LANE, now(), &unary(None, 300, 2000)));
            (0..100).for_each(|_| lanes.observe(LANE, now(), &unary(Some(Disposition::Slow), budget, budget)));
            assert_eq!(lanes.breaker(LANE) != BreakerState::Closed, opens, "{budget} ms, where 300 ms are usual");
        }
    }
}
