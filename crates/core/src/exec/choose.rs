//! Whom to ask next, with how much time: retries, fallbacks, hedges, probes, and giving up.

use std::time::Duration;

use super::machine::{Exec, Hedge, Role};
use super::{Attempt, Finish};
use crate::{
    Admission, AttemptKind, AttemptOutcome, Disposition, ErrorCode, LaneId, Lanes, Moment, Split, full_jitter, split,
};

/// An attempt is not hedged earlier than this: most of that would be the hedge's own overhead.
const HEDGE_MIN: Duration = Duration::from_millis(5);

impl Exec {
    /// When to try the same lane again, where that is allowed, may help, fits, and is within the
    /// share of traffic that retries may be.
    pub(super) fn retry(
        &self,
        now: Moment,
        candidate: usize,
        disposition: Disposition,
        lanes: &mut Lanes,
    ) -> Option<(Moment, usize)> {
        if !disposition.retry_same() || self.rejected || self.held.is_some() || self.retries >= self.policy.retries {
            return None;
        }
        let fallback = self.fallback(now, lanes);
        let delay = match disposition {
            // Another candidate is a better use of the time than waiting.
            Disposition::RateLimited { .. } if fallback.is_some() || !self.full.is_empty() => return None,
            Disposition::RateLimited { retry_after: Some(after) } => after,
            _ => full_jitter(self.retries, uniform(self.seed, self.retries)),
        };
        let at = now + delay;
        let asked = &self.candidates[candidate];
        // This failure may have opened the breaker: then there is nothing to wait for.
        if matches!(lanes.peek(asked.lane, at), Admission::Refused { .. }) {
            return None;
        }
        let (p50, left) = (self.figures(now, asked.lane, lanes).p50, self.left(at));
        let needed = p50.unwrap_or(Duration::from_millis(1));
        match split(left, p50, asked.timeout, fallback) {
            Split::Run(budget) if budget >= needed && lanes.take_retry(asked.lane, now) => Some((at, candidate)),
            _ => None,
        }
    }

    /// The back-off is over.
    pub(super) fn retry_now(&mut self, now: Moment, lanes: &mut Lanes) {
        if let Some((_, candidate)) = self.retry.take() {
            self.consider(now, candidate, AttemptKind::Retry, lanes);
        }
    }

    /// Starts the next candidate that its breaker admits and that has time, or gives up.
    pub(super) fn choose(&mut self, now: Moment, lanes: &mut Lanes) {
        if let Some(held) = self.held {
            return self.give(now, held, lanes);
        }
        while self.next < self.candidates.len() && self.is_over(self.next) {
            self.next += 1;
        }
        if self.rejected || self.next >= self.candidates.len() {
            return self.out_of_candidates(now, lanes);
        }
        let first = self.made + self.next == 0;
        let kind = if first { AttemptKind::Primary } else { AttemptKind::Fallback };
        self.next += 1;
        self.consider(now, self.next - 1, kind, lanes);
    }

    /// Starts this candidate, or records why not.
    pub(super) fn consider(&mut self, now: Moment, candidate: usize, kind: AttemptKind, lanes: &mut Lanes) {
        let asked = &self.candidates[candidate];
        // What is held needs no time.
        let fallback = if self.held.is_some() { None } else { self.fallback(now, lanes) };
        let outcome = match lanes.peek(asked.lane, now) {
            Admission::Refused { until } => {
                let held = lanes.held(asked.lane, now).is_some();
                self.refused(until);
                if held {
                    return self.no_room(candidate, kind, AttemptOutcome::BreakerOpen);
                }
                AttemptOutcome::BreakerOpen
            }
            Admission::Allowed if !lanes.has_room(asked.lane) => {
                return self.no_room(candidate, kind, AttemptOutcome::NoRoom);
            }
            // Nobody waits for the probe where somebody else may answer.
            Admission::Probe if (fallback.is_some() || self.held.is_some()) && !self.left(now).is_zero() => {
                let budget = self.probe_time(candidate);
                let probe = Attempt { number: self.made, candidate, kind: AttemptKind::Probe, budget };
                return self.start(now, probe, false, lanes);
            }
            Admission::Allowed | Admission::Probe => {
                let (left, p50) = (self.left(now), self.figures(now, asked.lane, lanes).p50);
                // Beside an answer that is held, who is likely to be late is paid for nothing.
                let vain = self.held.is_some() && p50.is_some_and(|p50| p50 > left);
                match if vain { Split::NoTime } else { split(left, p50, asked.timeout, fallback) } {
                    Split::Run(budget) => {
                        return self.start(now, Attempt { number: self.made, candidate, kind, budget }, false, lanes);
                    }
                    Split::NoTime => {
                        match kind {
                            AttemptKind::Retry => self.out_of_time = true,
                            _ => self.no_time.push(candidate),
                        }
                        AttemptOutcome::NoTime
                    }
                }
            }
        };
        self.skip(candidate, kind, outcome);
    }

