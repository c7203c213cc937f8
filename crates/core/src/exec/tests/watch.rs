//! What must hold of every decision, whatever happens: an observer that sees what the driver sees.
//!
//! It keeps lanes of its own, and lets them learn each attempt's start and end as it understands
//! them: where the machine forgets an end, learns one twice, or in another way, the two differ. Of the
//! machine it reads only until when each attempt may run, which may be extended unseen, and when it
//! takes a retry out of its share.

use std::sync::Arc;
use std::time::Duration;

use crate::exec::machine::{PROBE_MAX, Role};
use crate::exec::pace::Pace;
use crate::{
    Admission, Attempt, AttemptKind, AttemptOutcome, Breach, BreakerState, Candidate, Commit, Decision, Disposition,
    ErrorCode, Event, Exec, Finish, LaneId, Lanes, Moment, Observation, Percentiles, Policy, SharedCall, Ticket,
    Unproven, Verdict, handover,
};

/// The machine's lanes, and the observer's.
pub(super) struct Ledger {
    pub(super) real: Lanes,
    pub(super) shadow: Lanes,
}

impl Ledger {
    /// An attempt ended that nobody watches.
    pub(super) fn observe(&mut self, lane: LaneId, now: Moment, seen: &Observation) {
        self.real.observe(lane, now, seen);
        self.shadow.observe(lane, now, seen);
    }

    fn refuses(&self, lane: LaneId, now: Moment) -> bool {
        matches!(self.shadow.peek(lane, now), Admission::Refused { .. })
    }
}

/// An attempt in the air.
pub(super) struct Flight {
    attempt: Attempt,
    pub(super) lane: LaneId,
    started: Moment,
    budget: Duration,
    ends: Moment,
    first_token: Option<Duration>,
    pace: Option<Pace>,
    /// Whether its end decides whether its lane is back.
    pub(super) probes: bool,
    /// A hedge may begin from then on.
    slow_at: Option<Moment>,
    /// The call that it shares.
    call: Option<SharedCall>,
}

impl Flight {
    fn breach(&self, now: Moment) -> Option<Breach> {
        self.pace.filter(|pace| pace.due() <= now && pace.due() < self.ends).map(|pace| pace.breach())
    }
}

/// How an attempt ended that told so.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    Answered(Verdict),
    Failed(Disposition),
}

pub(super) struct Watch {
    policy: Policy,
    candidates: Arc<[Candidate]>,
    pub(super) running: Vec<Flight>,
    pub(super) queued: Option<(usize, Ticket)>,
    committed: Option<usize>,
    /// Since when the commit is performed.
    committing: Option<Moment>,
    /// The most that arrived of whom, just now: chunks, bytes.
    arrived: Option<(usize, u32, u64)>,
    told: Vec<(Attempt, End)>,
    /// The answer that is held, whether it is verified, and who is to be asked beside it.
    held: Option<(usize, Option<usize>)>,
    /// Answers that a judge looks at, and until when; the one that it is to be shown.
    judging: Vec<(Attempt, Moment)>,
    shows: Option<usize>,
    started: usize,
    retries: u32,
    hedged: bool,
    counted: bool,
    /// The retry that was seen coming.
    scheduled: Option<(Moment, usize)>,
    abandoned: bool,
    fault: bool,
    /// Somebody was cancelled: the commit or the end is to follow.
    cancelled: bool,
    /// By candidate: begun or passed over; another key of its model said enough; its lane was seen
    /// open or paused, or without a place.
    heard: Vec<bool>,
    spent: Vec<bool>,
    was_open: Vec<bool>,
    was_full: Vec<bool>,
    pub(super) finish: Option<Finish>,
}

macro_rules! hold {
    ($that:expr, $($says:tt)+) => {
        if !$that {
            return Err(format!($($says)+));
        }
    };
}

type Held = Result<(), String>;

