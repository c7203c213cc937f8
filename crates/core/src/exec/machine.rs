//! [`Exec`] itself: one attempt at a time, retries and fallbacks under one deadline.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::{Attempt, Commit, Decision, Event, Finish, Policy, Unproven};
use crate::{
    Admission, AttemptKind, AttemptOutcome, Candidate, Disposition, ErrorCode, Lanes, Moment, Split, Verdict,
    full_jitter, handover, split,
};

/// The attempt that runs.
#[derive(Clone, Copy, Debug)]
struct Running {
    number: usize,
    candidate: usize,
    started: Moment,
    budget: Duration,
    ends: Moment,
    committed: bool,
}

/// The state of one execution after its candidates are ranked.
#[derive(Clone, Debug)]
pub struct Exec {
    policy: Policy,
    candidates: Arc<[Candidate]>,
    seed: u64,
    /// The candidate to consider next.
    next: usize,
    running: Option<Running>,
    /// The back-off of a retry on candidate `next`.
    retry_at: Option<Moment>,
    retries: u32,
    made: usize,
    failures: Vec<Disposition>,
    out_of_time: bool,
    /// When the first lane that refused is worth asking again.
    refused_until: Option<Moment>,
    decisions: VecDeque<Decision>,
    done: bool,
}

impl Exec {
    /// Begins with ranked candidates. `seed` is where the back-off's random numbers come from.
    #[must_use]
    pub fn new(policy: Policy, candidates: Arc<[Candidate]>, seed: u64) -> Self {
        Self {
            policy,
            candidates,
            seed,
            next: 0,
            running: None,
            retry_at: None,
            retries: 0,
            made: 0,
            failures: Vec::new(),
            out_of_time: false,
            refused_until: None,
            decisions: VecDeque::new(),
            done: false,
        }
    }

    /// Takes what happened and says what to do next. Events of attempts that no longer run are
    /// ignored. After `Done` it says nothing but to wait for ever.
    pub fn step(&mut self, now: Moment, event: Event, lanes: &mut Lanes) -> Decision {
        if !self.done {
            self.learn(now, event, lanes);
        }
        loop {
            if let Some(decision) = self.decisions.pop_front() {
                return decision;
            }
            if let Some(until) = self.waiting(now) {
                return Decision::Wait(until);
            }
            self.advance(now, lanes);
        }
    }

    /// Until when there is nothing to do; `None` where there is something to do now.
    fn waiting(&self, now: Moment) -> Option<Moment> {
        if self.done {
            return Some(Moment::from_micros(u64::MAX));
        }
        let until = self.running.map(|r| r.ends).or(self.retry_at)?;
        (now < until).then_some(until)
    }

    fn learn(&mut self, now: Moment, event: Event, lanes: &mut Lanes) {
        match event {
            // What arrives too late is not given: `advance` ends the attempt.
            Event::Progress { .. } | Event::Answered { .. } if self.too_late(now) => {}
            Event::Woke => {}
            Event::Abandoned => {
                self.cancel(now, Disposition::Cancelled, lanes);
                self.finish(Finish::Cancelled);
            }
            Event::Progress { attempt, chunks, bytes } => self.progress(attempt, chunks, bytes),
            Event::Answered { attempt, verdict } => self.answered(now, attempt, verdict, lanes),
            Event::Failed { attempt, disposition } => {
                let Some(running) = self.take(attempt) else {
                    return;
                };
                self.observe(now, running, Some(disposition), lanes);
                self.failed(now, running, disposition, lanes);
            }
        }
    }

    /// Whether the running attempt's answer, or the rest of its stream, may no longer be given.
    fn too_late(&self, now: Moment) -> bool {
        self.running.is_some_and(|r| now > if r.committed { self.policy.stream_end } else { self.policy.deadline })
    }

