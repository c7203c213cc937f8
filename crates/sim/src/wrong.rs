//! Wrong answers that look right: another label, invented values, a false statement.

use serde_json::{Value, json};

use crate::cases::{Known, sole, strings};
use crate::rng::Rng;

/// A well-formed output that differs from the expected one.
pub(crate) fn wrong_output(known: Known<'_>, rng: &mut Rng) -> Value {
    let expected = &known.case.expected;
    if let Some(label) = sole(expected, "label") {
        let others: Vec<_> = known.group.labels.iter().filter(|l| *l != label).collect();
        return rng.pick(&others).map_or_else(|| invented(known, rng), |other| json!({ "label": other }));
    }
    match sole(expected, "text") {
        Some(text) => json!({ "text": with_false_statement(text, rng) }),
        None => invented(known, rng),
    }
}

/// Plausible in a reply from any support team, and true of none of the cases.
const FALSE_STATEMENTS: [&str; 6] = [
    "We refunded the full amount to your card this morning.",
    "Your plan was upgraded yesterday at no cost.",
    "This was fixed for everyone last night, so there is nothing left for you to do.",
    "Our records show that you cancelled on 31 February.",
    "A colleague will visit your office at 25:00 today.",
    "Your account was merged with that of another customer.",
];

/// The text with a false sentence before its last paragraph, or at its end.
fn with_false_statement(text: &str, rng: &mut Rng) -> String {
    let first = rng.below(FALSE_STATEMENTS.len());
    let mut candidates = FALSE_STATEMENTS.iter().cycle().skip(first).take(FALSE_STATEMENTS.len());
    let statement = candidates.find(|s| !text.contains(**s)).unwrap_or(&FALSE_STATEMENTS[first]);
    match text.trim_end().rfind("\n\n") {
        Some(at) => format!("{} {statement}{}", &text[..at], &text[at..]),
        None => format!("{text} {statement}"),
    }
}

/// The expected object with one field invented for certain, each other one with 30 %.
fn invented(known: Known<'_>, rng: &mut Rng) -> Value {
    let mut output = known.case.expected.clone();
    let mut pointers = Vec::new();
    leaves(&output, String::new(), &mut pointers);
    let Some(sure) = rng.pick(&pointers).cloned() else { return json!({ "answer": stock(rng) }) };
    let source = strings(&known.case.input).join("\n");
    for pointer in pointers {
        let chosen = rng.uniform() < 0.3;
        if !chosen && pointer != sure {
            continue;
        }
        let pool: Vec<&Value> = known.group.cases.iter().filter_map(|c| c.expected.pointer(&pointer)).collect();
        if let Some(value) = output.pointer_mut(&pointer) {
            *value = invent(value, &pool, &source, rng);
        }
    }
    output
}

/// JSON pointers of all values that are neither object nor array.
fn leaves(value: &Value, at: String, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (key, inner) in fields {
                leaves(inner, format!("{at}/{}", key.replace('~', "~0").replace('/', "~1")), found);
            }
        }
        Value::Array(items) => {
            for (n, inner) in items.iter().enumerate() {
                leaves(inner, format!("{at}/{n}"), found);
            }
        }
        _ => found.push(at),
    }
}

/// Another value of the same type that does not occur in `source`: half the time that of another case, as
/// a model confuses one document with another, else one that is made up.
fn invent(value: &Value, pool: &[&Value], source: &str, rng: &mut Rng) -> Value {
    for _ in 0..32 {
        let other = if rng.uniform() < 0.5 { rng.pick(pool).map(|v| (*v).clone()) } else { None };
        let candidate = other.unwrap_or_else(|| made_up(value, rng));
        let same_type = std::mem::discriminant(&candidate) == std::mem::discriminant(value) || value.is_null();
        if same_type && candidate != *value && (candidate.is_boolean() || !occurs(&candidate, source)) {
            return candidate;
        }
    }
    // An input so full of numbers that chance finds no other: count up until one is left.
    let counted = |k: i64| match value {
        Value::Number(n) if n.is_f64() => json!(n.as_f64().unwrap_or(0.0) + k as f64),
        Value::Number(n) => json!(n.as_i64().unwrap_or(0).saturating_add(k)),
        _ => json!(format!("{} {k}", STOCK[0])),
    };
    (1..i64::MAX).map(counted).find(|candidate| !occurs(candidate, source)).unwrap_or(Value::Null)
}