impl Watch {
    pub(super) fn new(policy: &Policy, candidates: &Arc<[Candidate]>) -> Self {
        let none = || vec![false; candidates.len()];
        Self {
            policy: policy.clone(),
            candidates: candidates.clone(),
            running: Vec::new(),
            queued: None,
            committed: None,
            committing: None,
            arrived: None,
            told: Vec::new(),
            held: None,
            judging: Vec::new(),
            shows: None,
            started: 0,
            retries: 0,
            hedged: false,
            counted: false,
            scheduled: None,
            abandoned: false,
            fault: false,
            cancelled: false,
            heard: none(),
            spent: none(),
            was_open: none(),
            was_full: none(),
            finish: None,
        }
    }

    fn lane(&self, candidate: usize) -> LaneId {
        self.candidates[candidate].lane
    }

    /// Where nothing more may begin: the deadline, less what handing over takes.
    fn latest(&self) -> Moment {
        self.policy.deadline - handover(self.policy.deadline - self.policy.started)
    }

    fn left(&self, now: Moment) -> Duration {
        (self.policy.deadline - now).saturating_sub(handover(self.policy.deadline - self.policy.started))
    }

    fn figures(&self, now: Moment, candidate: usize, lanes: &Ledger) -> Percentiles {
        let lane = lanes.shadow.get(self.lane(candidate));
        if self.policy.commit == Commit::AtVerdict { lane.answers(now) } else { lane.first_tokens(now) }
    }

    fn is_committed(&self, flight: &Flight) -> bool {
        self.committed == Some(flight.attempt.number)
    }

    /// When this attempt is over at the latest.
    fn bound(&self, flight: &Flight) -> Moment {
        let until = if self.is_committed(flight) {
            self.policy.stream_end
        } else {
            self.latest().min(flight.started + self.candidates[flight.attempt.candidate].timeout)
        };
        flight.pace.map_or(until, |pace| pace.due().min(until))
    }

    fn too_late(&self, now: Moment, flight: &Flight) -> bool {
        let until = if self.is_committed(flight) { self.policy.stream_end } else { self.policy.deadline };
        now > flight.pace.map_or(until, |pace| pace.due().min(until))
    }

    fn acceptable(&self, verdict: Verdict) -> bool {
        verdict == Verdict::Pass || (verdict == Verdict::Undecided && self.policy.unproven != Unproven::Fail)
    }

    fn take(&mut self, number: usize) -> Option<Flight> {
        let place = self.running.iter().position(|flight| flight.attempt.number == number)?;
        Some(self.running.remove(place))
    }

    /// How its last attempt ended, of this candidate.
    fn last_of(&self, candidate: usize) -> Option<End> {
        self.told.iter().rev().find(|(attempt, _)| attempt.candidate == candidate).map(|(_, end)| *end)
    }

    /// Remembers what would be a reason to pass a candidate over.
    fn sample(&mut self, now: Moment, lanes: &Ledger) {
        for candidate in 0..self.candidates.len() {
            let lane = self.lane(candidate);
            self.was_open[candidate] |= lanes.refuses(lane, now);
            self.was_full[candidate] |= !lanes.real.has_room(lane);
        }
    }

    fn learn(&self, now: Moment, flight: &Flight, failed: Option<Disposition>, lanes: &mut Ledger) {
        let seen = Observation {
            failed,
            elapsed: now - flight.started,
            budget: flight.budget,
            stream: self.policy.stream.is_some(),
            first_token: flight.first_token,
            breach: flight.breach(now).filter(|_| failed == Some(Disposition::Slow)),
            call: flight.call,
        };
        lanes.shadow.observe(flight.lane, now, &seen);
    }

    /// An attempt shares a call with others, or none.
    pub(super) fn shares(&mut self, attempt: usize, call: Option<SharedCall>) {
        self.running.iter_mut().filter(|flight| flight.attempt.number == attempt).for_each(|f| f.call = call);
    }

