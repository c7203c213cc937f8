//! Words, sentences and numbers of a text, as the planter and the measure's own signals see them.

use std::ops::Range;

use baton_core::{NUMBER_WORDS, TENS_WORDS};

/// One word: where it stands, and itself in lower case.
pub(crate) struct Word {
    pub(crate) at: Range<usize>,
    pub(crate) lower: String,
}

/// Runs of letters and digits; points and commas between two digits belong to the number.
pub(crate) fn words(text: &str) -> Vec<Word> {
    let mut found: Vec<Word> = Vec::new();
    let mut open: Option<usize> = None;
    let mut before = ' ';
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let digit_next = chars.peek().is_some_and(|(_, next)| next.is_ascii_digit());
        let joins = matches!(c, '.' | ',') && before.is_ascii_digit() && digit_next;
        if c.is_alphanumeric() || joins {
            open.get_or_insert(at);
        } else if let Some(from) = open.take() {
            found.push(Word { at: from..at, lower: text[from..at].to_lowercase() });
        }
        before = c;
    }
    if let Some(from) = open {
        found.push(Word { at: from..text.len(), lower: text[from..].to_lowercase() });
    }
    found
}

/// The value of one word, in digits or as a word.
pub(crate) fn value(word: &str) -> Option<f64> {
    let among = |names: &[&str]| names.iter().position(|name| *name == word).map(|at| at as f64);
    if word.starts_with(|c: char| c.is_ascii_digit()) {
        let digits = word.trim_end_matches(|c: char| c.is_alphabetic());
        return digits.replace(',', "").parse().ok();
    }
    match word {
        "" => None,
        "half" => Some(0.5),
        "hundred" => Some(100.0),
        "thousand" => Some(1e3),
        "million" => Some(1e6),
        "billion" => Some(1e9),
        _ => among(&NUMBER_WORDS).or_else(|| among(&TENS_WORDS).map(|tens| 10.0 * tens)),
    }
}

/// The numbers of a text with the word where each begins: each word's own, and of `twenty five` 25 too.
pub(crate) fn numbers(words: &[Word]) -> Vec<(usize, f64)> {
    let own: Vec<Option<f64>> = words.iter().map(|word| value(&word.lower)).collect();
    let mut found: Vec<(usize, f64)> = own.iter().enumerate().filter_map(|(at, own)| Some((at, (*own)?))).collect();
    for (at, pair) in own.windows(2).enumerate() {
        let [Some(first), Some(second)] = *pair else { continue };
        if (20.0..100.0).contains(&first) && first % 10.0 == 0.0 && (1.0..10.0).contains(&second) {
            found.push((at, first + second));
        } else if first < 100.0 && second >= 100.0 {
            found.push((at, first * second));
        }
    }
    let whole = |at: usize| own[at].filter(|value| value.fract() == 0.0);
    found.extend((0..words.len()).filter_map(|at| Some((at, whole(at)? + cents(words, &own, at + 1)?))));
    found
}

/// What is said behind a whole number: `twelve and a half`, `twelve point five`, `twelve Euros fifty`.
fn cents(words: &[Word], own: &[Option<f64>], from: usize) -> Option<f64> {
    let said = |at: usize| words.get(from + at).map(|word| word.lower.as_str());
    let value = |at: usize| own.get(from + at).copied().flatten();
    match [said(0), said(1), said(2)] {
        [Some("and"), Some("a"), Some("half")] => Some(0.5),
        [Some("point"), ..] => value(1).map(|tenths| tenths / if tenths < 10.0 { 10.0 } else { 100.0 }),
        _ => (0..2).find_map(value).filter(|cents| (10.0..100.0).contains(cents)).map(|cents| cents / 100.0),
    }
}

/// The byte ranges of sentences: up to a mark of an end before white space.
pub(crate) fn sentences(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut from = 0;
    let mut ended = false;
    for (at, c) in text.char_indices() {
        if ended && c.is_whitespace() {
            found.push(from..at);
            from = at;
        }
        ended = matches!(c, '.' | '!' | '?');
    }
    found.push(from..text.len());
    found.retain(|range| text[range.clone()].contains(char::is_alphanumeric));
    found
}

/// Words of one stem are taken as one: their first five letters.
pub(crate) fn stem(word: &str) -> &str {
    word.char_indices().nth(5).map_or(word, |(at, _)| &word[..at])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_in_digits_and_words() {
        let words = words("It cost 12.50, then twenty-five; two hundred and 3. Nine Euros fifty");
        let mut values: Vec<f64> = numbers(&words).iter().map(|(_, value)| *value).collect();
        values.sort_by(f64::total_cmp);
        assert_eq!(values, [2.0, 3.0, 5.0, 9.0, 9.5, 12.5, 20.0, 25.0, 50.0, 100.0, 200.0]);
    }

    #[test]
    fn sentences_end_before_white_space() {
        let text = "It is 3.5. Really?  Yes";
        let found: Vec<&str> = sentences(text).into_iter().map(|range| text[range].trim()).collect();
        assert_eq!(found, ["It is 3.5.", "Really?", "Yes"]);
        assert_eq!((stem("numbers"), stem("a")), ("numbe", "a"));
    }
}
