//! How many calls may be in the air at a lane: found by probing, as TCP finds its window.
//!
//! The law is additive increase and multiplicative decrease, which converges to the capacity and to
//! a fair split between those who share it (Chiu and Jain, "Analysis of the Increase and Decrease
//! Algorithms for Congestion Avoidance", 1989, section 3.3). What is particular here:
//!
//! - It begins at its ceiling. An unnecessary limit costs every call of a busy lane its time; the
//!   first refusals of an overloaded one cost a few fast 429s.
//! - One round trip lowers it once, by between a tenth and a half: the burst that follows a refusal
//!   tells how many too many there were (in proportion, as DCTCP: Alizadeh et al., SIGCOMM 2010).
//! - The level that was refused is remembered for a while and not tried again, as CUBIC stays
//!   below its last maximum (Ha, Rhee, Xu, 2008): a 429 often closes the lane for a second.
//! - A rise of the time to first token is congestion too, before anything is refused (the idea of
//!   TCP Vegas, Brakmo and Peterson 1995; the long and the short average are those of Netflix's
//!   `concurrency-limits`, Gradient2). The total time is not looked at: long answers are no congestion.

use std::time::Duration;

use crate::Moment;

/// What a refusal takes at least, and what a round trip takes at most.
const LOWER: f64 = 0.9;
const LOWER_MOST: f64 = 0.5;
/// How long a refused level is not tried again; doubled when it was refused again.
const KNEE_MIN: Duration = Duration::from_secs(30);
const KNEE_MAX: Duration = Duration::from_secs(240);
/// The most calls that were in the air are remembered for one to two of these.
const PEAK_WINDOW: Duration = Duration::from_secs(30);
/// First tokens whose median is one measurement.
const FIRST_TOKENS: usize = 16;
/// A median over so many times the baseline is congestion.
const TOLERANCE: u32 = 3;
/// Times under this are noise, whatever their ratio.
const FIRST_TOKEN_MIN: Duration = Duration::from_millis(50);

/// What the end of a call says about the lane's capacity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// It was served.
    Served,
    /// 429 or 529.
    Refused,
    /// Neither: cancelled, a fault, no time.
    Nothing,
}

/// The concurrency limit of a lane, and the calls that count against it.
#[derive(Clone, Debug)]
pub struct Limiter {
    ceiling: f64,
    limit: f64,
    in_flight: u32,
    /// When it was last lowered. Calls from before then saw the old limit.
    lowered: Option<Moment>,
    /// As far as the round trip of that moment may lower it.
    floor: f64,
    knee: Option<Knee>,
    peak: Peak,
    first_tokens: FirstTokens,
}

/// A level that was refused.
#[derive(Clone, Copy, Debug)]
struct Knee {
    level: u32,
    since: Moment,
    hold: Duration,
}

impl Limiter {
    /// At most `ceiling` calls at a time, at least one.
    #[must_use]
    pub fn new(ceiling: u32) -> Self {
        let ceiling = f64::from(ceiling.max(1));
        Self {
            ceiling,
            limit: ceiling,
            in_flight: 0,
            lowered: None,
            floor: 1.0,
            knee: None,
            peak: Peak::default(),
            first_tokens: FirstTokens::default(),
        }
    }

    /// Calls at a time, at present.
    #[must_use]
    pub fn limit(&self) -> u32 {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 1 to a u32")]
        let limit = self.limit as u32;
        limit
    }

    /// Calls in the air.
    #[must_use]
    pub fn in_flight(&self) -> u32 {
        self.in_flight
    }

