//! What was spent by day, and which calls were answered: what a server that starts must know.

use std::collections::BTreeMap;
use std::time::Duration;

use baton_core::{Account, ExecutionId, Idempotency, IntentName, NanoUsd, TeamId};

use crate::Tally;
use crate::digest::Digest;

/// Microseconds of a day in UTC.
pub(crate) const DAY_US: i64 = 86_400_000_000;

/// For how long a call that is made again is given the same answer.
pub const REPEATS_KEPT: Duration = Duration::from_secs(24 * 3600);

/// The most calls that a server which starts remembers; the latest.
pub(crate) const REPEATS_MAX: u32 = 65_536;

/// What an account spent on a day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spend {
    /// Whose.
    pub account: Account,
    /// When the day began, Unix microseconds.
    pub day_us: i64,
    /// The sum of its known costs.
    pub cost: NanoUsd,
}

/// A call that was answered, and the execution that answers it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repeat {
    /// Who called.
    pub team: TeamId,
    /// What was called.
    pub call: Idempotency,
    /// Its execution.
    pub execution: ExecutionId,
    /// When it began, Unix microseconds.
    pub at_us: i64,
}

/// The first microsecond of the day before this time's: what running executions may still count for.
pub(crate) fn yesterday_us(now_us: i64) -> i64 {
    (now_us.div_euclid(DAY_US) - 1) * DAY_US
}

/// Calls since then are given the same answer again.
pub(crate) fn repeats_since_us(now_us: i64) -> i64 {
    now_us.saturating_sub(i64::try_from(REPEATS_KEPT.as_micros()).unwrap_or(i64::MAX))
}

/// Sums by account and day.
#[derive(Default)]
pub(crate) struct Spends(BTreeMap<(Account, i64), NanoUsd>);

impl Spends {
    /// Adds what executions of a team and an intent (`""`: none) cost that started about this time.
    pub(crate) fn add(&mut self, start_us: i64, (team, intent): (&str, &str), tally: &Tally) {
        let day_us = start_us.div_euclid(DAY_US) * DAY_US;
        let intent = (!intent.is_empty()).then(|| Account::Intent(IntentName::new(intent)));
        let all = [Some(Account::Team(TeamId::new(team))), intent].into_iter().flatten();
        let keys = tally.keys.iter().map(|(key, cost)| (Account::Key(key.clone()), *cost));
        for (account, cost) in all.map(|account| (account, tally.calls.cost)).chain(keys) {
            *self.0.entry((account, day_us)).or_default() += cost;
        }
    }

    pub(crate) fn all(self) -> Vec<Spend> {
        let spent = self.0.into_iter().filter(|(_, cost)| *cost != NanoUsd(0));
        spent.map(|((account, day_us), cost)| Spend { account, day_us, cost }).collect()
    }
}

/// The repeat that a record answers.
pub(crate) fn repeat(record: &Digest) -> Option<Repeat> {
    let call = record.idempotency.clone()?;
    Some(Repeat { team: record.team.clone(), call, execution: record.execution, at_us: record.started_at_us })
}
