//! [`Exec`] itself: what happened, and what it means for the attempts in the air.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::held::Held;
use super::judging::Judging;
use super::pace::Pace;
use super::wait::{Full, Queued};
use super::{Attempt, Commit, Decision, Event, Finish, Policy, Unproven};
use crate::{
    Admission, AttemptKind, Breach, Candidate, Disposition, ErrorCode, LaneId, Lanes, Moment, Observation, Percentiles,
    SharedCall, Verdict, handover,
};

/// The longest that a probe may take. It has lost its slot by then, but its answer counts.
pub(super) const PROBE_MAX: Duration = Duration::from_secs(30);

/// What an attempt in the air is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Where it fails, the next is chosen.
    Main,
    Hedge,
    Probe,
}

/// The one attempt that is made out of its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hedge {
    Unused,
    /// This candidate was asked: its turn is over.
    Asked(usize),
    /// What it may cost did not fit beside the other one: its turn is yet to come.
    Unasked,
}

/// An attempt in the air.
#[derive(Clone, Copy, Debug)]
pub(super) struct Running {
    pub(super) number: usize,
    pub(super) candidate: usize,
    pub(super) role: Role,
    pub(super) started: Moment,
    pub(super) budget: Duration,
    pub(super) ends: Moment,
    /// When it takes unusually long.
    pub(super) hedge_at: Option<Moment>,
    first_token: Option<Duration>,
    /// Of a stream.
    pace: Option<Pace>,
    committed: bool,
    /// Whether it began as a hedge, whatever it is there for now.
    hedges: bool,
    /// Whether it holds the one probe slot of its lane.
    probes: bool,
    /// The call that it shares with others.
    call: Option<SharedCall>,
}

impl Running {
    /// When it is ended if nothing more comes of it.
    fn due(&self) -> Moment {
        self.pace.map_or(self.ends, |pace| pace.due().min(self.ends))
    }

    pub(super) fn is_committed(&self) -> bool {
        self.committed
    }

    /// The limit of its stream that it broke.
    fn breach(&self, now: Moment) -> Option<Breach> {
        self.pace.filter(|pace| pace.due() <= now && pace.due() < self.ends).map(|pace| pace.breach())
    }
}

/// The state of one execution after its candidates are ranked.
#[derive(Clone, Debug)]
pub struct Exec {
    pub(super) policy: Policy,
    pub(super) candidates: Arc<[Candidate]>,
    pub(super) seed: u64,
    /// The first candidate that was not considered in its turn.
    pub(super) next: usize,
    /// Candidates of whose model enough is known.
    pub(super) spent: Vec<bool>,
    /// Candidates that were passed over for want of time.
    pub(super) no_time: Vec<usize>,
    /// A retry was passed over for want of time.
    pub(super) out_of_time: bool,
    /// Candidates whose lane had no place in their turn.
    pub(super) full: Vec<Full>,
    /// The place that is waited for.
    pub(super) queued: Option<Queued>,
    /// Why waiting for a place was of no use, and when it may be better.
    pub(super) turned_away: Option<(ErrorCode, Duration)>,
    /// In the order in which they began.
    pub(super) running: Vec<Running>,
    /// Answers that a judge looks at.
    pub(super) judging: Vec<Judging>,
    /// What is given if nobody else is heard.
    pub(super) held: Option<Held>,
    /// The back-off of a retry, and of which candidate.
    pub(super) retry: Option<(Moment, usize)>,
    pub(super) retries: u32,
    pub(super) made: usize,
    pub(super) failures: Vec<Disposition>,
    /// When the first lane that refused is worth asking again.
    pub(super) refused_until: Option<Moment>,
    /// Somebody says that the request itself is wrong: nobody else is asked.
    pub(super) rejected: bool,
    pub(super) hedge: Hedge,
    /// Whether this call paid for its share of hedges and retries.
    counted: bool,
    pub(super) decisions: VecDeque<Decision>,
    /// Since when a commit is performed, which may have to wait: meanwhile nobody reads.
    committing: Option<Moment>,
    done: bool,
}