    /// What the machine is about to be told.
    pub(super) fn event(&mut self, now: Moment, event: Event, exec: &Exec, lanes: &mut Ledger) {
        self.sample(now, lanes);
        if event != Event::Woke {
            self.arrived = None;
        }
        if let Some(since) = self.committing.take() {
            self.running.iter_mut().filter_map(|f| f.pace.as_mut()).for_each(|pace| pace.unread(now - since));
        }
        let committed = self.committed;
        for flight in self.running.iter_mut().filter(|flight| committed != Some(flight.attempt.number)) {
            // Never less than it was given.
            if let Some(running) = exec.running.iter().find(|r| r.number == flight.attempt.number) {
                (flight.budget, flight.ends) = (flight.budget.max(running.budget), flight.ends.max(running.ends));
            }
        }
        match event {
            Event::Woke => {}
            Event::Abandoned => self.abandoned = true,
            Event::Progress { attempt, chunks, bytes, read } => {
                self.progress(now, (attempt, chunks, bytes), read, lanes)
            }
            Event::Answered { attempt, verdict } => {
                let late = self.running.iter().any(|f| f.attempt.number == attempt && self.too_late(now, f));
                if let Some(flight) = (!late).then(|| self.take(attempt)).flatten() {
                    let failed = (!self.acceptable(verdict)).then_some(Disposition::BadAnswer);
                    self.learn(now, &flight, failed, lanes);
                    if verdict == Verdict::Undecided && self.may_judge(now, &flight, lanes) {
                        self.judging.push((flight.attempt, now + self.left(now)));
                        self.shows = Some(attempt);
                    } else {
                        self.ended(flight.attempt, End::Answered(verdict));
                    }
                }
            }
            Event::Held { attempt, give, verified, ask } => {
                let late = self.running.iter().any(|f| f.attempt.number == attempt && self.too_late(now, f));
                if let Some(flight) = (!late).then(|| self.take(attempt)).flatten() {
                    self.learn(now, &flight, None, lanes);
                    if !self.is_committed(&flight) {
                        self.held = Some((give, ask));
                        self.spend(flight.attempt.candidate);
                    }
                    let verdict = if verified { Verdict::Pass } else { Verdict::Undecided };
                    self.ended(flight.attempt, End::Answered(verdict));
                }
            }
            Event::Judged { attempt, verdict } => {
                let place = self.judging.iter().position(|(judged, _)| judged.number == attempt);
                if let Some(place) = place.filter(|_| now <= self.policy.deadline) {
                    let (judged, _) = self.judging.remove(place);
                    self.ended(judged, End::Answered(verdict));
                }
            }
            Event::Failed { attempt, disposition } => {
                if let Some(flight) = self.take(attempt) {
                    self.learn(now, &flight, Some(disposition), lanes);
                    self.ended(flight.attempt, End::Failed(disposition));
                }
            }
        }
    }

    fn progress(&mut self, now: Moment, told: (usize, u32, u64), read: u64, lanes: &mut Ledger) {
        let place = self.running.iter().position(|f| f.attempt.number == told.0 && !self.too_late(now, f));
        let Some(place) = place else { return };
        let committed = self.is_committed(&self.running[place]);
        let flight = &mut self.running[place];
        if let Some(pace) = flight.pace.as_mut() {
            pace.progress(now, read);
        }
        if committed {
            return;
        }
        (flight.slow_at, self.arrived) = (None, Some(told));
        if flight.first_token.is_none() {
            flight.first_token = Some(now - flight.started);
            lanes.shadow.progress(flight.lane, now, flight.started);
        }
    }

    /// Whether the judge has time for this answer.
    fn may_judge(&self, now: Moment, flight: &Flight, lanes: &Ledger) -> bool {
        let Some(judge) = self.policy.judge else { return false };
        let takes = lanes.shadow.get(judge).answers(now).p90.unwrap_or_default();
        !self.is_committed(flight) && !self.left(now).is_zero() && takes <= self.left(now)
    }

