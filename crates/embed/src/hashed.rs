//! Hashed n-grams: a vector from nothing but the text, the same on every machine and for good.
//!
//! Features are the character 2- to 5-grams of each word, its edges included, and pairs of
//! neighbouring words; each adds its weight, with a sign, to one dimension that its hash names
//! (feature hashing, Weinberger et al. 2009), so that dot products are kept on average. It knows
//! spelling, not meaning: texts that share no word are strangers to it. Whole words as features, a
//! lower weight of short words and 1,024 dimensions were no better on the train part of BANKING77.

use crate::{Embedder, TEXT_BYTES_MAX, normalise};

const DIMENSIONS: usize = 512;
const GRAM_CHARACTERS: std::ops::RangeInclusive<usize> = 2..=5;
const GRAM: f32 = 1.0;
/// Enough that the order of words is seen; more makes strangers of those who say it otherwise.
const PAIR: f32 = 0.3;

/// Hashed n-grams, version 1: another weight or feature is another version.
#[derive(Debug, Default)]
pub struct Hashed;

impl Hashed {
    /// There is nothing to set.
    pub fn new() -> Self {
        Self
    }
}

impl Embedder for Hashed {
    fn id(&self) -> &str {
        "hashed-1"
    }

    fn dimensions(&self) -> usize {
        DIMENSIONS
    }

    fn embed(&self, text: &str) -> Vec<f32> {
        let mut vector = vec![0.0; DIMENSIONS];
        if text.len() > TEXT_BYTES_MAX {
            return vector;
        }
        let mut found = features(text);
        // The order of the sum is part of the result.
        found.sort_unstable_by_key(|&(hash, _)| hash);
        for same in found.chunk_by(|a, b| a.0 == b.0) {
            let (hash, weight) = same[0];
            // Repetition counts sublinearly. A root is exact on every machine, a logarithm is not.
            let value = weight * (same.len() as f32).sqrt();
            let place = ((hash >> 32) * DIMENSIONS as u64) >> 32;
            vector[place as usize] += if hash & 1 == 0 { value } else { -value };
        }
        normalise(vector)
    }
}

/// The features of a text as (hash, weight), as often as they occur.
fn features(text: &str) -> Vec<(u64, f32)> {
    /// Stands before the first word and after the last.
    const EDGE: u64 = 0;
    let mut found = Vec::with_capacity(text.len() * 4);
    let mut before = EDGE;
    for word in words(text) {
        let space = u64::from(' ');
        let spaced = [&[space], word.as_slice(), &[space]].concat();
        for n in GRAM_CHARACTERS {
            found.extend(spaced.windows(n).map(|gram| (hash(Kind::Gram, gram), GRAM)));
        }
        let this = hash(Kind::Word, &word);
        found.push((hash(Kind::Pair, &[before, this]), PAIR));
        before = this;
    }
    if before != EDGE {
        found.push((hash(Kind::Pair, &[before, EDGE]), PAIR));
    }
    found
}

/// The lower-case words of a text: runs of letters and digits, apostrophes left out.
fn words(text: &str) -> Vec<Vec<u64>> {
    let mut words = vec![Vec::new()];
    for character in text.chars() {
        match words.last_mut() {
            Some(word) if character.is_alphanumeric() => word.extend(character.to_lowercase().map(u64::from)),
            Some(word) if !word.is_empty() && !matches!(character, '\'' | '’') => words.push(Vec::new()),
            _ => {}
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Keeps a word apart from an equal gram.
#[derive(Clone, Copy)]
enum Kind {
    Word = 1,
    Pair = 2,
    Gram = 3,
}

/// FNV-1a over 64-bit units, then the finaliser of SplitMix64 (Steele et al. 2014): FNV's high bits
/// alone would not spread short words.
fn hash(kind: Kind, units: &[u64]) -> u64 {
    let start = 0xcbf2_9ce4_8422_2325 ^ (kind as u64);
    let folded = units.iter().fold(start, |hash, unit| (hash ^ unit).wrapping_mul(0x100_0000_01b3));
    let mixed = (folded ^ (folded >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cosine(a: &str, b: &str) -> f32 {
        let (a, b) = (Hashed.embed(a), Hashed.embed(b));
        a.iter().zip(&b).map(|(a, b)| a * b).sum()
    }

    #[test]
    fn what_a_person_reads_as_the_same_is_the_same() {
        let check = |a: &str, b: &str, same: bool| {
            assert_eq!(Hashed.embed(a) == Hashed.embed(b), same, "{a:?} and {b:?}");
        };
        check("Can't log in!", "cant  LOG\nin", true);
        check("ÄRGER", "ärger", true);
        check("log in", "in log", false);
        check("pay 10", "pay 11", false);
        check("pay", "pay pay", false);
    }

    #[test]
    fn near_in_spelling_is_near() {
        let typing_error = cosine("my card was declined", "my card was declinde");
        let related = cosine("my card was declined", "why is my card declined");
        let stranger = cosine("my card was declined", "exchange rates abroad?");
        assert!(typing_error > 0.7 && related > 0.7 && stranger.abs() < 0.2, "{typing_error} {related} {stranger}");
    }

    /// Vectors are kept over restarts and shared between machines: version 1 stays what it is.
    #[test]
    fn version_1_is_for_good() {
        let embedder = Hashed::new();
        let vector = embedder.embed("Where is my card? – Wo ist meine Karte, 42");
        let bytes: Vec<u8> = vector.iter().flat_map(|value| value.to_le_bytes()).collect();
        let digest = blake3::hash(&bytes).to_hex();
        assert_eq!((embedder.id(), vector.len(), &digest[..16]), ("hashed-1", DIMENSIONS, "0beb941d46c8d025"));
    }

    proptest::proptest! {
        #[test]
        fn unit_length_or_nothing(text in "\\PC{0,60}") {
            let vector = Hashed.embed(&text);
            let length: f32 = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
            let expected = if words(&text).is_empty() { 0.0 } else { 1.0 };
            // The signs of two features may cancel each other out, in theory.
            proptest::prop_assert!((length - expected).abs() < 1e-5, "{length} for {text:?}");
        }
    }

    #[test]
    fn a_text_that_is_too_long_is_near_to_nothing() {
        let longest = "a ".repeat(TEXT_BYTES_MAX / 2);
        assert!(Hashed.embed(&longest).iter().any(|&value| value != 0.0));
        assert!(Hashed.embed(&(longest + "b")).iter().all(|&value| value == 0.0));
    }
}
