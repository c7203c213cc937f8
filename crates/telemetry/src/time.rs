//! Times as others write them.

use baton_core::Day;

/// Nanoseconds since 1970 of a wall clock in microseconds, `after_us` later.
pub(crate) fn nanos(unix_us: i64, after_us: u64) -> u64 {
    u64::try_from(unix_us).unwrap_or_default().saturating_add(after_us).saturating_mul(1000)
}

/// Microseconds as seconds.
pub(crate) fn seconds(us: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "durations are far below 2^53 µs")]
    let us = us as f64;
    us / 1e6
}

/// RFC 3339 in UTC, to the millisecond.
pub(crate) fn rfc3339(unix_us: i64) -> String {
    let of_day = unix_us.div_euclid(1000).rem_euclid(86_400_000);
    let (second, milli) = (of_day / 1000, of_day % 1000);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z", Day::of(unix_us))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_the_calendars() {
        for (unix_s, date) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400, "2000-02-29T00:00:00.000Z"),
            (784_111_777, "1994-11-06T08:49:37.000Z"),
            (4_102_444_799, "2099-12-31T23:59:59.000Z"),
        ] {
            assert_eq!(rfc3339(unix_s * 1_000_000), date);
        }
        assert_eq!(rfc3339(1_767_225_600_123_999), "2026-01-01T00:00:00.123Z");
    }
}