    /// The judge says no more of this answer.
    fn unjudged(&mut self, attempt: usize) -> Option<(Attempt, Moment)> {
        let place = self.judging.iter().position(|(judged, _)| judged.number == attempt)?;
        Some(self.judging.remove(place))
    }

    /// Enough is known of its model.
    fn spend(&mut self, candidate: usize) {
        let model = &self.candidates[candidate].model;
        let same = self.candidates.iter().enumerate().filter(|(_, c)| c.model == *model);
        same.for_each(|(candidate, _)| self.spent[candidate] = true);
    }

    fn ended(&mut self, attempt: Attempt, end: End) {
        use Disposition::{Abstained, BadAnswer, CallersFault, TooLong};
        let failed = match end {
            End::Failed(disposition) => Some(disposition),
            End::Answered(verdict) => (!self.acceptable(verdict)).then_some(BadAnswer),
        };
        let asked = |d: Disposition| matches!(d, CallersFault | TooLong | BadAnswer | Abstained);
        // A hedge that no budget had room for is to have its turn yet.
        let hedge = attempt.kind == AttemptKind::Hedge;
        let unasked = |d: Disposition| d.is_unasked() && !hedge;
        if hedge && failed.is_some_and(Disposition::is_unasked) {
            self.heard[attempt.candidate] = false;
        }
        if failed.is_some_and(|d| asked(d) || unasked(d)) {
            self.spend(attempt.candidate);
        }
        self.fault |= failed == Some(CallersFault);
        self.told.push((attempt, end));
    }

    /// What it decided.
    pub(super) fn decision(&mut self, now: Moment, decision: &Decision, exec: &Exec, lanes: &mut Ledger) -> Held {
        hold!(self.finish.is_none(), "{decision:?} after the end");
        self.sample(now, lanes);
        self.schedules(now, exec, lanes)?;
        match *decision {
            Decision::Start(attempt) => self.start(now, attempt, lanes),
            Decision::Queue { candidate, ticket } => self.queue(now, candidate, ticket, lanes),
            Decision::Skip { candidate, outcome, .. } => self.skip(now, candidate, outcome, lanes),
            Decision::Cancel { attempt, disposition, breach } => {
                self.cancel(now, attempt, (disposition, breach), lanes)
            }
            Decision::Detach { attempt, disposition, began, until, .. } => {
                let Some(flight) = self.take(attempt) else { return Err(format!("{attempt} is not in the air")) };
                self.may_end(now, &flight, disposition)?;
                hold!(flight.probes && flight.first_token.is_none(), "detaches who probes nothing");
                let most = self.candidates[flight.attempt.candidate].timeout.min(PROBE_MAX);
                hold!(began == flight.started && until == began + most && now < until, "{began:?} to {until:?}");
                Ok(())
            }
            Decision::Judge { attempt, budget } => {
                hold!(self.shows.take() == Some(attempt), "shows {attempt} to the judge");
                hold!(budget == self.left(now), "the judge has {budget:?}");
                Ok(())
            }
            Decision::Commit(attempt) => self.commit(now, attempt),
            Decision::Wait(until) => self.wait(now, until, lanes),
            Decision::Done(finish) => self.done(now, finish),
        }
    }

    /// A retry is taken out of its share when it is decided.
    fn schedules(&mut self, now: Moment, exec: &Exec, lanes: &mut Ledger) -> Held {
        if let Some((at, candidate)) = exec.retry.filter(|_| exec.retry != self.scheduled) {
            let paid = lanes.shadow.take_retry(self.lane(candidate), now);
            hold!(paid, "a retry at {at:?} beyond the share of retries");
            hold!(!lanes.refuses(self.lane(candidate), at), "a retry of who will refuse");
        }
        self.scheduled = exec.retry.or(self.scheduled);
        Ok(())
    }

