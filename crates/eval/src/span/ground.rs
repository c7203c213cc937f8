//! Grounding of generated text: the numbers and names that it states and the input does not.

use baton_core::{NUMBER_WORDS, TENS_WORDS};

use super::number::{literals, readings, same_literal, same_value};
use super::source::Source;
use super::words::words;

/// So many numbers or names of a text are looked for.
const CLAIMS_MAX: usize = 500;

/// What a text states, and what of that the input does not have.
pub(crate) struct Grounding<'t> {
    pub(crate) claims: usize,
    pub(crate) missing: Vec<&'t str>,
}

/// The numbers of a text. Numbers of list items are no claims; a number counts as found in any spelling.
pub(crate) fn numbers<'t>(text: &'t str, source: &Source) -> Grounding<'t> {
    let claims: Vec<_> =
        literals(text).filter(|(at, literal)| !is_list_mark(text, *at, literal)).take(CLAIMS_MAX).collect();
    let missing = claims.iter().map(|(_, literal)| *literal).filter(|literal| !has_number(source, literal)).collect();
    Grounding { claims: claims.len(), missing }
}

fn has_number(source: &Source, literal: &str) -> bool {
    let readings = readings(literal);
    let spoken = readings.iter().find_map(|value| in_words(value.parse().ok()?));
    source
        .numbers()
        .any(|written| same_literal(literal, written) || readings.iter().any(|value| same_value(value, written)))
        || spoken.is_some_and(|spoken| source.has_words(&words(&spoken)).is_ok())
}

/// `twenty-five`, for numbers below a hundred.
fn in_words(number: usize) -> Option<String> {
    if let Some(word) = NUMBER_WORDS.get(number) {
        return Some((*word).to_owned());
    }
    let tens = TENS_WORDS.get(number / 10)?;
    Some(if number.is_multiple_of(10) { (*tens).to_owned() } else { format!("{tens}-{}", NUMBER_WORDS[number % 10]) })
}

/// `1.` or `2)` at the start of a line.
fn is_list_mark(text: &str, at: usize, literal: &str) -> bool {
    let first = text[..at].rsplit('\n').next().is_some_and(|before| before.trim().is_empty());
    let behind = &text[at + literal.len()..];
    first && literal.len() <= 3 && (behind.starts_with(". ") || behind.starts_with(") "))
}

/// The names in a text: words with a capital that do not begin a sentence, or with a capital within. In
/// languages that write other words with a capital, those must be in the input too.
pub(crate) fn names<'t>(text: &'t str, source: &Source) -> Grounding<'t> {
    let (mut claims, mut missing, mut begins) = (0, Vec::new(), true);
    for word in text.split_whitespace() {
        let bare = word.trim_matches(|c: char| !c.is_alphanumeric());
        if is_name(bare, begins) && claims < CLAIMS_MAX {
            claims += 1;
            if !has_name(source, bare) {
                missing.push(bare);
            }
        }
        let ends =
            word.trim_end_matches(['"', '\'', '”', '’', ')', ']', '*', '_']).ends_with(['.', '!', '?', ':', '…']);
        // What follows a bullet, a heading's mark or an opening quote begins too.
        begins = ends || bare.is_empty() || is_line_end(text, word);
    }
    Grounding { claims, missing }
}

/// Whether a line ends behind a word of the text.
fn is_line_end(text: &str, word: &str) -> bool {
    let end = word.as_ptr() as usize - text.as_ptr() as usize + word.len();
    text[end..].chars().take_while(|c| c.is_whitespace()).any(|c| c == '\n')
}

fn is_name(word: &str, begins: bool) -> bool {
    let mut letters = word.chars();
    let Some(first) = letters.next() else { return false };
    let within = letters.clone().take_while(|c| *c != '\'' && *c != '’').any(char::is_uppercase);
    let long = letters.clone().next().is_some_and(|second| second.is_alphanumeric());
    long && (within || (first.is_uppercase() && !begins))
}

/// Each part of a name stands in the input; `Curie's` is Curie, and `LCD` is also `L.C.D.`
fn has_name(source: &Source, name: &str) -> bool {
    let name = name.strip_suffix("'s").or_else(|| name.strip_suffix("’s")).unwrap_or(name);
    let parts = words(name);
    let acronym = name.chars().all(char::is_uppercase);
    (0..parts.len()).filter_map(|at| parts.get(at)).all(|part| source.has_word(part))
        || (acronym && source.has_words(&parts).is_ok())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_are_found_in_any_spelling() {
        let source = Source::of(&json!("In 2023 the three firms earned 1,250.50 euro, up 7 % from 2022."));
        let missing = |text: &'static str| numbers(text, &source).missing;
        assert_eq!(missing("3 firms earned 1250.5 in 2023."), Vec::<&str>::new());
        assert_eq!(missing("1. They earned 1,250.50.\n2. Up 7 %."), Vec::<&str>::new());
        assert_eq!(missing("4 firms earned 1,520.50 in 2024"), ["4", "1,520.50", "2024"]);
        assert_eq!(numbers("no number", &source).claims, 0);
        let spoken =
            Source::of(&json!("It takes forty - five minutes, thirty at best, and is Twenty-One cm by ninety."));
        let missing = |text: &'static str| numbers(text, &spoken).missing;
        assert_eq!(missing("45 or 30 minutes, 21 cm by 90"), Vec::<&str>::new());
        assert_eq!(missing("46 or 40 or 5 or 20 minutes, 100 cm"), ["46", "100"]);
    }

    #[test]
    fn names_are_capitals_within_sentences() {
        let source = Source::of(&json!("Marie Curie met Paul Langevin of the ESPCI in Paris."));
        let missing = |text: &'static str| names(text, &source).missing;
        assert_eq!(missing("In Paris, Marie Curie's friend Langevin spoke. Then they left ESPCI."), Vec::<&str>::new());
        assert_eq!(missing("She met Pierre in Berlin at NASA."), ["Pierre", "Berlin", "NASA"]);
        assert_eq!(missing("- Curie\n- Then\n\"Well, I know.\""), Vec::<&str>::new());
        let spelled = Source::of(&json!("An L_C_D_ costs more in the U.S. than a T V does."));
        assert_eq!(names("They like an LCD, a TV, the US and a DVD.", &spelled).missing, ["DVD"]);
    }
}