impl Exec {
    /// Begins with ranked candidates. `seed` is where the back-off's random numbers come from.
    #[must_use]
    pub fn new(policy: Policy, candidates: Arc<[Candidate]>, seed: u64) -> Self {
        Self {
            policy,
            spent: vec![false; candidates.len()],
            candidates,
            seed,
            next: 0,
            no_time: Vec::new(),
            out_of_time: false,
            full: Vec::new(),
            queued: None,
            turned_away: None,
            running: Vec::new(),
            judging: Vec::new(),
            held: None,
            retry: None,
            retries: 0,
            made: 0,
            failures: Vec::new(),
            refused_until: None,
            rejected: false,
            hedge: Hedge::Unused,
            counted: false,
            decisions: VecDeque::new(),
            committing: None,
            done: false,
        }
    }

    /// Takes what happened and says what to do next. Events of attempts that no longer run are
    /// ignored. After `Done` it says nothing but to wait for ever.
    pub fn step(&mut self, now: Moment, event: Event, lanes: &mut Lanes) -> Decision {
        if let Some(since) = self.committing.take() {
            self.running.iter_mut().filter_map(|r| r.pace.as_mut()).for_each(|pace| pace.unread(now - since));
        }
        if !self.done {
            self.learn(now, event, lanes);
            self.look(now, lanes);
        }
        loop {
            if let Some(decision) = self.decisions.pop_front() {
                self.committing = matches!(decision, Decision::Commit(_)).then_some(now);
                return decision;
            }
            if let Some(until) = self.waiting(now) {
                return Decision::Wait(until);
            }
            self.advance(now, lanes);
        }
    }

    /// This attempt shares a call with others from now on, or goes alone. It changes no decision, only what its
    /// lane makes of its end: to be told before the step that may be that end.
    pub fn shares(&mut self, attempt: usize, call: Option<SharedCall>) {
        self.running.iter_mut().filter(|r| r.number == attempt).for_each(|r| r.call = call);
    }

    /// Until when there is nothing to do; `None` where there is something to do now.
    fn waiting(&self, now: Moment) -> Option<Moment> {
        if self.done {
            return Some(Moment::from_micros(u64::MAX));
        }
        if self.retry.is_none() && self.queued.is_none() && !self.has_main() {
            return None;
        }
        let ends = self.running.iter().map(|r| r.hedge_at.map_or(r.due(), |at| at.min(r.due())));
        let queued = self.queued.map(|queued| queued.wakes());
        let judged = self.judging.iter().map(|judging| judging.until);
        let until = ends.chain(judged).chain(self.retry.map(|(at, _)| at)).chain(queued).min()?;
        (now < until).then_some(until)
    }

    /// Something is due: an attempt's end, a hedge, a retry, or the choice of a candidate.
    fn advance(&mut self, now: Moment, lanes: &mut Lanes) {
        let due = |at: Option<Moment>| at.is_some_and(|at| at <= now);
        if let Some(place) = self.running.iter().position(|r| r.due() <= now) {
            let running = self.running.remove(place);
            self.end(now, running, Disposition::Slow, lanes);
            self.failed(now, running, Disposition::Slow, lanes);
        } else if let Some(place) = self.judging.iter().position(|judging| judging.until <= now) {
            self.unjudged(now, place, lanes);
        } else if let Some(place) = self.running.iter().position(|r| due(r.hedge_at)) {
            self.hedge(now, place, lanes);
        } else if due(self.retry.map(|(at, _)| at)) {
            self.retry_now(now, lanes);
        } else if self.queued.is_some() {
            self.look(now, lanes);
        } else {
            self.choose(now, lanes);
        }
    }

