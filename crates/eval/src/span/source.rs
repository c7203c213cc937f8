//! The input's text, prepared once per judgement, and how values are found in it.

use std::fmt;

use serde_json::{Number, Value};

use super::number::{Numeric, literals, same_literal, same_value, shortest};
use super::words::{Words, may_be_misread, words};

/// So many bytes are compared before a value is given up as too long: some ten milliseconds.
const STEPS_MAX: usize = 2 << 20;

/// The text of an input: all its leaves of text and number, a line each.
#[derive(Debug)]
pub(crate) struct Source {
    text: String,
    words: Words,
    /// The places where words start, each with the eight bytes that stand there, in the order of
    /// those: where a run may start is a range of it.
    starts: Vec<(u64, usize)>,
    /// Where each written number starts, and where it ends.
    literals: Vec<(usize, usize)>,
}

/// Why a value was not found.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum NotFound {
    Literal,
    Bool,
    TooLong,
    Word(String),
    LoneNumber(String),
    Misread,
    Scattered,
}

impl fmt::Display for NotFound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Literal => f.write_str("does not stand in the input literally"),
            Self::Bool => f.write_str("is neither text nor a number, so it cannot stand in the input"),
            Self::TooLong => f.write_str("is too long to be looked for in this input"),
            Self::Word(word) => write!(f, "has the word “{word}”, which the input does not have there"),
            Self::LoneNumber(number) => {
                write!(f, "has the number “{number}” beside words that it is not beside in the input")
            }
            Self::Misread => f.write_str("differs from the input in too many words"),
            Self::Scattered => f.write_str("is put together from words of different places of the input"),
        }
    }
}

/// A stretch of the source that is equal to some words of the value.
struct Run {
    /// How many words of the value.
    length: usize,
    /// The source's words: the first, and the one behind the last.
    start: usize,
    end: usize,
}

impl Source {
    pub(crate) fn of(input: &Value) -> Self {
        let mut text = String::new();
        collect(input, &mut text);
        let literals = literals(&text).map(|(start, literal)| (start, start + literal.len())).collect();
        let words = words(&text);
        let bytes = words.flat().as_bytes();
        let mut starts: Vec<_> =
            (0..words.len()).map(|word| (first_bytes(&bytes[words.start(word)..], 0), word)).collect();
        starts.sort_unstable();
        Self { text, words, starts, literals }
    }

    /// Whether the text stands there character by character.
    pub(crate) fn contains(&self, text: &str) -> bool {
        self.text.contains(text)
    }

    /// The numbers that are written there.
    pub(crate) fn numbers(&self) -> impl Iterator<Item = &str> {
        self.literals.iter().map(|&(start, end)| &self.text[start..end])
    }

    /// Whether a word, in its normal form, stands there.
    pub(crate) fn has_word(&self, word: &str) -> bool {
        let (low, high) = (first_bytes(word.as_bytes(), 0), first_bytes(word.as_bytes(), 0xFF));
        let from = self.starts.partition_point(|(bytes, _)| *bytes < low);
        let near = self.starts[from..].iter().take_while(|(bytes, _)| *bytes <= high);
        near.into_iter().any(|(_, at)| self.words.get(*at) == Some(word))
    }

    /// Whether a number of JSON, which has no spelling of its own, stands there in any spelling.
    pub(crate) fn has_number(&self, number: &Number) -> bool {
        let written = number.to_string();
        let wanted = shortest(written.trim_start_matches('-'));
        self.literals.iter().any(|&(start, end)| {
            same_value(&wanted, &self.text[start..end]) && (!written.starts_with('-') || self.is_negative(start, end))
        })
    }

    /// Whether the value's numbers stand there one after the other, each literally.
    pub(crate) fn has_literals(&self, value: &Numeric<'_>) -> bool {
        self.literals.windows(value.literals.len()).any(|window| {
            let same = |(wanted, &(start, end)): (&&str, &(usize, usize))| same_literal(wanted, &self.text[start..end]);
            value.literals.iter().zip(window).all(same)
                && (!value.negative || self.is_negative(window[0].0, window[0].1))
        })
    }

