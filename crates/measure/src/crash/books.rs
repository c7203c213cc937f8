//! What clients were told, against what was recorded.

use std::collections::HashMap;
use std::path::Path;

use anyhow::Result;
use baton_core::{Record, Status};
use serde_json::Value;

use crate::client::{Ending, Outcome};
use crate::records::{self, Recorded};
use crate::report::Report;

/// A call, and which start of the server it went to.
pub(super) struct Noted {
    pub(super) start: usize,
    pub(super) stream: bool,
    pub(super) outcome: Outcome,
}

/// See the module.
#[derive(Default)]
pub(super) struct Books {
    calls: usize,
    /// Calls whose answer, error or event `start` named an execution.
    told: usize,
    answers: usize,
    errors: usize,
    unanswered: usize,
    /// Streams that the client saw begin, and not end.
    cut: usize,
    /// Of those, recorded as interrupted.
    interrupted: usize,
    /// Of those, recorded as finished before the kill: the last event never left.
    finished: usize,
    records: usize,
    lost: usize,
    double: usize,
    /// Records that say otherwise than the client was told.
    contradicted: usize,
    /// The first few, described.
    pub(super) problems: Vec<String>,
}

impl Books {
    /// Compares; `ended_us` is when each start of the server ended.
    pub(super) async fn read(house: &Path, noted: Vec<Noted>, ended_us: &[i64]) -> Result<Self> {
        let Recorded { records, counted } = records::read(house).await?;
        let mut books = Self { calls: noted.len(), records: records.values().map(Vec::len).sum(), ..Self::default() };
        books.double = records.values().filter(|records| records.len() > 1).count();
        books.double += usize::try_from(counted.abs_diff(books.records as u64)).unwrap_or(usize::MAX);
        let mut seen: HashMap<_, usize> = HashMap::new();
        for call in &noted {
            let Some(id) = call.outcome.execution else {
                books.unanswered += 1;
                continue;
            };
            books.told += 1;
            *seen.entry(id).or_default() += 1;
            match records.get(&id).and_then(|records| records.first()) {
                Some(record) => books.compare(call, record, ended_us[call.start]),
                None => {
                    books.lost += 1;
                    books.problems.push(format!("lost: {id}, {:?}", call.outcome.ending));
                }
            }
        }
        books.double += seen.values().filter(|count| **count > 1).count();
        Ok(books)
    }

    fn compare(&mut self, call: &Noted, record: &Record, ended_us: i64) {
        let agrees = match &call.outcome.ending {
            Ending::Answer => {
                self.answers += 1;
                record.status == Status::Succeeded
            }
            Ending::Error(_) => {
                self.errors += 1;
                record.status != Status::Succeeded
            }
            Ending::Cut => {
                self.cut += 1;
                let finished_us = record.started_at_us.saturating_add_unsigned(record.duration_us);
                let before = record.status != Status::Interrupted && finished_us <= ended_us;
                self.interrupted += usize::from(record.status == Status::Interrupted);
                self.finished += usize::from(before);
                call.stream && (before || record.status == Status::Interrupted)
            }
            // Headers came, and a kill cut the body off: the record is there, which is all.
            Ending::Nothing(_) => true,
        };
        if !agrees {
            self.contradicted += 1;
            let (ending, status) = (&call.outcome.ending, record.status.as_str());
            self.problems.push(format!("{}: the client saw {ending:?}, the record says {status}", record.execution));
        }
    }

    pub(super) fn lines(&self) -> Vec<(&'static str, usize)> {
        vec![
            ("calls", self.calls),
            ("answered in whole", self.answers),
            ("answered with a typed error", self.errors),
            ("streams begun, and cut", self.cut),
            ("  of them recorded as interrupted", self.interrupted),
            ("  of them recorded as finished before the kill, their last event lost", self.finished),
            ("not answered: the server was down, or killed before it answered", self.unanswered),
            ("records", self.records),
        ]
    }

    pub(super) fn figures(&self) -> Vec<(&'static str, Value)> {
        let count = |name, count: usize| (name, Value::from(count));
        vec![
            count("calls", self.calls),
            count("told", self.told),
            count("answers", self.answers),
            count("errors", self.errors),
            count("cut_streams", self.cut),
            count("interrupted", self.interrupted),
            count("finished_before_the_kill", self.finished),
            count("unanswered", self.unanswered),
            count("records", self.records),
            count("lost", self.lost),
            count("double", self.double),
            count("contradicted", self.contradicted),
        ]
    }

    pub(super) fn bars(&self, report: &mut Report) {
        let (told, lost) = (self.told, self.lost);
        report.bar(format!("of {told} executions that clients know, {lost} are lost"), lost == 0 && told > 0);
        report.bar(format!("{} are double: each id, record and count once", self.double), self.double == 0);
        let (cut, closed) = (self.cut, self.interrupted + self.finished);
        report.bar(
            format!("{closed} of {cut} cut streams have their record, {} of them as interrupted", self.interrupted),
            cut > 0 && self.interrupted > 0 && closed == cut,
        );
        let contradicted = self.contradicted;
        report.bar(format!("records say what clients saw: {contradicted} do not"), contradicted == 0);
    }
}
