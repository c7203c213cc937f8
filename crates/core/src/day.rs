//! Days of the calendar in UTC.

use std::fmt;
use std::str::FromStr;

/// Microseconds of a day in UTC, which has no leap seconds in Unix time.
pub(crate) const DAY_US: i64 = 86_400_000_000;

/// A day in UTC, counted from 1970-01-01; written `2026-11-27`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(i64);

impl Day {
    /// The day of a wall clock (Unix microseconds).
    #[must_use]
    pub fn of(unix_us: i64) -> Self {
        Self(unix_us.div_euclid(DAY_US))
    }

    /// When it begins, Unix microseconds.
    #[must_use]
    pub fn start_us(self) -> i64 {
        self.0.saturating_mul(DAY_US)
    }

    /// Days from another one to this one.
    #[must_use]
    pub fn since(self, other: Self) -> i64 {
        self.0.saturating_sub(other.0)
    }
}

/// Why a text is no day.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a day of the calendar: write year, month and day, for example 2026-11-27")]
pub struct ParseDayError(String);

/// The calendar from the day's number as in H. Hinnant, "chrono-Compatible Low-Level Date Algorithms":
/// years begin in March, so that the leap day is last.
impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shifted = self.0 + 719_468;
        let (era, day) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
        let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
        let of_year = day - (365 * year + year / 4 - year / 100);
        let month = (5 * of_year + 2) / 153;
        let date = of_year - (153 * month + 2) / 5 + 1;
        let (month, carried) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
        write!(f, "{:04}-{month:02}-{date:02}", year + era * 400 + carried)
    }
}

impl FromStr for Day {
    type Err = ParseDayError;

    fn from_str(text: &str) -> Result<Self, ParseDayError> {
        let wrong = || ParseDayError(text.to_owned());
        let bytes = text.as_bytes();
        let form = bytes.len() == 10
            && bytes
                .iter()
                .enumerate()
                .all(|(n, byte)| if n == 4 || n == 7 { *byte == b'-' } else { byte.is_ascii_digit() });
        if !form {
            return Err(wrong());
        }
        let number = |range: std::ops::Range<usize>| text[range].parse::<i64>().map_err(|_| wrong());
        let (year, month, date) = (number(0..4)?, number(5..7)?, number(8..10)?);
        let year = if month <= 2 { year - 1 } else { year };
        let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
        let of_year = (153 * ((month + 9) % 12) + 2) / 5 + date - 1;
        let day = Self(era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468);
        // The 30th of February is another day.
        if day.to_string() == text { Ok(day) } else { Err(wrong()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_the_calendars() {
        for (unix_s, text) in [
            (0, "1970-01-01"),
            (951_782_400, "2000-02-29"),
            (784_111_777, "1994-11-06"),
            (4_102_444_799, "2099-12-31"),
            (-1, "1969-12-31"),
        ] {
            let day = Day::of(unix_s * 1_000_000);
            assert_eq!(day.to_string(), text);
            assert_eq!(text.parse(), Ok(day));
        }
        assert_eq!("2026-11-27".parse::<Day>().unwrap().start_us(), 1_795_737_600_000_000);
    }

    #[test]
    fn what_is_no_day_is_refused() {
        for text in
            ["", "2026-02-29", "2026-13-01", "2026-00-10", "2026-1-1", "2026/01/01", "26-01-01", "2026-01-01T", "٢٠٢٦"]
        {
            assert!(text.parse::<Day>().is_err(), "{text}");
        }
    }

    #[test]
    fn every_day_survives_its_text() {
        for day in (-20_000..60_000).map(Day) {
            assert_eq!(day.to_string().parse(), Ok(day));
        }
    }
}