    fn start(&mut self, now: Moment, attempt: Attempt, lanes: &mut Ledger) -> Held {
        let Attempt { number, candidate, kind, budget } = attempt;
        hold!(self.committed.is_none(), "starts after the commit");
        hold!(!self.abandoned, "starts although nobody listens");
        hold!(!self.fault, "starts after a caller's fault");
        hold!(number == self.started, "number {number} instead of {}", self.started);
        let (lane, timeout) = (self.lane(candidate), self.candidates[candidate].timeout);
        self.is_due(now, attempt, lanes)?;
        match kind {
            AttemptKind::Probe => hold!(budget == timeout.min(PROBE_MAX), "a probe's budget of {budget:?}"),
            _ => hold!(budget <= self.left(now) && budget <= timeout, "a budget of {budget:?}"),
        }
        hold!(!budget.is_zero() && !self.left(now).is_zero(), "starts without time");
        let others = (candidate + 1..self.candidates.len()).any(|c| !self.was_open[c] && !self.was_full[c]);
        hold!(kind != AttemptKind::Primary || !others || budget < self.left(now), "keeps no time for a fallback");
        let granted = self.queued.take_if(|(queued, _)| *queued == candidate).is_some();
        let admission = lanes.shadow.admit(lane, now, &self.policy.who, false);
        hold!(!matches!(admission, Admission::Refused { .. }), "the breaker refuses");
        let gate = lanes.real.get(lane).gate();
        if admission == Admission::Allowed && !granted {
            hold!(gate.waiting() == 0, "overtakes those who wait");
            hold!(gate.limiter().in_flight() <= gate.limiter().limit(), "begins without a place");
        }
        let is_main = !matches!(kind, AttemptKind::Hedge | AttemptKind::Probe);
        if is_main && !self.counted {
            self.counted = true;
            lanes.shadow.called(lane, self.policy.hedge_share);
        }
        let of_lane = lanes.shadow.get(lane);
        let figures = if self.policy.stream.is_some() { of_lane.first_tokens(now) } else { of_lane.answers(now) };
        self.running.push(Flight {
            attempt,
            lane,
            started: now,
            budget,
            ends: now + budget.min(self.left(now)),
            first_token: None,
            pace: self.policy.stream.map(|limits| Pace::new(now, limits)),
            probes: admission == Admission::Probe,
            slow_at: figures.p95.filter(|_| is_main).map(|p95| now + p95),
            call: None,
        });
        self.heard[candidate] = true;
        self.started += 1;
        Ok(())
    }

    /// Whether this candidate may be asked now, as this.
    fn is_due(&mut self, now: Moment, attempt: Attempt, lanes: &mut Ledger) -> Held {
        let (candidate, kind) = (attempt.candidate, attempt.kind);
        let before = self.last_of(candidate);
        let beside = self.running.iter().find(|f| f.attempt.kind != AttemptKind::Probe);
        let again = self.started > 0 && matches!(before, Some(End::Failed(d)) if d.retry_same());
        let unasked = matches!(before, Some(End::Failed(d)) if d.is_unasked());
        let asked = self.running.iter().any(|f| f.attempt.candidate == candidate);
        hold!(!asked, "{candidate} is in the air");
        match kind {
            AttemptKind::Retry => hold!(again, "a retry after {before:?}"),
            // Where the lane was opened meanwhile; or had no place then, and others were asked.
            AttemptKind::Probe | AttemptKind::Fallback if again => {}
            _ => {
                hold!(before.is_none() || unasked, "{candidate} again as {kind:?} after {before:?}");
                hold!(!self.spent[candidate], "{candidate}, of whose model enough is known");
            }
        }
        // Whatever it is called by then.
        self.retries += u32::from(again);
        hold!(self.retries <= self.policy.retries, "too many retries");
        match kind {
            AttemptKind::Escalation => {
                let asked = self.held.is_some_and(|(_, ask)| ask == Some(candidate));
                hold!(asked, "{candidate} beside {:?}", self.held);
            }
            _ if self.held.is_some() => hold!(kind == AttemptKind::Probe, "{kind:?} although an answer is held"),
            AttemptKind::Primary => hold!(candidate == 0 && self.started == 0, "{candidate} is the primary"),
            AttemptKind::Hedge => {
                hold!(!self.hedged, "a second hedge");
                let Some(slow) = beside else { return Err("hedges nobody".into()) };
                hold!(slow.lane != self.lane(candidate), "hedges on the same lane");
                hold!(slow.slow_at.is_some_and(|at| now >= at), "hedges who is not slow");
                hold!(lanes.shadow.take_hedge(slow.lane), "a hedge beyond its share");
                self.hedged = true;
                return Ok(());
            }
            _ => {}
        }
        // A probe is not waited for, whether it runs or its answer is judged.
        let judged = self.judging.iter().any(|(judged, _)| judged.kind != AttemptKind::Probe);
        let waits = beside.is_some() || judged;
        hold!(kind == AttemptKind::Probe || !waits, "{kind:?} while another is waited for");
        Ok(())
    }

