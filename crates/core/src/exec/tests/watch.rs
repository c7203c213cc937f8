//! What must hold of every decision, whatever happens: an observer that sees what the driver sees.
//!
//! It keeps lanes of its own and lets them learn each attempt's end as it understands it. Where
//! the machine forgets an end, or learns one twice, the two differ.

use std::time::Duration;

use crate::{
    Admission, Attempt, AttemptKind, AttemptOutcome, BreakerState, Candidate, Commit, Decision, Disposition, ErrorCode,
    Event, Finish, LaneId, Lanes, Moment, Policy, Unproven, Verdict,
};

/// The end of one attempt.
#[derive(Clone, Copy, Debug)]
enum End {
    Answered(Verdict),
    Failed(Disposition),
}

pub(super) struct Watch<'a> {
    policy: &'a Policy,
    candidates: &'a [Candidate],
    /// What the lanes must have learnt.
    pub(super) lanes: Lanes,
    running: Option<(Attempt, Moment)>,
    committed: Option<usize>,
    /// The most that arrived of the running attempt: chunks, bytes.
    arrived: Option<(u32, u64)>,
    last: Option<(Attempt, End)>,
    /// Whether a retry may follow the last failure.
    retry_allowed: bool,
    /// Whether the last failure was just now.
    fresh: bool,
    /// Candidates begun or passed over.
    considered: usize,
    started: usize,
    retries: u32,
    abandoned: bool,
    probes: Vec<(LaneId, Moment)>,
    pub(super) finish: Option<Finish>,
}

macro_rules! hold {
    ($that:expr, $($says:tt)+) => {
        if !$that {
            return Err(format!($($says)+));
        }
    };
}

impl<'a> Watch<'a> {
    pub(super) fn new(policy: &'a Policy, candidates: &'a [Candidate], lanes: Lanes) -> Self {
        Self {
            policy,
            candidates,
            lanes,
            running: None,
            committed: None,
            arrived: None,
            last: None,
            retry_allowed: false,
            fresh: false,
            considered: 0,
            started: 0,
            retries: 0,
            abandoned: false,
            probes: Vec::new(),
            finish: None,
        }
    }

    /// When all must be over.
    fn limit(&self) -> Moment {
        if self.committed.is_some() { self.policy.stream_end } else { self.policy.deadline }
    }

    fn lane(&self, candidate: usize) -> LaneId {
        self.candidates[candidate].lane
    }

    fn refused(&self, candidate: usize, at: Moment) -> bool {
        matches!(self.lanes.peek(self.lane(candidate), at), Admission::Refused { .. })
    }

    /// The candidates after this one that may be called.
    fn fallbacks(&self, candidate: usize, now: Moment) -> impl Iterator<Item = &Candidate> {
        (candidate + 1..self.candidates.len()).filter(move |c| !self.refused(*c, now)).map(|c| &self.candidates[c])
    }

    fn ends(&mut self, now: Moment, end: End) {
        let Some((attempt, since)) = self.running.take() else {
            return;
        };
        let failed = match end {
            End::Failed(disposition) => Some(disposition),
            End::Answered(verdict) if self.acceptable(verdict) => None,
            End::Answered(_) => Some(Disposition::BadAnswer),
        };
        self.lanes.observe(self.lane(attempt.candidate), now, failed, (now - since, attempt.budget));
        let limited = matches!(failed, Some(Disposition::RateLimited { .. }));
        let fallback = self.fallbacks(attempt.candidate, now).next().is_some();
        self.retry_allowed = failed == Some(Disposition::Transient) || (limited && !fallback);
        self.last = Some((attempt, end));
        self.fresh = true;
    }

    fn acceptable(&self, verdict: Verdict) -> bool {
        verdict == Verdict::Pass || (verdict == Verdict::Undecided && self.policy.unproven == Unproven::Pass)
    }

    /// What the machine is about to be told.
    pub(super) fn event(&mut self, now: Moment, event: Event) {
        let is_running = |attempt| self.running.is_some_and(|(running, _)| running.number == attempt);
        match event {
            Event::Woke => {}
            Event::Abandoned => self.abandoned = true,
            Event::Progress { attempt, chunks, bytes } if is_running(attempt) => self.arrived = Some((chunks, bytes)),
            Event::Answered { attempt, verdict } if is_running(attempt) && now <= self.limit() => {
                self.ends(now, End::Answered(verdict));
            }
            Event::Failed { attempt, disposition } if is_running(attempt) => self.ends(now, End::Failed(disposition)),
            Event::Progress { .. } | Event::Answered { .. } | Event::Failed { .. } => {}
        }
    }

