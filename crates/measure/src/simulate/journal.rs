//! The simulated journal: mostly prompt, in some worlds slow, in some full for a while. Notes what
//! it was given and when.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use baton_core::ExecutionId;
use baton_stats::SplitMix64;
use baton_store::{Entry, Handling, JournalScript};
use tokio::time::Instant;

use crate::simulate::dice::Dice;

/// How the journal of a world behaves.
#[derive(Clone, Debug, Default)]
pub(crate) struct JournalPlan {
    seed: u64,
    /// Share of entries that are acknowledged late, and by how many milliseconds at most.
    slow: (f64, u64),
    /// New work is refused from .0 to .1, entries from .0 + 200 to .1, in milliseconds.
    pub(crate) full: Option<(u64, u64)>,
}

impl JournalPlan {
    pub(crate) fn random(dice: &mut Dice) -> Self {
        let slow = match dice.between(0, 3) {
            0 => (0.1, 2000),
            1 => (0.8, 30),
            _ => (0.0, 0),
        };
        let full = dice.chance(0.15).then(|| {
            let from = dice.between(1000, 30_000);
            (from, from + dice.between(500, 8000))
        });
        Self { seed: dice.between(0, u64::MAX - 1), slow, full }
    }

    fn handling(&self, entry: Option<&Entry>, now_us: u64, number: usize) -> Handling {
        let closed = |from_ms: u64| self.full.is_some_and(|(from, to)| (from + from_ms..to).contains(&(now_us / 1000)));
        let Some(_) = entry else { return Handling { refuse: closed(0), ack_after: Duration::ZERO } };
        let mut random = SplitMix64::new(self.seed).fork(number as u64);
        let late = random.next_f64() < self.slow.0;
        let ack_after = Duration::from_millis(if late { random.below(self.slow.1) } else { 0 });
        Handling { refuse: closed(200), ack_after }
    }
}

/// An entry that was handed over.
#[derive(Clone, Debug)]
pub(crate) struct Append {
    pub(crate) execution: ExecutionId,
    /// `Finished`, or `Opened`.
    pub(crate) finished: bool,
    /// Microseconds since the beginning.
    pub(crate) at_us: u64,
    /// When it was acknowledged; `None` where it was refused.
    pub(crate) acknowledged_us: Option<u64>,
}

/// What the journal was given, in order.
#[derive(Clone, Default)]
pub(crate) struct Appends(Arc<Mutex<Vec<Append>>>);

impl Appends {
    pub(crate) fn all(&self) -> Vec<Append> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Append>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The journal's script; time counts from `origin`.
    pub(crate) fn script(&self, plan: JournalPlan, origin: Instant) -> JournalScript {
        let appends = self.clone();
        Arc::new(move |entry| {
            let at_us = origin.elapsed().as_micros() as u64;
            let mut appends = appends.lock();
            let handling = plan.handling(entry, at_us, appends.len());
            let (execution, finished) = match entry {
                Some(Entry::Finished(record)) => (record.execution, true),
                Some(Entry::Opened(opened)) => (opened.execution, false),
                Some(Entry::Feedback(_) | Entry::Control(_) | Entry::Score(_) | Entry::Erased(_)) | None => {
                    return handling;
                }
            };
            let acknowledged_us = (!handling.refuse).then(|| at_us + handling.ack_after.as_micros() as u64);
            appends.push(Append { execution, finished, at_us, acknowledged_us });
            handling
        })
    }
}
