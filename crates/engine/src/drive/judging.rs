//! What labels and a judge say of an answer, besides its checks. A second opinion is asked for once: what it
//! answered is held against whatever else is answered.

use std::time::Duration;

use baton_core::{
    AttemptOutcome, AttemptRecord, Disposition, Event, ExecutionId, Judgement, ModelId, ScoreResult, Unproven, Verdict,
};
use baton_eval::Seen;
use baton_wire::Block;

use super::{Drive, Given, micros};
use crate::judge::{Heard, ask, opinion_of, said, stands_alone};

impl Drive<'_> {
    /// Until the state machine accepts it, an answer counts as a bad one.
    pub(super) fn answered(&mut self, number: usize, mut given: Given, said: Verdict) -> Event {
        let verdict = self.learnt(number, &mut given, (said, None));
        let undecided = verdict == Verdict::Undecided;
        let unproven = undecided && self.unproven() == Unproven::Fail;
        if unproven {
            self.record(number).error = Some("its quality is not known yet, and `unproven` is \"fail\"".into());
        }
        let in_turn = self.request.cascade.is_some() && verdict != Verdict::Fail && !unproven;
        self.close(number, if in_turn { AttemptOutcome::Held } else { AttemptOutcome::BadAnswer });
        let flight = &mut self.flights[number];
        (flight.given, flight.undecided) = (Some(given), undecided);
        if in_turn { self.in_turn(number) } else { Event::Answered { attempt: number, verdict } }
    }

    /// Holds the answers so far against each other, this one the last.
    fn in_turn(&mut self, number: usize) -> Event {
        let request = self.request;
        let (mut held, mut answers) = (Vec::new(), Vec::new());
        for flight in &self.flights {
            let record = &self.records[flight.place];
            if let Some(given) = flight.given.as_ref().filter(|_| record.outcome == AttemptOutcome::Held) {
                held.push(flight);
                answers.push((&record.model, &given.output));
            }
        }
        let plain = Event::Held { attempt: number, give: number, verified: false, ask: None };
        let (Some(cascade), Some(intent)) = (&request.cascade, &request.intent) else { return plain };
        let gave_none =
            |record: &&AttemptRecord| matches!(record.outcome, AttemptOutcome::Abstained | AttemptOutcome::BadAnswer);
        let silent: Vec<&ModelId> = self.records.iter().filter(gave_none).map(|record| &record.model).collect();
        let turn = cascade.turn(&intent.checks, &answers, &silent);
        let Some(best) = held.get(turn.give) else { return plain };
        let same: Vec<&str> = turn.same.iter().filter_map(|place| Some(answers.get(*place)?.0.as_str())).collect();
        let said = match (answers.len(), same.as_slice()) {
            (1, [one]) => format!("asked in turn, {one} alone answered"),
            (answers, [one]) => format!("of {answers} who answered in turn {one} is the likeliest to be right"),
            (answers, same) => format!("{} of {answers} who answered in turn agree: {}", same.len(), same.join(", ")),
        };
        let (give, verified) = (best.attempt.number, !best.undecided);
        let ask = turn.ask.and_then(|model| request.candidates.iter().position(|other| other.model == model));
        self.turn = Some(said);
        Event::Held { attempt: number, give, verified, ask }
    }

    fn unproven(&self) -> Unproven {
        self.request.intent.as_ref().map_or(Unproven::Pass, |intent| intent.plan.unproven)
    }

    /// What labels say of such answers, after the checks said this, and a judge that. What is given
    /// already is not taken back for it.
    fn learnt(&mut self, number: usize, given: &mut Given, (said, judge): (Verdict, Option<f64>)) -> Verdict {
        if self.request.calibration.is_none() {
            return said;
        }
        let released = self.released();
        let record = self.record(number);
        let (checks, model) = (record.checks.clone(), record.model.clone());
        let seen = Seen { model: &model, checks: &checks, repaired: !given.repairs.is_empty(), judge };
        let (quality, learnt) = self.request.quality(&seen, said);
        if said == Verdict::Undecided && learnt == Verdict::Fail {
            if released {
                return Verdict::Undecided;
            }
            let score = quality.as_ref().and_then(|quality| quality.score);
            let score = score.map_or_else(String::new, |score| format!(" ({score} likely to be acceptable)"));
            self.record(number).error =
                Some(format!("it ranks below what people's labels show to be good enough{score}"));
        }
        given.quality = quality;
        learnt
    }

    /// Shows an answer to the judge.
    pub(crate) fn judge(&mut self, number: usize, budget: Duration) -> Event {
        let given = self.flights[number].given.as_ref();
        let tools = given.is_some_and(|given| given.content.iter().any(|b| matches!(b, Block::ToolUse { .. })));
        if let Some((opinion, delivered)) = self.opinion.clone().filter(|_| !tools) {
            self.note(number, Some(opinion), ScoreResult::Errored { reason: NO_TIME.into() });
            return self.judged(number, Ok(delivered));
        }
        let answer = given.filter(|_| !tools).map(|given| (self.log.execution, &given.output));
        match answer.and_then(|answer| ask(self.engine, self.call, self.request, answer, budget)) {
            Some(asking) => {
                let reason = "it said nothing before somebody else had answered, or the time was up".into();
                self.note(number, Some(asking.judge), ScoreResult::Errored { reason });
                self.flights[number].asking = Some(asking);
                Event::Woke
            }
            None => {
                let reason = if tools { "calls of tools are not judged" } else { NO_TIME };
                self.note(number, None, ScoreResult::Skipped { reason: reason.into() });
                Event::Judged { attempt: number, verdict: Verdict::Undecided }
            }
        }
    }

    /// The judge spoke, or cannot. No verdict is no verdict, never a fail.
    pub(super) fn judged(&mut self, number: usize, heard: Heard) -> Event {
        self.dismiss(number);
        let silent = Event::Judged { attempt: number, verdict: Verdict::Undecided };
        let request = self.request;
        let (Some(intent), Some(mut given)) = (&request.intent, self.flights[number].given.take()) else {
            return silent;
        };
        let result = said(intent, &given.output, &heard);
        let (value, failed) = (result.value(), result.failed());
        let judge = self.record(number).judged.as_mut().and_then(|judged| {
            judged.result = result;
            judged.judge
        });
        let opinion = opinion_of(&intent.plan);
        if opinion.is_some() && value.is_some() {
            self.opinion = judge.zip(heard.ok());
        }
        let mut verdict = Verdict::Undecided;
        let place = self.flights[number].place;
        if let Some(value) = value.filter(|_| !stands_alone(&intent.plan, &self.records, place)) {
            verdict = self.learnt(number, &mut given, (Verdict::Undecided, Some(value)));
            // Where labels do not say from which score on answers are good enough, its word is taken as it is.
            if verdict == Verdict::Undecided && !failed.is_empty() {
                verdict = Verdict::Fail;
                self.record(number).error = Some(match &opinion {
                    Some(opinion) => format!("the {opinion} differs in {failed}"),
                    None => format!("the judge fails it: {failed}"),
                });
            }
        }
        self.flights[number].given = Some(given);
        Event::Judged { attempt: number, verdict }
    }

    /// An answer that was being judged is not waited for any more.
    pub(super) fn withdraw(&mut self, number: usize, disposition: Disposition) -> Event {
        self.dismiss(number);
        self.flights[number].given = None;
        let record = self.record(number);
        record.outcome = disposition.into();
        record.error = Some("it was being judged when the execution ended".into());
        Event::Woke
    }

    /// Nobody waits for the judge any more.
    pub(super) fn dismiss(&mut self, number: usize) {
        let Some(asking) = self.flights[number].asking.take() else { return };
        let took_us = micros(self.engine.clock.now() - asking.since);
        if let Some(judged) = self.record(number).judged.as_mut() {
            judged.took_us = took_us;
        }
    }

    /// Says why an answer is given that a judge was to see, and did not.
    pub(super) fn excuse(&mut self, number: usize) {
        let unseen = self.flights[number].undecided && self.record(number).judged.is_none();
        if unseen && self.unproven() == Unproven::Judge {
            let flowed = self.released == Some(number);
            let reason = if flowed { "its text was given as it came" } else { NO_TIME };
            self.note(number, None, ScoreResult::Skipped { reason: reason.into() });
        }
    }

    fn note(&mut self, number: usize, judge: Option<ExecutionId>, result: ScoreResult) {
        self.record(number).judged = Some(Judgement { judge, took_us: 0, result });
    }
}

const NO_TIME: &str = "the deadline has no room for a judge";
