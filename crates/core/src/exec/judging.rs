//! A judge in the path: an answer that nothing is proven of is given on its word.

use std::time::Duration;

use super::Decision;
use super::machine::{Exec, Role, Running};
use crate::{Disposition, Lanes, Moment, Verdict};

/// A whole answer that a judge looks at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Judging {
    pub(super) running: Running,
    /// Then it is given without a word.
    pub(super) until: Moment,
}

impl Exec {
    /// What nine of ten verdicts take; nothing without a judge, or without figures.
    pub(super) fn judge_takes(&self, now: Moment, lanes: &Lanes) -> Duration {
        let figures = self.policy.judge.map(|lane| lanes.get(lane).answers(now));
        figures.and_then(|figures| figures.p90).unwrap_or_default()
    }

    /// Shows an answer to the judge, where there is one and time for it. What readers have already is
    /// not taken back.
    pub(super) fn judge(&mut self, now: Moment, running: Running, lanes: &Lanes) -> bool {
        let left = self.left(now);
        let room = !left.is_zero() && self.judge_takes(now, lanes) <= left;
        if self.policy.judge.is_none() || running.is_committed() || !room {
            return false;
        }
        self.judging.push(Judging { running, until: now + left });
        self.decisions.push_back(Decision::Judge { attempt: running.number, budget: left });
        true
    }

    /// The judge said this of an answer.
    pub(super) fn judged(&mut self, now: Moment, attempt: usize, verdict: Verdict, lanes: &mut Lanes) {
        let place = self.judging.iter().position(|judging| judging.running.number == attempt);
        let Some(place) = place.filter(|_| now <= self.policy.deadline) else { return };
        let Judging { running, .. } = self.judging.remove(place);
        match verdict {
            Verdict::Fail => self.failed(now, running, Disposition::BadAnswer, lanes),
            Verdict::Pass | Verdict::Undecided => self.accept(now, running, verdict, lanes),
        }
    }

    /// The judge said nothing in time.
    pub(super) fn unjudged(&mut self, now: Moment, place: usize, lanes: &mut Lanes) {
        let Judging { running, .. } = self.judging.remove(place);
        if now <= self.policy.deadline {
            return self.accept(now, running, Verdict::Undecided, lanes);
        }
        // Whoever drives this was late itself.
        let (attempt, disposition) = (running.number, Disposition::Slow);
        self.decisions.push_back(Decision::Cancel { attempt, disposition, breach: None });
        self.failed(now, running, disposition, lanes);
    }

    /// The attempts that are waited for, those that a judge looks at included.
    pub(super) fn has_main(&self) -> bool {
        let landed = self.judging.iter().map(|judging| &judging.running);
        self.running.iter().chain(landed).any(|running| running.role == Role::Main)
    }

    /// A hedge that may take the place of the main attempt.
    pub(super) fn hedge_mut(&mut self) -> Option<&mut Running> {
        let landed = self.judging.iter_mut().map(|judging| &mut judging.running);
        self.running.iter_mut().chain(landed).find(|running| running.role == Role::Hedge)
    }
}
