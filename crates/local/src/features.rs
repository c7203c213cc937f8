//! Text to a sparse unit vector: what the classifier sees of a message.
//!
//! Features are single words, pairs of neighbouring words, and the character 3- and 4-grams
//! of each word (which carry over typing errors and inflections), weighted by tf-idf.

/// Only the first characters of a text are read, so that a prediction's time is bounded.
pub(crate) const TEXT_CHARS_MAX: usize = 4_000;
/// Weight of a character n-gram relative to a word: there are several in each word.
const CHARS_WEIGHT: f32 = 0.6;

/// A feature of one text: the hash that names it, and its term-frequency weight.
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
    let mut words = vec![Vec::new()];
    for char in text.chars().take(TEXT_CHARS_MAX) {
        if char.is_alphanumeric() {
            let lower = char.to_lowercase().map(u64::from);
            words.last_mut().into_iter().for_each(|word| word.extend(lower.clone()));
        } else if !matches!(char, '\'' | '’') {
            words.push(Vec::new());
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// The distinct features of a text, sorted by hash, with sublinear term frequency 1 + ln(n).
pub(crate) fn features(text: &str) -> Vec<Feature> {
    let words = words(text);
    let mut found: Vec<(u64, f32)> = Vec::new();
    // 0 stands for the text's beginning and end.
    let mut before = 0;
    for word in &words {
        let this = hash(Kind::Word, word.iter().copied());
        found.push((this, 1.0));
        found.push((hash(Kind::Pair, [before, this]), 1.0));
        before = this;
        let space = u64::from(' ');
        let spaced = [&[space], word.as_slice(), &[space]].concat();
        for n in [3, 4] {
            let grams = spaced.windows(n).map(|gram| hash(Kind::Chars, gram.iter().copied()));
            found.extend(grams.map(|gram| (gram, CHARS_WEIGHT)));
        }
    }
    if before != 0 {
        found.push((hash(Kind::Pair, [before, 0]), 1.0));
    }
    found.sort_unstable_by_key(|(hash, _)| *hash);
    found
        .chunk_by(|a, b| a.0 == b.0)
        .map(|same| Feature { hash: same[0].0, weight: same[0].1 * (1.0 + (same.len() as f32).ln()) })
        .collect()
}

/// The features seen in training, with their inverse document frequencies.
#[derive(Debug)]
pub(crate) struct Vocabulary {
    /// Sorted; the position is the feature's row.
    hashes: Vec<u64>,
    idf: Vec<f32>,
    /// The idf of a feature that no text has.
    idf_unseen: f32,
}

impl Vocabulary {
    /// The `rows_max` most frequent features of `texts` (all, where they fit).
    pub(crate) fn new(texts: &[Vec<Feature>], rows_max: usize) -> Self {
        let mut all: Vec<u64> = texts.iter().flatten().map(|feature| feature.hash).collect();
        all.sort_unstable();
        let mut counted: Vec<(u64, usize)> = all.chunk_by(|a, b| a == b).map(|same| (same[0], same.len())).collect();
        if counted.len() > rows_max {
            counted.sort_by_key(|&(hash, count)| (std::cmp::Reverse(count), hash));
            counted.truncate(rows_max);
            counted.sort_unstable();
        }
        let idf = |count: usize| ((1 + texts.len()) as f32 / (1 + count) as f32).ln() + 1.0;
        Self {
            idf: counted.iter().map(|(_, count)| idf(*count)).collect(),
            hashes: counted.into_iter().map(|(hash, _)| hash).collect(),
            idf_unseen: idf(0),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.hashes.len()
    }

    /// The text's unit vector. Unseen features have no row but count in its length: the less
    /// of a text is known, the smaller the rest, and so the confidence in what it says.
    pub(crate) fn vector(&self, features: &[Feature]) -> SparseVector {
        let mut squares = 0.0;
        let mut vector = SparseVector::new();
        for feature in features {
            let row = self.hashes.binary_search(&feature.hash).ok();
            let value = feature.weight * row.map_or(self.idf_unseen, |row| self.idf[row]);
            squares += value * value;
            vector.extend(row.map(|row| (row as u32, value)));
        }
        let length = squares.sqrt();
        vector.iter_mut().for_each(|(_, value)| *value /= length);
        vector
    }
}
