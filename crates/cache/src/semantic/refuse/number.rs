//! Numbers as they are written: `1,250.50`, `1.250,5`, `-5`, `7k`, `twenty-five`, `3rd`.

use baton_core::{NUMBER_WORDS, TENS_WORDS};

use super::term::{Class, Term};

/// Longer runs of digits name something.
const DIGITS_MAX: usize = 15;

/// A number, and what stands right before and behind it: `$5`, `5km`, `3rd`.
pub(super) struct Written<'t> {
    pub(super) term: Term,
    pub(super) before: &'t str,
    pub(super) behind: &'t str,
}

/// Reads a piece that is one number.
pub(super) fn written(piece: &str) -> Option<Written<'_>> {
    let from = piece.find(|c: char| c.is_ascii_digit())?;
    let from = if piece[..from].ends_with('.') { from - 1 } else { from };
    let upto = piece.rfind(|c: char| c.is_ascii_digit())? + 1;
    let (before, literal, behind) = (&piece[..from], &piece[from..upto], &piece[upto..]);
    let negative = before.ends_with(['-', '−']) || before.starts_with(['-', '−']);
    let before = before.trim_matches(['-', '−', '+', '~', '(']);
    let behind = behind.trim_end_matches([')', '-']).trim_start_matches('-');
    if before.chars().count() > 3 || behind.contains(|c: char| c == '.' || c.is_ascii_digit()) {
        return None;
    }
    let (value, other, shape) = value(literal)?;
    let scale = match behind {
        "k" | "K" => 1e3,
        "bn" => 1e9,
        _ => 1.0,
    } * if negative { -1.0 } else { 1.0 };
    let [value, other] = [value, other].map(|value| (value * scale).to_bits());
    let ordinal = matches!(behind, "st" | "nd" | "rd" | "th" | "ST" | "ND" | "RD" | "TH");
    let class = if ordinal { Class::Ordinal } else { Class::Number };
    let behind = if ordinal || matches!(behind, "k" | "K" | "bn") { "" } else { behind };
    Some(Written { term: Term { class, value, other, shape, strong: true }, before, behind })
}

/// The value of digits with separators, another reading of it, and how it is written: 0 where there is
/// no other reading.
fn value(literal: &str) -> Option<(f64, f64, u8)> {
    let digits = literal.bytes().filter(u8::is_ascii_digit).count();
    let zeros = literal.starts_with("00") || (literal.starts_with('0') && digits == literal.len() && digits > 2);
    if digits > DIGITS_MAX || zeros {
        return None;
    }
    let mut separators = literal.char_indices().filter(|(_, c)| !c.is_ascii_digit());
    let Some((first_at, first)) = separators.next() else { return plain(literal).map(|value| (value, value, 0)) };
    if !matches!(first, '.' | ',' | '\'' | '’') {
        return None;
    }
    let rest: Vec<(usize, char)> = separators.collect();
    let (last_at, last) = rest.last().copied().unwrap_or((first_at, first));
    let decimal = |at: usize, mark: char| {
        let whole: String = literal[..at].chars().filter(char::is_ascii_digit).collect();
        format!("0{whole}.{}", &literal[at + mark.len_utf8()..]).parse::<f64>().ok()
    };
    let thousands = || literal.chars().filter(char::is_ascii_digit).collect::<String>().parse::<f64>().ok();
    let in_threes = literal[first_at..].split(|c: char| !c.is_ascii_digit()).skip(1).all(|part| part.len() == 3);
    let head = first_at <= 3 && first_at > 0 && !literal.starts_with('0');
    if rest.is_empty() {
        return match (in_threes && head, first) {
            (true, ',') => Some((thousands()?, decimal(first_at, first)?, 1)),
            (true, '.') => Some((decimal(first_at, first)?, thousands()?, 2)),
            (true, _) => thousands().map(|value| (value, value, 0)),
            (false, _) => decimal(first_at, first).map(|value| (value, value, 0)),
        };
    }
    if last == first {
        let all = rest.iter().all(|(_, mark)| *mark == first);
        return (all && in_threes && head).then(thousands)?.map(|value| (value, value, 0));
    }
    let once = rest.iter().filter(|(_, mark)| *mark == last).count() == 1;
    (once && head).then(|| decimal(last_at, last))?.map(|value| (value, value, 0))
}

fn plain(digits: &str) -> Option<f64> {
    digits.parse().ok()
}

/// A word that is a number: its value and whether it is an ordinal.
pub(super) fn of_word(word: &str) -> Option<(f64, bool)> {
    let among =
        |list: &[&str], of: fn(&str, &str) -> bool| list.iter().position(|name| !name.is_empty() && of(name, word));
    let equal = |name: &str, word: &str| name == word;
    if let Some(value) = among(&NUMBER_WORDS, equal) {
        return Some((value as f64, false));
    }
    if let Some(tens) = among(&TENS_WORDS, equal) {
        return Some((tens as f64 * 10.0, false));
    }
    let irregular = match word {
        "first" => Some(1.0),
        "second" => Some(2.0),
        "third" => Some(3.0),
        "fifth" => Some(5.0),
        "eighth" => Some(8.0),
        "ninth" => Some(9.0),
        "twelfth" => Some(12.0),
        _ => None,
    };
    if let Some(value) = irregular {
        return Some((value, true));
    }
    let stem = word.strip_suffix("th")?;
    if let Some(value) = NUMBER_WORDS.iter().position(|name| *name == stem) {
        return Some((value as f64, true));
    }
    let stem = stem.strip_suffix("ie")?;
    let tens = TENS_WORDS.iter().position(|name| name.strip_suffix('y').is_some_and(|name| name == stem))?;
    Some((tens as f64 * 10.0, true))
}

/// What a number word before it is multiplied by.
pub(super) fn scale_of(word: &str) -> Option<f64> {
    match word {
        "hundred" => Some(1e2),
        "thousand" => Some(1e3),
        "lakh" | "lac" => Some(1e5),
        "million" => Some(1e6),
        "crore" => Some(1e7),
        "billion" => Some(1e9),
        "trillion" => Some(1e12),
        "dozen" => Some(12.0),
        _ => None,
    }
}

/// The value of number words that follow each other, and how many words those are: `two hundred and
/// fifty`. Ordinals end it.
pub(super) fn spoken<'w>(mut word: impl FnMut(usize) -> Option<&'w str>) -> Option<(f64, bool, usize)> {
    let (mut total, mut part, mut taken, mut last) = (0.0, 0.0_f64, 0, f64::INFINITY);
    let (mut ordinal, mut begun) = (false, false);
    loop {
        let here = word(taken);
        let skip = usize::from(begun && here == Some("and"));
        let Some(here) = (if skip == 1 { word(taken + 1) } else { here }) else { break };
        if let Some((value, is_ordinal)) = of_word(here) {
            let joins = !begun || last >= 100.0 || ((20.0..100.0).contains(&last) && value < 10.0 && skip == 0);
            if !joins || (skip == 1 && last < 100.0) {
                break;
            }
            part += value;
            (last, begun, ordinal) = (value, true, is_ordinal);
        } else if let Some(scale) = scale_of(here).filter(|_| skip == 0) {
            if begun && last.is_finite() && last >= scale && last >= 1000.0 {
                break;
            }
            let times = if part == 0.0 { 1.0 } else { part };
            if scale >= 1000.0 {
                total += times * scale;
                part = 0.0;
            } else {
                part = times * scale;
            }
            (last, begun) = (scale.max(100.0), true);
        } else {
            break;
        }
        taken += 1 + skip;
        if ordinal {
            break;
        }
    }
    begun.then_some((total + part, ordinal, taken))
}