    fn queue(&mut self, now: Moment, candidate: usize, ticket: Ticket, lanes: &Ledger) -> Held {
        hold!(self.queued.is_none(), "waits twice");
        hold!(self.committed.is_none() && !self.abandoned && !self.fault, "waits for a place in vain");
        hold!(!self.left(now).is_zero(), "waits for a place without time");
        hold!(self.held.is_none(), "waits for a place although an answer is held");
        hold!(!self.spent[candidate], "waits for who said enough");
        let lane = self.lane(candidate);
        hold!(lanes.real.breaker(lane) == BreakerState::Closed, "waits at a lane that is down");
        let paused = lanes.refuses(lane, now);
        hold!(paused || self.was_full[candidate], "waits beside free places");
        self.queued = Some((candidate, ticket));
        Ok(())
    }

    fn skip(&mut self, now: Moment, candidate: usize, why: AttemptOutcome, lanes: &Ledger) -> Held {
        hold!(self.committed.is_none(), "passes over after the commit");
        let left_queue = self.queued.take_if(|(queued, _)| *queued == candidate).is_some();
        match why {
            AttemptOutcome::BreakerOpen => hold!(self.was_open[candidate], "{candidate} was not open"),
            AttemptOutcome::NoRoom => hold!(left_queue || self.was_full[candidate], "{candidate} had places"),
            AttemptOutcome::NoTime => {
                let (left, timeout) = (self.left(now), self.candidates[candidate].timeout);
                let half = timeout.min(left.mul_f64(0.5));
                let slow = self.figures(now, candidate, lanes).p50.is_some_and(|p50| p50 > half);
                hold!(left.is_zero() || slow, "{candidate} had the time");
            }
            other => return Err(format!("passes over for {other:?}")),
        }
        self.heard[candidate] = true;
        Ok(())
    }

    fn cancel(&mut self, now: Moment, attempt: usize, why: (Disposition, Option<Breach>), lanes: &mut Ledger) -> Held {
        let (why, breach) = why;
        if let Some((_, until)) = self.unjudged(attempt) {
            let late = now >= until && now > self.policy.deadline;
            hold!(why == Disposition::Cancelled || late, "ends an answer that is judged as {why:?}");
            self.cancelled |= why == Disposition::Cancelled;
            return Ok(());
        }
        let Some(flight) = self.take(attempt) else { return Err(format!("{attempt} is not in the air")) };
        self.may_end(now, &flight, why)?;
        let until = flight.started + self.candidates[flight.attempt.candidate].timeout.min(PROBE_MAX);
        let goes_on = flight.probes && flight.first_token.is_none() && now < until;
        hold!(!goes_on, "nobody learns whether the lane of {attempt} is back");
        let expected = flight.breach(now).filter(|_| why == Disposition::Slow);
        hold!(breach == expected, "{breach:?} instead of {expected:?}");
        self.learn(now, &flight, Some(why), lanes);
        Ok(())
    }