    /// A minus or an opening parenthesis shortly before (`-RM 5.59`), or a minus right behind.
    fn is_negative(&self, start: usize, end: usize) -> bool {
        let line = self.text[..start].rsplit('\n').next().unwrap_or_default();
        let before = line.chars().rev().take(5).take_while(|c| !c.is_ascii_digit());
        before.into_iter().any(|c| matches!(c, '-' | '\u{2212}' | '(')) || self.text[end..].starts_with('-')
    }

    /// Whether the value's words stand there: in few runs, and between them only words that may be
    /// misread, each at its place. Greedy: the longest run first, from the value's start on.
    ///
    /// Tuned on the first half of the SROIE receipts; see the crate's example `sroie`.
    pub(crate) fn has_words(&self, value: &Words) -> Result<(), NotFound> {
        let taken = vec![false; self.words.len()];
        let mut cover = Cover { source: self, value, taken, runs: 0, misread: 0, expected: None, pending: 0 };
        let (mut at, mut steps) = (0, 0);
        while at < value.len() {
            at += match self.longest_run(at, &cover, &mut steps) {
                _ if steps > STEPS_MAX => return Err(NotFound::TooLong),
                Some(run) => cover.take_run(at, &run)?,
                None => cover.take_misread(at),
            };
        }
        cover.verdict()
    }

    /// The longest run that starts with the value's word `at` and takes no word of the source a second
    /// time; among equals the one that continues what is covered.
    /// Adds the bytes that it compares to `steps`, and gives up where they are too many.
    fn longest_run(&self, at: usize, cover: &Cover<'_>, steps: &mut usize) -> Option<Run> {
        let Cover { value, expected, .. } = *cover;
        let word = value.get(at)?.as_bytes();
        let (low, high) = (first_bytes(word, 0), first_bytes(word, 0xFF));
        let from = self.starts.partition_point(|(bytes, _)| *bytes < low);
        let mut best: Option<Run> = None;
        for &(_, start) in self.starts[from..].iter().take_while(|(bytes, _)| *bytes <= high) {
            let run = self.run(value, at, start, steps);
            if *steps > STEPS_MAX {
                return None;
            }
            let Some(run) = run.filter(|run| cover.is_free(run)) else { continue };
            let better = best
                .as_ref()
                .is_none_or(|best| run.length > best.length || (run.length == best.length && expected == Some(start)));
            if better {
                best = Some(run);
            }
        }
        best
    }

    /// How far value and source agree from here. Words may be split otherwise (OCR joins and parts
    /// them), but not between two digits, and both ends of a run are ends of words on both sides.
    fn run(&self, value: &Words, at: usize, start: usize, steps: &mut usize) -> Option<Run> {
        let (wanted, wanted_from) = (value.flat().as_bytes(), value.start(at));
        let (flat, flat_from) = (self.words.flat().as_bytes(), self.words.start(start));
        let (mut next_value, mut next_source) = (at + 1, start + 1);
        let mut best = None;
        let same = wanted[wanted_from..].iter().zip(&flat[flat_from..]).take_while(|(a, b)| a == b).count();
        *steps += 1 + same;
        for length in 1..=same {
            let (value_byte, source_byte) = (wanted_from + length, flat_from + length);
            let value_ends = value.start(next_value) == value_byte;
            let source_ends = self.words.start(next_source) == source_byte;
            if value_ends && source_ends {
                best = Some(Run { length: next_value - at, start, end: next_source });
            } else if value_ends || source_ends {
                let digit = |bytes: &[u8], byte: usize| bytes.get(byte).is_some_and(u8::is_ascii_digit);
                let (bytes, byte) = if value_ends { (wanted, value_byte) } else { (flat, source_byte) };
                if digit(bytes, byte - 1) && digit(bytes, byte) {
                    break;
                }
            }
            next_value += usize::from(value_ends);
            next_source += usize::from(source_ends);
            if next_value > value.len() || next_source > self.words.len() {
                break;
            }
        }
        best
    }
}

