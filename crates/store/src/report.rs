//! What a report asks and says.

use std::collections::BTreeMap;

use baton_core::{ExecutionId, IntentName, Status, TeamId};

use crate::Tally;

/// Which executions a report is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReportQuery {
    /// Started at or after this, Unix microseconds.
    pub since_us: i64,
    /// Started before this, Unix microseconds.
    pub until_us: i64,
    /// Of one team; `None` is all.
    pub team: Option<TeamId>,
    /// Of one intent; `None` is all, raw model calls included.
    pub intent: Option<IntentName>,
}

/// What came of the executions of a window.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// Where the window starts. It may start before what was asked for: the store adds up five
    /// minutes at a time, and whole hours of what is older than two days.
    pub since_us: i64,
    /// Where the window ends; likewise.
    pub until_us: i64,
    /// All executions.
    pub total: Tally,
    /// By intent; `None` are the raw model calls.
    pub intents: BTreeMap<Option<IntentName>, Tally>,
}

impl Report {
    /// Adds up one part.
    pub(crate) fn add(&mut self, intent: Option<IntentName>, tally: &Tally) {
        self.total.merge(tally);
        self.intents.entry(intent).or_default().merge(tally);
    }
}

/// Which executions are listed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExecutionFilter {
    /// Of one intent; `None` is all.
    pub intent: Option<IntentName>,
    /// That ended so; `None` is all.
    pub status: Option<Status>,
    /// How many, at most 1000.
    pub limit: usize,
    /// Only those with a smaller id: the last one of the page before.
    pub before: Option<ExecutionId>,
}

/// The most executions of one page.
pub(crate) const PAGE_MAX: usize = 1000;
