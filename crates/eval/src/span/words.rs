//! Words, as the span check compares them.

/// A text's words: runs of letters and digits in lower case. Scripts that write without spaces
/// give a word for each character.
#[derive(Debug, Default)]
pub(crate) struct Words {
    /// All words, one behind the other.
    flat: String,
    /// Where each ends in `flat`.
    ends: Vec<usize>,
}

impl Words {
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// All words without anything between them.
    pub(crate) fn flat(&self) -> &str {
        &self.flat
    }

    /// Where a word starts in [`flat`](Self::flat); for the number of words, its end.
    pub(crate) fn start(&self, word: usize) -> usize {
        if word == 0 { 0 } else { self.ends[word - 1] }
    }

    pub(crate) fn get(&self, word: usize) -> Option<&str> {
        (word < self.len()).then(|| &self.flat[self.start(word)..self.ends[word]])
    }

    fn end_word(&mut self) {
        if self.ends.last().copied().unwrap_or(0) < self.flat.len() {
            self.ends.push(self.flat.len());
        }
    }
}

pub(crate) fn words(text: &str) -> Words {
    let mut words = Words { flat: String::with_capacity(text.len()), ends: Vec::with_capacity(text.len() / 4) };
    for c in text.chars() {
        if c.is_ascii_alphanumeric() {
            words.flat.push(c.to_ascii_lowercase());
        } else if c.is_ascii() {
            words.end_word();
        } else if is_unspaced(c) {
            words.end_word();
            words.flat.push(c);
            words.end_word();
        } else if c.is_alphanumeric() {
            words.flat.extend(c.to_lowercase());
        } else if !('\u{300}'..='\u{36f}').contains(&c) {
            // Combining marks belong to their letter; anything else ends the word.
            words.end_word();
        }
    }
    words.end_word();
    words
}

/// Thai to Khmer, and the CJK blocks (Hangul, which has spaces, is not among them).
fn is_unspaced(c: char) -> bool {
    matches!(c, '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}'
        | '\u{2e80}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
        && c.is_alphanumeric()
}

/// Whether a word may be another one, misread: only letters, and as many edits (a letter changed,
/// missing, added, or two swapped) as a word of its length may have: one, from seven letters on two.
pub(crate) fn may_be_misread(word: &str, read: &str) -> bool {
    let (word, read): (Vec<char>, Vec<char>) = (word.chars().collect(), read.chars().collect());
    let edits_max = match word.len() {
        ..2 => return false,
        2..7 => 1,
        7..=32 => 2,
        _ => return false,
    };
    word.iter().all(|c| c.is_alphabetic())
        && word.len().abs_diff(read.len()) <= edits_max
        && edits(&word, &read) <= edits_max
}

/// Optimal string alignment distance (Damerau 1964, restricted: no substring is edited twice).
fn edits(a: &[char], b: &[char]) -> usize {
    let mut before = vec![0; b.len() + 1];
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let change = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = change.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}
