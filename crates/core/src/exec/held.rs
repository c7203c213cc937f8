//! An answer that is held while another model is asked: it is given where nobody else is heard in time.

use super::machine::{Exec, Role, Running};
use super::{Decision, Finish};
use crate::{AttemptKind, ErrorCode, Lanes, Moment, Verdict};

/// What is given if nobody else is heard.
#[derive(Clone, Copy, Debug)]
pub(super) struct Held {
    pub(super) attempt: usize,
    pub(super) verified: bool,
}

impl Exec {
    /// An answer came that is as good as another, or better; `ask` is to be heard before one is given.
    pub(super) fn held(&mut self, now: Moment, attempt: usize, (held, ask): (Held, Option<usize>), lanes: &mut Lanes) {
        let Some(running) = self.take(attempt) else { return };
        self.observe(now, running, None, lanes);
        if running.is_committed() {
            // Its text is given already.
            let verdict = if held.verified { Verdict::Pass } else { Verdict::Undecided };
            return self.accept(now, running, verdict, lanes);
        }
        self.spend_siblings(running.candidate);
        self.held = Some(held);
        self.retry = None;
        let Some(ask) = ask.filter(|ask| *ask < self.candidates.len()) else {
            return self.give(now, held, lanes);
        };
        let model = &self.candidates[ask].model;
        let in_air = |other: &&Running| other.role != Role::Probe && self.candidates[other.candidate].model == *model;
        let asked = self.running.iter().find(in_air).map(|other| other.number);
        // Who had a turn is not asked again.
        let over = self.rejected || ask < self.next || self.is_over(ask);
        self.leave(now, lanes);
        self.cancel_others(now, asked, lanes);
        match self.running.first_mut() {
            // It was asked beside this one already.
            Some(other) => (other.role, other.hedge_at) = (Role::Main, None),
            None if over => self.give(now, held, lanes),
            None => self.consider(now, ask, AttemptKind::Escalation, lanes),
        }
    }

    /// This answer is given: nobody else is heard.
    pub(super) fn give(&mut self, now: Moment, held: Held, lanes: &mut Lanes) {
        if now > self.policy.deadline {
            // Whoever drives this was late itself.
            let finish = Finish::Failed { code: ErrorCode::DeadlineExceeded, retry_after: None };
            return self.finish(now, finish, lanes);
        }
        let Held { attempt, verified } = held;
        self.leave(now, lanes);
        self.cancel_others(now, None, lanes);
        self.tell(None);
        self.decisions.push_back(Decision::Commit(attempt));
        self.finish(now, Finish::Answered { attempt, verified }, lanes);
    }
}