fn made_up(value: &Value, rng: &mut Rng) -> Value {
    match value {
        Value::Bool(b) => Value::Bool(!b),
        Value::Number(n) => serde_json::from_str(&redrawn(&n.to_string(), rng)).unwrap_or(Value::Null),
        Value::String(text) if !text.is_empty() => Value::String(redrawn(text, rng)),
        _ => Value::String(format!("{} {}", stock(rng), stock(rng))),
    }
}

/// Each number drawn anew, each word of three letters or more replaced, everything else kept: the shape stays.
fn redrawn(text: &str, rng: &mut Rng) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let run = |of: fn(char) -> bool| rest.find(|c| !of(c)).unwrap_or(rest.len());
        let digits = run(|c| c.is_ascii_digit());
        let letters = run(char::is_alphabetic);
        let (piece, after) = rest.split_at(digits.max(letters).max(first.len_utf8()));
        if digits > 0 {
            out.push_str(&other_number(piece, rng));
        } else if piece.chars().count() >= 3 {
            out.push_str(&cased(stock(rng), piece));
        } else {
            out.push_str(piece);
        }
        rest = after;
    }
    out
}

/// As many digits: a month for what may be a month, a day for a day, a year of the same century for a year.
/// A first digit other than 0 stays other than 0, and a 0 alone stays, as JSON's numbers need it.
fn other_number(digits: &str, rng: &mut Rng) -> String {
    let within = |from: usize, to: usize, rng: &mut Rng| from + rng.below(to + 1 - from);
    match (digits.len(), digits.parse::<usize>()) {
        (2, Ok(10..=12)) => within(10, 12, rng).to_string(),
        (2, Ok(1..=9)) => format!("0{}", within(1, 9, rng)),
        (2, Ok(13..=31)) => within(13, 28, rng).to_string(),
        (4, Ok(1900..=2099)) => format!("{}{:02}", &digits[..2], rng.below(30)),
        (1, Ok(0)) => digits.to_owned(),
        _ => {
            let least = if digits.starts_with('0') { 0 } else { 1 };
            let first = within(least, 9, rng).to_string();
            std::iter::once(first).chain((1..digits.len()).map(|_| rng.below(10).to_string())).collect()
        }
    }
}

fn cased(word: &str, like: &str) -> String {
    if like.chars().all(char::is_uppercase) {
        word.to_uppercase()
    } else if like.starts_with(char::is_lowercase) {
        word.to_lowercase()
    } else {
        word.to_owned()
    }
}

/// Words of no language that a document is likely to hold.
const STOCK: [&str; 24] = [
    "Averlin",
    "Bostrick",
    "Calderon",
    "Dunmarrow",
    "Eskvale",
    "Farrowby",
    "Glimster",
    "Haldane",
    "Istrova",
    "Jorvane",
    "Kestrin",
    "Lindquay",
    "Morvette",
    "Nethermoor",
    "Osterby",
    "Pellgrave",
    "Quandry",
    "Rosmere",
    "Silverton",
    "Tarnbeck",
    "Ulverden",
    "Vexholm",
    "Wistoria",
    "Yarnfield",
];

fn stock(rng: &mut Rng) -> &'static str {
    STOCK[rng.below(STOCK.len())]
}

/// Whether a value is in the source: a number or a string without letters literally; other text also if
/// all its words are there, in whatever order.
fn occurs(value: &Value, source: &str) -> bool {
    let text = match value {
        Value::String(text) => text.to_lowercase(),
        other => other.to_string(),
    };
    let source = source.to_lowercase();
    if source.contains(text.trim()) {
        return true;
    }
    let words = |text: &str| {
        Vec::from_iter(text.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty()).map(str::to_owned))
    };
    let known = words(&source);
    text.contains(char::is_alphabetic) && words(&text).iter().all(|word| known.contains(word))
}

/// What is well-formed but not of the expected form.
pub(crate) fn wrong_form(expected: &Value) -> Value {
    if sole(expected, "label").is_some() {
        return json!({ "label": "none of these" });
    }
    let Some(fields) = expected.as_object() else { return json!({ "answer": null }) };
    // Every value becomes a list of one, under a name that no schema has.
    fields.iter().map(|(key, value)| (format!("{key}_values"), json!([value]))).collect()
}