/// How much of a value is covered so far.
struct Cover<'a> {
    source: &'a Source,
    value: &'a Words,
    /// The source's words that runs took.
    taken: Vec<bool>,
    runs: usize,
    misread: usize,
    /// The source's word behind what was matched last.
    expected: Option<usize>,
    /// Words of the value right before this place that must be found before the next run.
    pending: usize,
}

impl Cover<'_> {
    fn word(&self, at: usize) -> &str {
        self.value.get(at).unwrap_or_default()
    }

    fn is_free(&self, run: &Run) -> bool {
        !self.taken[run.start..run.end].contains(&true)
    }

    fn misread_at(&self, at: usize, source_word: Option<usize>) -> bool {
        let read = source_word.and_then(|word| self.source.words.get(word));
        read.is_some_and(|read| at < self.value.len() && may_be_misread(self.word(at), read))
    }

    /// Takes a run, and with it the pending words, if the source's words before the run are those.
    fn take_run(&mut self, at: usize, run: &Run) -> Result<usize, NotFound> {
        for back in 1..=self.pending {
            if !self.misread_at(at - back, run.start.checked_sub(back)) {
                return Err(NotFound::Word(self.word(at - back).to_owned()));
            }
        }
        let continues = self.expected == Some(run.start);
        let alone = run.length == 1 && self.value.len() > 1 && !continues && self.pending == 0;
        if alone && has_digit(self.word(at)) && !self.misread_at(at + run.length, Some(run.end)) {
            return Err(NotFound::LoneNumber(self.word(at).to_owned()));
        }
        self.taken[run.start..run.end].fill(true);
        self.misread += self.pending;
        self.runs += usize::from(!continues);
        (self.pending, self.expected) = (0, Some(run.end));
        Ok(run.length)
    }

    /// Takes one word as misread, if the source's next word may be it; else it is pending.
    fn take_misread(&mut self, at: usize) -> usize {
        if self.pending == 0 && self.misread_at(at, self.expected) {
            self.misread += 1;
            self.expected = self.expected.map(|word| word + 1);
        } else {
            self.pending += 1;
            self.expected = None;
        }
        1
    }

    fn verdict(&self) -> Result<(), NotFound> {
        let words = self.value.len();
        if self.pending > 0 {
            return Err(NotFound::Word(self.word(words - self.pending).to_owned()));
        }
        // In a value of mostly numbers a word is a month or a unit, and `mar` is not `may`.
        let numbers = (0..words).filter(|at| has_digit(self.word(*at))).count();
        if self.misread * 3 > words || (self.misread > 0 && numbers * 2 >= words) {
            return Err(NotFound::Misread);
        }
        if self.runs > 1 + words / 3 { Err(NotFound::Scattered) } else { Ok(()) }
    }
}

/// The first eight bytes as a number that sorts as they do, filled up where there are fewer.
fn first_bytes(bytes: &[u8], fill: u8) -> u64 {
    (0..8).fold(0, |number, at| number << 8 | u64::from(bytes.get(at).copied().unwrap_or(fill)))
}

fn has_digit(word: &str) -> bool {
    word.bytes().any(|byte| byte.is_ascii_digit())
}

fn collect(value: &Value, text: &mut String) {
    match value {
        Value::String(leaf) => {
            text.push_str(leaf);
            text.push('\n');
        }
        Value::Number(leaf) => {
            text.push_str(&leaf.to_string());
            text.push('\n');
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, text)),
        Value::Object(fields) => fields.values().for_each(|field| collect(field, text)),
        Value::Null | Value::Bool(_) => {}
    }
}
