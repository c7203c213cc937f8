//! What the journal holds of answers and verdicts, against what is true.

use std::collections::{HashMap, HashSet};

use baton_core::{AttemptOutcome, ExecutionId, Judgement, Record, Score, ScoreResult, Status, Via};
use baton_store::Entry;
use serde_json::{Value, json};

use super::DEADLINE;
use crate::paused::Took;
use crate::report::Report;

/// A text, and the label that fits.
pub(super) type Ticket = (String, &'static str);

/// See the module.
#[derive(Default)]
pub(super) struct Books {
    calls: usize,
    answered: usize,
    fell_back: usize,
    /// Answers that a judge was to see.
    asked: usize,
    /// By how their one score ended.
    scored: usize,
    errored: usize,
    skipped: usize,
    /// Answers to be judged that have no score, or two; scores without a reason, or of no such answer.
    unaccounted: usize,
    /// Scores, or answers that were held back, that say `fail` of an answer that is right.
    failed_for_nothing: usize,
    /// Answers that were wrong, shown to a judge that spoke, and given all the same.
    passed_for_nothing: usize,
    /// Judges' executions without exactly one record.
    children: usize,
    /// Calls without an answer of which no verdict had held one back.
    unanswered: usize,
    late: usize,
    worst_ms: f64,
    /// Of callers who waited for more than the models that answered them.
    delayed: usize,
}

impl Books {
    /// `drawn`: whether answers are drawn for judging; else each waits for its judge.
    pub(super) fn of(entries: &[Entry], took: &[Took], (tickets, drawn): (&[Ticket], bool)) -> Self {
        let mut records: HashMap<ExecutionId, Vec<&Record>> = HashMap::new();
        let mut scores: HashMap<ExecutionId, Vec<&Score>> = HashMap::new();
        for entry in entries {
            match entry {
                Entry::Finished(record) => records.entry(record.execution).or_default().push(record),
                Entry::Score(score) => scores.entry(score.execution).or_default().push(score),
                _ => {}
            }
        }
        let mut books = Self { calls: took.len(), ..Self::default() };
        let own: Vec<&Record> = took.iter().map(|took| &took.record).collect();
        for record in &own {
            books.call(record, scores.remove(&record.execution).unwrap_or_default(), (tickets, drawn));
        }
        // What is left is of no call.
        books.unaccounted += scores.len();
        let judges: HashSet<ExecutionId> = own
            .iter()
            .flat_map(|record| record.attempts.iter().filter_map(|attempt| attempt.judged.as_ref()?.judge))
            .chain(entries.iter().filter_map(|entry| if let Entry::Score(score) = entry { score.judge } else { None }))
            .collect();
        let children = records.values().flatten().filter(|record| record.parent.is_some()).count();
        let once = judges.iter().filter(|judge| records.get(judge).is_some_and(|of| of.len() == 1)).count();
        books.children = judges.len().abs_diff(children) + (judges.len() - once);
        for took in took {
            let ms = took.first.as_secs_f64() * 1000.0;
            books.worst_ms = books.worst_ms.max(ms);
            books.late += usize::from(took.first > DEADLINE);
        }
        let held = own.iter().flat_map(|record| record.attempts.iter().map(move |attempt| (record, attempt)));
        for (record, attempt) in held.filter(|(_, attempt)| attempt.outcome == AttemptOutcome::BadAnswer) {
            let judge = attempt.judged.as_ref().filter(|judged| judged.value().is_some_and(|value| value < 0.5));
            let shown =
                judge.and_then(|judged| records.get(&judged.judge?)?.first()?.input.as_ref()?["answer"].as_str());
            let wrong = shown.is_some_and(|shown| !fits(tickets, record, shown));
            books.failed_for_nothing += usize::from(!wrong);
        }
        books
    }

    fn call(&mut self, record: &Record, scores: Vec<&Score>, (tickets, drawn): (&[Ticket], bool)) {
        let answered = record.status == Status::Succeeded;
        self.answered += usize::from(answered);
        let passed = record.attempts.iter().find(|attempt| attempt.outcome == AttemptOutcome::Passed);
        self.fell_back += usize::from(passed.is_some_and(|attempt| attempt.model.name() == "spare"));
        let held =
            record.attempts.iter().any(|a| a.judged.as_ref().and_then(Judgement::value).is_some_and(|v| v < 0.5));
        self.unanswered += usize::from(!answered && !held);
        let by_model = answered && record.via == Some(Via::Model);
        let asked = by_model && (record.judged.is_some() || !drawn);
        self.asked += usize::from(asked);
        match (&scores[..], asked) {
            ([], false) => {}
            ([score], true) => self.score(score, right(tickets, record)),
            _ => self.unaccounted += 1,
        }
        let in_path = passed.and_then(|attempt| attempt.judged.as_ref());
        // Where no label says more, a word in the path decides, and each answer has one or a reason.
        self.unaccounted += usize::from(by_model && in_path.is_some() == drawn);
        self.passed_for_nothing += usize::from(in_path.and_then(Judgement::value).is_some_and(|v| v < 0.5));
        let waited: u64 = record.attempts.iter().map(|attempt| attempt.duration_us).max().unwrap_or_default();
        self.delayed += usize::from(drawn && record.duration_us > waited);
    }

    fn score(&mut self, score: &Score, right: bool) {
        match &score.result {
            ScoreResult::Scored { value, .. } => {
                self.scored += 1;
                self.failed_for_nothing += usize::from(*value < 0.5 && right);
                self.passed_for_nothing += usize::from(*value >= 0.5 && !right);
            }
            ScoreResult::Errored { reason } => {
                self.errored += 1;
                self.unaccounted += usize::from(reason.is_empty());
            }
            ScoreResult::Skipped { reason } => {
                self.skipped += 1;
                self.unaccounted += usize::from(reason.is_empty());
            }
        }
    }

    pub(super) fn row(&self, name: &str) -> Vec<String> {
        let counts = [self.calls, self.answered, self.fell_back, self.asked, self.scored, self.errored, self.skipped];
        let counts = counts.iter().map(ToString::to_string);
        std::iter::once(name.to_owned()).chain(counts).chain([format!("{:.1}", self.worst_ms)]).collect()
    }

    pub(super) fn figures(&self, name: &str) -> Value {
        json!({
            "judge": name, "calls": self.calls, "answered": self.answered, "fell_back": self.fell_back,
            "asked": self.asked, "scored": self.scored, "errored": self.errored, "skipped": self.skipped,
            "unaccounted": self.unaccounted, "failed_for_nothing": self.failed_for_nothing,
            "passed_for_nothing": self.passed_for_nothing, "unanswered": self.unanswered, "late": self.late, "delayed": self.delayed,
            "children_without_one_record": self.children, "worst_ms": self.worst_ms,
        })
    }

    /// `speaks`: whether this judge gives verdicts.
    pub(super) fn bars(&self, place: &str, speaks: bool, report: &mut Report) {
        let all = self.unaccounted == 0 && self.scored + self.errored + self.skipped == self.asked && self.asked > 0;
        report.bar(format!("{place}: all {} answers that a judge was to see are accounted for", self.asked), all);
        report.bar(format!("{place}: each judge's execution has one record"), self.children == 0);
        let in_time = self.late == 0 && self.delayed == 0 && self.unanswered == 0;
        let held = self.calls - self.answered;
        let held = if held > 0 {
            format!(", {held} typed errors after a verdict without time for another answer")
        } else {
            String::new()
        };
        report.bar(format!("{place}: {} answers{held}, none past its deadline", self.answered), in_time);
        let honest = self.failed_for_nothing == 0 && self.passed_for_nothing == 0 && speaks == (self.scored > 0);
        let without = if speaks { "" } else { ", of which there are none, and nobody falls back" };
        let stays = speaks || self.fell_back == 0;
        report.bar(format!("{place}: only verdicts count{without}"), honest && stays);
    }
}

/// Whether this label fits the ticket that an execution was asked about.
fn fits(tickets: &[Ticket], record: &Record, said: &str) -> bool {
    let input = record.input.as_ref().and_then(Value::as_str).unwrap_or_default();
    tickets.iter().any(|(text, label)| text == input && *label == said)
}

fn right(tickets: &[Ticket], record: &Record) -> bool {
    let said = record.output.as_ref().and_then(|output| output.get("label").or(output.get("text"))?.as_str());
    said.is_some_and(|said| fits(tickets, record, said))
}