    fn may_end(&mut self, now: Moment, flight: &Flight, why: Disposition) -> Held {
        let due = flight.pace.map_or(flight.ends, |pace| pace.due().min(flight.ends));
        match why {
            Disposition::Slow => hold!(now >= due, "slow before {due:?}"),
            Disposition::Cancelled => self.cancelled = true,
            other => return Err(format!("ends as {other:?}")),
        }
        Ok(())
    }

    fn commit(&mut self, now: Moment, attempt: usize) -> Held {
        hold!(self.committed.is_none(), "commits twice");
        hold!(now <= self.policy.deadline, "commits after the deadline");
        hold!(self.running.iter().all(|f| f.attempt.number == attempt), "commits beside others");
        hold!(self.queued.is_none(), "commits and waits for a place");
        if let Some((judged, until)) = self.unjudged(attempt) {
            hold!(now >= until, "gives {attempt} before {until:?} without a word of the judge");
            self.ended(judged, End::Answered(Verdict::Undecided));
        }
        hold!(self.judging.is_empty(), "commits while another is judged");
        match (self.running.first_mut(), self.told.last()) {
            (Some(flight), _) => {
                flight.ends = self.policy.stream_end;
                let Commit::After { chunks, bytes } = self.policy.commit else {
                    return Err("commits before the verdict".into());
                };
                let enough = self.arrived.is_some_and(|(of, c, b)| of == attempt && (c >= chunks || b >= bytes));
                hold!(enough, "commits {:?}", self.arrived);
            }
            (None, _) if self.held.is_some_and(|(held, _)| held == attempt) => {}
            (None, Some((last, End::Answered(verdict)))) if last.number == attempt => {
                hold!(self.acceptable(*verdict), "commits an answer that is {verdict:?}");
            }
            (None, other) => return Err(format!("commits {attempt} after {other:?}")),
        }
        (self.committed, self.committing) = (Some(attempt), Some(now));
        Ok(())
    }

    fn wait(&self, now: Moment, until: Moment, lanes: &Ledger) -> Held {
        hold!(until > now, "waits for the past");
        hold!(!self.abandoned, "waits although nobody listens");
        hold!(!self.cancelled || self.committed.is_some() || self.held.is_some(), "cancelled somebody and goes on");
        for flight in &self.running {
            let (number, bound) = (flight.attempt.number, self.bound(flight));
            hold!(until <= bound, "waits until {until:?} for {number}, which is over at {bound:?}");
        }
        hold!(self.shows.is_none(), "waits before it shows {:?} to the judge", self.shows);
        for (attempt, bound) in &self.judging {
            hold!(until <= *bound, "waits until {until:?} for a word on {}, for which {bound:?} is", attempt.number);
        }
        let Commit::After { chunks, bytes } = self.policy.commit else {
            return self.has_reason(until, lanes);
        };
        let enough = self.arrived.is_some_and(|(_, c, b)| c >= chunks || b >= bytes);
        hold!(!enough || self.committed.is_some(), "keeps back {:?}", self.arrived);
        self.has_reason(until, lanes)
    }

    /// Whether anything may still come that is waited for.
    fn has_reason(&self, until: Moment, lanes: &Ledger) -> Held {
        if let Some((candidate, ticket)) = self.queued {
            let waits = lanes.real.waits(self.lane(candidate), ticket, &self.policy.who.team);
            hold!(waits && until <= self.latest(), "waits in no queue, or too long");
        } else if self.running.is_empty() && self.judging.is_empty() {
            let of = self.scheduled.and_then(|(_, candidate)| self.last_of(candidate));
            let again = matches!(of, Some(End::Failed(d)) if d.retry_same());
            hold!(again && self.retries < self.policy.retries && !self.fault, "waits for nothing");
            hold!(until < self.latest(), "waits for a retry until {until:?}");
        }
        Ok(())
    }