    /// The 90th percentile and the timeout of the fastest admissible candidate that was not
    /// considered yet, with what judging its answer takes; one without figures stands behind those
    /// that have some.
    pub(super) fn fallback(&self, now: Moment, lanes: &Lanes) -> Option<(Option<Duration>, Duration)> {
        let judge = self.judge_takes(now, lanes);
        self.others(now, lanes)
            .map(|candidate| {
                let candidate = &self.candidates[candidate];
                let p90 = self.figures(now, candidate.lane, lanes).p90;
                (p90.map(|p90| p90 + judge), candidate.timeout + judge)
            })
            .min_by_key(|(p90, timeout)| (p90.is_none(), *p90, *timeout))
    }

    /// Candidates that are still to be considered and that may be called.
    fn others(&self, now: Moment, lanes: &Lanes) -> impl Iterator<Item = usize> {
        let open = (self.next..self.candidates.len()).filter(|c| !self.is_over(*c));
        open.filter(move |c| !matches!(lanes.peek(self.candidates[*c].lane, now), Admission::Refused { .. }))
    }

    /// When a main attempt that begins now takes unusually long: its lane's 95th percentile, of
    /// first tokens for streams.
    pub(super) fn hedge_at(&self, now: Moment, lane: LaneId, lanes: &Lanes) -> Option<Moment> {
        if self.policy.hedge_share <= 0.0 || self.hedge != Hedge::Unused || self.held.is_some() {
            return None;
        }
        let lane = lanes.get(lane);
        let figures = if self.policy.stream.is_some() { lane.first_tokens(now) } else { lane.answers(now) };
        figures.p95.map(|p95| now + p95.max(HEDGE_MIN))
    }

    /// The attempt at this place takes unusually long: the fastest other lane that may still answer
    /// in time is asked beside it, where recent calls paid for that.
    pub(super) fn hedge(&mut self, now: Moment, place: usize, lanes: &mut Lanes) {
        self.running[place].hedge_at = None;
        if self.rejected {
            return;
        }
        let slow = self.candidates[self.running[place].candidate].lane;
        let fits = self.others(now, lanes).filter(|c| {
            let lane = self.candidates[*c].lane;
            lane != slow && lanes.peek(lane, now) == Admission::Allowed && lanes.has_room(lane)
        });
        let figures = fits.map(|c| (self.figures(now, self.candidates[c].lane, lanes).p50, c));
        let fastest = figures.min_by_key(|(p50, c)| (p50.is_none(), *p50, *c));
        let Some((p50, candidate)) = fastest.filter(|(p50, _)| p50.is_none_or(|p50| p50 <= self.left(now))) else {
            return;
        };
        self.hedge = Hedge::Asked(candidate);
        let fallback = self.fallback(now, lanes);
        let budget = match split(self.left(now), p50, self.candidates[candidate].timeout, fallback) {
            Split::Run(budget) if lanes.take_hedge(slow) => budget,
            _ => {
                self.hedge = Hedge::Unused;
                return;
            }
        };
        self.start(now, Attempt { number: self.made, candidate, kind: AttemptKind::Hedge, budget }, false, lanes);
        if fallback.is_none() {
            // The time that was kept for a fallback is of no use to anybody else.
            self.extend(now, place);
        }
    }

