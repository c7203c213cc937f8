//! Waiting for a place at a lane: whom to pass over, where to wait, and when it is of no use.

use std::time::Duration;

use super::machine::Exec;
use super::{Attempt, Decision};
use crate::{Admission, AttemptKind, AttemptOutcome, ErrorCode, LaneId, Lanes, Moment, Split, Ticket, split};

/// The least that a refusal asks a caller to wait.
const AGAIN_MIN: Duration = Duration::from_millis(100);

/// A candidate that had no place in its turn.
#[derive(Clone, Copy, Debug)]
pub(super) struct Full {
    candidate: usize,
    kind: AttemptKind,
    outcome: AttemptOutcome,
    /// Whether the record says so already.
    told: bool,
}

/// A place in a queue.
#[derive(Clone, Copy, Debug)]
pub(super) struct Queued {
    ticket: Ticket,
    candidate: usize,
    kind: AttemptKind,
    /// From then on a place would come too late.
    until: Moment,
    /// The end of a pause that the lane asked for.
    look_at: Option<Moment>,
}

impl Queued {
    /// When something is to be done, unless it is woken before.
    pub(super) fn wakes(&self) -> Moment {
        self.look_at.map_or(self.until, |at| at.min(self.until))
    }
}

impl Exec {
    /// This candidate has no place now: others are looked at before it is waited for.
    pub(super) fn no_room(&mut self, candidate: usize, kind: AttemptKind, outcome: AttemptOutcome) {
        self.full.push(Full { candidate, kind, outcome, told: false });
    }

    /// Records that a candidate was passed over.
    pub(super) fn skip(&mut self, candidate: usize, kind: AttemptKind, outcome: AttemptOutcome) {
        self.tell(Some(candidate));
        self.decisions.push_back(Decision::Skip { candidate, kind, outcome });
    }

    /// Records those without a place that stand before this candidate, or were to be asked again, or
    /// all: somebody else is asked, or nobody is.
    pub(super) fn tell(&mut self, before: Option<usize>) {
        let due = |full: &Full| full.kind == AttemptKind::Retry || before.is_none_or(|at| full.candidate < at);
        for full in self.full.iter_mut().filter(|full| !full.told && due(full)) {
            full.told = true;
            let Full { candidate, kind, outcome, .. } = *full;
            self.decisions.push_back(Decision::Skip { candidate, kind, outcome });
        }
    }

    /// Whether somebody who had no place has one now, and is asked.
    pub(super) fn find_room(&mut self, now: Moment, lanes: &mut Lanes) -> bool {
        let has = |full: &Full| {
            let lane = self.candidates[full.candidate].lane;
            lanes.held(lane, now).is_none() && (lanes.peek(lane, now) != Admission::Allowed || lanes.has_room(lane))
        };
        self.full.retain(|full| !self.spent[full.candidate]);
        if self.rejected || self.left(now).is_zero() {
            return false;
        }
        let Some(place) = self.full.iter().position(has) else { return false };
        let Full { candidate, kind, told, .. } = self.full.remove(place);
        self.consider(now, candidate, if told { AttemptKind::Fallback } else { kind }, lanes);
        true
    }

    /// Waits for a place at the lane that is likely to have one first, if an answer may come in time
    /// from there.
    pub(super) fn queue(&mut self, now: Moment, lanes: &mut Lanes) -> bool {
        let left = self.left(now);
        if self.rejected || left.is_zero() {
            return false;
        }
        let expected = |place: usize| {
            let lane = self.candidates[self.full[place].candidate].lane;
            (lanes.predicted_wait(lane, now, &self.policy.who), place)
        };
        let mut places: Vec<_> = (0..self.full.len()).map(expected).collect();
        places.sort_unstable();
        for (wait, place) in places {
            let Full { candidate, kind, told, .. } = self.full[place];
            let lane = self.candidates[candidate].lane;
            let takes = self.takes(now, lane, lanes);
            if wait + takes > left {
                if lanes.held(lane, now).is_some() {
                    continue; // What it asked for is told already.
                }
                self.turn_away(ErrorCode::DeadlineUnreachable, (wait + takes) - left);
                continue;
            }
            let until = now + (left - takes);
            let Some(ticket) = lanes.join(lane, now, &self.policy.who, until) else {
                self.turn_away(ErrorCode::QueueFull, wait);
                continue;
            };
            self.full.remove(place);
            self.tell(Some(candidate));
            let kind = if told { AttemptKind::Fallback } else { kind };
            self.queued = Some(Queued { ticket, candidate, kind, until, look_at: lanes.held(lane, now) });
            self.decisions.push_back(Decision::Queue { candidate, ticket });
            return true;
        }
        false
    }