    fn learn(&mut self, now: Moment, event: Event, lanes: &mut Lanes) {
        match event {
            // What arrives too late is not given: `advance` ends the attempt.
            Event::Progress { attempt, .. } | Event::Answered { attempt, .. } | Event::Held { attempt, .. }
                if self.too_late(now, attempt) => {}
            Event::Woke => {}
            Event::Abandoned => self.finish(now, Finish::Cancelled, lanes),
            Event::Progress { attempt, chunks, bytes, read } => {
                if let Some(pace) = self.running.iter_mut().find(|r| r.number == attempt).and_then(|r| r.pace.as_mut())
                {
                    pace.progress(now, read);
                }
                self.progress(now, attempt, (chunks, bytes), lanes);
            }
            Event::Answered { attempt, verdict } => self.answered(now, attempt, verdict, lanes),
            Event::Held { attempt, give, verified, ask } => {
                self.held(now, attempt, (Held { attempt: give, verified }, ask), lanes);
            }
            Event::Judged { attempt, verdict } => self.judged(now, attempt, verdict, lanes),
            Event::Failed { attempt, disposition } => {
                let Some(running) = self.take(attempt) else {
                    return;
                };
                self.observe(now, running, Some(disposition), lanes);
                self.failed(now, running, disposition, lanes);
            }
        }
    }

    /// Whether this attempt's answer, or the rest of its stream, may no longer be given.
    fn too_late(&self, now: Moment, attempt: usize) -> bool {
        let running = self.running.iter().find(|r| r.number == attempt);
        let until = |r: &Running| if r.committed { self.policy.stream_end } else { self.policy.deadline };
        running.is_some_and(|r| now > r.pace.map_or(until(r), |pace| pace.due().min(until(r))))
    }