    /// Lets an attempt run for as long as it may.
    fn extend(&mut self, now: Moment, place: usize) {
        let left = self.left(now);
        let running = &mut self.running[place];
        let ends = (running.started + self.candidates[running.candidate].timeout).min(now + left);
        if ends > running.ends {
            running.ends = ends;
            running.budget = running.budget.max(ends - running.started);
        }
    }

    /// Nobody is left in the order: somebody passed over may have the time now, or what is in the
    /// air is all there is.
    fn out_of_candidates(&mut self, now: Moment, lanes: &mut Lanes) {
        if self.find_room(now, lanes) {
            return;
        }
        let left = self.left(now);
        let fits = |candidate: &usize| {
            let asked = &self.candidates[*candidate];
            let refused = matches!(lanes.peek(asked.lane, now), Admission::Refused { .. });
            let p50 = self.figures(now, asked.lane, lanes).p50;
            !refused && !self.spent[*candidate] && !asked.timeout.is_zero() && p50.is_none_or(|p50| p50 <= left)
        };
        let place = self.no_time.iter().position(fits);
        match place {
            Some(place) if !self.rejected && !left.is_zero() => {
                let candidate = self.no_time.remove(place);
                self.consider(now, candidate, AttemptKind::Fallback, lanes);
            }
            _ if self.queue(now, lanes) => {}
            _ => match self.running.first_mut() {
                Some(running) => {
                    running.role = Role::Main;
                    self.extend(now, 0);
                }
                None => match self.judging.first_mut() {
                    Some(judging) => judging.running.role = Role::Main,
                    None => self.exhausted(now, lanes),
                },
            },
        }
    }

    fn exhausted(&mut self, now: Moment, lanes: &mut Lanes) {
        use Disposition::{Abstained, BadAnswer, Limited, OverBudget, TooLong};
        self.tell(None);
        // A lane that refused might have answered.
        let heard = !self.failures.is_empty() && self.refused_until.is_none();
        let all = |kinds: &[Disposition]| heard && self.failures.iter().all(|f| kinds.contains(f));
        let unasked = self.failures.len() + usize::from(self.hedge == Hedge::Unasked);
        let nobody_asked = unasked == self.made && self.failures.iter().all(|f| f.is_unasked());
        let turned_away = self.turned_away.filter(|_| nobody_asked && !self.left(now).is_zero());
        let code = if self.rejected {
            ErrorCode::UpstreamRejected
        } else if let Some((code, _)) = turned_away {
            code
        } else if self.out_of_time || !self.no_time.is_empty() || self.left(now).is_zero() {
            ErrorCode::DeadlineExceeded
        } else if all(&[TooLong, Abstained]) && self.failures.contains(&TooLong) {
            ErrorCode::ContextTooLong
        } else if all(&[BadAnswer, Abstained]) {
            ErrorCode::NoAcceptableAnswer
        } else if self.turned_away.is_none() && all(&[OverBudget, Limited, Abstained]) {
            // With more money another might have been asked at once; a minute passes by itself.
            let money = self.failures.contains(&OverBudget);
            if money { ErrorCode::BudgetExhausted } else { ErrorCode::RateLimit }
        } else {
            ErrorCode::AllCandidatesFailed
        };
        let refused = self.refused_until.map(|until| until - now);
        let place = self.turned_away.map(|(_, after)| after);
        // A pause that is over says nothing of when a place comes free.
        let retry_after = refused.filter(|after| !after.is_zero()).or(place).or(refused).filter(|_| !self.rejected);
        self.finish(now, Finish::Failed { code, retry_after }, lanes);
    }
}

/// The n-th number in [0, 1) of a seed: the finaliser of SplitMix64 (Steele, Lea, Flood, "Fast
/// Splittable Pseudorandom Number Generators", OOPSLA 2014).
fn uniform(seed: u64, n: u32) -> f64 {
    let mut z = seed.wrapping_add(0x9E37_79B9_7F4A_7C15_u64.wrapping_mul(u64::from(n) + 1));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^= z >> 31;
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
    let mantissa = (z >> 11) as f64;
    mantissa / (1_u64 << 53) as f64
}