    fn done(&mut self, now: Moment, finish: Finish) -> Held {
        hold!(self.running.is_empty() && self.queued.is_none(), "done while an attempt runs or waits");
        hold!(self.judging.is_empty(), "done while an answer is judged");
        let of = |number: usize| self.told.iter().find(|(attempt, _)| attempt.number == number).map(|(_, end)| *end);
        match finish {
            Finish::Answered { attempt, verified } => {
                let Some(End::Answered(verdict)) = of(attempt) else { return Err(format!("{attempt} did not answer")) };
                hold!(self.committed == Some(attempt), "{attempt} was not committed");
                hold!(self.acceptable(verdict), "gives an answer that is {verdict:?}");
                hold!(verified == (verdict == Verdict::Pass), "{verdict:?} is verified: {verified}");
            }
            Finish::Broken { attempt, code } => {
                hold!(self.committed == Some(attempt), "{attempt} broke and was not committed");
                let bad = match of(attempt) {
                    Some(End::Answered(verdict)) => !self.acceptable(verdict),
                    end => end == Some(End::Failed(Disposition::BadAnswer)),
                };
                hold!(bad == (code == ErrorCode::NoAcceptableAnswer), "{code:?} after {:?}", of(attempt));
            }
            Finish::Cancelled => {
                let cancelled = self.told.iter().any(|(_, end)| *end == End::Failed(Disposition::Cancelled));
                hold!(self.abandoned || cancelled, "cancelled although somebody listens");
            }
            Finish::Failed { code, .. } if self.held.is_some() => {
                let late = now > self.policy.deadline && code == ErrorCode::DeadlineExceeded;
                hold!(late && self.committed.is_none(), "{code:?} although an answer is held");
            }
            Finish::Failed { code, .. } => {
                hold!(self.committed.is_none(), "failed after the commit");
                hold!(
                    self.fault == (code == ErrorCode::UpstreamRejected),
                    "{code:?}, a caller's fault: {}",
                    self.fault
                );
                let last = self.told.last().filter(|(_, end)| matches!(end, End::Answered(v) if self.acceptable(*v)));
                hold!(last.is_none(), "failed after {last:?}");
                let forgotten = (0..self.candidates.len()).find(|c| !self.heard[*c] && !self.spent[*c]);
                hold!(self.fault || forgotten.is_none(), "gives up before {forgotten:?} was considered");
            }
        }
        self.finish = Some(finish);
        Ok(())
    }

    /// A fault of the driver's ends it: all that it had is to be given back, what it was not yet told of
    /// its beginning included.
    pub(super) fn broke(&mut self, now: Moment, exec: &Exec, lanes: &mut Ledger) {
        for unseen in exec.running.iter().filter(|running| running.number >= self.started) {
            let lane = self.lane(unseen.candidate);
            lanes.shadow.admit(lane, now, &self.policy.who, false);
            // What it paid, or was paid for.
            if unseen.role == Role::Main && !self.counted {
                self.counted = true;
                lanes.shadow.called(lane, self.policy.hedge_share);
            }
            if unseen.role == Role::Hedge
                && let Some(slow) = self.running.iter().find(|flight| flight.attempt.kind != AttemptKind::Probe)
            {
                lanes.shadow.take_hedge(slow.lane);
            }
            let (failed, stream) = (Some(Disposition::Cancelled), self.policy.stream.is_some());
            let (elapsed, budget) = (Duration::ZERO, unseen.budget);
            let seen = Observation { failed, elapsed, budget, stream, first_token: None, breach: None, call: None };
            lanes.shadow.observe(lane, now, &seen);
        }
        for flight in std::mem::take(&mut self.running) {
            self.learn(now, &flight, Some(Disposition::Cancelled), lanes);
        }
        self.queued = None;
        self.judging.clear();
    }
}