    fn progress(&mut self, attempt: usize, chunks: u32, bytes: u64) {
        let Some(running) = self.running.as_mut().filter(|r| r.number == attempt && !r.committed) else {
            return;
        };
        let Commit::After { chunks: enough_chunks, bytes: enough_bytes } = self.policy.commit else {
            return;
        };
        if chunks >= enough_chunks || bytes >= enough_bytes {
            running.committed = true;
            running.ends = self.policy.stream_end;
            self.decisions.push_back(Decision::Commit(attempt));
        }
    }

    fn answered(&mut self, now: Moment, attempt: usize, verdict: Verdict, lanes: &mut Lanes) {
        let Some(running) = self.take(attempt) else {
            return;
        };
        let unproven = verdict == Verdict::Undecided && self.policy.unproven == Unproven::Fail;
        if verdict == Verdict::Fail || unproven {
            self.observe(now, running, Some(Disposition::BadAnswer), lanes);
            return self.failed(now, running, Disposition::BadAnswer, lanes);
        }
        self.observe(now, running, None, lanes);
        if !running.committed {
            self.decisions.push_back(Decision::Commit(attempt));
        }
        self.finish(Finish::Answered { attempt, verified: verdict == Verdict::Pass });
    }

    /// An attempt is over without an answer that may be given.
    fn failed(&mut self, now: Moment, running: Running, disposition: Disposition, lanes: &Lanes) {
        if running.committed {
            let gate = disposition == Disposition::BadAnswer;
            let code = if gate { ErrorCode::NoAcceptableAnswer } else { ErrorCode::StreamInterrupted };
            return self.finish(Finish::Broken { attempt: running.number, code });
        }
        self.failures.push(disposition);
        if !disposition.next_candidate() {
            return self.finish(match disposition {
                Disposition::Cancelled => Finish::Cancelled,
                _ => Finish::Failed { code: ErrorCode::UpstreamRejected, retry_after: None },
            });
        }
        if let Disposition::RateLimited { retry_after: Some(after) } = disposition {
            self.refused(now + after);
        }
        self.retry_at = self.retry(now, disposition, lanes);
        if self.retry_at.is_none() {
            self.next += 1;
        }
    }

    /// When to try the same lane again, where that is allowed, may help, and fits.
    fn retry(&self, now: Moment, disposition: Disposition, lanes: &Lanes) -> Option<Moment> {
        if !disposition.retry_same() || self.retries >= self.policy.retries {
            return None;
        }
        let fallback = self.fallback(now, self.next, lanes);
        let delay = match disposition {
            // Another candidate is a better use of the time than waiting.
            Disposition::RateLimited { .. } if fallback.is_some() => return None,
            Disposition::RateLimited { retry_after: Some(after) } => after,
            _ => full_jitter(self.retries, uniform(self.seed, self.retries)),
        };
        let at = now + delay;
        let candidate = &self.candidates[self.next];
        // This failure may have opened the breaker: then there is nothing to wait for.
        if matches!(lanes.peek(candidate.lane, at), Admission::Refused { .. }) {
            return None;
        }
        let (p50, left) = (lanes.get(candidate.lane).p50(), self.left(at));
        let needed = p50.unwrap_or(Duration::from_millis(1));
        match split(left, p50, candidate.timeout, fallback) {
            Split::Run(budget) if budget >= needed => Some(at),
            _ => None,
        }
    }

    /// Something is due: an attempt's end, a retry, or the choice of a candidate.
    fn advance(&mut self, now: Moment, lanes: &mut Lanes) {
        if let Some(running) = self.running {
            self.cancel(now, Disposition::Slow, lanes);
            self.failed(now, running, Disposition::Slow, lanes);
        } else {
            self.choose(now, lanes);
        }
    }