    /// Whether one more may begin.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.in_flight < self.limit()
    }

    /// A configuration with another ceiling. What was learnt stays.
    pub fn set_ceiling(&mut self, ceiling: u32) {
        let unlimited = self.limit >= self.ceiling && self.lowered.is_none();
        self.ceiling = f64::from(ceiling.max(1));
        self.limit = if unlimited { self.ceiling } else { self.limit.min(self.ceiling) };
        self.floor = self.floor.min(self.ceiling);
    }

    /// A call begins. Whether there is room is the caller's question; a probe needs none.
    pub fn begin(&mut self, now: Moment) {
        self.in_flight += 1;
        self.peak.see(now, self.in_flight);
    }

    /// A call that began at `started` ends.
    pub fn end(&mut self, now: Moment, started: Moment, signal: Signal) {
        match signal {
            Signal::Served => self.raise(now),
            Signal::Refused => self.refused(now, started),
            Signal::Nothing => {}
        }
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    /// The first token of a call that began at `started` arrived.
    pub fn first_token(&mut self, now: Moment, started: Moment) {
        if self.first_tokens.congested(now - started) && self.is_new_round(started) {
            let used = self.limit.min(f64::from(self.peak.of(now).max(self.in_flight)));
            self.lower(now, used);
        }
    }

    /// One round trip of a lane in use adds the square root of the limit, at least one: as fast as
    /// Gradient2, so that a large limit is found again in time. An idle lane learns nothing.
    fn raise(&mut self, now: Moment) {
        if self.in_flight < self.limit() {
            return;
        }
        let raised = (self.limit + self.limit.sqrt() / self.limit).min(self.ceiling);
        let known = self.knee.filter(|knee| now < knee.since + knee.hold).map(|knee| f64::from(knee.level));
        // Below one it stays below the next whole number.
        self.limit = known.map_or(raised, |level| raised.min((level - 0.001).max(1.0))).max(self.limit);
    }

    /// The server holds no more than those that are in the air beside this one.
    fn refused(&mut self, now: Moment, started: Moment) {
        if self.is_new_round(started) {
            let used = self.limit.min(f64::from(self.peak.of(now).max(self.in_flight)));
            // Far below what it held a moment ago it did not refuse the number of calls.
            if f64::from(self.in_flight) >= used * LOWER {
                self.knee = Some(self.knee_at(now));
            }
            self.lower(now, used);
        }
        let others = f64::from(self.in_flight.saturating_sub(1));
        self.limit = self.limit.min(others).max(self.floor);
    }

    fn knee_at(&self, now: Moment) -> Knee {
        let level = self.in_flight.max(2);
        let hold = match self.knee {
            Some(before) if before.level.abs_diff(level) <= 1.max(level / 10) => (before.hold * 2).min(KNEE_MAX),
            _ => KNEE_MIN,
        };
        Knee { level, since: now, hold }
    }

    fn lower(&mut self, now: Moment, used: f64) {
        self.floor = (used * LOWER_MOST).max(1.0);
        self.limit = (used * LOWER).max(1.0);
        self.lowered = Some(now);
    }

    fn is_new_round(&self, started: Moment) -> bool {
        self.lowered.is_none_or(|lowered| started > lowered)
    }
}

/// The most that was seen, in this window or the one before.
#[derive(Clone, Copy, Debug, Default)]
struct Peak {
    since: Moment,
    now: u32,
    before: u32,
}

impl Peak {
    fn see(&mut self, now: Moment, level: u32) {
        if now - self.since >= PEAK_WINDOW {
            let stale = now - self.since >= PEAK_WINDOW * 2;
            *self = Self { since: now, now: 0, before: if stale { 0 } else { self.now } };
        }
        self.now = self.now.max(level);
    }

    fn of(mut self, now: Moment) -> u32 {
        self.see(now, 0);
        self.now.max(self.before)
    }
}

/// Times to first token: the median of the last few against what is usual.
#[derive(Clone, Debug, Default)]
struct FirstTokens {
    window: Vec<Duration>,
    usual: Option<Duration>,
}