    /// What it decided. `late` is by how much the driver was late with the last event.
    pub(super) fn decision(&mut self, now: Moment, decision: &Decision, late: Duration) -> Result<(), String> {
        match *decision {
            Decision::Start(attempt) => self.start(now, attempt),
            Decision::Skip { candidate, kind, outcome } => self.skip(now, candidate, kind, outcome),
            Decision::Cancel { attempt, disposition } => {
                let running = self.running.map(|(running, since)| (running.number, since + running.budget));
                hold!(running.is_some_and(|(number, _)| number == attempt), "cancels {attempt}, runs: {running:?}");
                match disposition {
                    Disposition::Cancelled => hold!(self.abandoned, "cancels although somebody listens"),
                    Disposition::Slow => {
                        let ends = running.map(|(_, ends)| if self.committed.is_some() { self.limit() } else { ends });
                        hold!(ends.is_some_and(|ends| now >= ends), "cancels before {ends:?}");
                    }
                    other => return Err(format!("cancels as {other:?}")),
                }
                self.ends(now, End::Failed(disposition));
                Ok(())
            }
            Decision::Commit(attempt) => self.commit(now, attempt),
            Decision::Wait(until) => self.wait(now, until),
            Decision::Done(finish) => {
                hold!(now <= self.limit() + late, "ends after {:?}", self.limit());
                self.done(finish)
            }
        }
    }

    fn start(&mut self, now: Moment, attempt: Attempt) -> Result<(), String> {
        let Attempt { number, candidate, kind, budget } = attempt;
        hold!(self.running.is_none(), "two run at once");
        hold!(self.committed.is_none(), "starts after the commit");
        hold!(!self.abandoned, "starts although nobody listens");
        hold!(number == self.started, "number {number} instead of {}", self.started);
        self.consider(candidate, kind)?;
        self.retries += u32::from(kind == AttemptKind::Retry);
        hold!(self.retries <= self.policy.retries, "too many retries");
        hold!(!budget.is_zero() && budget <= self.candidates[candidate].timeout, "a budget of {budget:?}");
        hold!(
            now + budget <= self.policy.deadline,
            "a budget of {budget:?} with {:?} left",
            self.policy.deadline - now
        );
        let left = self.policy.deadline - (now + Duration::from_millis(5));
        if let Some(timeout) = self.fallbacks(candidate, now).map(|c| c.timeout).min() {
            let reserve = left.mul_f64(0.4).min(timeout).min(Duration::from_millis(50));
            let kept = self.policy.deadline - (now + budget);
            hold!(kept >= reserve, "keeps {kept:?} for the fallback instead of {reserve:?}");
        }
        match self.lanes.admit(self.lane(candidate), now) {
            Admission::Refused { .. } => return Err("the breaker refuses".into()),
            Admission::Probe => self.probes.push((self.lane(candidate), now)),
            Admission::Allowed => {}
        }
        self.started += 1;
        self.arrived = None;
        self.running = Some((attempt, now));
        Ok(())
    }

    /// Candidates are begun or passed over one after the other; a retry is of the last one.
    fn consider(&mut self, candidate: usize, kind: AttemptKind) -> Result<(), String> {
        if kind == AttemptKind::Retry {
            hold!(candidate + 1 == self.considered, "a retry of {candidate}, {} were considered", self.considered);
            hold!(self.retry_allowed, "a retry after {:?}", self.last);
            return Ok(());
        }
        hold!(candidate == self.considered, "candidate {candidate} after {}", self.considered);
        hold!((kind == AttemptKind::Primary) == (candidate == 0), "{kind:?} is candidate {candidate}");
        self.considered += 1;
        Ok(())
    }