    /// Starts the next candidate that its breaker admits and that has time, or gives up.
    fn choose(&mut self, now: Moment, lanes: &mut Lanes) {
        let retry = self.retry_at.take().is_some();
        let Some(candidate) = self.candidates.get(self.next) else {
            return self.exhausted(now);
        };
        let kind = match (retry, self.made + self.next) {
            (true, _) => AttemptKind::Retry,
            (false, 0) => AttemptKind::Primary,
            (false, _) => AttemptKind::Fallback,
        };
        let outcome = if let Admission::Refused { until } = lanes.peek(candidate.lane, now) {
            self.refused(until);
            AttemptOutcome::BreakerOpen
        } else {
            let fallback = self.fallback(now, self.next, lanes);
            match split(self.left(now), lanes.get(candidate.lane).p50(), candidate.timeout, fallback) {
                Split::Run(budget) => {
                    lanes.admit(candidate.lane, now);
                    self.retries += u32::from(retry);
                    return self.start(now, kind, budget);
                }
                Split::NoTime => {
                    self.out_of_time = true;
                    AttemptOutcome::NoTime
                }
            }
        };
        self.decisions.push_back(Decision::Skip { candidate: self.next, kind, outcome });
        self.next += 1;
    }

    fn start(&mut self, now: Moment, kind: AttemptKind, budget: Duration) {
        let attempt = Attempt { number: self.made, candidate: self.next, kind, budget };
        self.running = Some(Running {
            number: attempt.number,
            candidate: attempt.candidate,
            started: now,
            budget,
            ends: now + budget,
            committed: false,
        });
        self.made += 1;
        self.decisions.push_back(Decision::Start(attempt));
    }

    /// The 90th percentile and the timeout of the fastest admissible candidate after `current`;
    /// one without figures stands behind those that have some.
    fn fallback(&self, now: Moment, current: usize, lanes: &Lanes) -> Option<(Option<Duration>, Duration)> {
        self.candidates
            .iter()
            .skip(current + 1)
            .filter(|c| !matches!(lanes.peek(c.lane, now), Admission::Refused { .. }))
            .map(|c| (lanes.get(c.lane).p90(), c.timeout))
            .min_by_key(|(p90, timeout)| (p90.is_none(), *p90, *timeout))
    }

    /// Time to the deadline, less what handing over takes.
    fn left(&self, now: Moment) -> Duration {
        (self.policy.deadline - now).saturating_sub(handover(self.policy.deadline - self.policy.started))
    }

    fn exhausted(&mut self, now: Moment) {
        use Disposition::{Abstained, BadAnswer, TooLong};
        // A lane that refused might have answered.
        let heard = !self.failures.is_empty() && self.refused_until.is_none();
        let all = |kinds: &[Disposition]| heard && self.failures.iter().all(|f| kinds.contains(f));
        let code = if self.out_of_time || self.left(now).is_zero() {
            ErrorCode::DeadlineExceeded
        } else if all(&[TooLong, Abstained]) && self.failures.contains(&TooLong) {
            ErrorCode::ContextTooLong
        } else if all(&[BadAnswer, Abstained]) {
            ErrorCode::NoAcceptableAnswer
        } else {
            ErrorCode::AllCandidatesFailed
        };
        self.finish(Finish::Failed { code, retry_after: self.refused_until.map(|until| until - now) });
    }

    fn refused(&mut self, until: Moment) {
        self.refused_until = Some(self.refused_until.map_or(until, |first| first.min(until)));
    }

    /// The running attempt, if it is this one; it runs no longer.
    fn take(&mut self, attempt: usize) -> Option<Running> {
        self.running.take_if(|r| r.number == attempt)
    }

    fn cancel(&mut self, now: Moment, disposition: Disposition, lanes: &mut Lanes) {
        let Some(running) = self.running.take() else {
            return;
        };
        self.observe(now, running, Some(disposition), lanes);
        self.decisions.push_back(Decision::Cancel { attempt: running.number, disposition });
    }

    fn observe(&self, now: Moment, running: Running, failed: Option<Disposition>, lanes: &mut Lanes) {
        let lane = self.candidates[running.candidate].lane;
        lanes.observe(lane, now, failed, (now - running.started, running.budget));
    }

    fn finish(&mut self, finish: Finish) {
        self.done = true;
        self.decisions.push_back(Decision::Done(finish));
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
