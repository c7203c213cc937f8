//! Questions about a text alone: how long, in which language, of which form, how like another.

mod date;
mod distance;
pub(crate) mod html;
mod language;
pub(crate) mod ngrams;
mod refusal;
mod repeats;
mod sql;
mod url;
pub(crate) mod xml;

pub(crate) use date::is_date;
pub(crate) use distance::distance_within;
pub(crate) use language::language;
pub(crate) use refusal::Refusals;
pub(crate) use repeats::{looping, repetition};
pub(crate) use sql::{Dialect, contains_sql, is_sql};
pub(crate) use url::is_url;

/// Runs that end in a mark of a sentence's end before white space, or with their line.
pub(crate) fn sentences(text: &str) -> u64 {
    let ends = |c: char| matches!(c, '.' | '!' | '?' | '…' | '。' | '！' | '？');
    let closes = |c: char| matches!(c, '"' | '\'' | '”' | '’' | ')' | ']' | '»');
    let (mut count, mut open, mut ended) = (0, false, false);
    for c in text.chars() {
        if c == '\n' || (c.is_whitespace() && ended) || matches!(c, '。' | '！' | '？') {
            count += u64::from(open || (ended && c != '\n' && !c.is_whitespace()));
            (open, ended) = (false, false);
        } else if ends(c) {
            ended = open;
        } else if !closes(c) {
            ended = false;
            open |= c.is_alphanumeric();
        }
    }
    count + u64::from(open)
}

/// Four bytes a token, rounded up: what English text has in common vendors' tokenizers.
pub(crate) fn tokens(text: &str) -> u64 {
    (text.len() as u64).div_ceil(4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_end_with_a_mark_or_the_line() {
        for (text, count) in [
            ("", 0),
            ("...", 0),
            ("One", 1),
            ("One. Two! Three?", 3),
            ("It costs 3.50 euro. Really.", 2),
            ("He said \"no.\" Then he left.", 2),
            ("a title\n\n- one\n- two\n", 3),
            ("一。二！三", 3),
            ("Wait... what?!", 2),
        ] {
            assert_eq!(sentences(text), count, "{text:?}");
        }
        assert_eq!((tokens(""), tokens("abcde")), (0, 2));
    }
}