    /// What an answer takes that is waited for: nine of ten take no longer. With the median, every
    /// second place that a busy lane gives to those who waited to the last moment would be wasted.
    fn takes(&self, now: Moment, lane: LaneId, lanes: &Lanes) -> Duration {
        self.figures(now, lane, lanes).p90.unwrap_or_default()
    }

    /// The error of a call that asked nobody, for want of a place.
    fn turn_away(&mut self, code: ErrorCode, after: Duration) {
        let after = after.max(AGAIN_MIN);
        self.turned_away = Some(match self.turned_away {
            // Where one queue has room, the time is what is missing.
            Some((ErrorCode::DeadlineUnreachable, before)) => (ErrorCode::DeadlineUnreachable, before.min(after)),
            Some((_, before)) => (code, before.min(after)),
            None => (code, after),
        });
    }

    /// Whether what is waited for came, or can come no more.
    pub(super) fn look(&mut self, now: Moment, lanes: &mut Lanes) {
        let Some(queued) = self.queued else { return };
        let Queued { ticket, candidate, kind, until, .. } = queued;
        let lane = self.candidates[candidate].lane;
        if self.spent[candidate] {
            return self.leave(now, lanes);
        }
        if now >= until {
            self.turn_away(ErrorCode::DeadlineUnreachable, AGAIN_MIN);
            return self.leave(now, lanes);
        }
        if let Some(held) = lanes.held(lane, now) {
            self.queued = Some(Queued { look_at: Some(held), ..queued });
            return;
        }
        self.queued = Some(Queued { look_at: None, ..queued });
        lanes.grant(lane, now);
        let open = lanes.peek(lane, now) != Admission::Allowed;
        if open {
            self.queued = None;
            lanes.leave(lane, now, ticket, &self.policy.who.team);
            return self.consider(now, candidate, kind, lanes);
        }
        if !lanes.waits(lane, ticket, &self.policy.who.team) {
            // It was sent away, and the lane is well again.
            self.leave(now, lanes);
            let (kind, outcome) = (AttemptKind::Fallback, AttemptOutcome::NoRoom);
            return self.full.push(Full { candidate, kind, outcome, told: true });
        }
        if lanes.take(lane, ticket) {
            self.queued = None;
            self.begin_granted(now, candidate, kind, lanes);
        }
    }

    /// The place is ours.
    fn begin_granted(&mut self, now: Moment, candidate: usize, kind: AttemptKind, lanes: &mut Lanes) {
        let asked = &self.candidates[candidate];
        let fallback = self.fallback(now, lanes);
        // What it may take was looked at when it joined: there is time.
        let budget = match split(self.left(now), None, asked.timeout, fallback) {
            Split::Run(budget) => budget,
            Split::NoTime => Duration::ZERO,
        };
        self.retries += u32::from(kind == AttemptKind::Retry);
        self.start(now, Attempt { number: self.made, candidate, kind, budget }, true, lanes);
    }

    /// Waits no longer.
    pub(super) fn leave(&mut self, now: Moment, lanes: &mut Lanes) {
        if let Some(queued) = self.queued.take() {
            let lane = self.candidates[queued.candidate].lane;
            lanes.leave(lane, now, queued.ticket, &self.policy.who.team);
            self.skip(queued.candidate, queued.kind, AttemptOutcome::NoRoom);
        }
    }
}