    fn skip(&mut self, now: Moment, candidate: usize, kind: AttemptKind, why: AttemptOutcome) -> Result<(), String> {
        hold!(self.running.is_none(), "passes a candidate over while an attempt runs");
        self.consider(candidate, kind)?;
        let refused = self.refused(candidate, now);
        match why {
            AttemptOutcome::BreakerOpen => hold!(refused, "skips although the breaker admits"),
            AttemptOutcome::NoTime => {
                let out_of_time = now + Duration::from_millis(5) >= self.policy.deadline;
                let slow = self.lanes.get(self.lane(candidate)).p50().is_some();
                let fallback = self.fallbacks(candidate, now).next().is_some();
                hold!(!refused && (out_of_time || (slow && fallback)), "skips although there is time");
            }
            other => return Err(format!("skips for {other:?}")),
        }
        Ok(())
    }

    fn commit(&mut self, now: Moment, attempt: usize) -> Result<(), String> {
        hold!(self.committed.is_none(), "commits twice");
        hold!(now <= self.policy.deadline, "commits after the deadline");
        match (self.running, self.last) {
            (Some((running, _)), _) if running.number == attempt => {
                let Commit::After { chunks, bytes } = self.policy.commit else {
                    return Err("commits before the verdict".into());
                };
                hold!(self.arrived.is_some_and(|(c, b)| c >= chunks || b >= bytes), "commits {:?}", self.arrived);
            }
            (None, Some((last, End::Answered(verdict)))) if last.number == attempt => {
                hold!(self.acceptable(verdict), "commits an answer that is {verdict:?}");
            }
            other => return Err(format!("commits {attempt} of {other:?}")),
        }
        self.committed = Some(attempt);
        Ok(())
    }

    fn wait(&mut self, now: Moment, until: Moment) -> Result<(), String> {
        hold!(until > now, "waits for the past");
        hold!(until <= self.limit(), "waits beyond {:?}", self.limit());
        match (self.running, self.last) {
            (None, Some((last, _))) => {
                hold!(self.retry_allowed && self.retries < self.policy.retries, "waits for nothing");
                hold!(last.candidate + 1 == self.considered, "waits for another candidate");
                hold!(!self.fresh || !self.refused(last.candidate, until), "waits for a lane that will refuse");
            }
            (running, _) => hold!(running.is_some(), "waits for nothing"),
        }
        self.fresh = false;
        Ok(())
    }

    fn done(&mut self, finish: Finish) -> Result<(), String> {
        hold!(self.finish.is_none(), "done twice");
        hold!(self.running.is_none(), "done while an attempt runs");
        let last = self.last.map(|(attempt, end)| (attempt.number, end));
        match finish {
            Finish::Answered { attempt, verified } => {
                let Some((number, End::Answered(verdict))) = last else {
                    return Err(format!("answered after {last:?}"));
                };
                hold!(number == attempt && self.committed == Some(attempt), "{attempt} was not committed");
                hold!(self.acceptable(verdict), "gives an answer that is {verdict:?}");
                hold!(verified == (verdict == Verdict::Pass), "{verdict:?} is verified: {verified}");
            }
            Finish::Broken { attempt, code } => {
                hold!(self.committed == Some(attempt), "{attempt} broke and was not committed");
                let bad = matches!(last, Some((_, End::Answered(_) | End::Failed(Disposition::BadAnswer))));
                hold!(bad == (code == ErrorCode::NoAcceptableAnswer), "{code:?} after {last:?}");
            }
            Finish::Cancelled => {
                let cancelled = matches!(last, Some((_, End::Failed(Disposition::Cancelled))));
                hold!(self.abandoned || cancelled, "cancelled although somebody listens");
            }
            Finish::Failed { code, .. } => {
                hold!(self.committed.is_none(), "failed after the commit");
                let fault = matches!(last, Some((_, End::Failed(Disposition::CallersFault))));
                hold!(fault == (code == ErrorCode::UpstreamRejected), "{code:?} after {last:?}");
                hold!(fault || self.considered == self.candidates.len(), "gives up after {}", self.considered);
            }
        }
        self.finish = Some(finish);
        Ok(())
    }

    /// After the end: the lanes learnt what they should, and no probe of ours is left out.
    pub(super) fn over(&self, lanes: &Lanes) -> Result<(), String> {
        hold!(format!("{lanes:?}") == format!("{:?}", self.lanes), "learnt {lanes:?} instead of {:?}", self.lanes);
        for (lane, since) in &self.probes {
            let expires = *since + Duration::from_secs(30);
            hold!(lanes.breaker(*lane) != BreakerState::Probing { expires }, "the probe of {lane:?} is left out");
        }
        Ok(())
    }
}
