//! One case, from the fault to the calls after it, and what is wrong with what came of it.

use std::time::Duration;

use anyhow::Result;
use futures_util::future::join_all;
use serde_json::Value;

use super::caller::{Ask, Client, End, Got};
use super::cases::{Caller, Case, Does, Next};
use super::machine::{SOON, wait_for};
use super::truth::{Question, Task};
use super::world::{FALLBACK, WARD, World};

/// What each call gives itself.
pub(crate) const DEADLINE_MS: u64 = 2000;
/// A server may be late by this, and a caller on this machine sees it later by that.
const LATE_MS: f64 = 10.0;
pub(crate) const SEEN_LATE: Duration = Duration::from_millis(250);
/// A stream that was released in time may go on, but not for ever.
const STREAM_MAX: Duration = Duration::from_secs(6);
/// A call that need not wait for a model that is down is answered within this.
pub(crate) const AT_ONCE: Duration = Duration::from_millis(600);
/// Calls in a row that show whether a model is kept away from.
const BURST: usize = 10;

/// What came of a case.
pub(crate) struct Row {
    pub(crate) fault: String,
    pub(crate) form: &'static str,
    pub(crate) got: String,
    pub(crate) took: Duration,
    pub(crate) record: String,
    pub(crate) after: String,
    /// What is wrong; nothing where it passed.
    pub(crate) wrong: Vec<String>,
    /// The executions that it made.
    pub(crate) executions: Vec<String>,
}

impl Row {
    pub(crate) fn new(fault: impl Into<String>, form: &'static str) -> Self {
        Self {
            fault: fault.into(),
            form,
            got: String::new(),
            took: Duration::ZERO,
            record: String::new(),
            after: String::new(),
            wrong: Vec::new(),
            executions: Vec::new(),
        }
    }

    /// Notes what is wrong where it does not hold.
    pub(crate) fn must(&mut self, holds: bool, wrong: impl FnOnce() -> String) {
        if !holds {
            self.wrong.push(wrong());
        }
    }
}

/// One case under way.
pub(crate) struct Trial<'a> {
    pub(crate) world: &'a World,
    pub(crate) client: &'a Client,
    pub(crate) case: &'a Case,
    pub(crate) model: &'a str,
    /// Its place on the wall.
    pub(crate) number: usize,
}

