//! Money by the day.

use std::time::Duration;

use super::{DAY_US, RESERVED_RETRY, Wait};
use crate::NanoUsd;

/// A day's money.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Day {
    /// Days since 1970-01-01.
    day: i64,
    pub(super) spent: NanoUsd,
    pub(super) reserved: NanoUsd,
}

/// Today and yesterday: executions that began before midnight end after it, and a clock that steps
/// back finds what was spent on that day.
#[derive(Clone, Debug, Default)]
pub(super) struct Purse {
    /// Days with an even number, and with an odd one.
    days: [Day; 2],
}

impl Purse {
    /// The books of a day, which is the latest or the one before it.
    pub(super) fn day(&mut self, day: i64) -> &mut Day {
        let books = &mut self.days[usize::from(day.rem_euclid(2) == 1)];
        if books.day < day {
            *books = Day { day, ..Day::default() };
        }
        books
    }

    /// How long until `cost` more stays within the limit of a day.
    pub(super) fn wait(&mut self, (day, unix_us): (i64, i64), cost: NanoUsd, limit: NanoUsd) -> Wait {
        let day = *self.day(day);
        if day.spent + day.reserved + cost <= limit {
            Wait::None
        } else if cost > limit {
            Wait::Never
        } else if day.spent + cost <= limit {
            Wait::For(RESERVED_RETRY)
        } else {
            let left = DAY_US - unix_us.rem_euclid(DAY_US);
            Wait::For(Duration::from_micros(left.unsigned_abs()))
        }
    }

    /// What was reserved on a day becomes what was spent on it, if its books are still there.
    pub(super) fn settle(&mut self, day: i64, reserved: NanoUsd, spent: NanoUsd) {
        if let Some(books) = self.days.iter_mut().find(|books| books.day == day) {
            books.reserved = books.reserved - reserved;
            books.spent += spent;
        }
    }

    /// Spent and reserved.
    pub(super) fn look(&self, day: i64) -> (NanoUsd, NanoUsd) {
        let books = self.days.iter().find(|books| books.day == day);
        books.map(|books| (books.spent, books.reserved)).unwrap_or_default()
    }

    /// Whether there is anything of this day or a later one.
    pub(super) fn is_kept(&self, day: i64) -> bool {
        self.days.iter().any(|books| books.day >= day && (books.spent, books.reserved) != Default::default())
    }
}