impl FirstTokens {
    /// Takes one time; whether a full window's median is far above the baseline. The baseline falls
    /// at once and rises by a sixteenth of the difference a window, so that what stays becomes usual.
    fn congested(&mut self, time: Duration) -> bool {
        self.window.push(time);
        if self.window.len() < FIRST_TOKENS {
            return false;
        }
        self.window.sort_unstable();
        let median = self.window[FIRST_TOKENS / 2].max(FIRST_TOKEN_MIN);
        self.window.clear();
        let usual = self.usual.map_or(median, |usual| usual.min(median));
        self.usual = Some(usual + (median - usual) / 16);
        median > usual * TOLERANCE
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::flow::closed_loop::{Outcome, Server, closed_loop};

    fn at(ms: u64) -> Moment {
        Moment::from_micros(ms * 1000)
    }

    /// So many calls in the air, begun at 1 ms.
    fn in_the_air(calls: u32) -> Limiter {
        let mut limiter = Limiter::new(1000);
        (0..calls).for_each(|_| limiter.begin(at(1)));
        limiter
    }

    #[test]
    fn the_calls_refused_in_one_round_trip_lower_it_once_by_as_many_as_there_were() {
        for (calls, refused, limit) in [(20, 1, 18), (20, 5, 15), (20, 15, 10), (1, 1, 1), (2, 2, 1)] {
            let mut limiter = in_the_air(calls);
            (0..refused).for_each(|_| limiter.end(at(2), at(1), Signal::Refused));
            assert_eq!(limiter.limit(), limit, "{refused} of {calls}");
            assert_eq!(limiter.in_flight(), calls - refused);
        }
    }

    #[test]
    fn it_rises_while_in_use_and_stays_below_what_was_refused() {
        let mut limiter = in_the_air(21);
        limiter.end(at(2), at(1), Signal::Refused);
        assert_eq!(limiter.limit(), 18);
        let mut served = |now: Moment, calls: u32| {
            for _ in 0..calls {
                while limiter.has_room() {
                    limiter.begin(now);
                }
                limiter.end(now, now, Signal::Served);
            }
            limiter.limit()
        };
        assert_eq!(served(at(10), 18), 20, "two served are above the limit still");
        assert_eq!(served(at(20), 200), 20, "21 were refused");
        assert!(served(at(40_000), 200) > 50, "that was a while ago");
    }

    #[test]
    fn an_idle_lane_is_not_raised_and_a_fault_says_nothing() {
        let mut limiter = in_the_air(20);
        limiter.end(at(2), at(1), Signal::Refused);
        (0..10).for_each(|_| limiter.end(at(3), at(1), Signal::Nothing));
        let before = limiter.limit();
        (0..9).for_each(|_| limiter.end(at(4), at(1), Signal::Served));
        assert_eq!((limiter.limit(), limiter.in_flight()), (before, 0));
    }

    #[test]
    fn slow_first_tokens_lower_it_a_little_and_become_usual() {
        let mut limiter = in_the_air(100);
        let mut see = |from: u64, ms: u64, calls: usize| {
            (0..calls).for_each(|_| limiter.first_token(at(from + ms), at(from)));
            limiter.limit()
        };
        assert_eq!(see(10, 200, 64), 1000, "usual");
        assert_eq!(see(500, 500, 16), 1000, "two and a half times is noise");
        assert_eq!(see(2000, 900, 16), 90, "a tenth of those in the air");
        assert_eq!(see(2000, 900, 160), 90, "calls from before say nothing new");
        let settled = (1..100).map(|n| see(n * 20_000, 9000, 16)).last();
        assert!(settled.is_some_and(|limit| (40..80).contains(&limit)), "{settled:?}");
    }

    #[test]
    fn another_ceiling_keeps_what_was_learnt() {
        let mut limiter = Limiter::new(10);
        limiter.set_ceiling(20);
        assert_eq!(limiter.limit(), 20, "nothing was learnt");
        (0..10).for_each(|_| limiter.begin(at(1)));
        limiter.end(at(2), at(1), Signal::Refused);
        limiter.set_ceiling(500);
        assert_eq!(limiter.limit(), 9);
        limiter.set_ceiling(5);
        assert_eq!(limiter.limit(), 5);
    }

    #[test]
    fn it_finds_the_limit_of_a_server() {
        for most in [1, 2, 5, 16, 64, 300] {
            let server = Server { most, service_ms: 200, refusal_ms: 5 };
            let Outcome { served, refused, limit, busy } = closed_loop(&mut Limiter::new(1024), server, 0..120_000);
            assert!(limit.abs_diff(most) <= 2.max(most / 10), "{limit} for {most}");
            assert!(busy >= 0.9, "{busy} of {most} in use");
            assert!(refused * 50 <= served, "{refused} refused, {served} served at {most}");
        }
    }

    #[test]
    fn it_follows_a_server_that_shrinks_and_grows() {
        let mut limiter = Limiter::new(1024);
        for (n, most) in [64, 8, 64].into_iter().enumerate() {
            let (server, from_ms) = (Server { most, service_ms: 200, refusal_ms: 5 }, n as u64 * 120_000);
            let outcome = closed_loop(&mut limiter, server, from_ms..from_ms + 120_000);
            assert!(outcome.limit.abs_diff(most) <= 2.max(most / 10), "{} for {most}", outcome.limit);
        }
    }

    #[derive(Clone, Debug)]
    enum Happens {
        Begin,
        End(usize, Signal),
        FirstToken(usize),
        Pass(u64),
        Ceiling(u32),
    }

    fn happens() -> impl Strategy<Value = Happens> {
        let signal = proptest::sample::select(vec![Signal::Served, Signal::Refused, Signal::Nothing]);
        prop_oneof![
            5 => Just(Happens::Begin),
            4 => (0..50_usize, signal).prop_map(|(nth, signal)| Happens::End(nth, signal)),
            2 => (0..50_usize).prop_map(Happens::FirstToken),
            3 => (0..20_000_u64).prop_map(Happens::Pass),
            1 => (0..40_u32).prop_map(Happens::Ceiling),
        ]
    }

    proptest! {
        #![proptest_config(crate::test_config(500))]

        /// Between 1 and the ceiling; lowered only by a refusal or a first token, at most to a half
        /// in one round trip; counted exactly.
        #[test]
        fn it_stays_within_its_bounds(history in proptest::collection::vec(happens(), 0..200)) {
            let (mut limiter, mut now, mut ceiling) = (Limiter::new(20), at(0), 20);
            let mut air: Vec<Moment> = Vec::new();
            for happens in history {
                let before = limiter.clone();
                let mut may_fall = false;
                match happens {
                    Happens::Pass(ms) => now = now + Duration::from_millis(ms),
                    Happens::Begin if limiter.has_room() => { limiter.begin(now); air.push(now); }
                    Happens::End(nth, signal) if nth < air.len() => {
                        may_fall = signal == Signal::Refused;
                        let started = air.remove(nth);
                        limiter.end(now, started, signal);
                        if before.is_new_round(started) {
                            let used = before.limit.min(f64::from(before.in_flight));
                            prop_assert!(limiter.limit >= (used * LOWER_MOST).max(1.0));
                        }
                    }
                    Happens::FirstToken(nth) if nth < air.len() => {
                        may_fall = true;
                        limiter.first_token(now, air[nth]);
                    }
                    Happens::Ceiling(to) => {
                        may_fall = true;
                        limiter.set_ceiling(to);
                        ceiling = to.max(1);
                    }
                    _ => continue,
                }
                prop_assert!((1..=ceiling).contains(&limiter.limit()));
                prop_assert!(may_fall || limiter.limit >= before.limit);
                prop_assert_eq!(limiter.in_flight() as usize, air.len());
            }
        }
    }
}