    fn progress(&mut self, now: Moment, attempt: usize, (chunks, bytes): (u32, u64), lanes: &mut Lanes) {
        let Some(running) = self.running.iter_mut().find(|r| r.number == attempt && !r.committed) else {
            return;
        };
        running.hedge_at = None;
        if running.first_token.is_none() {
            running.first_token = Some(now - running.started);
            lanes.progress(self.candidates[running.candidate].lane, now, running.started);
        }
        let Commit::After { chunks: enough_chunks, bytes: enough_bytes } = self.policy.commit else {
            return;
        };
        if chunks >= enough_chunks || bytes >= enough_bytes {
            (running.committed, running.ends) = (true, self.policy.stream_end);
            // From here on it is the only one.
            running.role = Role::Main;
            self.retry = None;
            self.leave(now, lanes);
            self.cancel_others(now, Some(attempt), lanes);
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
        if verdict == Verdict::Pass || !self.judge(now, running, lanes) {
            self.accept(now, running, verdict, lanes);
        }
    }

    /// This attempt's answer is given.
    pub(super) fn accept(&mut self, now: Moment, running: Running, verdict: Verdict, lanes: &mut Lanes) {
        let attempt = running.number;
        // Before the commit, which may have to wait.
        self.leave(now, lanes);
        self.cancel_others(now, None, lanes);
        if !running.committed {
            self.decisions.push_back(Decision::Commit(attempt));
        }
        self.finish(now, Finish::Answered { attempt, verified: verdict == Verdict::Pass }, lanes);
    }

    /// An attempt is over without an answer that may be given.
    pub(super) fn failed(&mut self, now: Moment, running: Running, disposition: Disposition, lanes: &mut Lanes) {
        use Disposition::{Abstained, BadAnswer, CallersFault, Cancelled, RateLimited, TooLong};
        if running.committed {
            let gate = disposition == BadAnswer;
            let code = if gate { ErrorCode::NoAcceptableAnswer } else { ErrorCode::StreamInterrupted };
            return self.finish(now, Finish::Broken { attempt: running.number, code }, lanes);
        }
        if running.hedges && disposition.is_unasked() {
            // Where its turn comes there may be room for it: what ran beside it gives back what it does not use.
            self.hedge = Hedge::Unasked;
            return;
        }
        self.failures.push(disposition);
        if let RateLimited { retry_after: Some(after) } = disposition {
            self.refused(now + after);
        }
        if disposition.is_unasked() || matches!(disposition, CallersFault | TooLong | BadAnswer | Abstained) {
            self.spend_siblings(running.candidate);
        }
        match (running.role, disposition) {
            (Role::Main, Cancelled) => self.finish(now, Finish::Cancelled, lanes),
            // What is held was no fault of anybody's.
            (Role::Main, CallersFault) if self.held.is_none() => {
                let finish = Finish::Failed { code: ErrorCode::UpstreamRejected, retry_after: None };
                self.finish(now, finish, lanes);
            }
            (Role::Main, _) => match self.hedge_mut() {
                Some(hedge) => hedge.role = Role::Main,
                None => {
                    self.retry = self.retry(now, running.candidate, disposition, lanes);
                    // Whatever it is made as: it may meet a full lane, and have its turn later.
                    self.retries += u32::from(self.retry.is_some());
                }
            },
            // What is in the air may still answer.
            (_, CallersFault) => {
                (self.rejected, self.retry) = (true, None);
                self.leave(now, lanes);
            }
            (Role::Hedge | Role::Probe, _) => {}
        }
    }

    /// Whether a candidate whose turn it is not yet need not be considered any more.
    pub(super) fn is_over(&self, candidate: usize) -> bool {
        self.spent[candidate] || self.hedge == Hedge::Asked(candidate)
    }

    /// Another key of the same model would say the same.
    pub(super) fn spend_siblings(&mut self, candidate: usize) {
        let model = &self.candidates[candidate].model;
        for (spent, _) in self.spent.iter_mut().zip(self.candidates.iter()).filter(|(_, c)| c.model == *model) {
            *spent = true;
        }
    }

    /// Begins an attempt: the one place where a lane is asked, and where whatever an attempt needs
    /// is reserved.
    pub(super) fn start(&mut self, now: Moment, attempt: Attempt, granted: bool, lanes: &mut Lanes) {
        self.tell(Some(attempt.candidate));
        let candidate = &self.candidates[attempt.candidate];
        let admission = lanes.admit(candidate.lane, now, &self.policy.who, granted);
        let role = match attempt.kind {
            AttemptKind::Hedge => Role::Hedge,
            AttemptKind::Probe => Role::Probe,
            AttemptKind::Primary
            | AttemptKind::Retry
            | AttemptKind::Fallback
            | AttemptKind::Batch
            | AttemptKind::Escalation => Role::Main,
        };
        if role == Role::Main && !self.counted {
            self.counted = true;
            lanes.called(candidate.lane, self.policy.hedge_share);
        }
        let ends = now + attempt.budget.min(self.left(now));
        let hedge_at = if role == Role::Main { self.hedge_at(now, candidate.lane, lanes) } else { None };
        self.running.push(Running {
            number: attempt.number,
            candidate: attempt.candidate,
            role,
            started: now,
            budget: attempt.budget,
            ends,
            hedge_at: hedge_at.filter(|at| *at < ends),
            first_token: None,
            pace: self.policy.stream.map(|limits| Pace::new(now, limits)),
            committed: false,
            hedges: role == Role::Hedge,
            probes: admission == Admission::Probe,
            call: None,
        });
        self.made += 1;
        self.decisions.push_back(Decision::Start(attempt));
    }

    /// The figures that say how long a candidate's answer, or the first token that commits it,
    /// takes.
    pub(super) fn figures(&self, now: Moment, lane: LaneId, lanes: &Lanes) -> Percentiles {
        let lane = lanes.get(lane);
        match self.policy.commit {
            Commit::AtVerdict => lane.answers(now),
            Commit::After { .. } => lane.first_tokens(now),
        }
    }

    /// Time to the deadline, less what handing over takes.
    pub(super) fn left(&self, now: Moment) -> Duration {
        (self.policy.deadline - now).saturating_sub(handover(self.policy.deadline - self.policy.started))
    }

    pub(super) fn refused(&mut self, until: Moment) {
        self.refused_until = Some(self.refused_until.map_or(until, |first| first.min(until)));
    }

    /// The attempt of this number, if it is in the air; it runs no longer.
    pub(super) fn take(&mut self, attempt: usize) -> Option<Running> {
        let place = self.running.iter().position(|r| r.number == attempt)?;
        Some(self.running.remove(place))
    }

    pub(super) fn cancel_others(&mut self, now: Moment, kept: Option<usize>, lanes: &mut Lanes) {
        let (kept, others) = std::mem::take(&mut self.running).into_iter().partition(|r| Some(r.number) == kept);
        self.running = kept;
        let others: Vec<Running> = others;
        others.into_iter().for_each(|running| self.end(now, running, Disposition::Cancelled, lanes));
        for Judging { running, .. } in std::mem::take(&mut self.judging) {
            let (attempt, disposition) = (running.number, Disposition::Cancelled);
            self.decisions.push_back(Decision::Cancel { attempt, disposition, breach: None });
        }
    }

    /// Ends an attempt that has not ended by itself. What probes a lane, and has said nothing yet, goes
    /// on alone for as long as a probe may take, or nobody would learn whether the lane is back.
    fn end(&mut self, now: Moment, running: Running, disposition: Disposition, lanes: &mut Lanes) {
        let until = running.started + self.probe_time(running.candidate);
        if running.probes && running.first_token.is_none() && now < until {
            let (attempt, candidate, began) = (running.number, running.candidate, running.started);
            return self.decisions.push_back(Decision::Detach { attempt, candidate, disposition, began, until });
        }
        self.observe(now, running, Some(disposition), lanes);
        let breach = running.breach(now).filter(|_| disposition == Disposition::Slow);
        self.decisions.push_back(Decision::Cancel { attempt: running.number, disposition, breach });
    }

    /// The longest that a probe of this candidate may take.
    pub(super) fn probe_time(&self, candidate: usize) -> Duration {
        self.candidates[candidate].timeout.min(PROBE_MAX)
    }

    pub(super) fn observe(&self, now: Moment, running: Running, failed: Option<Disposition>, lanes: &mut Lanes) {
        let seen = Observation {
            failed,
            elapsed: now - running.started,
            budget: running.budget,
            stream: self.policy.stream.is_some(),
            first_token: running.first_token,
            breach: running.breach(now).filter(|_| failed == Some(Disposition::Slow)),
            call: running.call,
        };
        lanes.observe(self.candidates[running.candidate].lane, now, &seen);
    }

    /// A fault of the driver's ended the execution: gives back what it took of its lanes. An attempt
    /// that was to go on alone is over, too.
    pub fn give_back(&mut self, now: Moment, lanes: &mut Lanes) {
        for running in std::mem::take(&mut self.running) {
            self.observe(now, running, Some(Disposition::Cancelled), lanes);
        }
        self.judging.clear();
        self.leave(now, lanes);
        for decision in std::mem::take(&mut self.decisions) {
            if let Decision::Detach { candidate, began, until, .. } = decision {
                let (failed, elapsed) = (Some(Disposition::Cancelled), now - began);
                let (budget, stream) = (until - began, self.policy.stream.is_some());
                let seen = Observation { failed, elapsed, budget, stream, first_token: None, breach: None, call: None };
                lanes.observe(self.candidates[candidate].lane, now, &seen);
            }
        }
        self.done = true;
    }

    pub(super) fn finish(&mut self, now: Moment, finish: Finish, lanes: &mut Lanes) {
        self.leave(now, lanes);
        self.cancel_others(now, None, lanes);
        self.retry = None;
        self.done = true;
        self.decisions.push_back(Decision::Done(finish));
    }
}
