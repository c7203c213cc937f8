//! The store without a folder: every question is answered from the journal in memory.

use baton_core::{ExecutionId, IntentName, Record, ReviewItem, Score, TeamId, Via};

use super::rows;
use crate::digest::Digest;
use crate::journal::Memory;
use crate::report::PAGE_MAX;
use crate::spend::{Spends, repeat};
use crate::{Entry, ExecutionFilter, Feedback, Repeat, Report, ReportQuery, Spend, Tally};

/// Calls `look` with each record, the newest first, until it returns false.
fn each_record(memory: &Memory, mut look: impl FnMut(&Record) -> bool) {
    memory.each(|entry| match entry {
        Entry::Finished(record) => look(record),
        _ => true,
    });
}

pub(crate) fn execution(memory: &Memory, team: &TeamId, id: ExecutionId) -> Option<Record> {
    let mut found = None;
    each_record(memory, |record| {
        if record.execution == id && record.team == *team {
            found = Some(record.clone());
        }
        found.is_none()
    });
    found
}

/// Records that are wanted, in the order in which they came.
pub(crate) fn records(memory: &Memory, wanted: impl Fn(&Record) -> bool) -> Vec<Record> {
    let mut found = Vec::new();
    each_record(memory, |record| {
        if wanted(record) {
            found.push(record.clone());
        }
        true
    });
    found.reverse();
    found
}

/// What was drawn for review.
pub(crate) fn drawn(memory: &Memory) -> Vec<ReviewItem> {
    let mut found = Vec::new();
    each_record(memory, |record| {
        found.extend(rows::drawn(record));
        true
    });
    found
}

pub(crate) fn executions(memory: &Memory, team: &TeamId, filter: &ExecutionFilter) -> Vec<Record> {
    let mut found = Vec::new();
    each_record(memory, |record| {
        let wanted = record.team == *team
            && filter.intent.as_ref().is_none_or(|intent| record.intent.as_ref() == Some(intent))
            && filter.status.is_none_or(|status| record.status == status)
            && filter.before.is_none_or(|before| record.execution < before);
        if wanted {
            found.push(record.clone());
        }
        true
    });
    found.sort_by_key(|record| std::cmp::Reverse(record.execution));
    found.truncate(filter.limit.min(PAGE_MAX));
    found
}

pub(crate) fn report(memory: &Memory, query: &ReportQuery) -> Report {
    let mut report = Report { since_us: query.since_us, until_us: query.until_us, ..Report::default() };
    each_record(memory, |record| {
        let wanted = (query.since_us..query.until_us).contains(&record.started_at_us)
            && query.team.as_ref().is_none_or(|team| record.team == *team)
            && query.intent.as_ref().is_none_or(|intent| record.intent.as_ref() == Some(intent));
        if wanted {
            let digest = Digest::of(record);
            report.total.add(&digest);
            report.intents.entry(record.intent.clone()).or_default().add(&digest);
        }
        true
    });
    report
}

pub(crate) fn spends(memory: &Memory, since_us: i64, until_us: i64) -> Vec<Spend> {
    let mut spends = Spends::default();
    each_record(memory, |record| {
        if (since_us..until_us).contains(&record.started_at_us) {
            let mut tally = Tally::default();
            tally.add(&Digest::of(record));
            let intent = record.intent.as_ref().map_or("", |intent| intent.as_str());
            spends.add(record.started_at_us, (record.team.as_str(), intent), &tally);
        }
        true
    });
    spends.all()
}

/// The oldest first.
pub(crate) fn repeats(memory: &Memory, since_us: i64) -> Vec<Repeat> {
    let mut found = Vec::new();
    each_record(memory, |record| {
        found.extend(repeat(&Digest::of(record)).filter(|repeat| repeat.at_us >= since_us));
        true
    });
    found.reverse();
    found
}

pub(crate) fn feedback_of(memory: &Memory, team: &TeamId, id: ExecutionId) -> Vec<Feedback> {
    let mut found = Vec::new();
    memory.each(|entry| {
        if let Entry::Feedback(feedback) = entry
            && feedback.execution == id
            && feedback.team == *team
        {
            found.push(feedback.clone());
        }
        true
    });
    found.reverse();
    found
}

/// Scores, the oldest first.
pub(crate) fn scores(memory: &Memory, wanted: impl Fn(&Score) -> bool) -> Vec<Score> {
    let mut found = Vec::new();
    memory.each(|entry| {
        if let Entry::Score(score) = entry
            && wanted(score)
        {
            found.push((**score).clone());
        }
        true
    });
    found.reverse();
    found
}

pub(crate) fn answered(memory: &Memory, team: &TeamId, (intent, lineage): (&IntentName, &str), since_us: i64) -> u64 {
    let mut answered = 0;
    each_record(memory, |record| {
        let of = record.team == *team && record.intent.as_ref() == Some(intent) && record.lineage == lineage;
        answered += u64::from(of && record.started_at_us >= since_us && record.via == Some(Via::Model));
        true
    });
    answered
}
