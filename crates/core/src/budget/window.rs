//! Amounts of the last minute, second by second.

use std::collections::VecDeque;
use std::time::Duration;

use super::Wait;
use crate::Moment;

/// How many seconds after its own a second's amount stops to count. It may have been used up at
/// the very end of its second, so it counts for 60 to 61 seconds: no span of 60 seconds ever holds
/// more than the limit.
const SPAN: u64 = 61;

/// The second that a moment lies in.
pub(super) fn second(at: Moment) -> u64 {
    at.as_micros() / 1_000_000
}

/// A sliding window over at most [`SPAN`] seconds with something in them.
#[derive(Clone, Debug, Default)]
pub(super) struct Window {
    /// Second and amount, in order of time.
    seconds: VecDeque<(u64, u64)>,
    sum: u64,
}

impl Window {
    /// How long until `amount` more stays within the limit.
    pub(super) fn wait(&mut self, now: Moment, amount: u64, limit: u64) -> Wait {
        self.forget(second(now));
        if amount > limit {
            return Wait::Never;
        }
        let mut rest = self.sum;
        if rest.saturating_add(amount) <= limit {
            return Wait::None;
        }
        for (second, held) in &self.seconds {
            rest -= held;
            if rest.saturating_add(amount) <= limit {
                let free = Moment::from_micros((second + SPAN).saturating_mul(1_000_000));
                return Wait::For((free - now).max(Duration::from_millis(1)));
            }
        }
        Wait::None
    }

    /// Counts an amount in a second that is not before any other.
    pub(super) fn add(&mut self, second: u64, amount: u64) {
        // What would not fit is not counted twice when it is taken out.
        let amount = amount.min(u64::MAX - self.sum);
        self.sum += amount;
        match self.seconds.back_mut() {
            Some((last, held)) if *last == second => *held += amount,
            _ => self.seconds.push_back((second, amount)),
        }
    }

    /// Turns a part of a second's amount into another; one that counts no more is left alone.
    pub(super) fn change(&mut self, second: u64, from: u64, to: u64) {
        if let Ok(place) = self.seconds.binary_search_by_key(&second, |(second, _)| *second) {
            let held = &mut self.seconds[place].1;
            let to = to.min(u64::MAX - self.sum);
            let from = from.min(*held);
            *held = *held - from + to;
            self.sum = self.sum - from + to;
        }
    }

    /// What counts in this second.
    pub(super) fn sum(&mut self, second: u64) -> u64 {
        self.forget(second);
        self.sum
    }

    fn forget(&mut self, now: u64) {
        while let Some((second, held)) = self.seconds.front().copied()
            && second + SPAN <= now
        {
            self.sum -= held;
            self.seconds.pop_front();
        }
    }
}
