//! Dates of the calendar, as ISO 8601 and RFC 3339 write them.

/// `2024-02-29`, and with a time behind `T` or a space: `10:30`, `10:30:00.5`, an offset `Z` or `+01:00`.
pub(crate) fn is_date(text: &str) -> bool {
    let (date, time) = match text.find(['T', 't', ' ']) {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    };
    is_day(date) && time.is_none_or(is_time)
}

fn is_day(date: &str) -> bool {
    let bytes = date.as_bytes();
    if bytes.len() != 10 || bytes[4] != b'-' || bytes[7] != b'-' {
        return false;
    }
    let (Some(year), Some(month), Some(day)) = (number(date.get(..4)), number(date.get(5..7)), number(date.get(8..10)))
    else {
        return false;
    };
    let leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    let days = match month {
        2 => 28 + u32::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return false,
    };
    (1..=days).contains(&day)
}

fn is_time(time: &str) -> bool {
    let (time, offset) = match time.find(['Z', 'z', '+', '-']) {
        Some(at) => (&time[..at], Some(&time[at..])),
        None => (time, None),
    };
    let mut parts = time.split(':');
    let (hour, minute, second) = (parts.next(), parts.next(), parts.next());
    let clock = two(hour, 23) && two(minute, 59) && parts.next().is_none();
    let seconds = second.is_none_or(|second| match second.split_once('.') {
        Some((whole, part)) => two(Some(whole), 60) && !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()),
        None => two(Some(second), 60),
    });
    clock && seconds && offset.is_none_or(is_offset)
}

fn is_offset(offset: &str) -> bool {
    match offset.strip_prefix(['+', '-']) {
        Some(clock) => clock.split_once(':').is_some_and(|(hour, minute)| two(Some(hour), 23) && two(Some(minute), 59)),
        None => offset.len() == 1,
    }
}

fn two(digits: Option<&str>, max: u32) -> bool {
    digits.is_some_and(|digits| digits.len() == 2) && number(digits).is_some_and(|number| number <= max)
}

fn number(digits: Option<&str>) -> Option<u32> {
    let digits = digits?;
    if digits.bytes().all(|byte| byte.is_ascii_digit()) { digits.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::is_date;

    #[test]
    fn dates() {
        for yes in
            ["2024-02-29", "2000-02-29", "2024-12-31T23:59:60Z", "2024-01-01 10:30", "2024-01-01T10:30:00.25+01:00"]
        {
            assert!(is_date(yes), "{yes}");
        }
        for no in [
            "",
            "2023-02-29",
            "1900-02-29",
            "2024-13-01",
            "2024-00-10",
            "2024-04-31",
            "24-01-01",
            "2024/01/01",
            "01.02.2024",
            "2024-01-01T",
            "2024-01-01T25:00",
            "2024-01-01T10:30:",
            "2024-01-01T10:30:00.",
            "2024-01-01T10:30+1",
            "2024-01-01Z",
            "２０２４-01-01",
            "2024-01-01T10:30:00:00",
            "2024-01-01T+5:30",
        ] {
            assert!(!is_date(no), "{no}");
        }
    }
}
