//! Text to a sparse unit vector: what the classifier sees of a message.
//!
//! Features are single words, pairs of neighbouring words, and the character 2- to 4-grams of
//! each word (which carry over typing errors and inflections), weighted by tf-idf. Longer
//! n-grams, n-grams across words and skipped words were no better on BANKING77.

/// Only the first characters of a text are read, so that a prediction's time is bounded.
pub(crate) const TEXT_CHARS_MAX: usize = 4_000;
const GRAM_CHARS: std::ops::RangeInclusive<usize> = 2..=4;

/// A feature of one text: the hash that names it, and its term frequency's weight.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Feature {
    pub(crate) hash: u64,
    pub(crate) weight: f32,
}

/// A text as (row, value) pairs over a [`Vocabulary`], sorted by row, of length at most 1.
pub(crate) type SparseVector = Vec<(u32, f32)>;

#[derive(Clone, Copy)]
enum Kind {
    Word = 1,
    Pair = 2,
    Chars = 3,
}

/// FNV-1a over 64-bit units with a final mix; the kind keeps a word apart from an equal n-gram.
fn hash(kind: Kind, units: impl IntoIterator<Item = u64>) -> u64 {
    let start = 0xcbf2_9ce4_8422_2325 ^ (kind as u64);
    let folded = units.into_iter().fold(start, |hash, unit| (hash ^ unit).wrapping_mul(0x100_0000_01b3));
    let mixed = (folded ^ (folded >> 32)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed ^ (mixed >> 29)
}

/// The lower-case words of a text: runs of letters and digits, apostrophes left out.
fn words(text: &str) -> Vec<Vec<u64>> {
    let mut words = Vec::new();
    let mut word = Vec::new();
    // The space ends the last word.
    for char in text.chars().take(TEXT_CHARS_MAX).chain([' ']) {
        if char.is_alphanumeric() {
            word.extend(char.to_lowercase().map(u64::from));
        } else if !matches!(char, '\'' | '’') && !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
    }
    words
}

/// The distinct features of a text, sorted by hash, with sublinear term frequency 1 + ln(n).
pub(crate) fn features(text: &str) -> Vec<Feature> {
    /// Stands before the first word and after the last.
    const EDGE: u64 = 0;
    let mut found: Vec<u64> = Vec::new();
    let mut before = EDGE;
    for word in words(text) {
        let this = hash(Kind::Word, word.iter().copied());
        found.push(this);
        found.push(hash(Kind::Pair, [before, this]));
        before = this;
        let space = u64::from(' ');
        let spaced = [&[space], word.as_slice(), &[space]].concat();
        for n in GRAM_CHARS {
            let grams = spaced.windows(n);
            found.extend(grams.map(|gram| hash(Kind::Chars, gram.iter().copied())));
        }
    }
    if before != EDGE {
        found.push(hash(Kind::Pair, [before, EDGE]));
    }
    found.sort_unstable();
    found
        .chunk_by(|a, b| a == b)
        .map(|same| Feature { hash: same[0], weight: 1.0 + (same.len() as f32).ln() })
        .collect()
}

/// The features seen in training, with their inverse document frequencies.
#[derive(Debug)]
pub(crate) struct Vocabulary {
    /// (hash, row), sorted by hash.
    rows: Vec<(u64, u32)>,
    /// By row. Rows are in order of frequency: the weights that most texts touch lie together
    /// (a sixth less time to train).
    idf: Vec<f32>,
    /// The idf of a feature that no text has.
    idf_unseen: f32,
}

impl Vocabulary {
    /// The `rows_max` most frequent features of `texts` (all, where they fit).
    pub(crate) fn new(texts: &[Vec<Feature>], rows_max: usize) -> Self {
        let mut all: Vec<u64> = texts.iter().flatten().map(|feature| feature.hash).collect();
        all.sort_unstable();
        let mut counted: Vec<(usize, u64)> = all.chunk_by(|a, b| a == b).map(|same| (same.len(), same[0])).collect();
        counted.sort_unstable_by(|a, b| b.cmp(a));
        counted.truncate(rows_max);

        let mut rows: Vec<(u64, u32)> = (0..).zip(&counted).map(|(row, &(_, hash))| (hash, row)).collect();
        rows.sort_unstable();
        let idf = |count: usize| ((1 + texts.len()) as f32 / (1 + count) as f32).ln() + 1.0;
        Self { rows, idf: counted.iter().map(|&(count, _)| idf(count)).collect(), idf_unseen: idf(0) }
    }

    /// The row of a feature, where training has seen it.
    fn row(&self, hash: u64) -> Option<u32> {
        let found = self.rows.binary_search_by_key(&hash, |&(hash, _)| hash);
        found.ok().map(|place| self.rows[place].1)
    }

    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// The text's unit vector. Unseen features have no row but count in its length: the less
    /// of a text is known, the smaller the rest, and so the confidence in what it says. (Of
    /// 5,000 questions about anything, a model of BANKING77 answers 1.1 % instead of 2.6 %.)
    pub(crate) fn vector(&self, features: &[Feature]) -> SparseVector {
        let mut squares = 0.0;
        let mut vector = SparseVector::new();
        for feature in features {
            let row = self.row(feature.hash);
            let idf = row.map_or(self.idf_unseen, |row| self.idf[row as usize]);
            let value = feature.weight * idf;
            squares += value * value;
            vector.extend(row.map(|row| (row, value)));
        }
        vector.sort_unstable_by_key(|&(row, _)| row);
        let length = squares.sqrt();
        vector.iter_mut().for_each(|(_, value)| *value /= length);
        vector
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_person_reads_as_the_same_is_the_same() {
        let check = |a: &str, b: &str, same: bool| {
            assert_eq!(features(a) == features(b), same, "{a:?} and {b:?}");
        };
        check("Can't log in!", "cant  LOG\nin", true);
        check("ÄRGER", "ärger", true);
        check("log in", "in log", false);
        check("log in", "login", false);
        check("", " ?!' ", true);
    }

    #[test]
    fn a_repeated_word_counts_sublinearly() {
        let word = hash(Kind::Word, "pay".chars().map(u64::from));
        let check = |text: &str, expected: f32| {
            let found = features(text).into_iter().find(|f| f.hash == word).unwrap();
            assert!((found.weight - expected).abs() < 1e-6, "{text}: {found:?}");
        };
        check("pay", 1.0);
        check("pay pay pay", 1.0 + 3.0_f32.ln());
    }

    #[test]
    fn only_the_beginning_of_a_long_text_is_read() {
        let long = "a b ".repeat(TEXT_CHARS_MAX);
        let read: String = long.chars().take(TEXT_CHARS_MAX).collect();
        assert_eq!(features(&long), features(&read));
        assert_ne!(features(&long), features(&read[..TEXT_CHARS_MAX / 2]));
    }

    #[test]
    fn a_small_vocabulary_keeps_the_frequent() {
        let texts: Vec<_> = ["one two", "one three", "one"].map(features).to_vec();
        let all = Vocabulary::new(&texts, usize::MAX);
        let few = Vocabulary::new(&texts, 5);
        assert!(all.len() > 5);
        assert_eq!(few.len(), 5);
        assert_eq!(few.vector(&texts[2]).len(), 5, "all five are of the word in each text");
        assert_eq!(few.vector(&features("two")), vec![]);
    }

    #[test]
    fn a_known_text_has_length_one_and_a_stranger_one_less() {
        let texts = vec![features("where is my card"), features("my money")];
        let vocabulary = Vocabulary::new(&texts, usize::MAX);
        let length = |text: &str| {
            let squares = vocabulary.vector(&features(text)).into_iter().map(|(_, v)| v * v);
            squares.sum::<f32>().sqrt()
        };
        assert!((length("where is my card") - 1.0).abs() < 1e-6);
        assert!(length("where is my card zebra") < 0.95);
        assert!(length("zebra").abs() < 1e-6);
    }
}
