//! Numbers as they are written: `9.00` is neither `19.00` nor `9.001`.

/// What stands between the digits of one written number, date or time.
const SEPARATORS: [char; 5] = ['.', ',', '/', ':', '-'];

/// Signs of money that may stand before or behind a number and are not compared.
const CURRENCIES: [&str; 24] = [
    "RM", "USD", "EUR", "GBP", "CHF", "MYR", "SGD", "AUD", "CAD", "NZD", "JPY", "CNY", "RMB", "INR", "HKD", "THB",
    "IDR", "PHP", "SEK", "NOK", "DKK", "PLN", "KR", "RS",
];

/// A value that is nothing but numbers.
#[derive(Debug, PartialEq)]
pub(crate) struct Numeric<'a> {
    /// As written, in order; at least one.
    pub(crate) literals: Vec<&'a str>,
    /// Whether a minus sign stands before the first.
    pub(crate) negative: bool,
}

/// The numbers of a value that has no letters besides a sign of money.
pub(crate) fn numeric(value: &str) -> Option<Numeric<'_>> {
    let value = without_currency(value.trim());
    if value.chars().any(|c| c.is_alphanumeric() && !c.is_ascii_digit()) {
        return None;
    }
    let literals: Vec<_> = literals(value).map(|(_, literal)| literal).collect();
    let negative = value.starts_with(['-', '\u{2212}']);
    (!literals.is_empty()).then_some(Numeric { literals, negative })
}

fn without_currency(value: &str) -> &str {
    let is_currency = |name: &str| CURRENCIES.iter().any(|known| known.eq_ignore_ascii_case(name));
    let sign = if value.starts_with('-') { 1 } else { 0 };
    let letters = |c: char| !c.is_ascii_alphabetic();
    let front = value[sign..].find(letters).unwrap_or(0);
    let value = if is_currency(&value[sign..sign + front]) { &value[sign + front..] } else { value };
    let back = value.rfind(letters).map_or(0, |last| last + value[last..].chars().next().map_or(0, char::len_utf8));
    let value = if is_currency(&value[back..]) { &value[..back] } else { value };
    value.trim().trim_start_matches(|c: char| !c.is_alphanumeric() && c != '-' && c != '\u{2212}')
}

/// The numbers written in a text, each with the byte where it starts: runs of digits, joined by
/// single separators.
pub(crate) fn literals(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let bytes = text.as_bytes();
    let digit = move |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let joins =
        move |at: usize| bytes.get(at).is_some_and(|byte| SEPARATORS.contains(&char::from(*byte))) && digit(at + 1);
    let mut at = 0;
    std::iter::from_fn(move || {
        while at < bytes.len() && !digit(at) {
            at += 1;
        }
        let start = at;
        while digit(at) || (at > start && joins(at)) {
            at += 1;
        }
        (at > start).then(|| (start, &text[start..at]))
    })
}

/// Whether a value's literal is the source's: the same characters; or the same but for commas
/// between groups of three; or a part of it, cut at separators that the value, which has some of
/// its own, does not use (the date of `25/12/2018-13:44`).
pub(crate) fn same_literal(value: &str, source: &str) -> bool {
    let grouped = value.contains(',') || source.contains(',');
    if value == source || (grouped && ungrouped(value) == ungrouped(source)) {
        return true;
    }
    let cuts = |c: char| matches!(c, '/' | ':' | '-') && !value.contains(c);
    value.contains(SEPARATORS) && source.split(cuts).any(|part| part == value)
}

/// Without the commas of `1,234,567.89`.
fn ungrouped(literal: &str) -> String {
    let whole = literal.split('.').next().unwrap_or_default();
    let mut groups = whole.split(',');
    let first = groups.next().unwrap_or_default();
    let grouped = (1..=3).contains(&first.len()) && groups.clone().count() > 0 && groups.all(|group| group.len() == 3);
    if grouped { literal.replace(',', "") } else { literal.to_owned() }
}

/// Whether a literal may be read as a value, given in its [`shortest`] form.
pub(crate) fn same_value(value: &str, literal: &str) -> bool {
    let mut left = significant(literal);
    let begins = significant(value).all(|digit| left.next() == Some(digit));
    begins && left.all(|zero| zero == b'0') && readings(literal).iter().any(|reading| reading == value)
}

/// The digits after leading zeros.
fn significant(number: &str) -> impl Iterator<Item = u8> {
    number.bytes().filter(u8::is_ascii_digit).skip_while(|digit| *digit == b'0')
}

/// The values that a literal may be read as, each in the shortest form that [`shortest`] gives:
/// `1,234` is 1234 or, where commas are decimal, 1.234.
pub(crate) fn readings(literal: &str) -> Vec<String> {
    let last_comma = literal.rfind(',');
    let last_point = literal.rfind('.');
    let decimal_point = shortest(&literal.replace(',', ""));
    let decimal_comma = shortest(&literal.replace('.', "").replace(',', "."));
    let groups_fit = |mark: char| {
        let parts: Vec<_> = literal.split(mark).collect();
        parts.len() > 2 || parts.get(1).is_some_and(|part| part.len() == 3)
    };
    match (last_comma, last_point) {
        (None, None) => vec![decimal_point],
        (Some(comma), Some(point)) if comma < point => vec![decimal_point],
        (Some(_), Some(_)) => vec![decimal_comma],
        (Some(_), None) if groups_fit(',') => vec![decimal_point, decimal_comma],
        (Some(_), None) => vec![decimal_comma],
        (None, Some(_)) if groups_fit('.') => vec![decimal_point, decimal_comma],
        (None, Some(_)) => vec![decimal_point],
    }
}

/// Without zeros that don't matter: `09.00` is `9`.
pub(crate) fn shortest(decimal: &str) -> String {
    let decimal = if decimal.contains('.') { decimal.trim_end_matches('0').trim_end_matches('.') } else { decimal };
    let whole = decimal.trim_start_matches('0');
    if whole.is_empty() || whole.starts_with('.') { format!("0{whole}") } else { whole.to_owned() }
}
