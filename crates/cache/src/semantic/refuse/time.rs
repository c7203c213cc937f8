//! Dates, times of the day, and words for moments.

use super::term::{Class, Term};

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];
const WEEKDAYS: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
/// Words for moments and how often; words of one line mean the same.
const RELATIVE: &[&[&str]] = &[
    &["yesterday"],
    &["today"],
    &["tomorrow"],
    &["tonight"],
    &["morning", "mornings"],
    &["afternoon", "afternoons"],
    &["evening", "evenings"],
    &["night", "nights", "overnight"],
    &["noon", "midday"],
    &["midnight"],
    &["weekend", "weekends"],
    &["weekday", "weekdays"],
    &["weekly"],
    &["monthly"],
    &["biweekly"],
    &["spring"],
    &["summer"],
    &["autumn"],
    &["winter"],
    &["christmas"],
    &["easter"],
    &["ramadan"],
    &["diwali"],
    &["thanksgiving"],
    &["bc", "bce"],
    &["ago"],
];

/// 1 to 12, from a month's name or its beginning.
pub(super) fn month(word: &str) -> Option<u64> {
    let word = word.strip_suffix('.').unwrap_or(word);
    let short = word.len() == 3 || word == "sept";
    let found = MONTHS.iter().position(|name| *name == word || (short && name.starts_with(word)))?;
    Some(found as u64 + 1)
}

/// Whether a month's name is a month wherever it stands.
pub(super) fn is_plainly_month(word: &str) -> bool {
    MONTHS.contains(&word) && !matches!(word, "march" | "may" | "august")
}

/// A weekday's name; short ones only with a capital.
pub(super) fn weekday(word: &str, capital: bool) -> Option<&'static str> {
    let word = word.strip_suffix('s').filter(|word| word.ends_with("day")).unwrap_or(word);
    let short = capital && matches!(word.len(), 3..=5) && word != "wed" && word != "sun" && word != "sat";
    WEEKDAYS.into_iter().find(|name| *name == word || (short && name.starts_with(word)))
}

/// A word for a moment.
pub(super) fn relative(word: &str) -> Option<&'static str> {
    RELATIVE.iter().find(|names| names.contains(&word)).map(|names| names[0])
}

/// `daily` is `every day`.
pub(super) fn every(word: &str) -> Option<&'static str> {
    match word {
        "hourly" => Some("every hour"),
        "daily" | "everyday" => Some("every day"),
        "weekly" => Some("every week"),
        "monthly" => Some("every month"),
        "quarterly" => Some("every quarter"),
        "yearly" | "annual" | "annually" => Some("every year"),
        _ => None,
    }
}

/// `last`, `next`: with a unit of time or a weekday behind it. Words for the same direction are one.
pub(super) fn direction(word: &str) -> Option<&'static str> {
    match word {
        "last" | "past" | "previous" => Some("last"),
        "next" | "coming" | "upcoming" | "following" => Some("next"),
        "this" | "current" => Some("this"),
        "every" | "each" | "per" | "a" | "an" | "one" => Some("every"),
        _ => None,
    }
}

/// A date from its parts; zero is unknown.
pub(super) fn date(day: u64, month: u64, year: u64) -> Term {
    Term::new(Class::Date, pack(day, month, year))
}

fn pack(day: u64, month: u64, year: u64) -> u64 {
    day | month << 8 | year << 16
}

/// Reads `25/12/2018`, `2018-12-25`, `25.12.18`, `25-Dec-2018`.
pub(super) fn written(piece: &str) -> Option<Term> {
    let mark = piece.chars().find(|c| matches!(c, '/' | '-' | '.'))?;
    let mut parts = piece.split(mark);
    let [a, b, c] = [parts.next()?, parts.next()?, parts.next()?];
    if parts.next().is_some() {
        return None;
    }
    let number = |text: &str| {
        let digits = !text.is_empty() && text.len() <= 4 && text.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| text.parse::<u64>().ok())?
    };
    let year = |text: &str| match (text.len(), number(text)?) {
        (2, short) => Some(short + if short < 70 { 2000 } else { 1900 }),
        (4, year) => Some(year),
        _ => None,
    };
    let small = |text: &str, most: u64| number(text).filter(|value| text.len() <= 2 && (1..=most).contains(value));
    if let (Some(day), Some(month), Some(year)) = (small(a, 31), month(&b.to_lowercase()), year(c)) {
        return Some(date(day, month, year));
    }
    if a.len() == 4 {
        return Some(date(small(c, 31)?, small(b, 12)?, number(a)?));
    }
    let year = year(c)?;
    let of = |day: &str, month: &str| Some(pack(small(day, 31)?, small(month, 12)?, year));
    let (first, second) = (of(a, b), of(b, a));
    let shape = if first.is_some() && second.is_some() { mark as u8 } else { 0 };
    let value = first.or(second)?;
    Some(Term { other: second.unwrap_or(value), shape, ..Term::new(Class::Date, value) })
}

/// Reads `8:13`, `20:13:39`, `8.30pm`, `8pm`. `half` is a word behind it: `am`, `p.m.`
pub(super) fn clock(piece: &str, half: Option<bool>) -> Option<Term> {
    let lower = piece.to_ascii_lowercase();
    let (digits, glued) = match (lower.strip_suffix("am"), lower.strip_suffix("pm")) {
        (Some(digits), _) => (digits, Some(false)),
        (_, Some(digits)) => (digits, Some(true)),
        _ => (lower.as_str(), None),
    };
    let half = glued.or(half);
    let mut parts = digits.split([':', '.']);
    let part = |text: Option<&str>| -> Option<u64> {
        let text = text?;
        (matches!(text.len(), 1 | 2) && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
    };
    let hour = part(parts.next())?;
    let (minutes, seconds) = (parts.next(), parts.next());
    if parts.next().is_some() || (half.is_none() && (minutes.is_none() || digits.contains('.'))) {
        return None;
    }
    let minute =
        if minutes.is_some() { part(minutes).filter(|_| minutes.is_some_and(|text| text.len() == 2))? } else { 0 };
    let second = if seconds.is_some() { part(seconds)? } else { 0 };
    if hour > 24 || minute > 59 || second > 59 || (half.is_some() && hour > 12 && half == Some(false)) {
        return None;
    }
    let at = |hour: u64| (hour * 60 + minute) * 60 + second;
    let value = match half {
        Some(true) if hour < 12 => at(hour + 12),
        Some(false) if hour == 12 => at(0),
        _ => at(hour),
    };
    // Without a word for the half two times are of one clock.
    let other = if half.is_none() && (1..12).contains(&hour) { at(hour + 12) } else { value };
    Some(Term { other, shape: u8::from(half.is_none()), ..Term::new(Class::Clock, value) })
}

/// `am` or `p.m.` as a word: whether it is after noon.
pub(super) fn half(word: &str) -> Option<bool> {
    match word {
        "am" | "a.m" | "a.m." => Some(false),
        "pm" | "p.m" | "p.m." => Some(true),
        _ => None,
    }
}