impl Trial<'_> {
    /// The fault, the next call, a burst of the fault, the call after it.
    pub(crate) async fn run(&self) -> Result<Row> {
        let mut row = Row::new(self.case.fault, self.case.form());
        self.world.spoil(self.model, &self.case.does).await?;
        self.fault(&mut row).await?;
        self.world.heal(self.model, &self.case.does).await?;
        let kept = self.next(&mut row, self.case.next == Next::Fallback).await?;
        row.after = format!("next: {}", by(&kept));
        if self.case.next == Next::Itself {
            self.world.spoil(self.model, &self.case.does).await?;
            self.burst(&mut row).await;
            self.world.heal(self.model, &self.case.does).await?;
            let kept = self.next(&mut row, self.case.opens).await?;
            row.after += &format!("; after {BURST}: {}", by(&kept));
        }
        Ok(row)
    }

    async fn fault(&self, row: &mut Row) -> Result<()> {
        let question = self.case.task.question(self.seat());
        let got = self.client.ask(&self.asks(&question)).await;
        row.took = got.took;
        row.got = told(&got);
        self.proper(row, &question, &got);
        let (by, expected) = match self.case.caller {
            Caller::Fallback => (Some(FALLBACK), End::Answer(question.truth.clone())),
            Caller::Itself => (Some(self.model), End::Answer(question.truth.clone())),
            Caller::Error(code) => (None, End::Error(code.to_owned())),
        };
        row.must(got.end == expected && got.model.as_deref() == by, || {
            format!("the caller got {}, and should have got {}", told(&got), ended(&expected))
        });
        let Some(id) = &got.execution else { return Ok(()) };
        let record = self.client.record(id).await?;
        row.record = summary(&record);
        for wrong in self.record_wrong(&record, &got) {
            row.wrong.push(wrong);
        }
        Ok(())
    }

    /// What holds for every call.
    fn proper(&self, row: &mut Row, question: &Question, got: &Got) {
        row.executions.extend(got.execution.clone());
        row.must(got.execution.is_some(), || "no execution's id".into());
        row.must(!matches!(got.end, End::Nothing(_)), || format!("neither answer nor typed error: {}", told(got)));
        row.must(got.truthful(&question.truth), || format!("WRONG GIVEN AS RIGHT: {} after `{}`", told(got), got.said));
        let deadline = Duration::from_millis(DEADLINE_MS) + SEEN_LATE;
        let until = got.first.filter(|_| self.early()).unwrap_or(got.took);
        row.must(until <= deadline && got.took <= STREAM_MAX, || format!("late: {} ms", got.took.as_millis()));
    }

    fn record_wrong(&self, record: &Value, got: &Got) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut must = |holds: bool, what: String| {
            if !holds {
                wrong.push(what);
            }
        };
        let status = record["status"].as_str().unwrap_or_default();
        let code = record["error"]["code"].as_str();
        match &got.end {
            End::Answer(_) => must(status == "succeeded" && code.is_none(), format!("its record says {status}")),
            End::Error(said) => must(
                matches!(status, "failed" | "interrupted") && code == Some(said.as_str()),
                format!("its record says {status}, {code:?}"),
            ),
            End::Nothing(_) => {}
        }
        let first = &record["attempts"][0];
        let outcome = first["outcome"].as_str().unwrap_or("none");
        must(first["model"] == self.model, format!("its first attempt is of {}", first["model"]));
        must(self.case.outcomes.contains(&outcome), format!("its first attempt is recorded as {outcome}"));
        let first = got.first.filter(|_| self.early()).and_then(|_| record["latency"]["firstTokenMs"].as_f64());
        let until = first.or_else(|| record["latency"]["totalMs"].as_f64()).unwrap_or(f64::INFINITY);
        must(until <= DEADLINE_MS as f64 + LATE_MS, format!("its record says {until} ms"));
        wrong
    }

    /// Whether its text is released before it is whole: then the deadline bounds the release.
    fn early(&self) -> bool {
        self.case.stream && matches!(self.case.task, Task::Reply | Task::Tools)
    }

    /// The call after it: `kept` says that the model must be kept away from.
    async fn next(&self, row: &mut Row, kept: bool) -> Result<Got> {
        let question = self.case.task.question(self.seat() + 1);
        let got = self.client.ask(&self.asks(&question)).await;
        self.proper(row, &question, &got);
        let gone = matches!(self.case.does, Does::Address(_));
        let by = if kept || gone { FALLBACK } else { self.model };
        row.must(matches!(got.end, End::Answer(_)) && got.model.as_deref() == Some(by), || {
            format!("the next call is answered with {}, and not by {by}", told(&got))
        });
        row.must(!kept || got.took <= AT_ONCE, || format!("the next call waits {} ms", got.took.as_millis()));
        if let Some(id) = got.execution.as_deref().filter(|_| kept) {
            let record = self.client.record(id).await?;
            let outcome = record["attempts"][0]["outcome"].as_str();
            row.must(outcome == Some("breaker_open"), || format!("the next call's first attempt is {outcome:?}"));
        }
        Ok(got)
    }

    async fn burst(&self, row: &mut Row) {
        let questions: Vec<Question> = (2..2 + BURST).map(|n| self.case.task.question(self.seat() + n)).collect();
        let all =
            join_all(questions.iter().map(|question| async { self.client.ask(&self.asks(question)).await })).await;
        for (question, got) in questions.iter().zip(&all) {
            self.proper(row, question, got);
        }
    }

    /// Once more when it has long been well: the second call is answered by the model itself.
    pub(crate) async fn recovered(&self, row: &mut Row) {
        if matches!(self.case.does, Does::Address(_)) {
            return;
        }
        let mut by = None;
        for n in 0..2 {
            let question = self.case.task.question(self.seat() + n);
            let got = self.client.ask(&self.asks(&question)).await;
            self.proper(row, &question, &got);
            by = got.model;
            // Its probe goes on alone where the other was faster: until it has answered, others are asked.
            let closed = wait_for(SOON, async || self.client.is_closed(self.model).await).await;
            row.must(closed.is_ok_and(|closed| closed), || "its breaker is open after recovery".into());
        }
        row.must(by.as_deref() == Some(self.model), || format!("not back after recovery: {by:?} answers"));
    }

    /// Where its questions begin.
    fn seat(&self) -> usize {
        self.number * 5
    }

    fn asks<'a>(&'a self, question: &'a Question) -> Ask<'a> {
        let models = (self.model, Some(FALLBACK));
        Ask { ward: self.number / WARD, question, stream: self.case.stream, models, deadline_ms: DEADLINE_MS }
    }
}

/// What a caller got, in a word or two.
pub(crate) fn told(got: &Got) -> String {
    match &got.end {
        End::Answer(_) => format!("answer, {}", by(got)),
        end => ended(end),
    }
}

fn ended(end: &End) -> String {
    match end {
        End::Answer(output) => format!("the answer {output}"),
        End::Error(code) => code.clone(),
        End::Nothing(what) => format!("nothing ({what})"),
    }
}

/// Who answered.
fn by(got: &Got) -> &'static str {
    match got.model.as_deref() {
        Some(FALLBACK) => "fallback",
        Some(_) => "itself",
        None => "nobody",
    }
}

/// A record in a line: status, and each attempt's outcome.
pub(crate) fn summary(record: &Value) -> String {
    let outcomes = record["attempts"].as_array().into_iter().flatten();
    let outcomes: Vec<&str> = outcomes.filter_map(|attempt| attempt["outcome"].as_str()).collect();
    format!("{}: {}", record["status"].as_str().unwrap_or("?"), outcomes.join(" → "))
}
