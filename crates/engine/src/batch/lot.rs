//! What is known of the batches of one scope, plan and lane: how large they may be, how long they take, and
//! whether they are any good. Decisions as data: time is an argument.

use std::collections::VecDeque;
use std::time::Duration;

use baton_stats::clopper_pearson_lower;
use tokio::time::Instant;

/// So many calls tell how long the next may take.
const RECENT: usize = 16;
/// Inputs of the first batch, and of the first after one that went wrong.
const FIRST: usize = 2;
/// So many in a row that went wrong, and there are none for a while.
const WRONG_MAX: u32 = 3;
const PAUSE: Duration = Duration::from_secs(600);
/// The share of audited answers that may differ from those asked for alone.
const DIFFER_MAX: f64 = 0.05;
/// With which probability a lot whose share is that may be closed by chance, at one look. There is a look for
/// each audit, so it is small.
const CHANCE: f64 = 0.001;

/// See the module.
#[derive(Debug)]
pub(super) struct Lot {
    /// Calls in the air, those of one input among them.
    pub(super) in_air: usize,
    took: VecDeque<Duration>,
    largest: usize,
    wrong: u32,
    paused_until: Option<Instant>,
    audits: u64,
    differed: u64,
    /// Control items that the model answers wrong by itself.
    retired: Vec<usize>,
}

impl Default for Lot {
    fn default() -> Self {
        let (in_air, took, largest, wrong) = (0, VecDeque::new(), FIRST, 0);
        Self { in_air, took, largest, wrong, paused_until: None, audits: 0, differed: 0, retired: Vec::new() }
    }
}

impl Lot {
    /// Why nothing is batched now; `None` where it is.
    pub(super) fn closed(&self, now: Instant) -> Option<&'static str> {
        if clopper_pearson_lower(self.differed, self.audits, CHANCE) > DIFFER_MAX {
            return Some("too many batched answers differed from those asked for alone");
        }
        let paused = self.paused_until.is_some_and(|until| now < until);
        paused.then_some("its batches went wrong, one after another")
    }

    /// The most inputs of the next call. Doubled by each that went well, as TCP's window grows (RFC 5681, slow
    /// start), so that a call is never more than twice as large as one that was seen.
    pub(super) fn largest(&self, most: usize) -> usize {
        self.largest.min(most)
    }

    /// Whether a call that begins within `wait` is thought to end within `left`: twice the longest of the last
    /// ones, as it may be twice as large. Nothing fits before anything is known.
    pub(super) fn fits(&self, wait: Duration, left: Duration) -> bool {
        self.took.iter().max().is_some_and(|longest| wait + *longest * 2 <= left)
    }

    /// Whether there is time to ask alone: for the middle one of the last calls.
    pub(super) fn may_ask(&self, left: Duration) -> bool {
        let mut took: Vec<Duration> = self.took.iter().copied().collect();
        took.sort_unstable();
        took.get(took.len() / 2).is_none_or(|typical| *typical <= left)
    }

    /// A call took this long, or longer.
    pub(super) fn took(&mut self, elapsed: Duration) {
        if self.took.len() == RECENT {
            self.took.pop_front();
        }
        self.took.push_back(elapsed);
    }

    /// A batch of so many inputs could be used.
    pub(super) fn went_well(&mut self, items: usize) {
        self.wrong = 0;
        self.largest = self.largest.max(items.saturating_mul(2));
    }

    /// A batch could not be used. True where there are none for a while, from now on.
    pub(super) fn went_wrong(&mut self, now: Instant) -> bool {
        (self.largest, self.wrong) = (FIRST, self.wrong + 1);
        if self.wrong < WRONG_MAX {
            return false;
        }
        (self.wrong, self.paused_until) = (0, Some(now + PAUSE));
        true
    }

    /// An answer was asked for both ways. True where that closes the lot.
    pub(super) fn audited(&mut self, same: bool, now: Instant) -> bool {
        let before = self.closed(now);
        self.audits += 1;
        self.differed += u64::from(!same);
        before.is_none() && self.closed(now).is_some()
    }

    /// A control item is not asked again: its answer was wrong, and all others' were right.
    pub(super) fn retire(&mut self, control: usize) {
        if !self.retired.contains(&control) {
            self.retired.push(control);
        }
    }

    pub(super) fn retired(&self) -> &[usize] {
        &self.retired
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn nothing_waits_before_it_is_known_to_fit() {
        let mut lot = Lot::default();
        assert!(!lot.fits(Duration::ZERO, 100 * SECOND), "nothing is known");
        assert!(lot.may_ask(SECOND));
        lot.took(SECOND);
        lot.took(3 * SECOND);
        let wait = Duration::from_millis(20);
        assert!(lot.fits(wait, 6 * SECOND + wait) && !lot.fits(wait, 6 * SECOND));
        assert!(lot.may_ask(3 * SECOND) && !lot.may_ask(2 * SECOND));
        (0..RECENT).for_each(|_| lot.took(SECOND));
        assert!(lot.fits(wait, 3 * SECOND), "what was long ago is forgotten");
    }

    #[test]
    fn batches_grow_and_pause() {
        let (mut lot, now) = (Lot::default(), Instant::now());
        let mut sizes = Vec::new();
        for _ in 0..5 {
            let largest = lot.largest(16);
            sizes.push(largest);
            lot.went_well(largest);
        }
        assert_eq!(sizes, [2, 4, 8, 16, 16]);
        assert!(!lot.went_wrong(now));
        assert_eq!(lot.largest(16), 2, "one that went wrong begins anew");
        assert!(!lot.went_wrong(now) && lot.closed(now).is_none());
        assert!(lot.went_wrong(now) && lot.closed(now).is_some());
        assert_eq!(lot.closed(now + PAUSE), None);
    }

    #[test]
    fn a_lot_closes_where_answers_differ_too_often() {
        let (mut lot, now) = (Lot::default(), Instant::now());
        for _ in 0..99 {
            assert!(!lot.audited(true, now));
        }
        (0..5).for_each(|_| assert!(!lot.audited(false, now), "5 of 104 may be chance"));
        let mut rotten = Lot::default();
        let closed = (1..).find(|_| rotten.audited(false, now));
        assert_eq!(closed, Some(3), "three of three are none");
        assert!(rotten.closed(now + PAUSE * 100).is_some(), "for good");
    }
}
